package system

import (
	"net/http"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// Named by NetBird's relay, for whose dashboards they keep their unit.
var namedElsewhere = []string{"relay_peer_authentication_time_milliseconds", "relay_peer_store_time_milliseconds"}

// Every process's metrics are named as Prometheus' own linter wants them.
func TestMetricsAreNamedByConvention(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	needsProcesses(t, c)
	for _, tier := range []string{"management", "dashboard-api", "signal", "relay", "stun"} {
		p := c.Proc(t, tier+"-1")
		resp, err := http.Get("http://" + p.Admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.New(resp.Body).Lint()
		resp.Body.Close()
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		for _, problem := range problems {
			if !slices.Contains(namedElsewhere, problem.Metric) {
				t.Errorf("%s: %s: %s", p.Name, problem.Metric, problem.Text)
			}
		}
	}
}
