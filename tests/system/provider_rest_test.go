package system

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

type provider struct {
	ID, Type, Name, Issuer string
	ClientID               string `json:"client_id"`
	RedirectURI            string `json:"redirect_uri"`
}

// makeProvider makes a connector, which goes with the test.
func makeProvider(t *testing.T, r *harness.REST, u *harness.Upstream, kind string) provider {
	t.Helper()
	var made provider
	r.Want(t, 200, "POST", "/api/identity-providers", object{"type": kind, "name": "Over at " + u.ClientID, "issuer": u.URL,
		"client_id": u.ClientID, "client_secret": u.Secret}, &made)
	t.Cleanup(func() {
		// With a connector left behind everybody else's sign-in page would be the chooser.
		a, err := r.Try(context.Background(), "DELETE", "/api/identity-providers/"+made.ID, nil)
		if err != nil || a.Status != 200 && a.Status != 404 {
			t.Errorf("the connector stays: %v %+v", err, a)
		}
	})
	return made
}

// Every identity provider is asked whether it is one before it is stored, and its secret never comes back.
func TestIdentityProvidersAreManaged(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	u := harness.NewUpstream(t, "managed")
	made := makeProvider(t, api.REST, u, "keycloak")
	if !strings.HasPrefix(made.ID, "keycloak-") || made.Issuer != u.URL || made.ClientID != u.ClientID {
		t.Errorf("made %+v", made)
	}
	path := "/api/identity-providers/" + made.ID
	body := func(changes object) object {
		b := object{"type": "keycloak", "name": "n", "issuer": u.URL, "client_id": "c", "client_secret": "s"}
		for k, v := range changes {
			b[k] = v
		}
		return b
	}
	for _, bad := range []struct {
		changes object
		message string
	}{
		{object{"name": "", "type": "", "issuer": "", "client_id": ""}, "identity provider name is required"},
		{object{"type": ""}, "identity provider type is required"},
		{object{"type": "saml"}, "unsupported identity provider type"},
		{object{"issuer": "", "client_id": ""}, "identity provider issuer is required"},
		{object{"issuer": "nowhere", "client_id": ""}, "identity provider issuer must be a valid url"},
		{object{"client_id": ""}, "identity provider client id is required"},
		{object{"issuer": u.URL + "/"}, "identity provider issuer does not match the issuer returned by the provider"},
	} {
		api.WantError(t, 422, bad.message, "POST", "/api/identity-providers", body(bad.changes))
	}
	api.WantError(t, 400, "couldn't parse JSON request", "POST", "/api/identity-providers", "nope")

	// What is empty stays; the type always does.
	var now provider
	api.Want(t, 200, "PUT", path, object{"type": "keycloak", "name": "Renamed", "issuer": "", "client_id": u.ClientID, "client_secret": ""}, &now)
	if now != (provider{made.ID, "keycloak", "Renamed", u.URL, u.ClientID, ""}) {
		t.Errorf("renamed: %+v", now)
	}
	api.WantError(t, 422, "identity provider type cannot be changed", "PUT", path, body(object{"type": "oidc"}))
	api.WantError(t, 422, "identity provider client id is required", "PUT", path, body(object{"client_id": ""}))
	api.WantError(t, 422, "identity provider issuer does not match the issuer returned by the provider", "PUT", path, body(object{"issuer": u.URL + "/"}))
	a := api.Do(t, "GET", path, nil)
	if a.Status != 200 || strings.Contains(string(a.Body), "secret") {
		t.Errorf("GET: %d %s", a.Status, a.Body)
	}
	var list []provider
	api.Want(t, 200, "GET", "/api/identity-providers", nil, &list)
	if len(list) == 0 || list[len(list)-1] != now {
		t.Errorf("the list is %+v", list)
	}

	// A provider of its own kind needs no issuer, and is not asked.
	var google provider
	api.Want(t, 200, "POST", "/api/identity-providers", object{"type": "google", "name": "g", "client_id": "c", "client_secret": "s"}, &google)
	api.Want(t, 200, "DELETE", "/api/identity-providers/"+google.ID, nil, nil)

	api.Want(t, 200, "DELETE", path, nil, nil)
	for _, method := range []string{"GET", "DELETE"} {
		api.WantError(t, 404, "identity provider not found", method, path, nil)
	}
	api.WantError(t, 404, "identity provider not found", "PUT", path, body(nil))
	trail := c.SQL(t, fmt.Sprintf("SELECT string_agg(code || ' ' || (meta->>'name'), ',' ORDER BY id) FROM event WHERE target_id = '%s'", made.ID))
	if trail != "identityprovider.create Over at managed-client,identityprovider.update Renamed,identityprovider.delete Renamed" {
		t.Errorf("the trail is %s", trail)
	}
}

// Only who may change identity providers can have us ask other hosts, and each role sees what it should.
func TestIdentityProvidersAreForThoseWhoMay(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 1, nil)
	u := harness.NewUpstream(t, "roles")
	path := "/api/identity-providers/" + makeProvider(t, api.REST, u, "oidc").ID
	asked := u.Asked("/.well-known/openid-configuration")
	body := object{"type": "oidc", "name": "n", "issuer": u.URL, "client_id": "c", "client_secret": "s"}
	for _, role := range []string{"user", "network_admin", "auditor"} {
		person := harness.NewREST(api.URL, c.Person(t, role).Token)
		want := map[string]int{"user": 403, "network_admin": 200, "auditor": 200}[role]
		for _, p := range []string{"/api/identity-providers", path} {
			if a := person.Do(t, "GET", p, nil); a.Status != want {
				t.Errorf("%s GET %s: %d %s", role, p, a.Status, a.Body)
			}
		}
		person.WantError(t, 403, "permission denied", "POST", "/api/identity-providers", body)
		person.WantError(t, 403, "permission denied", "PUT", path, body)
		person.WantError(t, 403, "permission denied", "DELETE", path, nil)
	}
	if now := u.Asked("/.well-known/openid-configuration"); now != asked {
		t.Errorf("the provider was asked %d times by those who may not", now-asked)
	}
	nobody := harness.NewREST(api.URL, "")
	nobody.WantError(t, 401, "no valid authentication provided", "GET", path, nil)
}

