package system

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"rookery.test/system/harness"
)

// The embedded provider, by relying parties and by hand, on two replicas that get requests in turn.

func ownersPassword(c *harness.Cluster) url.Values {
	return url.Values{"login": {c.OwnerEmail}, "password": {c.OwnerPassword}}
}

// signIn walks from the address of an authorization request to where the client waits, as the owner.
func signIn(c *harness.Cluster, w *harness.Walk, at string, ends ...string) *harness.Stop {
	page := w.Get(at, ends...)
	if page.Status != 200 {
		return page
	}
	return w.Fill(page, ownersPassword(c), ends...)
}

func providerOf(t *testing.T) (*harness.Cluster, *harness.Replicas) {
	t.Helper()
	c := cluster(t)
	needsProcesses(t, c)
	return c, c.DashboardAPI(t, 2, nil)
}

// ask is a request of a client to an endpoint, which answers JSON.
func ask(t *testing.T, at string, form url.Values, headers ...string) (int, map[string]any, http.Header) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	a := harness.NewREST(u.Scheme+"://"+u.Host, "").Do(t, "POST", u.Path, form.Encode(),
		append([]string{"Content-Type: application/x-www-form-urlencoded"}, headers...)...)
	out := map[string]any{}
	if err := json.Unmarshal(a.Body, &out); err != nil {
		t.Fatalf("%s answers %d %q", at, a.Status, a.Body)
	}
	return a.Status, out, a.Header
}

func refusedWith(t *testing.T, what, code string, status int, out map[string]any) {
	t.Helper()
	if status != 400 || out["error"] != code || out["error_description"] == "" || out["error_description"] == nil || out["access_token"] != nil {
		t.Errorf("%s: %d %v, want %s", what, status, out, code)
	}
}

// codeFor logs in and returns what the browser brought back.
func codeFor(t *testing.T, c *harness.Cluster, w *harness.Walk, l *harness.Login, more url.Values) string {
	t.Helper()
	s := signIn(c, w, l.URL(more), l.Redirect)
	code := s.URL.Query().Get("code")
	if code == "" {
		t.Fatalf("no code: %d %v %.400s", s.Status, s.URL, s.Body)
	}
	return code
}

func redeemForm(l *harness.Login, code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {"netbird-dashboard"}, "code": {code},
		"redirect_uri": {l.Redirect}, "code_verifier": {l.Verifier}}
}

func TestProviderDiscovery(t *testing.T) {
	_, api := providerOf(t)
	iss := api.URL + "/oauth2"
	a := api.Do(t, "GET", "/oauth2/.well-known/openid-configuration", nil, "Origin: https://elsewhere.test")
	want := map[string]any{"issuer": iss, "authorization_endpoint": iss + "/auth", "token_endpoint": iss + "/token", "jwks_uri": iss + "/keys",
		"userinfo_endpoint": iss + "/userinfo", "device_authorization_endpoint": iss + "/device/code",
		"introspection_endpoint": iss + "/token/introspect", "end_session_endpoint": iss + "/logout",
		"response_types_supported": []any{"code"}, "response_modes_supported": []any{"query"}, "subject_types_supported": []any{"public"},
		"grant_types_supported":                          []any{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
		"id_token_signing_alg_values_supported":          []any{"RS256"},
		"code_challenge_methods_supported":               []any{"S256"},
		"scopes_supported":                               []any{"openid", "email", "groups", "profile", "offline_access"},
		"token_endpoint_auth_methods_supported":          []any{"none", "client_secret_basic", "client_secret_post"},
		"authorization_response_iss_parameter_supported": true, "request_uri_parameter_supported": false,
		"claims_supported": []any{"iss", "sub", "aud", "iat", "exp", "email", "email_verified", "name", "preferred_username", "groups", "at_hash"}}
	got := map[string]any{}
	if err := json.Unmarshal(a.Body, &got); err != nil || a.Status != 200 || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", a.Status, a.Header, a.Body)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("discovery is\n%v\nnot\n%v", got, want)
	}
	if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("other origins: %v", a.Header)
	}
	keys := api.Do(t, "GET", "/oauth2/keys", nil)
	if keys.Header.Get("Cache-Control") != "max-age=600, must-revalidate" || !strings.Contains(string(keys.Body), `"RS256"`) ||
		strings.Contains(string(keys.Body), `"d"`) {
		t.Errorf("keys: %v %s", keys.Header, keys.Body)
	}
	for _, path := range []string{"/oauth2/token", "/oauth2/userinfo", "/oauth2/device/code"} {
		p := api.Do(t, "OPTIONS", path, nil, "Origin: https://elsewhere.test", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,dpop")
		if p.Status/100 != 2 || p.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(p.Header.Get("Access-Control-Allow-Headers"), "dpop") {
			t.Errorf("preflight of %s: %d %v", path, p.Status, p.Header)
		}
	}
	if p := api.Do(t, "OPTIONS", "/oauth2/auth", nil, "Origin: https://elsewhere.test", "Access-Control-Request-Method: GET"); p.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page may be read from elsewhere: %v", p.Header)
	}
	if s := harness.NewWalk(t).Get(iss+"/", api.URL+"/"); s.Status == 404 {
		t.Errorf("/oauth2/ leads nowhere")
	}
}

