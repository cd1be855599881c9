package system

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

// subject is what the embedded provider calls somebody of a connector.
func subject(user, connector string) string {
	return base64.RawURLEncoding.EncodeToString(append(append([]byte{10, byte(len(user))}, user...), append([]byte{18, byte(len(connector))}, connector...)...))
}

// through logs in by one provider, on a browser of its own.
func through(t *testing.T, api *harness.Replicas, connector string) *harness.Tokens {
	t.Helper()
	login := harness.NewLogin(api.URL)
	return login.Redeem(t, harness.NewWalk(t).Get(login.URL(url.Values{"connector_id": {connector}}), login.Redirect))
}

// asPerson acts with an access token of the embedded provider.
func asPerson(t *testing.T, api *harness.Replicas, tokens *harness.Tokens, method, path string) *harness.Answer {
	t.Helper()
	return harness.NewREST(api.URL, "").Do(t, method, path, nil, "Authorization: Bearer "+tokens.Access)
}

// forget removes a user that a login has made, when the test is over.
func forget(t *testing.T, c *harness.Cluster, id string) {
	t.Helper()
	t.Cleanup(func() { c.SQLAfter(fmt.Sprintf("DELETE FROM users WHERE id = '%s'", id)) })
}

// approve lets somebody in who waits for it.
func approve(t *testing.T, api *harness.Replicas, id string) {
	t.Helper()
	api.Want(t, 200, "POST", "/api/users/"+id+"/approve", nil, nil)
}

// Acceptance case 13: somebody of another provider comes in by the connector, on two replicas in turn, and goes with it.
func TestLoginThroughAConnector(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	u := harness.NewUpstream(t, "case13")
	u.Change(func(l *harness.Levers) { l.Person["groups"] = []string{"engineers", "on call"} })
	made := makeProvider(t, api.REST, u, "oidc")
	id := subject("case13-person", made.ID)
	forget(t, c, id)

	// The way there and back, from the page that lets people choose.
	login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	chooser := walk.Get(login.URL(nil))
	way := chooser.Link("Over at case13-client")
	if chooser.Status != 200 || way == "" {
		t.Fatalf("the chooser has no link: %d %.1000s", chooser.Status, chooser.Body)
	}
	back := walk.Get(way, login.Redirect)
	tokens := login.Redeem(t, back)
	there := ""
	for _, at := range back.Trail {
		if strings.HasPrefix(at, u.URL) {
			there = at
		}
	}
	asked, err := url.Parse(there)
	if err != nil || there == "" {
		t.Fatalf("it did not go there: %v", back.Trail)
	}
	if q := asked.Query(); q.Get("redirect_uri") != api.URL+"/oauth2/callback" || q.Get("scope") != "openid profile email" ||
		q.Get("code_challenge_method") != "S256" || len(q.Get("nonce")) < 40 || q.Get("state") == "" {
		t.Errorf("it was asked %v", asked)
	}

	claims := harness.Claims(t, tokens.ID)
	if claims["sub"] != id || claims["email"] != "case13@people.test" || claims["name"] != "Person of case13" || claims["email_verified"] != true ||
		claims["nonce"] != login.Nonce || fmt.Sprint(claims["groups"]) != "[engineers on call]" {
		t.Errorf("the ID token says %v", claims)
	}

	// They join the account, wait for approval, and then are there.
	if a := asPerson(t, api, tokens, "GET", "/api/users/current"); a.Status != 403 {
		t.Errorf("before the approval: %d %s", a.Status, a.Body)
	}
	approve(t, api, id)
	var me struct {
		ID, Email, Name, Role, Status string
		IDP                           string `json:"idp_id"`
	}
	a := asPerson(t, api, tokens, "GET", "/api/users/current")
	if a.Status != 200 {
		t.Fatalf("after the approval: %d %s", a.Status, a.Body)
	}
	a.JSON(t, &me)
	if me.ID != id || me.IDP != made.ID || me.Email != "case13@people.test" || me.Role != "user" || me.Status != "active" {
		t.Errorf("the user is %+v", me)
	}
	var user struct{ Sub string }
	info := asPerson(t, api, tokens, "GET", "/oauth2/userinfo")
	info.JSON(t, &user)
	if info.Status != 200 || user.Sub != id {
		t.Errorf("userinfo: %d %s", info.Status, info.Body)
	}

	// Its session serves the next login, without going there.
	asks := u.Asked("/authorize")
	again := harness.NewLogin(api.URL)
	second := again.Redeem(t, walk.Get(again.URL(nil), again.Redirect))
	if harness.Claims(t, second.ID)["sub"] != id || u.Asked("/authorize") != asks {
		t.Errorf("the second login went to the provider again")
	}

	// Refresh works until the connector goes; then nothing of it is left.
	if now := again.Again(t, second.Refresh); now.Error != "" {
		t.Errorf("refresh: %+v", now)
	} else {
		second = now
	}
	api.Want(t, 200, "DELETE", "/api/identity-providers/"+made.ID, nil, nil)
	if now := again.Again(t, second.Refresh); now.Error != "invalid_grant" {
		t.Errorf("refresh without the connector: %+v", now)
	}
	if left := c.SQL(t, fmt.Sprintf(`SELECT (SELECT count(*) FROM oauth_session WHERE connector_id = '%[1]s') +
		(SELECT count(*) FROM oauth_grant WHERE connector_id = '%[1]s')`, made.ID)); left != "0" {
		t.Errorf("%s sessions and grants are left", left)
	}
	silent := harness.NewLogin(api.URL)
	if s := walk.Get(silent.URL(url.Values{"prompt": {"none"}}), silent.Redirect); s.URL.Query().Get("error") != "login_required" {
		t.Errorf("its session still counts: %v", s.URL)
	}
	if s := harness.NewWalk(t).Get(login.URL(nil)); s.Link("Over at case13-client") != "" {
		t.Error("the chooser still has it")
	}
	if got := c.SQL(t, fmt.Sprintf("SELECT count(*) FROM users WHERE id = '%s'", id)); got != "1" {
		t.Error("its user did not stay")
	}
}

