// Package compose runs compose/compose.yaml in real containers, and real agents against it, in a network that has no way out.
package compose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rookery.test/system/harness"
)

// What `rookery test compose` says: this tree, and one of the commit before it, whose images it has built with the tag `before`.
const (
	envTree   = "ROOKERY_COMPOSE_TREE"
	envBefore = "ROOKERY_COMPOSE_BEFORE"
)

const domain = "mesh.rookery.example"

// What DNS says of it.
var addresses = map[string]string{domain + ".": harness.Host, "relay-1." + domain + ".": harness.Host, "relay-2." + domain + ".": harness.Host}

// As compose.yaml names them, in the order in which they are killed.
var names = []string{"management-1", "management-2", "signal-1", "signal-2", "relay-1", "relay-2", "stun-1", "stun-2",
	"dashboard-api-1", "dashboard-api-2", "haproxy", "redis", "postgres"}

func TestMain(m *testing.M) {
	if os.Getenv("ROOKERY_IN_NETNS") == "" {
		fmt.Fprintln(os.Stderr, "run these tests through `rookery test compose`: their containers need a network of their own")
		os.Exit(1)
	}
	// Locks, addresses and names of containers outside are not ours.
	for _, dir := range []string{"/dev/shm", "/run/containers"} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), unix.Mount("tmpfs", dir, "tmpfs", 0, "")); err != nil {
			fmt.Fprintf(os.Stderr, "a private %s: %v\n", dir, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// stack is what compose.yaml starts.
type stack struct {
	dir    string // settings and state
	client *http.Client
}

// newStack has nothing but a place: podman keeps what these containers are there, and takes images from where they were built.
func newStack(t *testing.T) *stack {
	t.Helper()
	out, err := exec.Command("podman", "info", "--format", "{{.Store.GraphRoot}}").Output()
	if err != nil {
		t.Fatal("podman info:", err)
	}
	dir, err := os.MkdirTemp("", "rk") // short, as Unix sockets lie below it
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{dir: dir}
	for file, text := range map[string]string{
		"storage.conf": fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = \"%s/storage\"\nrunroot = \"%s/run\"\n"+
			"[storage.options]\nadditionalimagestores = [%q]\n", dir, dir, strings.TrimSpace(string(out))),
		// runc and limits of its own, so that it also runs where containers may not have what they would get elsewhere.
		"containers.conf": fmt.Sprintf("[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\ntmp_dir = \"%s/tmp\"\n"+
			"[network]\nnetwork_config_dir = \"%s/networks\"\n"+
			"[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=20000:20000\"]\n", dir, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CONTAINERS_STORAGE_CONF", filepath.Join(dir, "storage.conf"))
	t.Setenv("CONTAINERS_CONF", filepath.Join(dir, "containers.conf"))
	t.Setenv("STATE", filepath.Join(dir, "state"))
	t.Cleanup(func() {
		if t.Failed() {
			s.keepLogs(t)
		}
		s.everyContainer("rm", "--force", "--time", "0")
		_ = unix.Unmount(filepath.Join(dir, "storage", "overlay"), unix.MNT_DETACH)
		_ = os.RemoveAll(dir)
	})
	return s
}

// up runs the one documented command, of the tree that the environment names.
func (s *stack) up(t *testing.T, tree, tag string) time.Duration {
	t.Helper()
	start := time.Now()
	cmd := exec.Command(filepath.Join(os.Getenv(tree), "rookery"), "compose", "up", "--domain", domain, "--env", s.env())
	cmd.Env = append(os.Environ(), "ROOKERY_VERSION="+tag)
	cmd.WaitDelay = time.Second // containers' monitors may hold the pipes open
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("compose up, images %s: %v\n%s", tag, err, out)
	}
	if place, err := os.Stat(filepath.Join(s.dir, "state")); err != nil || place.Mode().Perm() != 0o700 {
		t.Errorf("the directory of the secrets: %v, %v", place.Mode(), err)
	}
	return time.Since(start)
}

func (s *stack) env() string { return filepath.Join(s.dir, "env") }

// set changes settings, as an operator does.
func (s *stack) set(t *testing.T, settings map[string]string) {
	t.Helper()
	text, err := os.ReadFile(s.env())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for name, value := range settings {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+"=") })
		if i < 0 {
			t.Fatalf("%s is no setting", name)
		}
		lines[i] = name + "=" + value
	}
	if err := os.WriteFile(s.env(), []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *stack) secret(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "state", "secrets", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What hosts and we believe, and the test authority that compose up has made.
func (s *stack) authority() string { return filepath.Join(s.dir, "believed.pem") }
func (s *stack) made() string      { return filepath.Join(s.dir, "state", "ca.pem") }

// trust adds to what hosts and we ourselves believe.
func (s *stack) trust(t *testing.T, files ...string) {
	t.Helper()
	var all []byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	if err := os.WriteFile(s.authority(), all, 0o644); err != nil {
		t.Fatal(err)
	}
}

// believing is for who calls that name.
func (s *stack) believing(name string) (*tls.Config, error) {
	pem, err := os.ReadFile(s.authority())
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: name}, err
}

