package system

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rookery.test/system/harness"
)

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// archive keeps the database's log in a directory from now on, as docs/backup.md says, and returns how to finish.
func archive(t *testing.T, c *harness.Cluster) (string, func()) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("pg_receivewal", "-d", c.Admin(), "-D", dir, "--synchronous", "--no-loop")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("pg_receivewal: %s", said.String())
		}
	})
	harness.Eventually(t, 20*time.Second, "the archive has begun", func() error {
		if begun, _ := filepath.Glob(filepath.Join(dir, "*.partial")); len(begun) == 0 {
			return os.ErrNotExist
		}
		return nil
	})
	return dir, func() {
		t.Helper()
		last := c.AdminSQL(t, "SELECT pg_walfile_name(pg_switch_wal())")
		harness.Eventually(t, time.Minute, "the log is in the archive", func() error {
			_, err := os.Stat(filepath.Join(dir, last))
			return err
		})
	}
}

// A backup taken while everything runs and changes, and the log since, bring the database back to the moment before a mistake.
// Agents that never stopped go on with what was true then, and nobody enrols again.
func TestRestoreToAPointInTime(t *testing.T) {
	t.Parallel()
	c := own(t)
	s := c.Lonely(t)
	policy := s.Allow(t, s.Group, s.Group, "tcp", true, harness.EchoPort, "7000")
	a := harness.StartAgent(t, "alpha", s.Key, c.ManagementURL)
	b := harness.StartAgent(t, "beta", s.Key, c.ManagementURL)
	harness.Mesh(t, a, b, harness.AnyPath)
	address := b.IP(t)

	wal, finish := archive(t, c)
	base := filepath.Join(t.TempDir(), "base")
	copying := exec.Command("pg_basebackup", "-d", c.Admin(), "-D", base, "-X", "none", "-c", "fast")
	if err := copying.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		s.NewGroup(t, "while-it-is-copied-"+string(rune('a'+i)))
	}
	if err := copying.Wait(); err != nil {
		t.Fatalf("pg_basebackup: %v", err)
	}
	reaches := func(port string, limit time.Duration) {
		t.Helper()
		for _, x := range []*harness.Agent{a, b} {
			harness.Eventually(t, limit, x.Name+" has been sent the policy with "+port, func() error { return hasPort(x.Map(), port) })
		}
	}
	s.SetPolicy(t, policy, harness.Rule(s.Group, s.Group, "tcp", true, harness.EchoPort, "7001"))
	reaches("7001", 5*time.Second)
	c.AdminSQL(t, "SELECT pg_create_restore_point('before_the_mistake')")

	// The mistake: after many changes the policy goes, and the agents lose each other.
	for i := range 40 {
		s.SetPolicy(t, policy, harness.Rule(s.Group, s.Group, "tcp", true, strconv.Itoa(8000+i)))
	}
	s.Want(t, 200, "DELETE", "/api/policies/"+policy, nil, nil)
	for _, x := range []*harness.Agent{a, b} {
		harness.Eventually(t, 5*time.Second, x.Name+" is alone", func() error {
			if n := len(x.Map().GetRemotePeers()); n > 0 {
				return fmt.Errorf("%d peers", n)
			}
			return nil
		})
	}
	finish()

	// Signal and relays know nothing of the database, and tunnels stay up.
	for _, tier := range []string{"management", "dashboard-api"} {
		for _, name := range c.Names(tier) {
			c.Kill(t, name)
		}
	}
	run(t, "sh", "-c", "kill -INT $(head -n 1 "+c.Data()+"/postmaster.pid)")
	harness.Eventually(t, 20*time.Second, "Postgres has stopped", func() error {
		if _, err := os.Stat(filepath.Join(c.Data(), "postmaster.pid")); err == nil {
			return os.ErrExist
		}
		return nil
	})
	if err := os.WriteFile(filepath.Join(base, "recovery.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := os.OpenFile(filepath.Join(base, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conf.WriteString("restore_command = 'cp " + wal + "/%f %p'\nrecovery_target_name = 'before_the_mistake'\n" +
		"recovery_target_action = 'promote'\n"); err != nil {
		t.Fatal(err)
	}
	_ = conf.Close()
	data, err := filepath.EvalSymlinks(c.Data())
	if err != nil {
		t.Fatal(err)
	}
	owner := "--reference=" + data
	run(t, "chmod", "-R", "a+rX", wal)
	run(t, "chmod", "a+x", filepath.Dir(wal))
	run(t, "chown", "-R", owner, base)
	run(t, "rm", "-rf", data)
	run(t, "cp", "-a", base, data)
	c.Restart(t)
	if out, ok := c.Command(t, "dashboard-api-1", nil, "after-restore"); !ok || !strings.HasPrefix(out, "1 accounts: ") {
		t.Fatalf("after-restore: %q", out)
	}
	for _, name := range c.Names("management") { // started too early
		c.Kill(t, name)
	}
	c.Restart(t)

	reaches("7001", 60*time.Second)
	harness.Mesh(t, a, b, harness.AnyPath)
	b.Echo(t)
	startTraffic(t, a, address, 20*time.Second).finish(t)
	if n := c.AdminSQL(t, "SELECT count(*) FROM account_group WHERE name LIKE '%while-it-is-copied-%'"); n != "20" {
		t.Errorf("%s of the 20 groups are there", n)
	}
	if n := c.AdminSQL(t, "SELECT count(*) FROM peer"); n != "2" {
		t.Errorf("%s peers", n)
	}
	// And the next change reaches them as ever.
	s.SetPolicy(t, policy, harness.Rule(s.Group, s.Group, "tcp", true, harness.EchoPort, "7002"))
	reaches("7002", 5*time.Second)
}