// S24. Two providers at once, one of which speaks of a person with the same id and address as the other: two users.
func TestTwoConnectorsAreTwoPeople(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	a, b := harness.NewUpstream(t, "first"), harness.NewUpstream(t, "second")
	same := map[string]any{"sub": "one", "email": "one@people.test", "email_verified": true, "name": "One"}
	for _, u := range []*harness.Upstream{a, b} {
		u.Change(func(l *harness.Levers) { l.Person = same })
	}
	first, second := makeProvider(t, api.REST, a, "keycloak"), makeProvider(t, api.REST, b, "authentik")
	for _, p := range []provider{first, second} {
		id := subject("one", p.ID)
		forget(t, c, id)
		tokens := through(t, api, p.ID)
		if got := harness.Claims(t, tokens.ID)["sub"]; got != id {
			t.Errorf("by %s they are %v", p.ID, got)
		}
		asPerson(t, api, tokens, "GET", "/api/users/current")
		approve(t, api, id)
		var me struct {
			ID  string
			IDP string `json:"idp_id"`
		}
		asPerson(t, api, tokens, "GET", "/api/users/current").JSON(t, &me)
		if me.ID != id || me.IDP != p.ID {
			t.Errorf("by %s: %+v", p.ID, me)
		}
	}
}

// Each kind of provider has its ways: where the secret goes, what is asked for, where the claims are.
func TestKindsOfProviders(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	full := func() map[string]any {
		return map[string]any{"sub": "s1", "oid": "o1", "email": "k@people.test", "email_verified": true, "name": "K"}
	}
	for _, kind := range []struct {
		name, scope, user string
		set               func(l *harness.Levers)
		basic             bool
		userinfo          int
	}{
		{"oidc", "openid profile email", "s1", nil, true, 0},
		{"oidc", "openid profile email", "s1", func(l *harness.Levers) { l.Thin = true }, true, 1}, // claims at userinfo alone
		{"oidc", "openid profile email", "s1", func(l *harness.Levers) {
			l.Document = func(d map[string]any) { d["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} }
		}, false, 0},
		{"zitadel", "openid profile email", "s1", nil, true, 1},
		{"entra", "openid profile email", "o1", func(l *harness.Levers) {
			l.Person = full()
			delete(l.Person, "email")
			l.Person["preferred_username"] = "k@people.test"
		}, true, 0},
		{"google", "openid profile email", "s1", nil, true, 0},
		{"okta", "openid profile email groups", "s1", nil, false, 0},
		{"pocketid", "openid profile email groups", "s1", nil, true, 0},
		{"authentik", "openid profile email", "s1", nil, true, 0},
		{"keycloak", "openid profile email", "s1", nil, true, 0},
		{"adfs", "openid profile email allatclaims", "s1", func(l *harness.Levers) {
			l.Person = map[string]any{"sub": "s1", "upn": "k@people.test"}
			l.Document = func(d map[string]any) { delete(d, "authorization_response_iss_parameter_supported") }
			l.Return = func(q url.Values) { q.Del("iss") }
		}, true, 0},
	} {
		t.Run(kind.name, func(t *testing.T) {
			u := harness.NewUpstream(t, "kind")
			basic, scope := false, ""
			u.Change(func(l *harness.Levers) {
				l.Person = full()
				if kind.set != nil {
					kind.set(l)
				}
				l.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
					switch r.URL.Path {
					case "/authorize":
						scope = r.URL.Query().Get("scope")
					case "/token":
						_, _, basic = r.BasicAuth()
					}
					return false
				}
			})
			p := makeProvider(t, api.REST, u, kind.name)
			claims := harness.Claims(t, through(t, api, p.ID).ID)
			if claims["sub"] != subject(kind.user, p.ID) || claims["email"] != "k@people.test" {
				t.Errorf("they are %v", claims)
			}
			if scope != kind.scope || basic != kind.basic || u.Asked("/userinfo") != kind.userinfo {
				t.Errorf("scope %q, basic %v, userinfo asked %d times", scope, basic, u.Asked("/userinfo"))
			}
		})
	}
}

// A provider that answers with a form does so from its own site, without our cookies.
func TestAnAnswerInAForm(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	u := harness.NewUpstream(t, "form")
	u.Change(func(l *harness.Levers) { l.FormPost = true })
	p := makeProvider(t, api.REST, u, "oidc")
	for _, path := range []string{"/oauth2/callback", "/oauth2/callback/" + p.ID} {
		login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
		page := walk.Get(login.URL(url.Values{"connector_id": {p.ID}}), login.Redirect)
		form := url.Values{}
		for _, name := range []string{"code", "state", "iss"} {
			form.Set(name, page.Field(name))
		}
		posted := harness.NewWalk(t).Post(api.URL+path, form, api.URL+path+"?") // another site's post: no cookies
		login.Redeem(t, walk.Get(posted.URL.String(), login.Redirect))
	}
}

// Whoever logs out of the dashboard is led to the provider's own logout and back.
func TestLogoutGoesThroughTheProvider(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	u := harness.NewUpstream(t, "logout")
	p := makeProvider(t, api.REST, u, "oidc")
	login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	tokens := login.Redeem(t, walk.Get(login.URL(url.Values{"connector_id": {p.ID}}), login.Redirect))
	u.Change(func(l *harness.Levers) {
		l.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/end" {
				return false
			}
			q := r.URL.Query()
			if q.Get("client_id") != u.ClientID {
				http.Error(w, "whose?", http.StatusBadRequest)
				return true
			}
			http.Redirect(w, r, q.Get("post_logout_redirect_uri")+"?"+url.Values{"state": {q.Get("state")}}.Encode(), http.StatusFound)
			return true
		}
	})
	s := walk.Get(api.URL+"/oauth2/logout?"+url.Values{"id_token_hint": {tokens.ID}, "client_id": {"netbird-dashboard"},
		"post_logout_redirect_uri": {api.URL + "/"}, "state": {"there"}}.Encode(), api.URL+"/?")
	if u.Asked("/end") != 1 || s.URL.Query().Get("state") != "there" {
		t.Errorf("it ended at %v after %v: %d %.300s", s.URL, s.Trail, s.Status, s.Body)
	}
	silent := harness.NewLogin(api.URL)
	if s := walk.Get(silent.URL(url.Values{"prompt": {"none"}}), silent.Redirect); s.URL.Query().Get("error") != "login_required" {
		t.Errorf("the session still counts: %v", s.URL)
	}
}

