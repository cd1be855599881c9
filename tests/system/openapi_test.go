package system

import (
	"strings"
	"testing"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

const description = "../../services/dashboard-api/openapi.json"

// Every kind of answer the API gives is compared with the description that the same server hands out.
func TestOpenAPIAnswers(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	o, err := harness.ReadOpenAPI(description)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Space(t)
	harness.NewBare(t, front(t, c), "described").Login(t, s.Key)
	peer := s.PeerID(t, "described")
	check := func(method, pattern string, body any, ids ...string) *harness.Answer {
		t.Helper()
		path := pattern
		for _, id := range ids {
			open, end := strings.Index(path, "{"), strings.Index(path, "}")
			path = path[:open] + id + path[end+1:]
		}
		a := s.Do(t, method, path, body)
		if err := o.Check(method, pattern, a); err != nil {
			t.Errorf("%v in %.600s", err, a.Body)
		}
		return a
	}
	check("GET", "/api/instance", nil)
	check("POST", "/api/setup", map[string]string{})
	var user api.User
	check("GET", "/api/users/current", nil).JSON(t, &user)
	check("GET", "/api/accounts", nil)

	check("GET", "/api/peers", nil)
	check("GET", "/api/peers/{peerId}", nil, peer)
	check("GET", "/api/peers/{peerId}", nil, "nope")
	check("PUT", "/api/peers/{peerId}", map[string]any{"name": "described again", "ssh_enabled": true}, peer)

	check("GET", "/api/groups", nil)
	check("GET", "/api/groups/{groupId}", nil, s.Group)
	check("GET", "/api/groups/{groupId}", nil, "nope")
	var made struct{ Id string }
	check("POST", "/api/groups", map[string]any{"name": s.Name + "-described", "peers": []string{peer}}).JSON(t, &made)
	check("POST", "/api/groups", `{`)
	check("POST", "/api/groups", map[string]any{"name": s.Name})
	check("PUT", "/api/groups/{groupId}", map[string]any{"name": s.Name + "-renamed"}, made.Id)
	check("DELETE", "/api/groups/{groupId}", nil, made.Id)

	check("GET", "/api/policies", nil)
	check("GET", "/api/policies/{policyId}", nil, s.Policy)
	rule := harness.Rule(s.Group, s.Group, "udp", true)
	rule.PortRanges = &[]api.RulePortRange{{Start: 1, End: 2}}
	policy := api.PolicyUpdate{Name: s.Name + "-p", Enabled: true, Rules: []api.PolicyRuleUpdate{rule}}
	check("POST", "/api/policies", policy).JSON(t, &made)
	check("PUT", "/api/policies/{policyId}", policy, made.Id)
	check("DELETE", "/api/policies/{policyId}", nil, made.Id)
	check("GET", "/api/policies/{policyId}", nil, made.Id)

	check("GET", "/api/setup-keys", nil)
	check("POST", "/api/setup-keys", api.CreateSetupKeyRequest{Name: "k", Type: "one-off", AutoGroups: []string{s.Group}}).JSON(t, &made)
	check("GET", "/api/setup-keys/{keyId}", nil, made.Id)
	check("PUT", "/api/setup-keys/{keyId}", api.SetupKeyRequest{Revoked: true, AutoGroups: []string{}}, made.Id)
	check("DELETE", "/api/setup-keys/{keyId}", nil, made.Id)

	check("GET", "/api/users/{userId}/tokens", nil, user.Id)
	var token api.PersonalAccessTokenGenerated
	check("POST", "/api/users/{userId}/tokens", map[string]any{"name": "t", "expires_in": 1}, user.Id).JSON(t, &token)
	check("GET", "/api/users/{userId}/tokens/{tokenId}", nil, user.Id, token.PersonalAccessToken.Id)
	check("DELETE", "/api/users/{userId}/tokens/{tokenId}", nil, user.Id, token.PersonalAccessToken.Id)
	check("DELETE", "/api/peers/{peerId}", nil, peer)
}

// What is described is served: without credentials every operation asks for them, none is unknown.
func TestOpenAPIOperationsAreServed(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	var served map[string]any
	anonymous(c).Want(t, 200, "GET", "/api/openapi.json", nil, &served)
	if served["paths"] == nil {
		t.Error("the served description holds no paths")
	}
	o, err := harness.ReadOpenAPI(description)
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range o.Operations() {
		method, path, _ := strings.Cut(operation, " ")
		for strings.Contains(path, "{") {
			open, end := strings.Index(path, "{"), strings.Index(path, "}")
			path = path[:open] + "nope" + path[end+1:]
		}
		if got := anonymous(c).Do(t, method, path, nil); got.Status == 404 && string(got.Body) == "404 page not found\n" {
			t.Errorf("%s is described but not served", operation)
		}
	}
}