// A relying party that trusts nothing: signature by the published keys, nonce, hashes, claims, userinfo, refresh.
func TestProviderWithGoOIDC(t *testing.T) {
	c, api := providerOf(t)
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: &http.Transport{Proxy: nil}, Timeout: 20 * time.Second})
	provider, err := oidc.NewProvider(ctx, api.URL+"/oauth2")
	if err != nil {
		t.Fatal(err)
	}
	conf := oauth2.Config{ClientID: "netbird-dashboard", Endpoint: provider.Endpoint(), RedirectURL: api.URL + "/nb-auth",
		Scopes: []string{"openid", "profile", "email", "groups", "offline_access"}}
	verifier := oauth2.GenerateVerifier()
	s := signIn(c, harness.NewWalk(t), conf.AuthCodeURL("the state", oidc.Nonce("the nonce"), oauth2.S256ChallengeOption(verifier)), conf.RedirectURL)
	q := s.URL.Query()
	if q.Get("state") != "the state" || q.Get("iss") != api.URL+"/oauth2" || strings.Contains(s.URL.RawQuery, "+") {
		t.Fatalf("came back as %v: %.300s", s.URL, s.Body)
	}
	before := time.Now().Add(-2 * time.Second)
	token, err := conf.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: "netbird-dashboard"}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil || id.Nonce != "the nonce" || id.IssuedAt.Before(before) {
		t.Errorf("id token: %v %+v", err, id)
	}
	idClaims, access := harness.Claims(t, raw), harness.Claims(t, token.AccessToken)
	same := []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "email", "email_verified", "name", "preferred_username"}
	for _, name := range same {
		if idClaims[name] == nil || idClaims[name] != access[name] {
			t.Errorf("%s: %v in the ID token, %v in the access token", name, idClaims[name], access[name])
		}
	}
	if got, want := slices.Sorted(maps.Keys(access)), slices.Sorted(slices.Values(append(slices.Clone(same), "jti"))); !slices.Equal(got, want) {
		t.Errorf("the access token says %v, not %v", got, want)
	}
	if got, want := slices.Sorted(maps.Keys(idClaims)), slices.Sorted(slices.Values(append(slices.Clone(same), "jti", "nonce", "at_hash", "c_hash"))); !slices.Equal(got, want) {
		t.Errorf("the ID token says %v, not %v", got, want)
	}
	if access["exp"].(float64)-access["iat"].(float64) != 1800 || time.Until(token.Expiry) > 31*time.Minute || access["aud"] != "netbird-dashboard" {
		t.Errorf("lives %v: %v", token.Expiry, access)
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != id.Subject || info.Email != c.OwnerEmail {
		t.Fatalf("userinfo: %+v %v", info, err)
	}
	if _, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: raw})); err == nil {
		t.Error("userinfo takes an ID token")
	}
	old := *token
	old.Expiry = time.Now().Add(-time.Hour)
	next, err := conf.TokenSource(ctx, &old).Token()
	if err != nil || next.AccessToken == token.AccessToken || next.RefreshToken == token.RefreshToken || next.RefreshToken == "" {
		t.Fatalf("refreshed: %+v %v", next, err)
	}
	var current struct{ ID, Role string }
	answer := harness.NewREST(api.URL, "").Do(t, "GET", "/api/users/current", nil, "Authorization: Bearer "+next.AccessToken)
	if err := json.Unmarshal(answer.Body, &current); err != nil || current.ID != id.Subject || current.Role != "owner" {
		t.Errorf("the API says %d %s", answer.Status, answer.Body)
	}
	status, out, _ := ask(t, api.URL+"/oauth2/token/introspect", url.Values{"client_id": {"netbird-dashboard"}, "token": {next.AccessToken}})
	if status != 200 || out["active"] != true || out["sub"] != id.Subject {
		t.Errorf("introspection: %d %v", status, out)
	}
	for _, other := range []url.Values{{"client_id": {"netbird-cli"}, "token": {next.AccessToken}}, {"client_id": {"netbird-dashboard"}, "token": {raw}}, {"client_id": {"netbird-dashboard"}, "token": {"x"}}} {
		if status, out, _ := ask(t, api.URL+"/oauth2/token/introspect", other); status != 200 || out["active"] != false || len(out) != 1 {
			t.Errorf("introspection of what is none of its business: %d %v", status, out)
		}
	}
}

