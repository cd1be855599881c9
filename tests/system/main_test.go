// Package system tests the control plane as a whole: the real processes, driven by the ecosystem's own clients.
package system

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"rookery.test/system/harness"
)

// The cluster that the tests share. What breaks or reconfigures a cluster starts one of its own.
var shared struct {
	once    sync.Once
	cluster *harness.Cluster
	err     error
}

func cluster(t *testing.T) *harness.Cluster {
	t.Helper()
	shared.once.Do(func() { shared.cluster, shared.err = harness.Up() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	shared.cluster.DumpOnFailure(t)
	return shared.cluster
}

// own starts a cluster for one test alone. A child process joins its parent's.
func own(t *testing.T) *harness.Cluster {
	t.Helper()
	c, err := harness.Up()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Down)
	c.DumpOnFailure(t)
	return c
}

// needsProcesses skips where only URLs are known, as when the tests run against a server that `rookery up` did not start.
func needsProcesses(t *testing.T, c *harness.Cluster) {
	t.Helper()
	if len(c.Processes) == 0 {
		t.Skip("needs the processes of a cluster started by `rookery up`")
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("ROOKERY_IN_NETNS") == "" {
		fmt.Fprintln(os.Stderr, "run these tests through tests/system/run: they need a network namespace of their own")
		os.Exit(1)
	}
	code := m.Run()
	shared.cluster.Down()
	os.Exit(code)
}
