package system

import (
	"fmt"
	"net/http"
	"testing"

	"rookery.test/system/harness"
)

func TestRESTRequestsAreCountedByRoute(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	counted := func(route string) (n float64) {
		for _, s := range p.All {
			all, err := harness.Metrics(s.Admin)
			if err != nil {
				t.Fatal(err)
			}
			n += all[fmt.Sprintf("rookery_api_requests_total{route=%q}", route)]
		}
		return n
	}
	for path, route := range map[string]string{
		"/api/instance":              "instance", // the table's first
		"/api/users/current":         "users",
		"/api/locations/countries":   "locations",
		"/oauth2/keys":               "oauth",
		"/api/integrations/scim-idp": "integrations",
		"/api/scim/v2/Schemas":       "scim",
		"/api/scim/v2/Users":         "scim_users",
		"/api/scim/v2/Groups":        "scim_groups",
		"/api/nothing":               "other",
	} {
		before := counted(route)
		answer, err := http.Get(p.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if n := counted(route) - before; n != 1 {
			t.Errorf("GET %s: counted %g times as %q", path, n, route)
		}
	}
}
