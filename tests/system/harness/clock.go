package harness

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Clock is a wall clock that a test sets, for the programs that are started with its environment. Their monotonic clock stays.
type Clock struct {
	library, file string
}

// NewClock agrees with the system's until it is set.
func NewClock(t testing.TB) *Clock {
	t.Helper()
	script, err := findScript()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &Clock{library: filepath.Join(dir, "clock.so"), file: filepath.Join(dir, "clock")}
	source := filepath.Join(filepath.Dir(script), "tests", "system", "harness", "testdata", "clock.c")
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-O2", "-o", c.library, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.Set(t, 0)
	return c
}

// Set moves it ahead of the system's, or behind.
func (c *Clock) Set(t testing.TB, by time.Duration) {
	t.Helper()
	f, err := os.OpenFile(c.file, os.O_WRONLY|os.O_CREATE, 0o644)
	if err == nil {
		err = binary.Write(f, binary.NativeEndian, int64(by))
		_ = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Env is for a process like p. The address sanitizer insists on being the first of all libraries.
func (c *Clock) Env(t testing.TB, p Process) []string {
	t.Helper()
	libraries := c.library
	if strings.Contains(p.Program(t), "/asan/") {
		out, err := exec.Command("cc", "-print-file-name=libasan.so").Output()
		if err != nil {
			t.Fatal(err)
		}
		libraries = strings.TrimSpace(string(out)) + ":" + libraries
	}
	return []string{"LD_PRELOAD=" + libraries, "TEST_CLOCK=" + c.file}
}
