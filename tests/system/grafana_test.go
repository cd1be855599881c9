package system

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// Where `rookery test grafana` has found them.
const (
	envGrafana    = "ROOKERY_GRAFANA"    // an unpacked release
	envPrometheus = "ROOKERY_PROMETHEUS" // a directory of programs
)

type panel struct {
	Title   string
	Targets []struct{ Expr string }
}

// monitor asks a server's HTTP API, which answers in JSON.
type monitor struct{ url, user, password string }

func (m monitor) get(path string, out any) error {
	request, err := http.NewRequest("GET", m.url+path, nil)
	if err != nil {
		return err
	}
	if m.user != "" {
		request.SetBasicAuth(m.user, m.password)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d: %s", path, answer.StatusCode, text)
	}
	return json.Unmarshal(text, out)
}

// copyWith copies a file that Grafana or Prometheus reads, with the places of this machine.
func copyWith(t *testing.T, from, to string, places ...string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	for i := 0; i < len(places); i += 2 {
		if !strings.Contains(string(text), places[i]) {
			t.Fatalf("%s does not say %q", from, places[i])
		}
		text = []byte(strings.ReplaceAll(string(text), places[i], places[i+1]))
	}
	if err == nil {
		err = os.WriteFile(to, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// startProgram starts a program that ends with the test, and says what it said if that fails.
func startProgram(t *testing.T, log string, cmd *exec.Cmd) {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(log), text[max(0, len(text)-8000):])
		}
	})
}

// startPrometheus watches the cluster by compose's own settings and the chart's alerts, but every second.
func startPrometheus(t *testing.T, c *harness.Cluster, dir string) monitor {
	t.Helper()
	places := []string{"/etc/prometheus/alerts.yaml", filepath.Join("..", "..", "helm", "rookery", "files", "alerts.yaml"),
		"scrape_interval: 15s", "scrape_interval: 1s, evaluation_interval: 1s"}
	for _, tier := range []string{"management", "signal", "relay", "stun", "dashboard-api"} {
		for _, name := range c.Names(tier) {
			places = append(places, strconv.Quote(name+":9090"), strconv.Quote(c.Proc(t, name).Admin))
		}
	}
	alerts, err := filepath.Abs(places[1])
	if err != nil {
		t.Fatal(err)
	}
	places[1] = alerts
	config := filepath.Join(dir, "prometheus.yml")
	copyWith(t, filepath.Join("..", "..", "compose", "prometheus.yml"), config, places...)
	at := "127.0.0.1:" + strconv.Itoa(harness.FreePort(t))
	startProgram(t, filepath.Join(dir, "prometheus.log"), exec.Command(filepath.Join(os.Getenv(envPrometheus), "prometheus"), "--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+at))
	return monitor{url: "http://" + at}
}

// startGrafana reads compose's own provisioning and the chart's dashboard.
func startGrafana(t *testing.T, prometheus monitor, dir string) monitor {
	t.Helper()
	home := os.Getenv(envGrafana)
	compose, boards := filepath.Join("..", "..", "compose", "grafana"), filepath.Join(dir, "dashboards")
	provisioning := filepath.Join(dir, "provisioning")
	copyWith(t, filepath.Join(compose, "datasources", "prometheus.yaml"), filepath.Join(provisioning, "datasources", "prometheus.yaml"),
		"http://prometheus:9090", prometheus.url)
	copyWith(t, filepath.Join(compose, "dashboards", "rookery.yaml"), filepath.Join(provisioning, "dashboards", "rookery.yaml"),
		"/etc/dashboards", boards)
	copyWith(t, filepath.Join("..", "..", "helm", "rookery", "files", "dashboard.json"), filepath.Join(boards, "rookery.json"))
	cmd := exec.Command(filepath.Join(home, "bin", "grafana"), "server", "--homepath", home)
	if _, err := os.Stat(cmd.Path); err != nil { // before its release 9.4
		cmd = exec.Command(filepath.Join(home, "bin", "grafana-server"), "--homepath", home)
	}
	port := strconv.Itoa(harness.FreePort(t))
	m := monitor{"http://127.0.0.1:" + port, "admin", "of the test"}
	cmd.Env = append(os.Environ(), "GF_SERVER_HTTP_ADDR=127.0.0.1", "GF_SERVER_HTTP_PORT="+port, "GF_PATHS_DATA="+filepath.Join(dir, "data"),
		"GF_PATHS_LOGS="+filepath.Join(dir, "logs"), "GF_PATHS_PLUGINS="+filepath.Join(dir, "plugins"), "GF_PATHS_PROVISIONING="+provisioning,
		"GF_SECURITY_ADMIN_PASSWORD="+m.password, "GF_ANALYTICS_REPORTING_ENABLED=false", "GF_ANALYTICS_CHECK_FOR_UPDATES=false")
	startProgram(t, filepath.Join(dir, "grafana.log"), cmd)
	return m
}

// The data source, as this Grafana forwards what a panel asks: by uid, or, before its release 9, by number.
func (m monitor) source(t *testing.T) string {
	t.Helper()
	var sources []struct {
		ID              int
		UID, Name, Type string
		IsDefault       bool
	}
	if err := m.get("/api/datasources", &sources); err != nil {
		t.Fatal(err)
	}
	if len(sources) != 1 || sources[0].Type != "prometheus" || sources[0].Name != "Rookery" || !sources[0].IsDefault {
		t.Fatalf("data sources: %+v", sources)
	}
	for _, at := range []string{"uid/" + sources[0].UID, strconv.Itoa(sources[0].ID)} {
		var out any
		if err := m.get("/api/datasources/proxy/"+at+"/api/v1/query?query=1", &out); err == nil {
			return "/api/datasources/proxy/" + at
		}
	}
	t.Fatal("Grafana does not reach Prometheus")
	return ""
}

// hasData asks what the panel's query asks, of the last minute.
func (m monitor) hasData(source, expr string) (bool, error) {
	now := time.Now().Unix()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Values [][2]any }
		}
	}
	err := m.get(source+"/api/v1/query_range?"+url.Values{"query": {strings.ReplaceAll(expr, "$__rate_interval", "10s")},
		"start": {strconv.FormatInt(now-60, 10)}, "end": {strconv.FormatInt(now, 10)}, "step": {"1"}}.Encode(), &answer)
	if err != nil {
		return false, err
	}
	if answer.Status != "success" || answer.Error != "" {
		return false, fmt.Errorf("%s %s", answer.Status, answer.Error)
	}
	for _, series := range answer.Data.Result {
		if slices.ContainsFunc(series.Values, func(v [2]any) bool { return v[1] != "NaN" }) {
			return true, nil
		}
	}
	return false, nil
}

