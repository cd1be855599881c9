package chaos

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Two versions side by side. With -before everything begins as that version; whatever ends comes back as the one under test, and
// in some rounds a service goes back, unless the newer schema forbids it.

// mix has up to two services go back.
func (w *world) mix(t testing.TB, r *rand.Rand) {
	t.Helper()
	for range r.IntN(3) {
		if *before == "" || w.tooOld {
			return
		}
		name := pick(r, w.services())
		w.Replace(t, name, filepath.Join(*before, "build", filepath.Base(w.build), filepath.Base(w.program(name))))
		switch err := w.Ready(t, name, 30*time.Second); {
		case err == nil:
			w.log(t, "  %s is the version before", name)
		case w.Proc(t, name).Lives():
			t.Fatal(err)
		default: // as it does where the schema is newer than it can work with
			w.log(t, "  the version before does not start any more")
			w.tooOld = true
			w.dead = append(w.dead, name)
			w.restart(t)
		}
	}
}

// program is the one under test.
func (w *world) program(name string) string {
	return filepath.Join(w.build, "rookery-"+name[:strings.LastIndex(name, "-")])
}