// relaysByName asks for each relay as agents do that have its address from the peer that is on it: the name is in the TLS handshake alone.
func (s *stack) relaysByName(t *testing.T) {
	t.Helper()
	token := harness.SecretToken(s.secret(t, "relay_secret"), time.Now().Add(time.Hour))
	for i := range 4 {
		name := fmt.Sprintf("relay-%d.%s", i%2+1, domain)
		config, err := s.believing(name)
		if err != nil {
			t.Fatal(err)
		}
		ws, err := harness.DialTLSWS(net.JoinHostPort(harness.Host, "443"), config)
		if err != nil {
			t.Fatal(err)
		}
		r, err := harness.RelayOver(ws, "by name", token)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		if want := "rels://" + name + ":443"; r.URL != want {
			t.Errorf("who calls %s is on %s", want, r.URL)
		}
	}
}

// groups asks REST, by name through port 443, with each question on a connection of its own.
func (s *stack) groups(ctx context.Context, authorization string) error {
	_, err := s.rest(ctx, "GET", "/api/groups", "", authorization)
	return err
}

func (s *stack) rest(ctx context.Context, method, path, body, authorization string) ([]byte, error) {
	if s.client == nil {
		config, err := s.believing("")
		if err != nil {
			return nil, err
		}
		dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(harness.Host, "443"))
		}
		s.client = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true,
			TLSClientConfig: config}}
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://"+domain+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", authorization)
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %v: %s", answer.StatusCode, err, text)
	}
	return text, nil
}

// registered waits until management has both relays and both STUN servers among what agents are told. No setting names them.
func (s *stack) registered(t *testing.T) {
	t.Helper()
	harness.Eventually(t, 30*time.Second, "relays and STUN servers are registered", func() error {
		out, err := exec.Command("podman", "exec", "rookery-dashboard-api-1", "/rookery", "edges").CombinedOutput()
		for _, url := range []string{"rels://relay-1." + domain + ":443", "rels://relay-2." + domain + ":443", "stun:" + domain + ":3478",
			"stun:" + domain + ":3479"} {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(url) + ` .* there$`).Match(out) {
				return fmt.Errorf("%s is not there (%v): %s", url, err, out)
			}
		}
		return nil
	})
}

// container is what podman says of one of ours.
type container struct {
	Image  string
	Config struct{ User string }
	// How compose.yaml runs it.
	HostConfig struct{ ReadonlyRootfs bool }
	State      struct {
		Pid     int
		Running bool
	}
}

func inspect(name string) (*container, error) {
	out, err := exec.Command("podman", "container", "inspect", "rookery-"+name).Output()
	if err != nil {
		return nil, err
	}
	var found []container
	if err := json.Unmarshal(out, &found); err != nil {
		return nil, err
	}
	return &found[0], nil
}

// kill ends the first process of a container from outside, as a crash would, and returns when another has taken its place that
// says itself that it is well.
func (s *stack) kill(t *testing.T, name string) time.Duration {
	t.Helper()
	before, err := inspect(name)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := syscall.Kill(before.State.Pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill -9 %s (%d): %v", name, before.State.Pid, err)
	}
	harness.Eventually(t, time.Minute, name+" is back", func() error {
		now, err := inspect(name)
		if err != nil {
			return err
		}
		if !now.State.Running || now.State.Pid == before.State.Pid {
			return fmt.Errorf("running: %v, process %d", now.State.Running, now.State.Pid)
		}
		return s.healthy(name)
	})
	return time.Since(start)
}

// healthy runs the image's own HEALTHCHECK.
func (s *stack) healthy(name string) error {
	if out, err := exec.Command("podman", "healthcheck", "run", "rookery-"+name).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// bare holds a container to having nothing that a service does not need: no root, nowhere to write, no shell.
func bare(t *testing.T, name string) {
	t.Helper()
	c, err := inspect(name)
	if err != nil || c.Config.User != "65532:65532" || !c.HostConfig.ReadonlyRootfs {
		t.Errorf("%s: %+v, %v", name, c, err)
	}
	if out, err := exec.Command("podman", "exec", "rookery-"+name, "/rookery", "--version").CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", name, err, out)
	}
	if out, err := exec.Command("podman", "exec", "rookery-"+name, "/bin/sh", "-c", "true").CombinedOutput(); err == nil {
		t.Errorf("%s has a shell: %s", name, out)
	}
}

// everyContainer runs a podman command on all of ours.
func (s *stack) everyContainer(command ...string) {
	for _, name := range append([]string{"prometheus", "grafana"}, names...) {
		_ = exec.Command("podman", append(command, "rookery-"+name)...).Run()
	}
}

func (s *stack) keepLogs(t *testing.T) {
	to := filepath.Join(os.Getenv(harness.EnvLogs), t.Name())
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Log(err)
		return
	}
	for _, name := range names {
		text, _ := exec.Command("podman", "logs", "rookery-"+name).CombinedOutput()
		if err := os.WriteFile(filepath.Join(to, name+".log"), text, 0o644); err != nil {
			t.Log(err)
		}
	}
	t.Logf("the logs are in %s", to)
}

// host is an agent on a machine of its own, which finds us by name alone.
func (s *stack) host(t *testing.T, name, key string, env ...string) *harness.Daemon {
	t.Helper()
	d := harness.NewHost(t, name, "", append(env, "SSL_CERT_FILE="+s.authority())...)
	d.ServeNames(t, addresses)
	d.UpAt(t, "https://"+domain, key)
	return d
}

// memory is what a container's first process has for itself, in KiB.
func memory(name string) (int, error) {
	c, err := inspect(name)
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", c.State.Pid))
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) == 3 && strings.HasPrefix(f[0], "Private_") {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}
