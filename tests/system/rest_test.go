package system

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

// The numbers are those of the acceptance cases of the REST API.

func anonymous(c *harness.Cluster) *harness.REST { return harness.NewREST(c.APIURL, "") }

func TestREST01To03Authentication(t *testing.T) {
	c := cluster(t)
	a := anonymous(c).Do(t, "GET", "/api/groups", nil)
	if err := a.Error(401, "no valid authentication provided"); err != nil {
		t.Error(err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(a.Header.Get("X-Request-Id")) {
		t.Errorf("X-Request-Id %q", a.Header.Get("X-Request-Id"))
	}
	for _, token := range []string{"nbp_" + strings.Repeat("a", 36), "nbp_abcdefghijklmnopqrstuvwxyz01232LolCm", "nbp_", "x"} {
		harness.NewREST(c.APIURL, token).WantError(t, 401, "token invalid", "GET", "/api/groups", nil)
	}
	byToken := c.REST().Want(t, 200, "GET", "/api/accounts", nil, nil)
	byBearer := anonymous(c).Do(t, "GET", "/api/accounts", nil, "Authorization: Bearer "+c.Token)
	if byBearer.Status != 200 || string(byBearer.Body) != string(byToken.Body) {
		t.Errorf("Bearer: %d %s", byBearer.Status, byBearer.Body)
	}
	ids := map[string]bool{}
	for range 5 { // some of them given again
		again := c.REST().Want(t, 200, "GET", "/api/accounts", nil, nil)
		if id := again.Header.Values("X-Request-Id"); len(id) != 1 || ids[id[0]] {
			t.Errorf("X-Request-Id %q after %v", id, ids)
		} else {
			ids[id[0]] = true
		}
		for _, name := range []string{"Content-Type", "ETag", "Cache-Control"} {
			if got, want := again.Header.Values(name), byToken.Header.Values(name); !slices.Equal(got, want) {
				t.Errorf("%s %q, then %q", name, want, got)
			}
		}
	}
	if got := byToken.Header.Get("Content-Type"); got != "application/json; charset=UTF-8" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestREST04And05NotFound(t *testing.T) {
	r := anonymous(cluster(t))
	for _, q := range [][2]string{{"GET", "/api/integrations/event-streaming"}, {"PATCH", "/api/groups"}, {"GET", "/api/groups/"}} {
		a := r.Do(t, q[0], q[1], nil, "Origin: http://x")
		if a.Status != 404 || string(a.Body) != "404 page not found\n" ||
			!strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") || a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v: %d %q %v", q, a.Status, a.Body, a.Header)
		}
	}
}

func TestREST06Preflight(t *testing.T) {
	a := anonymous(cluster(t)).Do(t, "OPTIONS", "/api/groups", nil, "Origin: http://x", "Access-Control-Request-Method: DELETE")
	if a.Status != 204 || a.Header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "DELETE") {
		t.Errorf("%d %v", a.Status, a.Header)
	}
}

func TestREST07To09SetUpAlready(t *testing.T) {
	r := anonymous(cluster(t))
	var instance struct {
		SetupRequired *bool `json:"setup_required"`
	}
	r.Want(t, 200, "GET", "/api/instance", nil, &instance)
	if instance.SetupRequired == nil || *instance.SetupRequired {
		t.Errorf("setup_required %v", instance.SetupRequired)
	}
	r.WantError(t, 422, "password must be at least 8 characters", "POST", "/api/setup",
		map[string]string{"email": "a@b.co", "name": "A", "password": "short"})
	r.WantError(t, 422, "email is required", "POST", "/api/setup", map[string]string{"name": "A", "password": "Long enough, 1"})
	r.WantError(t, 422, "name is required", "POST", "/api/setup", map[string]string{"email": "a@b.co", "password": "Long enough, 1"})
	r.WantError(t, 400, "invalid request body", "POST", "/api/setup", `{"email":`)
	r.WantError(t, 412, "setup already completed", "POST", "/api/setup",
		map[string]string{"email": "a@b.co", "name": "A", "password": "Long enough, 1"})
}