// Without a provider of its own there is nothing to connect to.
func TestIdentityProvidersNeedTheEmbeddedProvider(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	with := c.DashboardAPI(t, 1, nil)
	u := harness.NewUpstream(t, "without")
	path := "/api/identity-providers/" + makeProvider(t, with.REST, u, "oidc").ID
	off := c.DashboardAPI(t, 1, map[string]string{"oidc_embedded": "false"})
	body := object{"type": "oidc", "name": "n", "issuer": u.URL, "client_id": "c", "client_secret": "s"}
	if a := off.Do(t, "GET", "/api/identity-providers", nil); a.Status != 200 || strings.TrimSpace(string(a.Body)) != "[]" {
		t.Errorf("the list: %d %s", a.Status, a.Body)
	}
	off.WantError(t, 412, "identity provider management requires embedded idp", "POST", "/api/identity-providers", body)
	off.WantError(t, 404, "identity provider not found", "GET", path, nil)
	off.WantError(t, 404, "identity provider not found", "PUT", path, body)
	off.WantError(t, 404, "identity provider not found", "DELETE", path, nil)
}

// S17. An issuer is an address that somebody chooses and we ask: nothing inside is reached that way, and nothing of what answers
// is repeated.
func TestIssuersDoNotReachInside(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	reached := 0
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached++
		fmt.Fprint(w, "the secret of the house")
	}))
	defer inside.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(inside.URL, "http://"), ":")
	create := func(api *harness.REST, issuer string) *harness.Answer {
		t.Helper()
		a := api.Do(t, "POST", "/api/identity-providers", object{"type": "oidc", "name": "n", "issuer": issuer, "client_id": "c", "client_secret": "s"})
		if a.Status != 422 || !strings.Contains(string(a.Body), "identity provider issuer is unreachable") {
			t.Errorf("%s: %d %s", issuer, a.Status, a.Body)
		}
		if strings.Contains(string(a.Body), "secret of the house") {
			t.Errorf("%s: the answer is repeated: %s", issuer, a.Body)
		}
		return a
	}
	strict := c.DashboardAPI(t, 1, map[string]string{"oidc_allow_private_issuers": "false"})
	for _, issuer := range []string{
		inside.URL,
		"https://127.0.0.1:" + port,
		"https://localhost:" + port, // a name that leads inside
		"https://[::1]:" + port,
		"https://[::ffff:127.0.0.1]:" + port,
		"https://0.0.0.0:" + port,
		"https://2130706433:" + port,
		"https://10.99.0.1:" + port,
		"https://192.168.0.1",
		"https://100.64.0.1",
		"https://[fd99::1]:" + port,
		"https://169.254.169.254",
		"http://10.99.0.1:" + port,
	} {
		create(strict.REST, issuer)
	}
	if reached > 0 {
		t.Errorf("the house was reached %d times", reached)
	}

	// Where private addresses are allowed: still no redirect, no metadata, and plain http to loopback alone.
	open := c.DashboardAPI(t, 1, nil)
	create(open.REST, "https://169.254.169.254")
	create(open.REST, "http://10.99.0.1:"+port)
	if reached > 0 {
		t.Errorf("the house was reached %d times", reached)
	}
	create(open.REST, inside.URL) // reached, and not JSON
	if reached != 1 {
		t.Errorf("the house was reached %d times instead of once", reached)
	}
	away := httptest.NewServer(http.RedirectHandler(inside.URL+"/.well-known/openid-configuration", http.StatusFound))
	defer away.Close()
	create(open.REST, away.URL)
	if reached != 1 {
		t.Errorf("a redirect was followed")
	}
}

// S18. What a provider says about itself is believed only if nothing in it leads elsewhere.
func TestHostileDiscoveryIsRefused(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 1, nil)
	u := harness.NewUpstream(t, "hostile")
	for name, lie := range map[string]func(d map[string]any){
		"no keys":           func(d map[string]any) { delete(d, "jwks_uri") },
		"keys without TLS":  func(d map[string]any) { d["jwks_uri"] = "http://10.99.0.1/keys" },
		"a file":            func(d map[string]any) { d["token_endpoint"] = "file:///etc/passwd" },
		"another scheme":    func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" },
		"a user in the URL": func(d map[string]any) { d["token_endpoint"] = "https://a:b@idp.test/token" },
		"a long document":   func(d map[string]any) { d["padding"] = strings.Repeat("x", 2<<20) },
		"issuer no text":    func(d map[string]any) { d["issuer"] = 1 },
	} {
		u.Change(func(l *harness.Levers) { l.Document = lie })
		a := api.Do(t, "POST", "/api/identity-providers", object{"type": "oidc", "name": "n", "issuer": u.URL, "client_id": "c", "client_secret": "s"})
		if a.Status != 422 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}
