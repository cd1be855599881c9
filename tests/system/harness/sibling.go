package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Sibling is one more process beside a cluster's own: same program, same settings but for those given.
type Sibling struct {
	Process
	cmd  *exec.Cmd
	like string
	done chan struct{}
	mu   sync.Mutex
	log  []string
}

// Sibling starts another replica like the process of that name. Settings are named as in the settings file.
// It listens on ports of its own and ends with the test. A wrapper is a command that becomes the one given to it.
func (c *Cluster) Sibling(t testing.TB, like string, settings map[string]string, wrapper ...string) *Sibling {
	t.Helper()
	host, _, err := net.SplitHostPort(c.Proc(t, like).Listen)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, like, host, c.again(t, like, wrapper...), settings)
}

// again is the command line of the process of that name, with what it was given in its environment.
func (c *Cluster) again(t testing.TB, like string, wrapper ...string) *exec.Cmd {
	t.Helper()
	p := c.Proc(t, like)
	words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.TrimRight(string(words), "\x00"), "\x00")
	vars, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	command := append(append(slices.Clone(wrapper), p.Program(t)), args[1:]...)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = strings.Split(strings.TrimRight(string(vars), "\x00"), "\x00")
	return cmd
}

// Command runs a command of the program like the process of that name, with its settings but for those given,
// and returns what it printed and whether it ended well.
func (c *Cluster) Command(t testing.TB, like string, settings map[string]string, words ...string) (string, bool) {
	t.Helper()
	cmd := c.again(t, like)
	cmd.Args = slices.Concat(cmd.Args[:1], words, cmd.Args[1:])
	for key, value := range settings {
		cmd.Env = append(cmd.Env, "ROOKERY_"+strings.ToUpper(key)+"="+value)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// Refused starts one more process like the one of that name, which has to end by itself and at once, and returns what it said.
func (c *Cluster) Refused(t testing.TB, like string, settings map[string]string, wrapper ...string) string {
	t.Helper()
	cmd := c.again(t, like, wrapper...)
	for key, value := range settings {
		cmd.Env = append(cmd.Env, "ROOKERY_"+strings.ToUpper(key)+"="+value)
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() <= 0 {
		t.Fatalf("%s %v: %v instead of an error:\n%s", like, settings, cmd.ProcessState, said.String())
	}
	return said.String()
}

// Twin starts another process like this one, which may be dead by now.
func (s *Sibling) Twin(t testing.TB, settings map[string]string) *Sibling {
	t.Helper()
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(s.cmd.Path, s.cmd.Args[1:]...)
	cmd.Env = slices.Clone(s.cmd.Env) // of several values the last one counts
	return start(t, s.like, host, cmd, settings)
}

func start(t testing.TB, like, host string, cmd *exec.Cmd, settings map[string]string) *Sibling {
	t.Helper()
	s := &Sibling{cmd: cmd, like: like, done: make(chan struct{})}
	s.Name = fmt.Sprintf("%s-sibling-%d", like, FreePort(t))
	s.Listen = net.JoinHostPort(host, strconv.Itoa(FreePort(t)))
	s.Admin = net.JoinHostPort("127.0.0.1", strconv.Itoa(FreePort(t)))
	set := func(key, value string) {
		s.cmd.Env = append(s.cmd.Env, "ROOKERY_"+strings.ToUpper(key)+"="+value)
	}
	set("instance", s.Name)
	set("listen", s.Listen)
	set("admin_listen", s.Admin)
	for key, value := range settings {
		set(key, value)
		if key == "listen" {
			s.Listen = value
		}
	}
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.PID = s.cmd.Process.Pid
	ready := make(chan struct{})
	go s.read(pipe, ready)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.Name, s.Log())
		}
	})
	select {
	case <-ready:
	case <-s.done:
		t.Fatalf("%s ended at once:\n%s", s.Name, s.Log())
	case <-time.After(15 * time.Second):
		t.Fatalf("%s is not ready after 15 s:\n%s", s.Name, s.Log())
	}
	return s
}

// Command is the same program with the same settings, which is to do something once in place of serving.
func (s *Sibling) Command(ctx context.Context, name string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.cmd.Path, append([]string{name}, s.cmd.Args[1:]...)...)
	cmd.Env = s.cmd.Env
	return cmd
}

func (s *Sibling) read(log io.Reader, ready chan struct{}) {
	defer close(s.done)
	announced := false
	for line := range Lines(log) {
		s.mu.Lock()
		s.log = append(s.log, line)
		s.mu.Unlock()
		var record struct{ Msg string }
		if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "ready" && !announced {
			announced = true
			close(ready)
		}
	}
	_ = s.cmd.Wait()
}

// Log is what the process has logged so far.
func (s *Sibling) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

// RSS is the process's resident memory in bytes.
func (s *Sibling) RSS(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.PID))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// Terminate asks the process to drain; Exited tells when it has.
func (s *Sibling) Terminate(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// Exited waits for the end of the process and returns its exit code.
func (s *Sibling) Exited(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(limit):
		t.Fatalf("%s still runs after %v", s.Name, limit)
	}
	return s.cmd.ProcessState.ExitCode()
}

// Ports for servers that tests start. Below the clients' own (in-netns), of which one would now and then be taken before the server
// is there; and below those that other tests bind by number.
const firstFree, lastFree = 10000, 13999

var lastFreePort atomic.Uint32

// FreePort is a TCP port that nothing listens on now, and that nobody else is given before all others have been.
func FreePort(t testing.TB) int {
	t.Helper()
	for range lastFree - firstFree {
		port := firstFree + int(lastFreePort.Add(1))%(lastFree-firstFree+1)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Kill ends the process with SIGKILL.
func (s *Sibling) Kill(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.Exited(t, 5*time.Second)
}

// Sanitized tells whether the program was built with a sanitizer, whose memory says nothing about the program's own.
func (p Process) Sanitized(t testing.TB) bool {
	t.Helper()
	program := p.Program(t)
	return strings.Contains(program, "/asan/") || strings.Contains(program, "/tsan/")
}

// Program is the file that it runs.
func (p Process) Program(t testing.TB) string {
	t.Helper()
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	return program
}