// A real Grafana reads what compose and the chart give it, and every panel shows a cluster at work.
func TestGrafana(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	dir := t.TempDir()
	prometheus := startPrometheus(t, c, dir)
	grafana := startGrafana(t, prometheus, dir)
	harness.Eventually(t, 3*time.Minute, "Grafana has read the dashboard", func() error {
		var found []struct{ UID, Title string }
		if err := grafana.get("/api/search?type=dash-db", &found); err != nil {
			return err
		}
		if len(found) != 1 || found[0].UID != "rookery" || found[0].Title != "Rookery" {
			return fmt.Errorf("dashboards: %+v", found)
		}
		return nil
	})
	var health struct{ Database, Version string }
	if err := grafana.get("/api/health", &health); err != nil || health.Database != "ok" {
		t.Fatalf("%+v, %v", health, err)
	}
	var board struct {
		Meta      struct{ Provisioned bool }
		Dashboard struct{ Panels []panel }
	}
	if err := grafana.get("/api/dashboards/uid/rookery", &board); err != nil {
		t.Fatal(err)
	}
	var file struct{ Panels []panel }
	text, err := os.ReadFile(filepath.Join(dir, "dashboards", "rookery.json"))
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil || !board.Meta.Provisioned || len(file.Panels) == 0 || len(board.Dashboard.Panels) != len(file.Panels) {
		t.Fatalf("%v: of %d panels Grafana has %d, provisioned: %v", err, len(file.Panels), len(board.Dashboard.Panels), board.Meta.Provisioned)
	}
	source := grafana.source(t)

	s := c.Space(t)
	a, b := harness.StartAgent(t, "alpha", s.Key, c.ManagementURL), harness.StartAgent(t, "beta", s.Key, c.ManagementURL)
	harness.Mesh(t, a, b, harness.AnyPath)
	policy := s.Allow(t, s.Group, s.Group, "tcp", true, "7999")
	waiting := map[string]string{} // the panel of a query
	for _, p := range board.Dashboard.Panels {
		for _, target := range p.Targets {
			waiting[target.Expr] = p.Title
		}
	}
	queries, port := len(waiting), 8000
	harness.Eventually(t, 2*time.Minute, "every panel has something to show", func() error {
		port++
		s.SetPolicy(t, policy, harness.Rule(s.Group, s.Group, "tcp", true, strconv.Itoa(port)))
		for expr, title := range waiting {
			has, err := grafana.hasData(source, expr)
			if err != nil {
				t.Fatalf("%s: %s: %v", title, expr, err)
			}
			if has {
				delete(waiting, expr)
			}
		}
		if len(waiting) > 0 {
			return fmt.Errorf("nothing yet of %v", waiting)
		}
		return nil
	})
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError, State string }
			}
		}
	}
	if err := prometheus.get("/api/v1/rules", &rules); err != nil || len(rules.Data.Groups) == 0 {
		t.Fatalf("%v: %+v", err, rules)
	}
	for _, group := range rules.Data.Groups {
		for _, rule := range group.Rules {
			if rule.Health != "ok" || rule.State != "inactive" {
				t.Errorf("alert %s is %s, %s: %s", rule.Name, rule.State, rule.Health, rule.LastError)
			}
		}
	}
	t.Logf("Grafana %s: %d panels, %d queries", health.Version, len(board.Dashboard.Panels), queries)
}
