package system

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

// The device grant: S9, S10 and the rules of polling, on two replicas that get requests in turn.

type device struct {
	Code, User string
	Complete   string
}

var deviceForm = url.Values{"client_id": {"netbird-cli"}, "scope": {"openid profile email groups"}, "audience": {"netbird-cli"}}

func newDevice(t *testing.T, api *harness.Replicas, headers ...string) *device {
	t.Helper()
	status, out, header := ask(t, api.URL+"/oauth2/device/code", deviceForm, headers...)
	d := &device{fmt.Sprint(out["device_code"]), fmt.Sprint(out["user_code"]), fmt.Sprint(out["verification_uri_complete"])}
	if status != 200 || !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(d.User) || len(d.Code) < 22 ||
		out["verification_uri"] != api.URL+"/oauth2/device" || d.Complete != api.URL+"/oauth2/device?user_code="+d.User ||
		out["expires_in"] != 300.0 || out["interval"] != 5.0 || header.Get("Cache-Control") != "no-store" {
		t.Fatalf("a device code: %d %v", status, out)
	}
	return d
}

func poll(t *testing.T, api *harness.Replicas, d *device) (int, map[string]any) {
	t.Helper()
	status, out, _ := ask(t, api.URL+"/oauth2/token", url.Values{"client_id": {"netbird-cli"},
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {d.Code}})
	return status, out
}

// typeCode goes from the page of codes to the page that asks, signing in on the way if need be.
func typeCode(t *testing.T, c *harness.Cluster, w *harness.Walk, at, code string) *harness.Stop {
	t.Helper()
	s := w.Fill(w.Get(at+"&login_hint=a%40b.c"), url.Values{"user_code": {code}})
	if strings.Contains(s.URL.Path, "/auth/local/login") {
		s = w.Fill(s, ownersPassword(c))
	}
	return s
}

func TestDeviceGrant(t *testing.T) {
	c, api := providerOf(t)
	c.SQL(t, "DELETE FROM oauth_limit")
	page := api.URL + "/oauth2/device?x=y"
	d := newDevice(t, api, "X-Forwarded-For: 203.0.113.7")
	status, out := poll(t, api, d)
	refusedWith(t, "first poll", "authorization_pending", status, out)
	status, out = poll(t, api, d)
	refusedWith(t, "an early poll", "slow_down", status, out)
	// An early poll raises nothing: an interval after the last answer it is pending again.
	c.SQL(t, "UPDATE oauth_device SET polled_at = polled_at - interval '4.1 seconds'")
	status, out = poll(t, api, d)
	refusedWith(t, "a poll in time", "authorization_pending", status, out)

	walk := harness.NewWalk(t)
	wrong := walk.Fill(walk.Get(page), url.Values{"user_code": {"BBBB-BBBB"}})
	if wrong.Status != 200 || !strings.Contains(wrong.Body, "Invalid user code.") {
		t.Errorf("a wrong code: %d %.300s", wrong.Status, wrong.Body)
	}
	asks := typeCode(t, c, walk, page, strings.ToLower(strings.ReplaceAll(d.User, "-", " ")))
	for _, fact := range []string{d.User, "NetBird CLI", "203.0.113.7", c.OwnerEmail, `value="approve"`, `value="deny"`} {
		if !strings.Contains(asks.Body, fact) {
			t.Errorf("the page that asks says nothing of %s: %d %v %.600s", fact, asks.Status, asks.URL, asks.Body)
		}
	}
	status, out = poll(t, api, d)
	refusedWith(t, "signed in, not approved", "slow_down", status, out)
	// A stranger with the link is not who was asked; a form from elsewhere approves nothing.
	if s := harness.NewWalk(t).Get(asks.URL.String()); s.Status != 400 || strings.Contains(s.Body, d.User) {
		t.Errorf("another browser sees the page: %d", s.Status)
	}
	if s := walk.Post(asks.URL.String(), url.Values{"answer": {"approve"}, "csrf": {"guessed"}}); s.Status != 403 {
		t.Errorf("a forged approval: %d", s.Status)
	}
	if s := walk.Fill(asks, url.Values{"answer": {"approve"}}); s.Status != 200 || !strings.Contains(s.Body, "Device connected") {
		t.Fatalf("approved: %d %.400s", s.Status, s.Body)
	}
	if s := walk.Fill(asks, url.Values{"answer": {"deny"}}); s.Status != 400 {
		t.Errorf("answered twice: %d", s.Status)
	}
	// Approved counts at once, however early the poll.
	status, out = poll(t, api, d)
	if status != 200 || out["token_type"] != "bearer" || out["refresh_token"] != nil {
		t.Fatalf("approved, but %d %v", status, out)
	}
	claims := harness.Claims(t, fmt.Sprint(out["access_token"]))
	if claims["aud"] != "netbird-cli" || claims["email"] != c.OwnerEmail || claims["exp"].(float64)-claims["iat"].(float64) != 600 {
		t.Errorf("the token says %v", claims)
	}
	status, out = poll(t, api, d)
	refusedWith(t, "tokens a second time", "invalid_grant", status, out)

	// Who is signed in is asked all the same; denied is told.
	d = newDevice(t, api)
	asks = typeCode(t, c, walk, d.Complete, d.User)
	if !strings.Contains(asks.URL.Path, "/device/approve") || !strings.Contains(asks.Body, d.User) {
		t.Fatalf("with a session: %d %v", asks.Status, asks.URL)
	}
	if s := walk.Fill(asks, url.Values{"answer": {"deny"}}); s.Status != 200 {
		t.Errorf("denied: %d", s.Status)
	}
	status, out = poll(t, api, d)
	refusedWith(t, "denied", "access_denied", status, out)

	// A session that came later in this browser approves nothing that another one was asked.
	c.SQL(t, "DELETE FROM oauth_limit")
	d = newDevice(t, api)
	asks = typeCode(t, c, walk, page, d.User)
	login := harness.NewLogin(api.URL)
	_ = signIn(c, walk, login.URL(url.Values{"prompt": {"login"}}), login.Redirect)
	if s := walk.Fill(asks, url.Values{"answer": {"approve"}}); s.Status != 400 {
		t.Errorf("another session approved: %d", s.Status)
	}
	status, out = poll(t, api, d)
	refusedWith(t, "not approved", "authorization_pending", status, out)
	c.SQL(t, "UPDATE oauth_device SET good_until = now() - interval '1 second'")
	status, out = poll(t, api, d)
	refusedWith(t, "too late", "expired_token", status, out)
	if s := walk.Fill(walk.Get(page), url.Values{"user_code": {d.User}}); !strings.Contains(s.Body, "Invalid user code.") {
		t.Errorf("an old code on the page: %d %.300s", s.Status, s.Body)
	}
	for name, q := range map[string]struct {
		form   url.Values
		status int
		code   string
	}{
		"nobody":       {url.Values{"scope": {"openid"}}, 401, "invalid_client"},
		"a stranger":   {url.Values{"client_id": {"x"}, "scope": {"openid"}}, 401, "invalid_client"},
		"no device":    {url.Values{"client_id": {"netbird-dashboard"}, "scope": {"openid"}}, 400, "unauthorized_client"},
		"other scopes": {url.Values{"client_id": {"netbird-cli"}, "scope": {"openid root"}}, 400, "invalid_scope"},
	} {
		if status, out, _ := ask(t, api.URL+"/oauth2/device/code", q.form); status != q.status || out["error"] != q.code {
			t.Errorf("%s asks for a code: %d %v", name, status, out)
		}
	}
}

