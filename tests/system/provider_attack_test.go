package system

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// refusedPage fails the test unless the walk has ended at our own page, which says nothing about why and leads to another attempt.
func refusedPage(t *testing.T, s *harness.Stop, status int) {
	t.Helper()
	if s.Status != status || !strings.HasPrefix(s.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%d at %v: %.300s", s.Status, s.URL, s.Body)
		return
	}
	for _, word := range []string{"nonce", "audience", "issuer", "signature", "invalid_grant", "token"} {
		if strings.Contains(s.Body, word) {
			t.Errorf("the page speaks of %q: %.600s", word, s.Body)
		}
	}
	if s.Link("Try again") == "" {
		t.Errorf("there is no way to try again: %.600s", s.Body)
	}
}

// sign makes a token with HMAC, as a verifier would want it that takes a public key for a secret.
func signHS256(secret []byte, header, claims map[string]any) string {
	header["alg"] = "HS256"
	text := harness.Unsigned(header, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// S2. A provider that lies, or somebody who speaks in its place, brings nobody in; when it tells the truth again they are.
func TestProvidersThatLieBringNobodyIn(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	u, other := harness.NewUpstream(t, "liar"), harness.NewUpstream(t, "other")
	p := makeProvider(t, api.REST, u, "oidc")
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&u.Key().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	now := time.Now().Unix()
	lie := func(change func(header, claims map[string]any)) func(*harness.Levers) {
		return func(l *harness.Levers) { l.Lie = change }
	}
	claim := func(name string, value any) func(*harness.Levers) {
		return lie(func(_, claims map[string]any) {
			if value == nil {
				delete(claims, name)
			} else {
				claims[name] = value
			}
		})
	}
	sign := func(make func(header, claims map[string]any) string) func(*harness.Levers) {
		return func(l *harness.Levers) { l.Sign = make }
	}
	answer := func(change func(answer map[string]any)) func(*harness.Levers) {
		return func(l *harness.Levers) { l.Answer = change }
	}
	instead := func(path, text string) func(*harness.Levers) {
		return func(l *harness.Levers) {
			l.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != path {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, text)
				return true
			}
		}
	}
	brings := func(change func(q url.Values)) func(*harness.Levers) {
		return func(l *harness.Levers) { l.Return = change }
	}
	long := strings.Repeat("x", 17<<10)
	for name, attack := range map[string]func(*harness.Levers){
		"another issuer":              claim("iss", other.URL),
		"the issuer with a slash":     claim("iss", u.URL+"/"),
		"no issuer":                   claim("iss", nil),
		"another client's token":      claim("aud", other.ClientID),
		"no audience":                 claim("aud", nil),
		"our own client as audience":  claim("aud", "netbird-dashboard"),
		"made for another client":     lie(func(_, c map[string]any) { c["aud"], c["azp"] = []string{u.ClientID, "x"}, "x" }),
		"another nonce":               claim("nonce", "0123456789012345678901234567890123456789012"),
		"no nonce":                    claim("nonce", nil),
		"expired":                     claim("exp", now-1),
		"no expiry":                   claim("exp", nil),
		"from the future":             claim("iat", now+300),
		"not yet":                     claim("nbf", now+300),
		"nobody":                      claim("sub", nil),
		"a key of the token's own":    lie(func(h, _ map[string]any) { h["jwk"], h["kid"] = map[string]any{"kty": "RSA"}, "mine" }),
		"an unknown key":              lie(func(h, _ map[string]any) { h["kid"] = "unknown" }),
		"a header that must be known": lie(func(h, _ map[string]any) { h["crit"] = []string{"x"} }),
		"signed by a stranger":        sign(func(h, c map[string]any) string { return harness.SignRS256(stranger, h, c) }),
		"not signed": sign(func(h, c map[string]any) string {
			h["alg"] = "none"
			return harness.Unsigned(h, c) + "."
		}),
		"the public key as a secret":  sign(func(h, c map[string]any) string { return signHS256(public, h, c) }),
		"the modulus as a secret":     sign(func(h, c map[string]any) string { return signHS256(u.Key().N.Bytes(), h, c) }),
		"no ID token":                 answer(func(a map[string]any) { delete(a, "id_token") }),
		"an ID token that is none":    answer(func(a map[string]any) { a["id_token"] = "a b" }),
		"an ID token too long":        answer(func(a map[string]any) { a["id_token"] = long }),
		"a claim too long":            claim("padding", long),
		"an access token with a line": answer(func(a map[string]any) { a["access_token"] = "a\r\nHost: b" }),
		"an answer too long":          answer(func(a map[string]any) { a["padding"] = strings.Repeat("x", 2<<20) }),
		"an answer that is no JSON":   instead("/token", "<html>"),
		"an answer that is a list":    instead("/token", "[]"),
		"a member twice":              instead("/token", `{"id_token":"a","id_token":"b"}`),
		"another provider's answer":   brings(func(q url.Values) { q.Set("iss", other.URL) }),
		"nobody's answer":             brings(func(q url.Values) { q.Del("iss") }),
		"no code":                     brings(func(q url.Values) { q.Del("code") }),
		"an error":                    brings(func(q url.Values) { q.Set("error", "access_denied") }),
		"without an address": func(l *harness.Levers) {
			l.Thin = true
			l.Userinfo = map[string]any{"sub": l.Person["sub"], "name": "X"}
		},
		"userinfo of another": func(l *harness.Levers) {
			l.Thin = true
			l.Userinfo = map[string]any{"sub": "somebody else", "email": "x@people.test", "name": "X"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			u.Change(func(l *harness.Levers) {
				*l = harness.Levers{Person: l.Person}
				attack(l)
			})
			defer u.Change(func(l *harness.Levers) { *l = harness.Levers{Person: l.Person} })
			login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
			s := walk.Get(login.URL(url.Values{"connector_id": {p.ID}}), login.Redirect)
			if s.Status == 0 {
				t.Fatalf("they are in: %v", s.URL)
			}
			status := 400
			if name == "an answer too long" {
				status = s.Status // whichever: it is not read
			}
			refusedPage(t, s, status)
			if left := c.SQL(t, fmt.Sprintf("SELECT count(*) FROM oauth_session WHERE connector_id = '%s'", p.ID)); left != "0" {
				t.Errorf("%s sessions", left)
			}
			// The same browser, once the provider tells the truth.
			u.Change(func(l *harness.Levers) { *l = harness.Levers{Person: l.Person} })
			login.Redeem(t, walk.Get(s.Link("Try again"), login.Redirect))
			c.SQL(t, fmt.Sprintf("DELETE FROM oauth_session WHERE connector_id = '%s'", p.ID))
		})
	}
}

// What a browser brings back counts for the login that it has begun itself, once.
func TestAnswersOfOtherLogins(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	u := harness.NewUpstream(t, "answers")
	p := makeProvider(t, api.REST, u, "oidc")
	begin := func() (*harness.Login, *harness.Walk, *url.URL) {
		login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
		s := walk.Get(login.URL(url.Values{"connector_id": {p.ID}}), api.URL+"/oauth2/callback")
		return login, walk, s.URL
	}
	with := func(u *url.URL, name, value string) string {
		changed, q := *u, u.Query()
		q.Set(name, value)
		changed.RawQuery = q.Encode()
		return changed.String()
	}
	login, walk, mine := begin()
	_, _, theirs := begin()
	refused := func(what string, s *harness.Stop) {
		t.Helper()
		if s.Status != 400 {
			t.Errorf("%s: %d at %v", what, s.Status, s.URL)
		}
	}
	asked := u.Asked("/token")
	refused("another browser", harness.NewWalk(t).Get(mine.String(), login.Redirect))
	refused("another's state", walk.Get(theirs.String(), login.Redirect))
	state := mine.Query().Get("state")
	other := map[bool]string{true: "Q", false: "A"}[strings.HasSuffix(state, "A")]
	refused("a state that was changed", walk.Get(with(mine, "state", state[:len(state)-1]+other), login.Redirect))
	refused("no state", walk.Get(with(mine, "state", ""), login.Redirect))
	refused("half a state", walk.Get(with(mine, "state", strings.Split(state, ".")[0]), login.Redirect))
	refused("a parameter twice", walk.Get(mine.String()+"&code=x", login.Redirect))
	if u.Asked("/token") != asked {
		t.Error("a code was taken along by a state that is none")
	}
	// A code that somebody else got for themselves: it was asked for with another verifier.
	refusedPage(t, walk.Get(with(mine, "code", theirs.Query().Get("code")), login.Redirect), 400)
	refused("its state once more", walk.Get(mine.String(), login.Redirect))

	login, walk, mine = begin()
	login.Redeem(t, walk.Get(mine.String(), login.Redirect))
	refused("an answer twice", walk.Get(mine.String(), login.Redirect))
}

// S8. Mix-up (RFC 9207): one provider sends the browser on to another in our name, to be given its code.
func TestProvidersAreNotMixedUp(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	evil, honest := harness.NewUpstream(t, "evil"), harness.NewUpstream(t, "honest")
	e, h := makeProvider(t, api.REST, evil, "oidc"), makeProvider(t, api.REST, honest, "oidc")
	evil.Change(func(l *harness.Levers) {
		l.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/authorize" {
				return false
			}
			q := r.URL.Query()
			q.Set("client_id", honest.ClientID)
			http.Redirect(w, r, honest.URL+"/authorize?"+q.Encode(), http.StatusFound)
			return true
		}
	})
	login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	refusedPage(t, walk.Get(login.URL(url.Values{"connector_id": {e.ID}}), login.Redirect), 400)
	honest.Change(func(l *harness.Levers) { l.Return = func(q url.Values) { q.Del("iss") } })
	login = harness.NewLogin(api.URL)
	refusedPage(t, harness.NewWalk(t).Get(login.URL(url.Values{"connector_id": {e.ID}}), login.Redirect), 400)
	if evil.Asked("/token") != 0 || honest.Asked("/token") != 0 {
		t.Errorf("codes went to evil %d times, to honest %d times", evil.Asked("/token"), honest.Asked("/token"))
	}
	honest.Change(func(l *harness.Levers) { l.Return = nil })

	// The path that names one provider does not take another's answer.
	login, walk = harness.NewLogin(api.URL), harness.NewWalk(t)
	s := walk.Get(login.URL(url.Values{"connector_id": {h.ID}}), api.URL+"/oauth2/callback")
	wrong := *s.URL
	wrong.Path += "/" + e.ID
	if got := walk.Get(wrong.String(), login.Redirect); got.Status != 400 {
		t.Errorf("by the other's path: %d at %v", got.Status, got.URL)
	}
	// Who goes to another provider halfway has only that way.
	login, walk = harness.NewLogin(api.URL), harness.NewWalk(t)
	chooser := walk.Get(login.URL(nil))
	first := walk.Get(chooser.Link("Over at honest-client"), api.URL+"/oauth2/callback")
	walk.Get(chooser.Link("Over at evil-client"), evil.URL)
	if got := walk.Get(first.URL.String(), login.Redirect); got.Status != 400 || honest.Asked("/token") != 0 {
		t.Errorf("the way that was left: %d at %v", got.Status, got.URL)
	}
}