func TestREST10To12Accounts(t *testing.T) {
	r := cluster(t).REST()
	var accounts []map[string]json.RawMessage
	r.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	if len(accounts) != 1 {
		t.Fatalf("%d accounts", len(accounts))
	}
	var id string
	_ = json.Unmarshal(accounts[0]["id"], &id)
	var settings map[string]any
	if err := json.Unmarshal(accounts[0]["settings"], &settings); err != nil {
		t.Fatal(err)
	}
	if _, ok := settings["extra"].(map[string]any); !ok {
		t.Errorf("extra %v", settings["extra"])
	}
	if list, ok := settings["jwt_allow_groups"].([]any); !ok || len(list) != 0 {
		t.Errorf("jwt_allow_groups %v", settings["jwt_allow_groups"])
	}
	if got, _ := settings["network_range"].(string); !strings.HasSuffix(got, "/16") {
		t.Errorf("network_range %v", settings["network_range"])
	}
	put := func(key string, value any) map[string]any {
		changed := map[string]any{}
		for k, v := range settings {
			changed[k] = v
		}
		changed[key] = value
		return map[string]any{"settings": changed}
	}
	r.WantError(t, 422, "peer login expiration can't be smaller than one hour", "PUT", "/api/accounts/"+id,
		put("peer_login_expiration", 60))
	r.WantError(t, 422, "peer login expiration can't be larger than 180 days", "PUT", "/api/accounts/"+id,
		put("peer_login_expiration", 15552001))
	r.WantError(t, 422, "loopback address range not allowed", "PUT", "/api/accounts/"+id, put("network_range", "127.0.0.0/16"))
	var after []map[string]json.RawMessage
	r.Want(t, 200, "GET", "/api/accounts", nil, &after)
	if string(after[0]["settings"]) != string(accounts[0]["settings"]) {
		t.Errorf("refused changes changed the settings:\n%s\n%s", accounts[0]["settings"], after[0]["settings"])
	}
	if r.Do(t, "PUT", "/api/accounts/"+id, put("peer_login_expiration", 7200)).Status != 200 {
		t.Error("a good change was refused")
	}
	r.Want(t, 200, "PUT", "/api/accounts/"+id, put("peer_login_expiration", settings["peer_login_expiration"]), nil)
}

func TestREST13CurrentUser(t *testing.T) {
	var user struct {
		Role        string
		Permissions struct {
			IsRestricted *bool `json:"is_restricted"`
			Modules      map[string]map[string]bool
		}
	}
	cluster(t).REST().Want(t, 200, "GET", "/api/users/current", nil, &user)
	if user.Role != "owner" || user.Permissions.IsRestricted == nil || *user.Permissions.IsRestricted || len(user.Permissions.Modules) != 24 {
		t.Errorf("%+v", user)
	}
	for name, module := range user.Permissions.Modules {
		for _, operation := range []string{"create", "read", "update", "delete"} {
			if !module[operation] {
				t.Errorf("the owner may not %s %s", operation, name)
			}
		}
	}
}

func all(t *testing.T, r *harness.REST) string {
	t.Helper()
	groups, err := r.Groups.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if g.Name == "All" {
			return g.Id
		}
	}
	t.Fatal("no group All")
	return ""
}

func TestREST15To20Groups(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	ga := all(t, s.REST)
	s.WantError(t, 422, "group name shouldn't be empty", "POST", "/api/groups", map[string]string{"name": ""})
	s.WantError(t, 409, "group with name "+s.Name+" already exists", "POST", "/api/groups", map[string]string{"name": s.Name})
	for _, body := range []string{`{"name":`, ``, `null`, `[]`, `{"name":7}`} {
		s.WantError(t, 400, "couldn't parse JSON request", "POST", "/api/groups", body)
	}
	s.WantError(t, 404, "group: nope not found", "GET", "/api/groups?name=nope", nil)
	s.WantError(t, 404, "group: nope not found", "GET", "/api/groups/nope", nil)
	s.WantError(t, 422, "updating group all is not allowed", "PUT", "/api/groups/"+ga, map[string]string{"name": "All"})
	s.WantError(t, 400, "deleting group ALL is not allowed", "DELETE", "/api/groups/"+ga, nil)
	p, err := s.Policies.Get(t.Context(), s.Policy)
	if err != nil {
		t.Fatal(err)
	}
	s.WantError(t, 400, "group has been linked to policy: "+p.Name, "DELETE", "/api/groups/"+s.Group, nil)
	s.Want(t, 200, "GET", "/api/groups/"+s.Group, nil, nil)
	var byName []api.Group
	s.Want(t, 200, "GET", "/api/groups?name="+s.Name, nil, &byName)
	if len(byName) != 1 || byName[0].Id != s.Group {
		t.Errorf("by name: %v", byName)
	}
	gone := s.NewGroup(t, "gone")
	if a := s.Want(t, 200, "DELETE", "/api/groups/"+gone, nil, nil); strings.TrimSpace(string(a.Body)) != "{}" {
		t.Errorf("delete answers %s", a.Body)
	}
	s.WantError(t, 404, "group: "+gone+" not found", "DELETE", "/api/groups/"+gone, nil)
}