// What an agent wants of a login reaches the provider: it is to ask again, and for whom.
func TestALoginThatMustBeFreshIsFreshThere(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 1, nil)
	u := harness.NewUpstream(t, "fresh")
	p := makeProvider(t, api.REST, u, "oidc")
	login := harness.NewLogin(api.URL)
	s := harness.NewWalk(t).Get(login.URL(url.Values{"connector_id": {p.ID}, "prompt": {"login"}, "login_hint": {"me@people.test"}}), login.Redirect)
	login.Redeem(t, s)
	seen := false
	for _, at := range s.Trail {
		if there, err := url.Parse(at); err == nil && there.Path == "/authorize" {
			seen = there.Query().Get("prompt") == "login" && there.Query().Get("login_hint") == "me@people.test"
		}
	}
	if !seen {
		t.Errorf("the way was %v", s.Trail)
	}
}

// A replica is killed while it waits for the tokens of another provider: the person presses the button once more. Between two steps:
// see TestEveryFlowGoesOnWhenAReplicaDies.
func TestAReplicaDiesDuringALogin(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	u := harness.NewUpstream(t, "killed")
	api := c.DashboardAPI(t, 2, nil)
	p := makeProvider(t, api.REST, u, "oidc")
	login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	arrived, killed := make(chan bool, 1), make(chan bool)
	u.Change(func(l *harness.Levers) {
		l.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/token" {
				arrived <- true
				<-killed
			}
			return false
		}
	})
	over := make(chan *harness.Stop, 1)
	go func() {
		s, _ := walk.TryGet(login.URL(url.Values{"connector_id": {p.ID}}), login.Redirect)
		over <- s
	}()
	select {
	case <-arrived:
	case s := <-over:
		t.Fatalf("the login ended before its code was redeemed: %+v", s)
	}
	api.Drop(t, api.Last())
	u.Change(func(l *harness.Levers) { l.Intercept = nil })
	close(killed)
	s := <-over
	if s != nil && s.Status == 0 {
		t.Fatal("a login ended well though its replica died")
	}
	again := harness.NewLogin(api.URL)
	again.Redeem(t, walk.Get(again.URL(url.Values{"connector_id": {p.ID}}), again.Redirect))
}