// The same among providers that do not name themselves in their answers: the code does reach the evil one, which has no use for it.
func TestACodeThatAnotherProviderHasSeenIsSpent(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	silent := func(u *harness.Upstream) {
		u.Change(func(l *harness.Levers) {
			l.Document = func(d map[string]any) { delete(d, "authorization_response_iss_parameter_supported") }
			l.Return = func(q url.Values) { q.Del("iss") }
		})
	}
	evil, honest := harness.NewUpstream(t, "sly"), harness.NewUpstream(t, "meek")
	silent(evil)
	silent(honest)
	e, h := makeProvider(t, api.REST, evil, "oidc"), makeProvider(t, api.REST, honest, "oidc")
	forget(t, c, subject("meek-person", h.ID))

	// The attacker begins a login by the honest provider, and has the victim sign in there for it, by way of the evil one.
	attacker, theirs := harness.NewLogin(api.URL), harness.NewWalk(t)
	begun := theirs.Get(attacker.URL(url.Values{"connector_id": {h.ID}}), honest.URL).URL.Query()
	stolen := ""
	evil.Change(func(l *harness.Levers) {
		l.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			switch r.URL.Path {
			case "/authorize":
				q := r.URL.Query()
				for _, name := range []string{"client_id", "nonce", "code_challenge"} {
					q.Set(name, begun.Get(name))
				}
				http.Redirect(w, r, honest.URL+"/authorize?"+q.Encode(), http.StatusFound)
			case "/token":
				stolen = r.FormValue("code")
				w.WriteHeader(http.StatusBadRequest)
			default:
				return false
			}
			return true
		}
	})
	victim := harness.NewLogin(api.URL)
	refusedPage(t, harness.NewWalk(t).Get(victim.URL(url.Values{"connector_id": {e.ID}}), victim.Redirect), 400)
	if stolen == "" {
		t.Fatal("the evil provider has got no code: there is no attack")
	}
	refusedPage(t, theirs.Get(api.URL+"/oauth2/callback?"+url.Values{"code": {stolen}, "state": {begun.Get("state")}}.Encode(), attacker.Redirect), 400)
	if honest.Asked("/token") != 0 {
		t.Error("the stolen code was redeemed")
	}

	// A provider that sends people back to an address of its own does not even bring it here.
	var own provider
	api.Want(t, 200, "PUT", "/api/identity-providers/"+h.ID, object{"type": "oidc", "name": h.Name, "issuer": honest.URL,
		"client_id": honest.ClientID, "own_redirect_uri": true}, &own)
	if own.RedirectURI != api.URL+"/oauth2/callback/"+h.ID {
		t.Fatalf("its own address: %+v", own)
	}
	stolen = ""
	honest.Change(func(l *harness.Levers) {
		l.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if got := r.URL.Query().Get("redirect_uri"); r.URL.Path == "/authorize" && got != own.RedirectURI {
				http.Error(w, "not registered: "+got, http.StatusBadRequest)
				return true
			}
			return false
		}
	})
	begun = theirs.Get(attacker.URL(url.Values{"connector_id": {h.ID}}), honest.URL).URL.Query()
	if got := harness.NewWalk(t).Get(victim.URL(url.Values{"connector_id": {e.ID}}), victim.Redirect); got.Status != 400 || stolen != "" {
		t.Errorf("%d at %v, code %q", got.Status, got.URL, stolen)
	}
	through(t, api, h.ID)
	login, walk := harness.NewLogin(api.URL), harness.NewWalk(t)
	back := *walk.Get(login.URL(url.Values{"connector_id": {h.ID}}), own.RedirectURI).URL
	back.Path = "/oauth2/callback"
	if got := walk.Get(back.String(), login.Redirect); got.Status != 400 {
		t.Errorf("by the address that all share: %d at %v", got.Status, got.URL)
	}
}

