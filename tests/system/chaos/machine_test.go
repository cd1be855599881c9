package chaos

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rookery.test/system/harness"
)

// What a machine does to the programs on it: its disk fills up, descriptors and memory end, its clock jumps; and what an
// administrator puts there.

// machine is where everything runs.
type machine struct {
	disk  string // a file system of its own, with the data and logs of all; "" where nothing may be mounted
	full  bool
	clock *harness.Clock
}

const diskSize = "size=8g" // memory is taken as files need it

// mount makes the file system and has all that comes put its files there.
func (w *world) mount(t testing.TB) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rkdisk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := unix.Mount("chaos", dir, "tmpfs", 0, diskSize+",mode=1777"); err != nil {
		w.log(t, "nothing can be mounted here, so no disk is ever full: %v", err)
		return
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	t.(*testing.T).Setenv("TMPDIR", dir)
	w.machine.disk = dir
}

func (w *world) resize(size string) error {
	return unix.Mount("", w.machine.disk, "", unix.MS_REMOUNT, size)
}

// fullDisk leaves no byte to anybody: not to Postgres, its standby, and the log of any service.
func fullDisk(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
	if w.machine.disk == "" {
		return "no disk to fill", nothing
	}
	harness.Eventually(t, 10*time.Second, "the disk is full", func() error { // until nobody writes in between
		var s unix.Statfs_t
		if err := unix.Statfs(w.machine.disk, &s); err != nil {
			return err
		}
		return w.resize(fmt.Sprintf("size=%d", (s.Blocks-s.Bfree)*uint64(s.Bsize)))
	})
	w.machine.full = true
	return "fill the disk", func() {
		w.pg.Primary.Revive(t)
		w.pg.Rejoin(t)
	}
}

// empty makes room again.
func (w *world) empty(t testing.TB) {
	t.Helper()
	if !w.machine.full {
		return
	}
	if err := w.resize(diskSize); err != nil {
		t.Fatal(err)
	}
	w.machine.full = false
}

// outOfDescriptors leaves a service at most three more than it has.
func outOfDescriptors(t *testing.T, w *world, r *rand.Rand) (string, func()) {
	p := w.Proc(t, pick(r, w.services()))
	spare := r.Uint64N(4)
	return fmt.Sprintf("leave %s %d descriptors", p.Name, spare), p.Limit(t, unix.RLIMIT_NOFILE, p.Descriptors(t)+spare)
}

// outOfMemory leaves a service hardly any more memory than it has. When that ends it is over, as it says itself.
func outOfMemory(t *testing.T, w *world, r *rand.Rand) (string, func()) {
	p := w.Proc(t, pick(r, w.services()))
	spare := r.Uint64N(4 << 20)
	if p.Sanitized(t) { // whose report would be of the sanitizer itself
		w.kill(t, p.Name)
		return "kill -9 " + p.Name, nothing
	}
	w.doomed = append(w.doomed, p.Name)
	return fmt.Sprintf("leave %s %d KB of memory", p.Name, spare>>10), p.Limit(t, unix.RLIMIT_AS, p.AddressSpace(t)+spare)
}

// wrongClock starts a service anew with a wall clock that jumps by up to a quarter of an hour, and back.
func wrongClock(t *testing.T, w *world, r *rand.Rand) (string, func()) {
	name := pick(r, w.services())
	jump := time.Duration(r.IntN(1801)-900) * time.Second
	if w.machine.full {
		w.kill(t, name)
		return "kill -9 " + name, nothing
	}
	if w.machine.clock == nil {
		w.machine.clock = harness.NewClock(t)
	}
	clock := w.machine.clock
	p := w.Proc(t, name)
	w.Replace(t, name, w.program(name), clock.Env(t, p)...)
	clock.Set(t, jump)
	return fmt.Sprintf("move the clock of %s by %v", name, jump), func() { clock.Set(t, 0) }
}

// otherCertificate gives all that end TLS a new one of the same authority: at once; or the key before the certificate; or what is
// none first. Those who come meanwhile see the old one, and in the end everybody has the new one, without a restart.
func otherCertificate(t *testing.T, w *world, r *rand.Rand) (string, func()) {
	serial := r.Int64()
	pair := w.NewPair(t, serial)
	install := func() {
		w.Install(t, pair)
		w.presents(t, serial)
	}
	if w.machine.full {
		return "another certificate, when there is room", install
	}
	switch r.IntN(3) {
	case 0:
		harness.ReplaceFile(t, w.Secret("front.key"), pair.Key)
		return "another certificate, its key much earlier", install
	case 1:
		harness.ReplaceFile(t, w.Secret("front.crt"), []byte("no certificate\n"))
		return "another certificate, after what is none", install
	}
	install()
	return "another certificate", nothing
}

// presents waits until all that end TLS show the certificate of that number.
func (w *world) presents(t testing.TB, serial int64) {
	t.Helper()
	all := w.services("management", "signal", "relay")
	if !slices.Contains(w.dead, "haproxy") {
		all = append(all, "haproxy")
	}
	for _, name := range all {
		harness.Eventually(t, 20*time.Second, name+" shows the new certificate", func() error {
			config := w.TLS()
			if !strings.HasPrefix(name, "relay") {
				config.NextProtos = []string{"h2"}
			}
			dialer := &net.Dialer{Timeout: 2 * time.Second}
			conn, err := tls.DialWithDialer(dialer, "tcp", w.Proc(t, name).Listen, config)
			if err != nil {
				return err
			}
			defer conn.Close()
			if got := conn.ConnectionState().PeerCertificates[0].SerialNumber; !got.IsInt64() || got.Int64() != serial {
				return fmt.Errorf("number %v instead of %d", got, serial)
			}
			return nil
		})
	}
}

// otherRelaySecret is for management and the relays, a replica of each at a time.
func otherRelaySecret(t *testing.T, w *world, r *rand.Rand) (string, func()) {
	if w.machine.full {
		return "no room for another secret", nothing
	}
	harness.ReplaceFile(t, w.Secret("relay_secret"), bytes.Repeat(fmt.Appendf(nil, "%016x", r.Uint64()), 3))
	var steps [][]string
	for i := range replicas {
		steps = append(steps, []string{fmt.Sprintf("management-%d", i+1), fmt.Sprintf("relay-%d", i+1)})
	}
	left := w.roll(t, steps...)
	return "another relay secret", func() {
		for _, name := range slices.Concat(left...) { // two secrets at once is for a moment only
			w.kill(t, name)
		}
	}
}