// S26. Nothing that is secret stands in a log.
func TestLoginsLeaveNoSecretsInTheLog(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	u := harness.NewUpstream(t, "quiet")
	p := makeProvider(t, api.REST, u, "oidc")
	login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	s := walk.Get(login.URL(url.Values{"connector_id": {p.ID}}), login.Redirect)
	tokens := login.Redeem(t, s)
	secrets := []string{u.Secret, tokens.ID, tokens.Access, tokens.Refresh, s.URL.Query().Get("code"), "access-" + u.ClientID}
	for _, at := range s.Trail {
		if there, err := url.Parse(at); err == nil && there.Query().Get("code") != "" {
			secrets = append(secrets, there.Query().Get("code"), there.Query().Get("state"))
		}
	}
	u.Change(func(l *harness.Levers) { l.Lie = func(_, claims map[string]any) { claims["nonce"] = "x" } })
	failed := harness.NewLogin(api.URL)
	harness.NewWalk(t).Get(failed.URL(url.Values{"connector_id": {p.ID}}), failed.Redirect)
	text := api.Log()
	if !strings.Contains(text, "of another sign-in (nonce)") {
		t.Errorf("the log does not say what was wrong: %s", text)
	}
	for _, secret := range secrets {
		if quoted, _ := json.Marshal(secret); strings.Contains(text, strings.Trim(string(quoted), `"`)) {
			t.Errorf("the log holds %.12s...", secret)
		}
	}
}

// Without passwords: only by the providers that were entered, and not at all before there is one.
func TestLocalAuthDisabled(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	u := harness.NewUpstream(t, "only")
	made := makeProvider(t, api.REST, u, "oidc")
	login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	tokens := login.Redeem(t, signIn(c, walk, login.URL(url.Values{"connector_id": {"local"}}), login.Redirect))

	shut := c.DashboardAPI(t, 2, map[string]string{"local_auth_disabled": "true"})
	// It keeps the address of the others as its issuer; what it shows is the same.
	others := 0
	var all []provider
	shut.Want(t, 200, "GET", "/api/identity-providers", nil, &all)
	for _, p := range all {
		if p.ID != made.ID {
			others++
		}
	}
	if login.Again(t, tokens.Refresh).Error != "invalid_grant" {
		t.Error("who came by a password goes on getting tokens")
	}
	if a := asPerson(t, shut, tokens, "GET", "/api/users/current"); a.Status != 401 {
		t.Errorf("a token that was got by a password: %d %s", a.Status, a.Body)
	}
	fresh := harness.NewLogin(shut.URL)
	begun := harness.NewWalk(t).Get(fresh.URL(nil), u.URL)
	if others == 0 && !strings.HasPrefix(begun.URL.String(), u.URL) || strings.Contains(begun.Body, `name="password"`) || strings.Contains(begun.Body, "Email") {
		t.Errorf("the way in: %d %v %.400s", begun.Status, begun.URL, begun.Body)
	}
	if s := harness.NewWalk(t).Get(fresh.URL(url.Values{"connector_id": {"local"}}), u.URL); strings.Contains(s.Body, `name="password"`) {
		t.Errorf("the way in by password: %d %v", s.Status, s.URL)
	}
	through(t, shut, made.ID)
	forget(t, c, subject("only-person", made.ID))
	const text = "local user creation is disabled - use an external identity provider"
	person := object{"email": "new@people.test", "name": "New", "role": "user", "auto_groups": []string{}}
	shut.WantError(t, 412, text, "POST", "/api/users", person)
	shut.WantError(t, 412, text, "POST", "/api/users/invites", person)
	var robot struct{ ID string }
	shut.Want(t, 200, "POST", "/api/users", object{"name": "robot", "role": "user", "auto_groups": []string{}, "is_service_user": true}, &robot)
	shut.Want(t, 200, "DELETE", "/api/users/"+robot.ID, nil, nil)
	var accounts []struct {
		Settings struct {
			Disabled bool `json:"local_auth_disabled"`
		}
	}
	shut.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	if len(accounts) != 1 || !accounts[0].Settings.Disabled {
		t.Errorf("accounts: %+v", accounts)
	}
	if others == 0 {
		shut.WantError(t, 412, "the last identity provider stays while local authentication is disabled", "DELETE", "/api/identity-providers/"+made.ID, nil)
	}
}
