package system

import (
	"net/url"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

// Tokens that have been taken back are refused at once, over REST as by the provider; those of the same person elsewhere are not.
func TestTokensThatWereTakenBack(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	type browser struct {
		*harness.Login
		*harness.Walk
	}
	begin := func() browser { return browser{harness.NewLogin(p.URL), harness.NewWalk(t)} }
	password := webPassword
	login := func(b browser) *harness.Tokens {
		t.Helper()
		s := b.Get(b.Login.URL(nil), b.Redirect)
		if s.Status == 200 {
			s = b.Walk.Fill(s, url.Values{"login": {webEmail}, "password": {password}}, b.Redirect)
		}
		return b.Redeem(t, s)
	}
	good := func(what, token string) {
		t.Helper()
		if a := harness.NewREST(p.URL, "").Do(t, "GET", "/api/users/current", nil, "Authorization: Bearer "+token); a.Status != 200 {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	// The text is the one upon which the dashboard signs in again, in place of showing an error.
	takenBack := func(what, token string) {
		t.Helper()
		a := harness.NewREST(p.URL, "").Do(t, "GET", "/api/users/current", nil, "Authorization: Bearer "+token)
		if a.Status != 401 || !strings.Contains(string(a.Body), `"token expired"`) {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}

	desk, phone := begin(), begin()
	first, second, other := login(desk), login(desk), login(phone)
	for _, token := range []string{first.Access, first.ID, second.Access, other.Access} {
		good("a new token", token)
	}
	desk.Get(p.URL + "/oauth2/logout?" + url.Values{"client_id": {"netbird-dashboard"}, "id_token_hint": {second.ID}}.Encode())
	takenBack("signed out", second.Access)
	takenBack("signed out, in another tab", first.Access)
	takenBack("signed out, the ID token", first.ID)
	good("elsewhere", other.Access)
	if phone.Again(t, other.Refresh).Error != "invalid_grant" {
		t.Error("the same client still gets new tokens without a session")
	}

	// Without its cookie the hint says which browser is meant.
	third := login(desk)
	harness.NewWalk(t).Get(p.URL + "/oauth2/logout?" + url.Values{"id_token_hint": {third.ID}}.Encode())
	takenBack("signed out by the hint alone", third.Access)
	good("elsewhere still", other.Access)

	// A code's second use.
	s := phone.Get(phone.Login.URL(nil), phone.Redirect)
	fourth := phone.Redeem(t, s)
	good("of a code", fourth.Access)
	if status, out, _ := ask(t, p.URL+"/oauth2/token", redeemForm(phone.Login, s.URL.Query().Get("code"))); status != 400 {
		t.Fatalf("a code twice: %d %v", status, out)
	}
	takenBack("of a code that was used again", fourth.Access)

	// A new password: whoever changed it stays, everybody else goes.
	desk, phone = begin(), begin()
	here, there := login(desk), login(phone)
	id, _ := harness.Claims(t, here.Access)["sub"].(string)
	a := harness.NewREST(p.URL, "").Do(t, "PUT", "/api/users/"+id+"/password", map[string]string{"old_password": password,
		"new_password": "Correct-horse-2"}, "Authorization: Bearer "+here.Access)
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	good("who has changed the password", here.Access)
	takenBack("elsewhere, by the old password", there.Access)
	if again := desk.Again(t, here.Refresh); again.Error != "" {
		t.Errorf("who has changed the password: %v", again)
	}
	login(desk) // by its session: the old password would not do
	password = "Correct-horse-2"
	login(phone)
}