func TestREST21And22Policies(t *testing.T) {
	s := cluster(t).Lonely(t)
	policy := func(rule map[string]any) map[string]any {
		base := map[string]any{"name": "r", "enabled": true, "action": "accept", "bidirectional": true, "protocol": "tcp",
			"sources": []string{s.Group}, "destinations": []string{s.Group}}
		for k, v := range rule {
			base[k] = v
		}
		return map[string]any{"name": s.Name, "description": "d", "enabled": true, "rules": []any{base}}
	}
	for message, rule := range map[string]map[string]any{
		"valid port value is in 1..65535 range":                                                {"ports": []string{"80", "99999"}},
		"for all or icmp protocol ports is not allowed":                                        {"ports": []string{"80"}, "protocol": "icmp"},
		"unknown action type":                                                                  {"action": "perhaps"},
		"unknown protocol type: carrier":                                                       {"protocol": "carrier"},
		"specify either individual ports or port ranges, not both":                             {"ports": []string{"1"}, "port_ranges": []any{map[string]int{"start": 1, "end": 2}}},
		"specify either sources or  source resources, not both":                                {"sourceResource": map[string]string{"id": "x", "type": "peer"}},
		"specify either sources or source resources and destinations or destination resources": {"sources": nil},
	} {
		s.WantError(t, 422, message, "POST", "/api/policies", policy(rule))
	}
	s.WantError(t, 422, "policy name shouldn't be empty", "POST", "/api/policies", map[string]any{"name": "", "rules": []any{}})
	s.WantError(t, 422, "policy rules shouldn't be empty", "POST", "/api/policies", map[string]any{"name": "x", "rules": []any{}})
	s.WantError(t, 404, "policy: nope not found", "GET", "/api/policies/nope", nil)

	var got map[string]any
	s.Want(t, 200, "POST", "/api/policies", policy(map[string]any{"ports": []string{"443", "80"}}), &got)
	defer s.Do(t, "DELETE", "/api/policies/"+got["id"].(string), nil)
	rule := got["rules"].([]any)[0].(map[string]any)
	source := rule["sources"].([]any)[0].(map[string]any)
	if rule["id"] != got["id"] || source["id"] != s.Group || source["name"] != s.Name {
		t.Errorf("%v", got)
	}
	for _, key := range []string{"peers_count", "resources_count"} {
		if _, ok := source[key]; !ok {
			t.Errorf("the source lacks %s", key)
		}
	}
	if _, ok := rule["port_ranges"]; ok {
		t.Error("port_ranges is there")
	}
	if checks, ok := got["source_posture_checks"]; !ok || checks != nil {
		t.Errorf("source_posture_checks %v", checks)
	}
	if fmt.Sprint(rule["ports"]) != "[443 80]" {
		t.Errorf("ports %v are not in the order sent", rule["ports"])
	}
}

