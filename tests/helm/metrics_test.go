package helm

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The alert rules and the dashboard speak of metrics that some program has: they are among its strings.
func TestMetricsAreThoseOfThePrograms(t *testing.T) {
	var all []byte
	for _, service := range programs {
		text, err := os.ReadFile(program(t, service))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	for _, name := range []string{"alerts.yaml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(chartDir, "files", name))
		if err != nil {
			t.Fatal(err)
		}
		metrics := regexp.MustCompile(`\b(rookery|relay)_[a-z0-9_]+|\bprocess_[a-z_]+`).FindAllString(string(text), -1)
		if len(metrics) < 10 {
			t.Errorf("%s speaks of %d metrics", name, len(metrics))
		}
		for _, metric := range metrics {
			if !bytes.Contains(all, []byte("\x00"+strings.TrimSuffix(metric, "_bucket")+"\x00")) &&
				!bytes.Contains(all, []byte(metric+" ")) {
				t.Errorf("%s: no program has the metric %s", name, metric)
			}
		}
	}
}

// The dashboard is what Grafana reads: panels of one id each, within the width, none upon another.
func TestDashboardIsOne(t *testing.T) {
	var dashboard struct {
		UID    string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(filepath.Join(chartDir, "files", "dashboard.json"))
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil || dashboard.UID == "" {
		t.Fatal(err)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%q is wider than the page", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%q lies upon %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// docs/helm.md says of every alert what to do, and of no other.
func TestAlertsAreExplained(t *testing.T) {
	names := func(path, pattern string) map[string]bool {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, line := range regexp.MustCompile(pattern).FindAllString(string(text), -1) {
			for _, name := range regexp.MustCompile(`Rookery\w+`).FindAllString(line, -1) {
				found[name] = true
			}
		}
		return found
	}
	rules := names(filepath.Join(chartDir, "files", "alerts.yaml"), `(?m)alert: .*$`)
	page := names("../../docs/helm.md", "(?m)^\\| `Rookery.*$")
	for name := range rules {
		if !page[name] {
			t.Errorf("docs/helm.md does not speak of %s", name)
		}
	}
	for name := range page {
		if !rules[name] {
			t.Errorf("docs/helm.md speaks of %s, which is no alert", name)
		}
	}
	if len(rules) < 10 {
		t.Errorf("%d alerts", len(rules))
	}
}
