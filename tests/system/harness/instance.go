package harness

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What an administrator of an instance of `rookery up` does to it while it runs: other certificates, another program.

// TLS is what a client of the instance is to believe.
func (c *Cluster) TLS() *tls.Config { return believing(c.CAFile) }

// NewPair is signed by the instance's own authority.
func (c *Cluster) NewPair(t testing.TB, serial int64) Pair {
	t.Helper()
	authority, err := tls.LoadX509KeyPair(c.Secret("ca.pem"), c.Secret("ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	return newPair(t, serial, time.Now().Add(time.Hour), &authority)
}

// Install gives the pair to all that end TLS: to the services by their files, to haproxy by its socket too, if it runs.
func (c *Cluster) Install(t testing.TB, p Pair) {
	t.Helper()
	both, file := string(p.Certificate)+string(p.Key), c.Secret("front.pem")
	ReplaceFile(t, c.Secret("front.key"), p.Key)
	ReplaceFile(t, c.Secret("front.crt"), p.Certificate)
	ReplaceFile(t, file, []byte(both))
	if !c.Proc(t, "haproxy").Lives() {
		return
	}
	c.askHaproxy(t, fmt.Sprintf("set ssl cert %s <<\n%s\n", file, both), "Transaction")
	c.askHaproxy(t, "commit ssl cert "+file+"\n", "Success")
}

func (c *Cluster) askHaproxy(t testing.TB, question, want string) {
	t.Helper()
	conn, err := net.Dial("unix", c.HaproxySocket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, question); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), want) {
		t.Fatalf("haproxy: %v: %s", err, answer)
	}
}

// Replace ends a service and starts it again as that program, with more in its environment. `rookery` takes it for its own.
func (c *Cluster) Replace(t testing.TB, name, program string, env ...string) {
	t.Helper()
	cmd := c.again(t, name)
	cmd.Path = program
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	log, err := os.OpenFile(filepath.Join(c.dir, "d", "log", name+".log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	c.Terminate(t, name)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	pid := cmd.Process.Pid
	for i := range c.Processes {
		if c.Processes[i].Name == name {
			c.Processes[i].PID = pid
		}
	}
	ReplaceFile(t, filepath.Join(c.dir, "d", "pid", name), fmt.Appendf(nil, "%d %s %s\n", pid, startTime(t, pid), bootID(t)))
}

// Ready waits until a service says that it is.
func (c *Cluster) Ready(t testing.TB, name string, limit time.Duration) error {
	t.Helper()
	p := c.Proc(t, name)
	return Within(limit, func() error {
		status, err := Ready(p.Admin)
		if err == nil && status != 200 {
			err = fmt.Errorf("%s: /readyz: %d", name, status)
		}
		return err
	})
}

// Lives tells whether the process of a service is there.
func (p Process) Lives() bool { return p.PID > 0 && alive(p.PID) }

// startTime is field 22 of /proc/PID/stat.
func startTime(t testing.TB, pid int) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.Fields(after)[19]
}

func bootID(t testing.TB) string {
	t.Helper()
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(id))
}

// Limit sets a limit of a running process (unix.RLIMIT_...) and returns what takes it back.
func (p Process) Limit(t testing.TB, resource int, limit uint64) func() {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Prlimit(p.PID, resource, nil, &old); err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	if err := unix.Prlimit(p.PID, resource, &unix.Rlimit{Cur: limit, Max: old.Max}, nil); err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	return func() { _ = unix.Prlimit(p.PID, resource, &old, nil) } // it may be gone
}

// Descriptors are how many it has open.
func (p Process) Descriptors(t testing.TB) uint64 {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	return uint64(len(open))
}

// AddressSpace is in bytes.
func (p Process) AddressSpace(t testing.TB) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseUint(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * uint64(os.Getpagesize())
}