// Acceptance case 9, and S6 and S7.
func TestCase09PKCE(t *testing.T) {
	c, api := providerOf(t)
	iss := api.URL + "/oauth2"
	walk := harness.NewWalk(t)
	for name, change := range map[string]url.Values{
		"no challenge": {"code_challenge": nil}, "plain": {"code_challenge_method": {"plain"}}, "no method": {"code_challenge_method": nil},
		"a challenge that is no hash": {"code_challenge": {"abc"}},
	} {
		l := harness.NewLogin(api.URL)
		s := walk.Get(l.URL(change), l.Redirect)
		if q := s.URL.Query(); s.Status != 0 || q.Get("error") != "invalid_request" || q.Get("state") != l.State || q.Get("iss") != iss || q.Get("code") != "" {
			t.Errorf("%s: %v", name, s.URL)
		}
	}
	redeem := func(l *harness.Login, code string, change url.Values) (int, map[string]any) {
		form := redeemForm(l, code)
		maps.Copy(form, change)
		status, out, _ := ask(t, iss+"/token", form)
		return status, out
	}
	l := harness.NewLogin(api.URL)
	for name, change := range map[string]url.Values{
		"another verifier":     {"code_verifier": {strings.Repeat("v", 43)}},
		"another client":       {"client_id": {"netbird-cli"}},
		"another redirect":     {"redirect_uri": {api.URL + "/nb-silent-auth"}},
		"the challenge itself": {"code_verifier": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}},
	} {
		status, out := redeem(l, codeFor(t, c, walk, l, nil), change)
		refusedWith(t, name, "invalid_grant", status, out)
	}
	status, out := redeem(l, codeFor(t, c, walk, l, nil), url.Values{"code_verifier": nil})
	refusedWith(t, "no verifier", "invalid_request", status, out)
	status, out = redeem(l, "nonsense", nil)
	refusedWith(t, "no code of ours", "invalid_grant", status, out)

	late := codeFor(t, c, walk, l, nil)
	c.SQL(t, "UPDATE oauth_code SET good_until = now() - interval '1 second' WHERE used_at IS NULL")
	status, out = redeem(l, late, nil)
	refusedWith(t, "an old code", "invalid_grant", status, out)

	// A second use ends what the first has brought.
	code := codeFor(t, c, walk, l, nil)
	status, out = redeem(l, code, nil)
	access, refresh := fmt.Sprint(out["access_token"]), fmt.Sprint(out["refresh_token"])
	if status != 200 || harness.NewREST(api.URL, "").Do(t, "GET", "/oauth2/userinfo", nil, "Authorization: Bearer "+access).Status != 200 {
		t.Fatalf("a good code: %d %v", status, out)
	}
	status, out = redeem(l, code, nil)
	refusedWith(t, "a second use", "invalid_grant", status, out)
	if a := harness.NewREST(api.URL, "").Do(t, "GET", "/oauth2/userinfo", nil, "Authorization: Bearer "+access); a.Status != 401 ||
		!strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("the first use's token still works: %d %s", a.Status, a.Body)
	}
	if again := l.Again(t, refresh); again.Error != "invalid_grant" {
		t.Errorf("the first use's refresh token still works: %+v", again)
	}
	// Two at once: one wins.
	code = codeFor(t, c, walk, l, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 6 {
		wg.Go(func() {
			status, _ := redeem(l, code, nil)
			mu.Lock()
			defer mu.Unlock()
			if status == 200 {
				won++
			} else if status != 400 {
				t.Errorf("status %d", status)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of 6 uses of one code went well", won)
	}
}

// Acceptance case 10, and S5.
func TestCase10Redirects(t *testing.T) {
	c, api := providerOf(t)
	l := harness.NewLogin(api.URL)
	host := strings.TrimPrefix(api.URL, "http://")
	for _, to := range []string{"", l.Redirect + "x", l.Redirect + "/", l.Redirect + "?a=b", l.Redirect + "#a", "http://127.0.0.1:1/nb-auth", "//evil.test/nb-auth",
		"http://" + host + "@evil.test/nb-auth", "http://evil.test@" + host + "/nb-auth", "javascript:alert(1)", "http://localhost:53000/", strings.ToUpper(l.Redirect)} {
		for _, more := range []url.Values{{}, {"prompt": {"none"}}, {"response_type": {"token"}}} {
			change := url.Values{"redirect_uri": {to}}
			maps.Copy(change, more)
			s := harness.NewWalk(t).Get(l.URL(change))
			if s.Status != 400 || s.Header.Get("Location") != "" || len(s.Trail) != 1 || !strings.Contains(s.Body, "<html") {
				t.Errorf("redirect_uri %q: %d %v", to, s.Status, s.Trail)
			}
		}
	}
	for _, change := range []url.Values{{"client_id": {"nobody"}}, {"client_id": nil}, {"redirect_uri": {l.Redirect, "https://evil.test/"}}, {"client_id": {"netbird-dashboard", "netbird-cli"}}} {
		if s := harness.NewWalk(t).Get(l.URL(change)); s.Status != 400 || len(s.Trail) != 1 {
			t.Errorf("%v: %d %v", change, s.Status, s.Trail)
		}
	}
	walk := harness.NewWalk(t)
	tokens := l.Redeem(t, signIn(c, walk, l.URL(nil), l.Redirect))
	for _, to := range []string{"https://evil.test/", "//evil.test", api.URL + "/elsewhere", api.URL + ".evil.test/"} {
		s := walk.Get(api.URL + "/oauth2/logout?" + url.Values{"id_token_hint": {tokens.ID}, "post_logout_redirect_uri": {to}}.Encode())
		if s.Status != 400 || len(s.Trail) != 1 {
			t.Errorf("post_logout_redirect_uri %q: %d %v", to, s.Status, s.Trail)
		}
	}
	if s := walk.Get(l.URL(url.Values{"prompt": {"none"}}), l.Redirect); s.URL.Query().Get("code") == "" {
		t.Errorf("a bad logout has ended the session: %v", s.URL)
	}
}

// Acceptance case 11: the iframe of the dashboard.
func TestCase11SilentRenewal(t *testing.T) {
	c, api := providerOf(t)
	l := harness.NewLogin(api.URL)
	silent := *l
	silent.Redirect = api.URL + "/nb-silent-auth"
	none := url.Values{"prompt": {"none"}, "redirect_uri": {silent.Redirect}}
	walk := harness.NewWalk(t)

	s := walk.Get(l.URL(none), silent.Redirect)
	if want := fmt.Sprintf("error=login_required&error_description=nobody%%20is%%20signed%%20in&state=%s&iss=%s", l.State, url.QueryEscape(api.URL+"/oauth2")); s.Status != 0 || s.URL.RawQuery != want {
		t.Fatalf("without a session: %v, not %s", s.URL, want)
	}
	first := l.Redeem(t, signIn(c, walk, l.URL(nil), l.Redirect))
	s = walk.Get(l.URL(none), silent.Redirect)
	if len(s.Trail) != 2 {
		t.Errorf("with a session it went by %v", s.Trail)
	}
	if again := silent.Redeem(t, s); again.Access == first.Access {
		t.Error("the same token again")
	}
	refused := func(what, code string, more url.Values) {
		t.Helper()
		change := maps.Clone(none)
		maps.Copy(change, more)
		if s := walk.Get(l.URL(change), silent.Redirect); s.Status != 0 || s.URL.Query().Get("error") != code || s.URL.Query().Get("state") != l.State {
			t.Errorf("%s: %d %v, not %s", what, s.Status, s.URL, code)
		}
	}
	good := func(what string, more url.Values) {
		t.Helper()
		change := maps.Clone(none)
		maps.Copy(change, more)
		if s := walk.Get(l.URL(change), silent.Redirect); s.URL.Query().Get("code") == "" {
			t.Errorf("%s: %v", what, s.URL)
		}
	}
	good("one's own hint", url.Values{"id_token_hint": {first.ID}})
	refused("a hint that is no token", "login_required", url.Values{"id_token_hint": {"x.y.z"}})
	refused("another connector's session", "login_required", url.Values{"connector_id": {"google-x"}})
	refused("max_age=0", "login_required", url.Values{"max_age": {"0"}})
	good("a young session", url.Values{"max_age": {"3600"}})
	c.SQL(t, "UPDATE oauth_session SET auth_time = auth_time - interval '2 hours'")
	refused("an old session", "login_required", url.Values{"max_age": {"3600"}})
	c.SQL(t, "UPDATE account SET settings = settings || '{\"local_mfa_enabled\": true}'")
	t.Cleanup(func() { c.SQLAfter("UPDATE account SET settings = settings || '{\"local_mfa_enabled\": false}'") })
	refused("a session without the second factor", "interaction_required", nil)
	c.SQL(t, "UPDATE account SET settings = settings || '{\"local_mfa_enabled\": false}'")
	good("no second factor any more", nil)
	c.SQL(t, "UPDATE oauth_session SET used_at = used_at - interval '59 minutes'")
	good("an hour has not passed", nil)
	c.SQL(t, "UPDATE oauth_session SET used_at = used_at - interval '61 minutes'")
	refused("an idle session", "login_required", nil)
	// prompt=login asks although there is a session.
	if s := signIn(c, walk, l.URL(nil), l.Redirect); s.URL.Query().Get("code") == "" {
		t.Fatalf("signing in again: %v", s.URL)
	}
	if s := walk.Get(l.URL(url.Values{"prompt": {"login"}}), l.Redirect); s.Status != 200 || !strings.Contains(s.Body, "password") {
		t.Errorf("prompt=login: %d %v", s.Status, s.URL)
	}
	c.SQL(t, "DELETE FROM oauth_session")
	refused("a session that was ended", "login_required", nil)
}

// S19: rotation, grace, reuse, and who may refresh at all.
func TestProviderRefreshFamilies(t *testing.T) {
	c, api := providerOf(t)
	c.SQL(t, "DELETE FROM oauth_grant")
	l, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	tokens := l.Redeem(t, signIn(c, walk, l.URL(nil), l.Redirect))
	second := l.Again(t, tokens.Refresh)
	repeat := l.Again(t, tokens.Refresh)
	if second.Error != "" || repeat.Refresh != second.Refresh || second.Refresh == tokens.Refresh {
		t.Fatalf("the token before, shortly after: %+v, then %+v", second, repeat)
	}
	// Many at once are all served, and end with one family alive.
	var wg sync.WaitGroup
	got := make(chan *harness.Tokens, 8)
	for range 8 {
		wg.Go(func() { got <- l.Again(t, second.Refresh) })
	}
	wg.Wait()
	close(got)
	third := ""
	for tokens := range got {
		if tokens.Error != "" || (third != "" && tokens.Refresh != third) {
			t.Fatalf("in parallel: %+v, and another one had %s", tokens, third)
		}
		third = tokens.Refresh
	}
	other := harness.NewLogin(api.URL)
	others := other.Redeem(t, signIn(c, harness.NewWalk(t), other.URL(nil), other.Redirect))
	// Another client has no use for it, and does no harm.
	status, out, _ := ask(t, api.URL+"/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {third}, "client_id": {"netbird-cli"}})
	refusedWith(t, "another client", "invalid_grant", status, out)
	forged := []byte(third)
	forged[70] ^= 1
	if tokens := l.Again(t, string(forged)); tokens.Error != "invalid_grant" {
		t.Errorf("a forged token: %+v", tokens)
	}
	status, out, _ = ask(t, api.URL+"/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {third}, "client_id": {"netbird-dashboard"}, "scope": {"openid email"}})
	if status != 200 || out["scope"] != "openid email" || harness.Claims(t, fmt.Sprint(out["access_token"]))["name"] != nil {
		t.Fatalf("less scope: %d %v", status, out)
	}
	fourth := fmt.Sprint(out["refresh_token"])
	status, out, _ = ask(t, api.URL+"/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {fourth}, "client_id": {"netbird-dashboard"}, "scope": {"openid root"}})
	refusedWith(t, "unknown scope", "invalid_scope", status, out)
	// Past the grace the one before is a thief's, or its victim's.
	c.SQL(t, "UPDATE oauth_grant SET rotated_at = rotated_at - interval '31 seconds'")
	if tokens := l.Again(t, third); tokens.Error != "invalid_grant" {
		t.Errorf("reuse: %+v", tokens)
	}
	if tokens := l.Again(t, fourth); tokens.Error != "invalid_grant" {
		t.Errorf("the family outlives the reuse: %+v", tokens)
	}
	if tokens := other.Again(t, others.Refresh); tokens.Error != "" {
		t.Errorf("another family has died with it: %+v", tokens)
	} else {
		others = tokens
	}
	c.SQL(t, "UPDATE users SET blocked = true WHERE email = '"+c.OwnerEmail+"'")
	t.Cleanup(func() { c.SQLAfter("UPDATE users SET blocked = false WHERE email = '" + c.OwnerEmail + "'") })
	if tokens := other.Again(t, others.Refresh); tokens.Error != "invalid_grant" {
		t.Errorf("a blocked user refreshes: %+v", tokens)
	}
	if tokens := harness.Claims(t, others.Access); tokens["sub"] == nil {
		t.Error("no subject")
	}
	if left := c.SQL(t, "SELECT count(*) FROM oauth_grant WHERE refresh_key IS NOT NULL"); strings.TrimSpace(left) != "0" {
		t.Errorf("%s families are left", left)
	}
}

// What the token endpoint is asked by people who mean no good, or have read another document. Agents give up at 500.
func TestProviderTokenEndpointRefuses(t *testing.T) {
	_, api := providerOf(t)
	form := "Content-Type: application/x-www-form-urlencoded"
	basic := func(text string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(text))
	}
	for _, q := range []struct {
		body, header string
		status       int
		code         string
	}{
		{"", form, 401, "invalid_client"},
		{"client_id=netbird-cli", form, 400, "invalid_request"},
		{"client_id=netbird-cli&grant_type=password", form, 400, "unsupported_grant_type"},
		{"client_id=netbird-cli&grant_type=client_credentials", form, 400, "unsupported_grant_type"},
		{"client_id=nobody&grant_type=authorization_code", form, 401, "invalid_client"},
		{"client_id=netbird-cli&client_secret=x&grant_type=authorization_code", form, 401, "invalid_client"},
		{"client_id=netbird-cli&grant_type=authorization_code&grant_type=authorization_code", form, 400, "invalid_request"},
		{"client_id=netbird-cli&grant_type=authorization_code&code=%00", form, 400, "invalid_request"},
		{"client_id=netbird-cli&grant_type=authorization_code&code=%ff", form, 400, "invalid_request"},
		{"client_id=netbird-cli&grant_type=authorization_code&code=%", form, 400, "invalid_request"},
		{"client_id=netbird-cli&grant_type=refresh_token&refresh_token=' OR 1=1", form, 400, "invalid_grant"},
		{"client_id=netbird-cli&grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=x", form, 400, "invalid_grant"},
		{`{"client_id":"netbird-cli"}`, "Content-Type: application/json", 400, "invalid_request"},
		{strings.Repeat("a", 70000), form, 400, "invalid_request"},
		{strings.Repeat("a=1&b=2&", 40), form, 400, "invalid_request"},
		{"grant_type=authorization_code&code=x", basic("netbird-cli:secret"), 401, "invalid_client"},
		{"grant_type=authorization_code&client_id=netbird-dashboard", basic("netbird-cli:"), 400, "invalid_request"},
		{"grant_type=authorization_code&code=x", "Authorization: Basic !!", 401, "invalid_client"},
		{"grant_type=authorization_code&code=x&redirect_uri=x&code_verifier=x", basic("netbird%2Dcli:"), 400, "invalid_grant"},
	} {
		headers := []string{q.header}
		if strings.HasPrefix(q.header, "Authorization") {
			headers = append(headers, form)
		}
		a := harness.NewREST(api.URL, "").Do(t, "POST", "/oauth2/token", q.body, headers...)
		var out struct {
			Error       string
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal(a.Body, &out); err != nil || a.Status != q.status || out.Error != q.code || out.Description == "" {
			t.Errorf("%.80q: %d %s, not %d %s", q.body, a.Status, a.Body, q.status, q.code)
		}
		if (a.Status == 401) != (a.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%.80q: %d with WWW-Authenticate %q", q.body, a.Status, a.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestProviderLogout(t *testing.T) {
	c, api := providerOf(t)
	l, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	home := api.URL + "/"
	signedIn := func() bool {
		return walk.Get(l.URL(url.Values{"prompt": {"none"}}), l.Redirect).URL.Query().Get("code") != ""
	}
	logout := func(q url.Values) *harness.Stop {
		return walk.Get(api.URL+"/oauth2/logout?"+q.Encode(), home+"?", home+"#")
	}

	// The dashboard's own.
	tokens := l.Redeem(t, signIn(c, walk, l.URL(nil), l.Redirect))
	s := walk.Get(api.URL+"/oauth2/logout?"+url.Values{"client_id": {"netbird-dashboard"}, "id_token_hint": {tokens.ID}, "post_logout_redirect_uri": {home}, "state": {"a b"}}.Encode(), home+"?")
	if s.Status != 0 || s.URL.String() != home+"?state=a%20b" {
		t.Errorf("after the logout: %d %v", s.Status, s.URL)
	}
	if signedIn() || l.Again(t, tokens.Refresh).Error != "invalid_grant" {
		t.Error("still signed in")
	}
	// A link from elsewhere asks first, and a form from elsewhere too.
	tokens = l.Redeem(t, signIn(c, walk, l.URL(nil), l.Redirect))
	ask := logout(url.Values{"client_id": {"netbird-dashboard"}, "post_logout_redirect_uri": {home}, "state": {"s"}})
	if ask.Status != 200 || !strings.Contains(ask.Body, "<form") || !signedIn() {
		t.Fatalf("a link has signed out: %d %.300s", ask.Status, ask.Body)
	}
	if s := walk.Post(api.URL+"/oauth2/logout", url.Values{"client_id": {"netbird-dashboard"}, "csrf": {"guessed"}}); s.Status != 200 || !strings.Contains(s.Body, "<form") || !signedIn() {
		t.Errorf("a form from elsewhere has signed out: %d", s.Status)
	}
	if s := walk.Fill(ask, nil, home+"?"); s.URL.String() != home+"?state=s" || signedIn() {
		t.Errorf("confirmed, but %d %v", s.Status, s.URL)
	}
	// An expired hint is as good, one of another person ends only what is theirs.
	tokens = l.Redeem(t, signIn(c, walk, l.URL(nil), l.Redirect))
	if s := logout(url.Values{"id_token_hint": {tokens.ID + "x"}}); s.Status != 200 || !signedIn() {
		t.Errorf("a forged hint has signed out: %d", s.Status)
	}
	if s := logout(url.Values{"id_token_hint": {tokens.ID}}); s.Status != 200 || !strings.Contains(s.Body, "signed out") || signedIn() {
		t.Errorf("without an address to return to: %d %.300s", s.Status, s.Body)
	}
}

// rotate has a key made as an administrator does.
func rotate(t *testing.T, r *harness.Sibling, command string) {
	t.Helper()
	cmd := r.Command(t.Context(), command)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", command, err, out)
	}
}

// S20. Keys rotate while people are signed in: nobody notices, neither the API nor relying parties.
func TestProviderKeyRotationInMidSession(t *testing.T) {
	t.Parallel()
	c := own(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: &http.Transport{Proxy: nil}, Timeout: 20 * time.Second})
	provider, err := oidc.NewProvider(ctx, api.URL+"/oauth2")
	if err != nil {
		t.Fatal(err)
	}
	verify := func(token string) error {
		_, err := provider.Verifier(&oidc.Config{ClientID: "netbird-dashboard"}).Verify(ctx, token)
		return err
	}
	kid := func(token string) string {
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
		var head struct{ Kid string }
		if err != nil || json.Unmarshal(text, &head) != nil {
			t.Fatalf("no header: %.60s", token)
		}
		return head.Kid
	}
	works := func(token string) bool {
		return harness.NewREST(api.URL, "").Do(t, "GET", "/api/users/current", nil, "Authorization: Bearer "+token).Status == 200
	}
	l, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	first := l.Redeem(t, signIn(c, walk, l.URL(nil), l.Redirect))
	if err := verify(first.ID); err != nil || !works(first.Access) {
		t.Fatal(err)
	}
	rotate(t, api.All[0], "rotate-keys")
	now := l.Again(t, first.Refresh)
	if kid(now.ID) != kid(first.ID) {
		t.Error("a key signs that nobody knows yet")
	}
	// An hour passes.
	c.SQL(t, "UPDATE signing_key SET signs_from = signs_from - interval '71 minutes', signs_until = signs_until - interval '71 minutes'")
	var later *harness.Tokens
	harness.Eventually(t, 45*time.Second, "the new key signs on both replicas", func() error {
		a := l.Again(t, now.Refresh)
		b := l.Again(t, a.Refresh)
		if a.Error != "" || b.Error != "" {
			t.Fatalf("refresh: %+v %+v", a, b)
		}
		now, later = b, a
		if kid(a.ID) == kid(first.ID) || kid(b.ID) == kid(first.ID) {
			return errors.New("the old one still does")
		}
		return nil
	})
	for _, token := range []*harness.Tokens{first, later, now} {
		if err := verify(token.ID); err != nil || !works(token.Access) {
			t.Errorf("a token of key %s: %v", kid(token.ID), err)
		}
	}
	if s := walk.Get(l.URL(url.Values{"prompt": {"none"}, "id_token_hint": {first.ID}}), l.Redirect); s.URL.Query().Get("code") == "" {
		t.Errorf("a hint of the old key: %v", s.URL)
	}
	// Stolen: nothing it signed is good.
	rotate(t, api.All[1], "replace-keys")
	harness.Eventually(t, 45*time.Second, "what the old keys have signed is refused", func() error {
		a := harness.NewREST(api.URL, "").Do(t, "GET", "/oauth2/userinfo", nil, "Authorization: Bearer "+first.Access)
		b := harness.NewREST(api.URL, "").Do(t, "GET", "/oauth2/userinfo", nil, "Authorization: Bearer "+first.Access)
		if a.Status != 401 || b.Status != 401 {
			return fmt.Errorf("%d and %d", a.Status, b.Status)
		}
		return nil
	})
	if again := l.Again(t, now.Refresh); again.Error != "" || verify(again.ID) != nil {
		t.Errorf("a new token after that: %+v", again.Error)
	}
}

// Everything that was begun and never ended goes away by itself.
func TestProviderPrunes(t *testing.T) {
	c, api := providerOf(t)
	l := harness.NewLogin(api.URL)
	if s := harness.NewWalk(t).Get(l.URL(nil)); s.Status != 200 {
		t.Fatalf("no login page: %d", s.Status)
	}
	c.SQL(t, "UPDATE oauth_login SET expires_at = now() - interval '1 second'")
	harness.Eventually(t, 80*time.Second, "the old login is gone", func() error {
		if n := c.SQL(t, "SELECT count(*) FROM oauth_login WHERE expires_at < now()"); n != "0" {
			return fmt.Errorf("%s are left", n)
		}
		return nil
	})
}
