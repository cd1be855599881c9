package system

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

// Acceptance case 13 with a certified provider: npm's oidc-provider, whose ID tokens leave everything to userinfo.
// npmConnector makes oidc-provider of npm a connector of the provider at url, by its account's API.
func npmConnector(t *testing.T, url string, r *harness.REST) (*harness.OIDCProvider, provider) {
	t.Helper()
	npm := harness.StartOIDCProvider(t, url)
	return npm, makeProvider(t, r, &harness.Upstream{URL: npm.URL, ClientID: npm.ClientID, Secret: npm.Secret}, "oidc")
}

func TestIdentity13OIDCProviderAsConnector(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	npm, made := npmConnector(t, api.URL, api.REST)
	name := strings.ReplaceAll(t.Name(), "/", "-")
	id := subject(name, made.ID)
	forget(t, c, id)

	login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	page := walk.Get(login.URL(url.Values{"connector_id": {made.ID}}), login.Redirect)
	tokens := login.Redeem(t, npm.SignIn(t, walk, page, name, login.Redirect))
	claims := harness.Claims(t, tokens.ID)
	if claims["sub"] != id || claims["email"] != name+"@people.test" || claims["name"] != "Person "+name {
		t.Errorf("the ID token says %v", claims)
	}
	asPerson(t, api, tokens, "GET", "/api/users/current")
	approve(t, api, id)
	var me struct {
		ID, Role string
		IDP      string `json:"idp_id"`
	}
	a := asPerson(t, api, tokens, "GET", "/api/users/current")
	a.JSON(t, &me)
	if a.Status != 200 || me.ID != id || me.IDP != made.ID || me.Role != "user" {
		t.Errorf("the user: %d %s", a.Status, a.Body)
	}
	if now := login.Again(t, tokens.Refresh); now.Error != "" {
		t.Errorf("refresh: %+v", now)
	} else {
		tokens = now
	}

	// A login that must be fresh is asked for there too, though the provider has a session.
	fresh := harness.NewLogin(api.URL)
	page = walk.Get(fresh.URL(url.Values{"connector_id": {made.ID}, "prompt": {"login"}}), fresh.Redirect)
	if page.Status != 200 || !strings.HasPrefix(page.URL.String(), npm.URL) {
		t.Errorf("it is not asked again: %d at %v", page.Status, page.URL)
	}
	fresh.Redeem(t, npm.SignIn(t, walk, page, name, fresh.Redirect))

	// Out there too, and back.
	page = walk.Get(api.URL + "/oauth2/logout?" + url.Values{"id_token_hint": {tokens.ID}, "client_id": {"netbird-dashboard"},
		"post_logout_redirect_uri": {api.URL + "/"}}.Encode())
	if s := npm.SignOut(t, walk, page, api.URL+"/oauth2/logout/callback?"); s.Status != 0 {
		t.Errorf("after logout: %d at %v: %.300s", s.Status, s.URL, s.Body)
	}
	again := harness.NewLogin(api.URL)
	page = walk.Get(again.URL(url.Values{"connector_id": {made.ID}}), again.Redirect)
	if page.Status != 200 || !strings.Contains(page.Body, `name="login"`) {
		t.Errorf("the provider still knows them: %d at %v", page.Status, page.URL)
	}

	tokens = again.Redeem(t, npm.SignIn(t, walk, page, name, again.Redirect))
	api.Want(t, 200, "DELETE", "/api/identity-providers/"+made.ID, nil, nil)
	if now := again.Again(t, tokens.Refresh); now.Error != "invalid_grant" {
		t.Errorf("refresh without the connector: %+v", now)
	}
}

// Acceptance case 12 with the same: it is the identity provider itself, and no provider of ours stands between.
func TestIdentity12OIDCProviderItself(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	npm := harness.StartOIDCProvider(t, "http://127.0.0.1:1")
	api := c.DashboardAPI(t, 2, map[string]string{"oidc_embedded": "false", "oidc_audience": npm.Agent,
		"oidc_discovery_url": npm.URL + "/.well-known/openid-configuration", "oidc_pkce_client_id": npm.Agent})
	name := t.Name()
	forget(t, c, name)
	login, walk := harness.NewLogin(npm.URL), harness.NewWalk(t)
	login.Client, login.Redirect = npm.Agent, "http://localhost:53000/"
	login.Authorize, login.Token = npm.URL+"/auth", npm.URL+"/token"
	page := walk.Get(login.URL(nil), login.Redirect)
	tokens := login.Redeem(t, npm.SignIn(t, walk, page, name, login.Redirect))
	if a := asPerson(t, api, tokens, "GET", "/api/users/current"); a.Status != 403 || !strings.Contains(string(a.Body), "pending approval") {
		t.Errorf("before the approval: %d %s", a.Status, a.Body)
	}
	if got := c.SQL(t, fmt.Sprintf("SELECT role || ' ' || blocked || ' ' || pending_approval FROM users WHERE id = '%s'", name)); got != "user true true" {
		t.Errorf("they joined as %q", got)
	}
	approve(t, api, name)
	var me struct{ ID, Email, Role string }
	a := asPerson(t, api, tokens, "GET", "/api/users/current")
	a.JSON(t, &me)
	if a.Status != 200 || me.ID != name || me.Role != "user" || me.Email != name+"@people.test" {
		t.Errorf("after the approval: %d %s", a.Status, a.Body)
	}
}