func TestREST23To25SetupKeys(t *testing.T) {
	s := cluster(t).Lonely(t)
	var key api.SetupKeyClear
	if a := s.Want(t, 200, "POST", "/api/setup-keys",
		`{"name":"k","type":"one-off","expires_in":86400,"auto_groups":[],"usage_limit":0}`, &key); a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
	}
	defer s.Do(t, "DELETE", "/api/setup-keys/"+key.Id, nil)
	if !regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`).MatchString(key.Key) {
		t.Errorf("key %q", key.Key)
	}
	if key.UsageLimit != 1 || key.State != "valid" || !key.Valid {
		t.Errorf("%+v", key)
	}
	var again api.SetupKey
	s.Want(t, 200, "GET", "/api/setup-keys/"+key.Id, nil, &again)
	if again.Key != key.Key[:5]+"****" {
		t.Errorf("shown as %q", again.Key)
	}
	at := "/api/setup-keys/" + key.Id
	s.WantError(t, 422, "setup key autogroups field is invalid", "PUT", at, `{"revoked":true}`)
	s.Want(t, 200, "PUT", at, `{"revoked":true,"auto_groups":[]}`, &again)
	if again.State != "revoked" || again.Valid {
		t.Errorf("%+v", again)
	}
	s.WantError(t, 422, "can't un-revoke a revoked setup key", "PUT", at, `{"revoked":false,"auto_groups":[]}`)
	s.WantError(t, 422, "invalid auto groups: can't add 'all' group to the setup key", "POST", "/api/setup-keys",
		map[string]any{"name": "k", "type": "reusable", "expires_in": 0, "auto_groups": []string{all(t, s.REST)}})
	s.WantError(t, 422, "invalid auto groups: group not found: nope", "POST", "/api/setup-keys",
		map[string]any{"name": "k", "type": "reusable", "expires_in": 0, "auto_groups": []string{"nope"}})
	s.WantError(t, 422, "unknown setup key type odd", "POST", "/api/setup-keys", `{"name":"k","type":"odd","auto_groups":[]}`)
	s.WantError(t, 422, "setup key name shouldn't be empty", "POST", "/api/setup-keys", `{"name":"","type":"reusable"}`)
	s.WantError(t, 404, "setup key: nope not found", "DELETE", "/api/setup-keys/nope", nil)
}

func TestREST30Tokens(t *testing.T) {
	r := cluster(t).REST()
	var user api.User
	r.Want(t, 200, "GET", "/api/users/current", nil, &user)
	at := "/api/users/" + user.Id + "/tokens"
	for _, days := range []int{0, 366} {
		r.WantError(t, 422, "expiration has to be between 1 and 365", "POST", at, map[string]any{"name": "t", "expires_in": days})
	}
	var made api.PersonalAccessTokenGenerated
	if a := r.Want(t, 200, "POST", at, map[string]any{"name": "t", "expires_in": 30}, &made); a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
	}
	p := made.PersonalAccessToken
	if !regexp.MustCompile(`^nbp_[0-9A-Za-z]{36}$`).MatchString(made.PlainToken) || p.ExpirationDate.Sub(p.CreatedAt) != 30*24*time.Hour {
		t.Errorf("%+v", made)
	}
	other := harness.NewREST(r.URL, made.PlainToken)
	other.Want(t, 200, "GET", "/api/groups", nil, nil)
	list := r.Want(t, 200, "GET", at, nil, nil)
	if strings.Contains(string(list.Body), "plain_token") || strings.Contains(string(list.Body), made.PlainToken) {
		t.Errorf("the list shows the token: %s", list.Body)
	}
	r.Want(t, 200, "DELETE", at+"/"+p.Id, nil, nil)
	other.WantError(t, http.StatusUnauthorized, "token invalid", "GET", "/api/groups", nil)
	r.WantError(t, 404, "pat: "+p.Id+" not found", "GET", at+"/"+p.Id, nil)
}

func TestRESTPeers(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	b := harness.NewBare(t, front(t, c), "renamed")
	ip, _, _ := strings.Cut(b.Login(t, s.Key).GetPeerConfig().GetAddress(), "/")
	watcher := harness.NewBare(t, front(t, c), "watcher")
	watcher.Login(t, s.Key)
	stream := watcher.Sync(t)
	stream.Next(t, 5*time.Second)
	id := s.PeerID(t, "renamed")
	var found []api.PeerBatch
	s.Want(t, 200, "GET", "/api/peers?ip="+ip, nil, &found)
	if len(found) == 0 || found[0].Ip != ip || found[0].LocalFlags == nil || found[0].Connected {
		t.Errorf("by address: %+v", found)
	}
	put := map[string]any{"name": "another name", "ssh_enabled": false, "login_expiration_enabled": false, "inactivity_expiration_enabled": false}
	var peer api.Peer
	s.Want(t, 200, "PUT", "/api/peers/"+id, put, &peer)
	if peer.Name != "another name" || !strings.HasPrefix(peer.DnsLabel, "another-name") {
		t.Errorf("renamed: %+v", peer)
	}
	for {
		m := stream.Next(t, soon)
		if ps := m.GetNetworkMap().GetRemotePeers(); len(ps) == 1 && ps[0].GetFqdn() == peer.DnsLabel {
			break
		}
	}
	put["login_expiration_enabled"] = true
	s.WantError(t, 412, "this peer hasn't been added with the sso login, therefore the login expiration can't be updated",
		"PUT", "/api/peers/"+id, put)
	s.WantError(t, 404, "peer not found: nope", "GET", "/api/peers/nope", nil)
	s.WantError(t, 404, "peer nope account not found", "DELETE", "/api/peers/nope", nil)
}