// S17. Where a provider leads at login is as guarded as where it was when it was entered.
func TestAProviderDoesNotLeadInside(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	open := c.DashboardAPI(t, 1, nil)
	strict := c.DashboardAPI(t, 1, map[string]string{"oidc_allow_private_issuers": "false"})
	u := harness.NewUpstream(t, "inward")
	p := makeProvider(t, open.REST, u, "oidc")
	asked := u.Asked("/.well-known/openid-configuration")
	login := harness.NewLogin(strict.URL)
	refusedPage(t, harness.NewWalk(t).Get(login.URL(url.Values{"connector_id": {p.ID}}), login.Redirect), 400)
	if u.Asked("/.well-known/openid-configuration") != asked {
		t.Error("a private address was asked")
	}
	reached := false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer inside.Close()
	for _, path := range []string{"/token", "/keys"} {
		away := harness.NewUpstream(t, "away")
		q := makeProvider(t, open.REST, away, "oidc")
		away.Change(func(l *harness.Levers) {
			l.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == path {
					http.Redirect(w, r, inside.URL, http.StatusTemporaryRedirect)
				}
				return r.URL.Path == path
			}
		})
		login := harness.NewLogin(open.URL)
		s := harness.NewWalk(t).Get(login.URL(url.Values{"connector_id": {q.ID}}), login.Redirect)
		if s.Status != 400 && s.Status != 503 || reached {
			t.Errorf("a redirect of %s: %d at %v, reached %v", path, s.Status, s.URL, reached)
		}
	}
}

