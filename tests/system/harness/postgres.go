package harness

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Postgres is a server of its own on loopback, without fsync: it survives what kills a process, not what takes the power.
type Postgres struct {
	Port int
	dir  string
	cmd  *exec.Cmd
}

// PostgresPair is a primary and its synchronous standby: what is acknowledged is in both.
type PostgresPair struct {
	Primary, Standby *Postgres
}

// NewPostgresPair starts both, with a database and a role called rookery; they end with the test.
func NewPostgresPair(t testing.TB) *PostgresPair {
	t.Helper()
	root, err := os.MkdirTemp("", "rkpg")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	p := &PostgresPair{Primary: &Postgres{Port: FreePort(t), dir: filepath.Join(root, "a")},
		Standby: &Postgres{Port: FreePort(t), dir: filepath.Join(root, "b")}}
	t.Cleanup(func() {
		for _, s := range []*Postgres{p.Primary, p.Standby} {
			s.Kill(t)
			if text, err := os.ReadFile(s.dir + ".log"); t.Failed() && err == nil {
				t.Logf("log of the server at port %d, which was the primary at the end: %v\n%s", s.Port, s == p.Primary,
					text[max(len(text)-8000, 0):])
			}
		}
		_ = os.RemoveAll(root)
	})
	p.Primary.run(t, "initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D", p.Primary.dir)
	p.Primary.configure(t, "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\nfsync = off\n"+
		"shared_buffers = 64MB\ntimezone = UTC\nlog_timezone = UTC\n"+
		"wal_keep_size = 64MB\nmin_wal_size = 32MB\nmax_wal_size = 128MB\n")
	p.Primary.Start(t)
	p.Primary.SQL(t, "CREATE ROLE rookery LOGIN")
	p.Primary.SQL(t, "CREATE DATABASE rookery OWNER rookery")
	p.Rejoin(t)
	return p
}

// binary is a program of the newest installed version.
func (*Postgres) binary(t testing.TB, name string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		t.Fatalf("there is no %s", name)
	}
	return found[len(found)-1]
}

// command runs as the user postgres where we are root, as which the server refuses to run.
func (p *Postgres) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(p.binary(t, name), args...)
	cmd.Dir = "/"
	if os.Getuid() != 0 {
		return cmd
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return cmd
}

func (p *Postgres) run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := p.command(t, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// configure appends settings, of which the last counts.
func (p *Postgres) configure(t testing.TB, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(p.dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%sport = %d\n", text, p.Port); err != nil {
		t.Fatal(err)
	}
}

// Start starts the server, after a crash too, and returns when it answers.
func (p *Postgres) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(p.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = p.command(t, "postgres", "-D", p.dir)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 30*time.Second, "postgres answers", func() error {
		_, err := p.TrySQL("SELECT 1")
		return err
	})
}

// family is a process and its children, itself at the end.
func family(first int) []int {
	var all []int
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", first, first))
	for _, word := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil {
			all = append(all, pid)
		}
	}
	return append(all, first)
}

// signalAll goes to a process and its children.
func signalAll(first int, signal syscall.Signal) {
	all := family(first)
	if signal != syscall.SIGCONT {
		slices.Reverse(all) // or the first would start more
	}
	for _, pid := range all {
		_ = syscall.Kill(pid, signal)
	}
}

// Signal goes to every process of the server.
func (p *Postgres) Signal(signal syscall.Signal) {
	if p.cmd != nil {
		signalAll(p.cmd.Process.Pid, signal)
	}
}

// Revive returns when the server answers, and starts it again where it has ended by itself.
func (p *Postgres) Revive(t testing.TB) {
	t.Helper()
	Eventually(t, 30*time.Second, "postgres answers", func() error {
		if !alive(p.cmd.Process.Pid) {
			_ = p.cmd.Wait()
			p.Start(t)
		}
		_, err := p.TrySQL("SELECT 1")
		return err
	})
}

// Kill ends it like a loss of the machine; it may be dead.
func (p *Postgres) Kill(t testing.TB) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	p.Signal(syscall.SIGSTOP)
	all := family(p.cmd.Process.Pid)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = p.cmd.Wait()
	for _, pid := range all {
		if err := Within(5*time.Second, func() error {
			if alive(pid) {
				return fmt.Errorf("process %d of postgres still runs", pid)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	p.cmd = nil
}

// TrySQL runs statements as the administrator and returns what psql prints of their rows.
func (p *Postgres) TrySQL(statement string) (string, error) {
	return psql(p.admin(), statement)
}

func (p *Postgres) admin() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres connect_timeout=3", p.Port)
}

// SQL is TrySQL that fails the test.
func (p *Postgres) SQL(t testing.TB, statement string) string {
	t.Helper()
	return mustPSQL(t, p.admin(), statement)
}

// Rejoin makes the standby anew from the primary, and the primary wait for it with each commit.
func (p *PostgresPair) Rejoin(t testing.TB) {
	t.Helper()
	s := p.Standby
	s.Kill(t)
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	s.run(t, "pg_basebackup", "-h", "127.0.0.1", "-p", strconv.Itoa(p.Primary.Port), "-U", "postgres", "-D", s.dir, "-R", "-X", "stream",
		"-c", "fast", "--no-sync")
	s.configure(t, "")
	s.forget(t, "synchronous_standby_names") // once it is the primary it has no standby
	s.Start(t)
	p.Primary.SQL(t, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	p.Primary.SQL(t, "SELECT pg_reload_conf()")
	Eventually(t, 20*time.Second, "the standby is synchronous", func() error {
		state, err := p.Primary.TrySQL("SELECT sync_state FROM pg_stat_replication")
		if err == nil && state != "sync" {
			err = fmt.Errorf("%q", state)
		}
		return err
	})
}

// forget takes a setting out of those that ALTER SYSTEM has made.
func (p *Postgres) forget(t testing.TB, setting string) {
	t.Helper()
	file := filepath.Join(p.dir, "postgresql.auto.conf")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.HasPrefix(line, setting) })
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Promote makes the standby the primary and returns when it takes writes. The old primary, dead or frozen, is the other one from now on.
func (p *PostgresPair) Promote(t testing.TB) {
	t.Helper()
	p.Standby.run(t, "pg_ctl", "promote", "-D", p.Standby.dir)
	p.Primary, p.Standby = p.Standby, p.Primary
}
