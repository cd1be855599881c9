package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

// described checks answers against the description of the API, as it goes.
func described(t *testing.T, r *harness.REST) func(status int, method, pattern string, body any, ids ...string) *harness.Answer {
	t.Helper()
	o, err := harness.ReadOpenAPI(description)
	if err != nil {
		t.Fatal(err)
	}
	return func(status int, method, pattern string, body any, ids ...string) *harness.Answer {
		t.Helper()
		path := pattern
		for _, id := range ids {
			open, end := strings.Index(path, "{"), strings.Index(path, "}")
			path = path[:open] + id + path[end+1:]
		}
		a := r.Do(t, method, path, body)
		if a.Status != status {
			t.Errorf("%s %s: %d %s instead of %d", method, path, a.Status, a.Body, status)
		}
		if err := o.Check(method, pattern, a); err != nil {
			t.Errorf("%v in %.600s", err, a.Body)
		}
		return a
	}
}

// lastEvent is the newest event of this kind.
func lastEvent(t *testing.T, r *harness.REST, code string) api.Event {
	t.Helper()
	var list []api.Event
	r.Want(t, 200, "GET", "/api/events/audit", nil, &list)
	for _, e := range list {
		if string(e.ActivityCode) == code {
			return e
		}
	}
	t.Fatalf("no event %s", code)
	return api.Event{}
}