// S18. Key sets that are no good are no keys.
func TestKeySetsOfProviders(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 1, nil)
	b64 := base64.RawURLEncoding.EncodeToString
	for name, set := range map[string]func(u *harness.Upstream) any{
		"too long": func(u *harness.Upstream) any { return object{"keys": []any{}, "padding": strings.Repeat("x", 2<<20)} },
		"too many": func(u *harness.Upstream) any {
			var keys []any
			for i := range 200 {
				keys = append(keys, object{"kty": "RSA", "kid": fmt.Sprint(i), "n": b64(u.Key().N.Bytes()), "e": "AQAB"})
			}
			return object{"keys": keys}
		},
		"weak": func(u *harness.Upstream) any {
			return object{"keys": []any{object{"kty": "RSA", "kid": "k", "n": b64(big.NewInt(1<<62 + 1).Bytes()), "e": "AQAB"}}}
		},
		"a secret": func(u *harness.Upstream) any {
			return object{"keys": []any{object{"kty": "oct", "kid": "k", "k": "AAAA"}}}
		},
		"no set": func(u *harness.Upstream) any { return "x" },
	} {
		t.Run(name, func(t *testing.T) {
			u := harness.NewUpstream(t, "keys")
			p := makeProvider(t, api.REST, u, "oidc")
			text, err := json.Marshal(set(u))
			if err != nil {
				t.Fatal(err)
			}
			u.Change(func(l *harness.Levers) {
				l.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == "/keys" {
						_, _ = w.Write(text)
					}
					return r.URL.Path == "/keys"
				}
			})
			login := harness.NewLogin(api.URL)
			refusedPage(t, harness.NewWalk(t).Get(login.URL(url.Values{"connector_id": {p.ID}}), login.Redirect), 503)
		})
	}
}

