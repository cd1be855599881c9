package system

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"google.golang.org/grpc/metadata"

	"rookery.test/system/harness"
)

// told waits for a line of the process that carries the trace and says this.
func told(t *testing.T, s *harness.Sibling, trace, message string) {
	t.Helper()
	harness.Eventually(t, 5*time.Second, fmt.Sprintf("%s says %q of %s", s.Name, message, trace), func() error {
		for _, line := range strings.Split(s.Log(), "\n") {
			var record struct{ Trace, Msg string }
			if json.Unmarshal([]byte(line), &record) == nil && record.Trace == trace && strings.Contains(record.Msg, message) {
				return nil
			}
		}
		return fmt.Errorf("no such line")
	})
}

// What a request brings in `traceparent` is in the lines of every process that has a part in it: who answers, and every
// replica that sends out what it changed.
func TestTraceGoesThroughTheServices(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	loud := map[string]string{"log_level": "debug"}
	front := c.Sibling(t, "dashboard-api-1", loud)
	replicas := []*harness.Sibling{c.Sibling(t, "management-1", loud), c.Sibling(t, "management-1", loud)}
	const login, change = "11111111111111111111111111111111", "22222222222222222222222222222222"
	for i, m := range replicas {
		b := harness.NewBare(t, m.Listen, fmt.Sprintf("trace-%d", i))
		ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+login+"-00f067aa0ba902b7-01")
		if _, err := b.TryLogin(ctx, s.Key); err != nil {
			t.Fatal(err)
		}
		told(t, m, login, "peer registered")
		b.Sync(t).Next(t, 5*time.Second)
	}
	rest := harness.NewREST("http://"+front.Listen, c.Token)
	a := rest.Do(t, "PUT", "/api/groups/"+s.Group, api.GroupRequest{Name: s.Name + "-renamed"},
		"traceparent: 00-"+change+"-00f067aa0ba902b7-00")
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if id := a.Header.Get("X-Request-Id"); id != change {
		t.Errorf("X-Request-Id is %q", id)
	}
	told(t, front, change, "PUT /api/groups/{}: 200")
	for _, m := range replicas {
		told(t, m, change, "it is here")
	}
}