// S9: guesses and waiting codes are counted by all replicas together.
func TestDeviceLimits(t *testing.T) {
	c, api := providerOf(t)
	c.SQL(t, "DELETE FROM oauth_limit; DELETE FROM oauth_device")
	page := api.URL + "/oauth2/device"
	guess := func(w *harness.Walk) int {
		return w.Fill(w.Get(page), url.Values{"user_code": {"BBBB-BBBB"}}).Status
	}
	walk := harness.NewWalk(t)
	for i := range 5 {
		if status := guess(walk); status != 200 {
			t.Fatalf("guess %d: %d", i+1, status)
		}
	}
	if status := guess(walk); status != 429 {
		t.Errorf("a sixth guess of one browser: %d", status)
	}
	for i := range 14 {
		if status := guess(harness.NewWalk(t)); status != 200 {
			t.Fatalf("guess %d of the address: %d", i+7, status)
		}
	}
	if status := guess(harness.NewWalk(t)); status != 429 {
		t.Errorf("guess 21 of the address: %d", status)
	}
	c.SQL(t, "UPDATE oauth_limit SET expires_at = now()")
	if status := guess(walk); status != 200 {
		t.Errorf("five minutes later: %d", status)
	}
	for range 20 {
		newDevice(t, api)
	}
	status, out, _ := ask(t, page+"/code", deviceForm)
	if status != 429 || out["error"] != "temporarily_unavailable" {
		t.Errorf("the 21st waiting code of an address: %d %v", status, out)
	}
	newDevice(t, api, "X-Forwarded-For: 203.0.113.8")
	for i := range 20 { // one network
		newDevice(t, api, fmt.Sprintf("X-Forwarded-For: 2001:db8::%x", i+1))
	}
	if status, _, _ := ask(t, page+"/code", deviceForm, "X-Forwarded-For: 2001:db8::ffff"); status != 429 {
		t.Errorf("the 21st waiting code of a network: %d", status)
	}
	c.SQL(t, "DELETE FROM oauth_limit; DELETE FROM oauth_device")
}