// A provider that changes its keys is followed at the first login.
func TestProvidersThatChangeTheirKeys(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 1, nil)
	u := harness.NewUpstream(t, "rotates")
	p := makeProvider(t, api.REST, u, "oidc")
	through(t, api, p.ID)
	u.Rotate(t)
	asked := u.Asked("/keys")
	through(t, api, p.ID)
	through(t, api, p.ID)
	if got := u.Asked("/keys") - asked; got != 1 {
		t.Errorf("the keys were asked for %d times", got)
	}
}

// A provider that is away, takes its time or talks nonsense costs its own users their login, and nobody else anything.
func TestAProviderInTroubleTroublesItsOwnPeopleOnly(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, nil)
	bad, good := harness.NewUpstream(t, "bad"), harness.NewUpstream(t, "good")
	b, g := makeProvider(t, api.REST, bad, "oidc"), makeProvider(t, api.REST, good, "oidc")
	attempt := func() *harness.Stop {
		login := harness.NewLogin(api.URL)
		s, err := harness.NewWalk(t).TryGet(login.URL(url.Values{"connector_id": {b.ID}}), login.Redirect)
		if err != nil {
			t.Error(err)
			return &harness.Stop{}
		}
		return s
	}

	// Slow: nothing it is asked is answered before the others are through.
	over := make(chan struct{})
	arrived := make(chan struct{}, 1000)
	bad.Change(func(l *harness.Levers) {
		l.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			arrived <- struct{}{}
			select {
			case <-over:
			case <-r.Context().Done():
			}
			return false
		}
	})
	var slow sync.WaitGroup
	stops := make(chan *harness.Stop, 100)
	for range 40 {
		slow.Go(func() { stops <- attempt() })
	}
	<-arrived
	longest, deadline := time.Duration(0), time.Now().Add(6*time.Second)
	n := 0
	pace := time.NewTicker(60 * time.Millisecond) // what one address may begin in five minutes is bounded
	defer pace.Stop()
	for ; time.Now().Before(deadline); n++ {
		<-pace.C
		began := time.Now()
		through(t, api, g.ID)
		api.Want(t, 200, "GET", "/api/users", nil, nil)
		if took := time.Since(began); took > longest {
			longest = took
		}
	}
	close(over)
	slow.Wait()
	close(stops)
	for s := range stops {
		if s.Status != 0 { // or it came in, as it was answered in time after all
			refusedPage(t, s, 503)
		}
	}
	t.Logf("%d logins of others meanwhile, the longest took %v", n, longest)
	if n < 5 || longest > 4*time.Second {
		t.Errorf("%d logins of others, one of which took %v", n, longest)
	}
	bad.Change(func(l *harness.Levers) { l.Intercept = nil })
	through(t, api, b.ID)

	// Nonsense.
	fresh := c.DashboardAPI(t, 2, nil)
	for _, nonsense := range []string{"", "\x00\xff\xfe", "<html>", "[[[[[[", `{"issuer":`} {
		bad.Change(func(l *harness.Levers) {
			l.Intercept = func(w http.ResponseWriter, _ *http.Request) bool {
				fmt.Fprint(w, nonsense)
				return true
			}
		})
		login := harness.NewLogin(fresh.URL)
		refusedPage(t, harness.NewWalk(t).Get(login.URL(url.Values{"connector_id": {b.ID}}), login.Redirect), 400)
		through(t, fresh, g.ID)
	}
	bad.Change(func(l *harness.Levers) { l.Intercept = nil })
	through(t, fresh, b.ID)

	// Away.
	bad.Close()
	gone := c.DashboardAPI(t, 2, nil)
	login := harness.NewLogin(gone.URL)
	refusedPage(t, harness.NewWalk(t).Get(login.URL(url.Values{"connector_id": {b.ID}}), login.Redirect), 503)
	through(t, gone, g.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if a, err := gone.Try(ctx, "GET", "/api/identity-providers/"+b.ID, nil); err != nil || a.Status != 200 {
		t.Errorf("it cannot be looked at any more: %v %v", a, err)
	}
}