func TestREST26Routes(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	harness.NewBare(t, front(t, c), s.Name+"-router").Login(t, s.Key)
	peer := s.PeerID(t, s.Name+"-router")
	check := described(t, s.REST)
	route := func(change map[string]any) map[string]any {
		base := map[string]any{"network_id": "n1", "description": "d", "enabled": true, "peer": peer, "network": "10.0.0.5/8",
			"metric": 9999, "masquerade": true, "groups": []string{s.Group}}
		for k, v := range change {
			base[k] = v
		}
		return base
	}
	var got map[string]any
	check(200, "POST", "/api/routes", route(nil)).JSON(t, &got)
	id := got["id"].(string)
	defer s.Do(t, "DELETE", "/api/routes/"+id, nil)
	if got["network"] != "10.0.0.0/8" || got["network_type"] != "IPv4" || got["peer"] != peer ||
		got["keep_route"] != false || got["skip_auto_apply"] != false {
		t.Errorf("%v", got)
	}
	if domains, there := got["domains"]; domains != nil || !there {
		t.Errorf("domains %v", domains)
	}
	for _, key := range []string{"peer_groups", "access_control_groups"} {
		if v, there := got[key]; there {
			t.Errorf("%s is %v", key, v)
		}
	}
	e := lastEvent(t, s.REST, "route.add")
	if e.TargetId != id || fmt.Sprint(e.Meta) != fmt.Sprint(map[string]string{"name": "n1", "network_range": "10.0.0.0/8", "domains": "",
		"peer_id": peer, "peer_groups": "<nil>"}) {
		t.Errorf("%+v", e)
	}
	for message, change := range map[string]map[string]any{
		"metric should be between 1 and 9999":                    {"metric": 10000},
		"only one of 'network' or 'domains' should be provided":  {"domains": []string{"a.b"}},
		"either 'network' or 'domains' should be provided":       {"network": nil},
		"either 'peer' or 'peer_groups' should be provided":      {"peer": nil},
		"only one of 'peer' or 'peer_groups' should be provided": {"peer_groups": []string{s.Group}},
		"identifier should be between 1 and 40 characters":       {"network_id": strings.Repeat("ü", 41)},
		"invalid network 10.0.0.0":                               {"network": "10.0.0.0"},
		"invalid domains: domains list is empty":                 {"network": nil, "domains": []string{}},
		"invalid domains: invalid domain format: a b":            {"network": nil, "domains": []string{"a b"}},
		"the list of group ids should not be empty":              {"groups": []string{}},
		"group id nope not found":                                {"groups": []string{"nope"}},
		"group id should not be empty string":                    {"access_control_groups": []string{""}},
		"peer with id nope not found":                            {"peer": "nope"},
		"invalid domains: domains list exceeds maximum allowed domains: 32": {"network": nil,
			"domains": strings.Split(strings.Repeat("a.b ", 32)+"a.b", " ")},
	} {
		s.WantError(t, 422, message, "POST", "/api/routes", route(change))
		s.WantError(t, 422, message, "PUT", "/api/routes/"+id, route(change))
	}
	check(400, "POST", "/api/routes", `{"network":`)
	check(400, "PUT", "/api/routes/{routeId}", `{"metric":1.5}`, id)
	s.WantError(t, 404, "route: nope not found", "GET", "/api/routes/nope", nil)
	s.WantError(t, 404, "route: nope not found", "PUT", "/api/routes/nope", `{`)
	s.WantError(t, 404, "failed to delete route nope: route: nope not found", "DELETE", "/api/routes/nope", nil)
	check(404, "GET", "/api/routes/{routeId}", nil, "nope")
	check(404, "DELETE", "/api/routes/{routeId}", nil, "nope")

	// Two routes to one place through one peer, in whatever guise.
	groups := map[string]any{"peer": nil, "peer_groups": []string{s.Group}, "network": "10.9.0.0/16", "access_control_groups": []string{s.Group}}
	var second api.Route
	check(200, "POST", "/api/routes", route(groups)).JSON(t, &second)
	defer s.Do(t, "DELETE", "/api/routes/"+second.Id, nil)
	if second.PeerGroups == nil || (*second.PeerGroups)[0] != s.Group || second.AccessControlGroups == nil || *second.Peer != "" {
		t.Errorf("%+v", second)
	}
	s.WantError(t, 409, "failed to add route with prefix 10.9.0.0/16 - peer group "+s.Name+" already has this route", "POST", "/api/routes", route(groups))
	s.WantError(t, 409, "failed to add route with prefix 10.9.0.0/16 - peer "+peer+" already has this route",
		"PUT", "/api/routes/"+id, route(map[string]any{"network": "10.9.0.0/16"}))
	check(409, "PUT", "/api/routes/{routeId}", route(map[string]any{"network": "10.9.0.0/16"}), id)

	// Domains are stored in ASCII and shown in their own script, in the order sent.
	names := []string{"z.example.com", "*.bücher.de", "a.example.com"}
	var domain api.Route
	check(200, "PUT", "/api/routes/{routeId}", route(map[string]any{"network": nil, "domains": names, "keep_route": true, "skip_auto_apply": true}), id).JSON(t, &domain)
	if domain.NetworkType != "Domain" || *domain.Network != "192.0.2.0/32" || fmt.Sprint(*domain.Domains) != fmt.Sprint(names) ||
		!domain.KeepRoute || !*domain.SkipAutoApply {
		t.Errorf("%+v", domain)
	}
	if e := lastEvent(t, s.REST, "route.update"); e.TargetId != id || e.Meta["domains"] != strings.Join(names, ", ") {
		t.Errorf("%+v", e)
	}
	var list []api.Route
	check(200, "GET", "/api/routes", nil).JSON(t, &list)
	if len(list) < 2 {
		t.Errorf("%d routes", len(list))
	}
	check(200, "GET", "/api/routes/{routeId}", nil, id)
	s.WantError(t, 400, "group has been linked to route: n1", "DELETE", "/api/groups/"+s.Group, nil)

	// The published client takes every answer.
	network := "2001:db8::7/64"
	made, err := s.Routes.Create(t.Context(), api.PostApiRoutesJSONRequestBody{NetworkId: "n2", Enabled: true, Peer: &peer,
		Network: &network, Metric: 1, Groups: []string{s.Group}})
	if err != nil || made.NetworkType != "IPv6" || *made.Network != "2001:db8::/64" {
		t.Fatalf("%+v %v", made, err)
	}
	if err := s.Routes.Delete(t.Context(), made.Id); err != nil {
		t.Error(err)
	}
	if _, err := s.Routes.Get(t.Context(), made.Id); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("gone: %v", err)
	}
	if e := lastEvent(t, s.REST, "route.delete"); e.TargetId != made.Id || e.Meta["network_range"] != "2001:db8::/64" {
		t.Errorf("%+v", e)
	}
}
