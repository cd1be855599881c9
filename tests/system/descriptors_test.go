package system

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rookery.test/system/harness"
)

// A service takes as many connections as the hard limit on its descriptors allows, however low the soft one was when it was
// started, as it is in most shells and containers.
func TestDescriptorsUpToTheHardLimit(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	for _, tier := range []string{"management", "dashboard-api", "signal", "relay", "stun"} {
		t.Run(tier, func(t *testing.T) {
			settings := map[string]string{}
			if tier == "relay" {
				settings["exposed_url"] = "rel://relay.test:443"
			}
			s := c.Sibling(t, tier+"-1", settings, "prlimit", "--nofile=64:4096")
			if most := counted(t, s.Admin, "process_max_fds"); most != 4096 {
				t.Errorf("at most %v descriptors", most)
			}
			if tier != "stun" { // UDP
				stay(t, s.Listen, 100)
			}
		})
	}
}

// stay opens so many connections, all of which are still there a little later.
func stay(t *testing.T, at string, n int) {
	t.Helper()
	var all []net.Conn
	for i := range n {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer conn.Close()
		all = append(all, conn)
	}
	end := time.Now().Add(500 * time.Millisecond)
	for i, conn := range all {
		_ = conn.SetReadDeadline(end)
		b := make([]byte, 256) // who speaks HTTP/2 greets
		var err error
		for err == nil {
			_, err = conn.Read(b)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
}

// Who is turned away for want of descriptors hears nothing, so the log says it before.
func TestDescriptorsThatEndAreInTheLog(t *testing.T) {
	m := soloSignal(t, nil)
	defer m.Limit(t, unix.RLIMIT_NOFILE, m.Descriptors(t)+12)()
	stay(t, m.Listen, 4)
	harness.Eventually(t, soon, "a warning", func() error {
		if !strings.Contains(m.Log(), "hardly a descriptor is left") {
			return fmt.Errorf("not in the log:\n%s", m.Log())
		}
		return nil
	})
}
