package harness

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Passwords of the servers and of the Sentinels that NewRedises starts.
const (
	redisPassword    = "open-sesame" // Sentinel writes one with a space so that it cannot read it
	sentinelPassword = "hush"
	redisMaster      = "mymaster"
)

// RedisServer is a Redis, or a Sentinel, as a process of its own on loopback.
type RedisServer struct {
	At       string // host:port
	password string
	cmd      *exec.Cmd
	program  []string
}

// Redises are a master, a replica of it and three Sentinels that carry out a failover when the master was silent for a second.
type Redises struct {
	Servers   []*RedisServer
	Sentinels []*RedisServer
}

// NewRedises starts them; they end with the test. Behind `front`, if there is one, a server is known by the address that it returns.
func NewRedises(t testing.TB, front func(address string) string) *Redises {
	t.Helper()
	if front == nil {
		front = func(address string) string { return address }
	}
	r := &Redises{}
	var known []string
	for i := range 2 {
		port := FreePort(t)
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		known = append(known, front(address))
		host, at, err := net.SplitHostPort(known[i])
		if err != nil {
			t.Fatal(err)
		}
		settings := fmt.Sprintf("requirepass %q\nmasterauth %q\nreplica-announce-ip %s\nreplica-announce-port %s\n",
			redisPassword, redisPassword, host, at)
		if i > 0 {
			settings += "replicaof " + strings.ReplaceAll(known[0], ":", " ") + "\n"
		}
		r.Servers = append(r.Servers, startRedis(t, "redis", port, redisPassword, settings))
	}
	// Sentinels look at the master every ten seconds.
	Eventually(t, 20*time.Second, "the replica follows the master", func() error {
		return r.Servers[0].says("state=online", "info", "replication")
	})
	for range 3 {
		settings := fmt.Sprintf("requirepass %s\nsentinel sentinel-pass %s\nsentinel monitor %s %s 2\nsentinel auth-pass %s %q\n"+
			"sentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 5000\n", sentinelPassword, sentinelPassword,
			redisMaster, strings.ReplaceAll(known[0], ":", " "), redisMaster, redisPassword, redisMaster, redisMaster)
		r.Sentinels = append(r.Sentinels, startRedis(t, "sentinel", FreePort(t), sentinelPassword, settings, "--sentinel"))
	}
	for _, s := range r.Sentinels {
		Eventually(t, 20*time.Second, "the Sentinels know one another and the replica", func() error {
			for question, want := range map[string]string{"ckquorum": "OK 3 usable", "replicas": "slave-repl-offset"} {
				if err := s.says(want, "sentinel", question, redisMaster); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return r
}

func startRedis(t testing.TB, name string, port int, password, settings string, words ...string) *RedisServer {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, name+".conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsave \"\"\n%s", port, dir, settings)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &RedisServer{At: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), password: password,
		program: append([]string{"redis-server", file}, words...)}
	s.Start(t)
	t.Cleanup(func() { s.Kill(t) })
	return s
}

// Start starts it again after Kill.
func (s *RedisServer) Start(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(s.program[0], s.program[1:]...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 10*time.Second, s.At+" answers", func() error {
		_, err := s.Ask("ping")
		return err
	})
}

// Kill ends it with SIGKILL; it may be dead.
func (s *RedisServer) Kill(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// PID is 0 for a dead one.
func (s *RedisServer) PID() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Ask sends one command and returns the answer as redis-cli shows it.
func (s *RedisServer) Ask(words ...string) (string, error) {
	_, port, err := net.SplitHostPort(s.At)
	if err != nil {
		return "", err
	}
	cmd := exec.Command("redis-cli", append([]string{"-e", "-p", port}, words...)...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+s.password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// says is an error unless the answer holds `wanted`.
func (s *RedisServer) says(wanted string, words ...string) error {
	answer, err := s.Ask(words...)
	if err == nil && !strings.Contains(answer, wanted) {
		err = fmt.Errorf("%s: %s", strings.Join(words, " "), answer)
	}
	return err
}

// Settings are what a service needs to be told of them.
func (r *Redises) Settings() map[string]string {
	var at []string
	for _, s := range r.Sentinels {
		at = append(at, s.At)
	}
	return map[string]string{"redis_sentinels": strings.Join(at, ","), "redis_master": redisMaster,
		"redis_password": redisPassword, "redis_sentinel_password": sentinelPassword}
}

// Master is the address of the master as the Sentinel knows it, and what there is under it.
func (s *RedisServer) Master() (string, error) {
	out, err := s.Ask("sentinel", "get-master-addr-by-name", redisMaster)
	if err != nil {
		return "", err
	}
	words := strings.Fields(out)
	if len(words) != 2 {
		return "", fmt.Errorf("the Sentinel says %q", out)
	}
	return net.JoinHostPort(words[0], words[1]), nil
}

// Moves are the messages of the Sentinels that the master is another one, from now on.
func (r *Redises) Moves(t testing.TB) <-chan time.Time {
	t.Helper()
	moves := make(chan time.Time, len(r.Sentinels))
	for _, s := range r.Sentinels {
		_, port, _ := net.SplitHostPort(s.At)
		cmd := exec.Command("redis-cli", "-p", port, "subscribe", "+switch-master")
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+s.password)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		lines := bufio.NewScanner(out)
		for n := 0; n < 3 && lines.Scan(); n++ { // subscribed
		}
		go func() {
			if lines.Scan() {
				moves <- time.Now()
			}
		}()
	}
	return moves
}
