package compose

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// What `rookery test compose` has built for the profile `monitoring`: Debian's Prometheus, and a user like Grafana's, who does nothing.
const (
	prometheusImage = "localhost/rookery-test-prometheus"
	grafanaImage    = "localhost/rookery-test-grafana"
)

// beside runs one of the store images as somebody else's server, on a port of the machine.
func (s *stack) beside(t *testing.T, name string, args ...string) {
	t.Helper()
	all := append([]string{"run", "--detach", "--name", "beside-" + name, "--network", "host"}, args...)
	if out, err := exec.Command("podman", all...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	t.Cleanup(func() { _ = exec.Command("podman", "rm", "--force", "--time", "0", "beside-"+name).Run() })
}

// Postgres, Redis and the identity provider are somebody else's, and Prometheus watches: what docs/install.md says of each.
func TestComposeElsewhere(t *testing.T) {
	s := newStack(t)
	certificate, key := filepath.Join(s.dir, "provider.pem"), filepath.Join(s.dir, "provider.key")
	harness.WriteCertificate(t, certificate, key, 1)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(certificate, 0o644); err != nil { // containers have users of their own
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", net.JoinHostPort(harness.Host, "0"), &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	issuer := harness.NewIssuerAt(t, "https", l)
	// A copy of the tree, for what an operator adds to it.
	tree := filepath.Join(s.dir, "tree")
	if out, err := exec.Command("cp", "--parents", "-r", "-t", s.dir, os.Getenv(envTree)+"/rookery", os.Getenv(envTree)+"/tools",
		os.Getenv(envTree)+"/compose", os.Getenv(envTree)+"/helm").CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	if err := os.Rename(filepath.Join(s.dir, os.Getenv(envTree)), tree); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envTree, tree)
	override := "services:\n"
	for _, name := range []string{"management-1", "management-2", "dashboard-api-1", "dashboard-api-2"} {
		override += fmt.Sprintf("  %s: { environment: { ROOKERY_OIDC_CA_FILE: /provider.pem }, volumes: [%q] }\n", name, certificate+":/provider.pem:ro")
	}
	if err := os.WriteFile(filepath.Join(tree, "compose", "compose.override.yaml"), []byte(override), 0o644); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(s.dir, "state", "secrets")
	example, err := os.ReadFile(filepath.Join(os.Getenv(envTree), "compose", "env.example"))
	if err == nil {
		err = os.WriteFile(s.env(), example, 0o644)
	}
	if err == nil {
		err = os.MkdirAll(state, 0o700)
	}
	for _, name := range []string{"postgres_password", "redis_password"} {
		if err == nil {
			err = os.WriteFile(filepath.Join(state, name), []byte("of-"+name+"\n"), 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	s.set(t, map[string]string{"DOMAIN": domain, "COMPOSE_PROFILES": "monitoring", "POSTGRES": "host=" + harness.Host + " dbname=rookery user=rookery",
		"REDIS": harness.Host + ":6379", "OIDC_EMBEDDED": "false", "OIDC_DISCOVERY_URL": issuer.URL + "/.well-known/openid-configuration",
		"OIDC_AUDIENCE": harness.Audience, "OIDC_PKCE_CLIENT_ID": "agent", "OIDC_DEVICE_CLIENT_ID": "agent", "OIDC_ALLOW_PRIVATE_ISSUERS": "true"})
	t.Setenv("PROMETHEUS_IMAGE", prometheusImage)
	t.Setenv("GRAFANA_IMAGE", grafanaImage)
	s.beside(t, "postgres", "--volume", filepath.Join(state, "postgres_password")+":/run/secrets/postgres_password:ro", "localhost/rookery-postgres:latest")
	s.beside(t, "redis", "localhost/rookery-redis:latest", "--bind", "0.0.0.0", "--protected-mode", "no", "--requirepass", "of-redis_password")

	t.Logf("up after %v", s.up(t, envTree, "latest").Round(time.Millisecond))
	for _, name := range []string{"postgres", "redis"} {
		if _, err := inspect(name); err == nil {
			t.Errorf("%s runs here too", name)
		}
	}
	s.trust(t, s.made())
	for _, name := range names[:11] {
		harness.Eventually(t, 30*time.Second, name+" is healthy", func() error { return s.healthy(name) })
	}
	s.registered(t)

	// Whoever signs in first is the owner.
	owner := "Bearer " + issuer.Token(t, "first", nil)
	text, err := s.rest(t.Context(), "POST", "/api/setup-keys",
		`{"name":"agents","type":"reusable","expires_in":0,"auto_groups":[],"usage_limit":0}`, owner)
	var agents struct{ Key string }
	if err == nil {
		err = json.Unmarshal(text, &agents)
	}
	if err != nil {
		t.Fatal(err)
	}
	alpha, beta := s.host(t, "alpha", agents.Key), s.host(t, "beta", agents.Key)
	way(t, alpha, beta, "P2P", "")

	harness.Eventually(t, time.Minute, "Prometheus sees everything up", func() error {
		return ask("http://127.0.0.1:9090/api/v1/targets?state=active", func(data struct {
			ActiveTargets []struct {
				Health, LastError string
				Labels            map[string]string
			}
		}) error {
			if n := len(data.ActiveTargets); n != 11 {
				return fmt.Errorf("%d targets", n)
			}
			for _, target := range data.ActiveTargets {
				if target.Health != "up" {
					return fmt.Errorf("%v is %s: %s", target.Labels, target.Health, target.LastError)
				}
			}
			return nil
		})
	})
	if err := ask("http://127.0.0.1:9090/api/v1/rules", func(data struct{ Groups []struct{ Name string } }) error {
		if len(data.Groups) == 0 {
			return fmt.Errorf("no alert rules")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	// What Grafana reads at its start, as its user.
	for _, file := range []string{"/etc/grafana/provisioning/datasources/prometheus.yaml", "/etc/grafana/provisioning/dashboards/rookery.yaml",
		"/etc/dashboards/rookery.json", "/run/secrets/grafana_password"} {
		if out, err := exec.Command("podman", "exec", "rookery-grafana", "test", "-s", file, "-a", "-r", file).CombinedOutput(); err != nil {
			t.Errorf("Grafana cannot read %s: %v: %s", file, err, out)
		}
	}
}

// ask looks at the data that Prometheus answers with.
func ask[T any](url string, look func(T) error) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var all struct{ Data T }
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	return look(all.Data)
}
