package system

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

// A replica whose people sign in at a provider that is not ours.
func external(t *testing.T, c *harness.Cluster) *harness.Sibling {
	t.Helper()
	return c.Sibling(t, "dashboard-api-1", map[string]string{"oidc_embedded": "false", "oidc_issuer": "https://idp.test/", "oidc_audience": "rookery",
		"oidc_keys_url": "http://127.0.0.1:9/keys", "oidc_allow_private_issuers": "true"})
}

// Where people sign in elsewhere, they are invited before they come, and nothing of ours has a password.
func TestRESTPeopleOfAnotherProvider(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	r := harness.NewREST("http://"+external(t, c).Listen, s.Token)
	name, group := strings.ToLower(s.Name), s.NewGroup(t, "of-the-invited")
	body := map[string]any{"email": name + "@x.test", "name": name, "role": "auditor", "auto_groups": []string{group}}
	var made struct {
		api.User
		Password *string `json:"password"`
	}
	r.Want(t, 200, "POST", "/api/users", body, &made)
	at := "/api/users/" + made.Id
	defer s.Do(t, "DELETE", at, nil)
	if made.Status != "invited" || made.Password != nil || made.Role != "auditor" || made.IsBlocked || made.LastLogin == nil || !made.LastLogin.IsZero() {
		t.Errorf("%+v", made)
	}
	r.WantError(t, 409, "can't invite a user with an existing netbird account", "POST", "/api/users", body)
	if a := r.Want(t, 200, "POST", at+"/invite", nil, nil); strings.TrimSpace(string(a.Body)) != "{}" {
		t.Errorf("%s", a.Body)
	}
	if told := events(t, s.REST, "target="+made.Id+"&activity=user.invite"); len(told) != 2 {
		t.Errorf("%d events of the invitation", len(told))
	}
	var changed api.User
	r.Want(t, 200, "PUT", at, map[string]any{"role": "user", "auto_groups": []string{}, "is_blocked": true}, &changed)
	if changed.Status != "blocked" || changed.Role != "user" {
		t.Errorf("%+v", changed)
	}
	r.WantError(t, 403, "failed to process update for user "+made.Id+": unable to block owner user", "PUT", at,
		map[string]any{"role": "owner", "auto_groups": []string{}, "is_blocked": true})
	r.WantError(t, 403, "failed to process update for user "+made.Id+": nobody can own the account before having signed in", "PUT", at,
		map[string]any{"role": "owner", "auto_groups": []string{}, "is_blocked": false})

	var me struct{ ID string }
	s.Want(t, 200, "GET", "/api/users/current", nil, &me)
	r.WantError(t, 412, "can't invite a user with an activated netbird account", "POST", "/api/users/"+me.ID+"/invite", nil)
	r.WantError(t, 404, "user: nobody not found", "POST", "/api/users/nobody/invite", nil)
	r.WantError(t, 412, "password change is only available with embedded identity provider", "PUT", "/api/users/"+me.ID+"/password",
		map[string]string{"old_password": "x", "new_password": "y"})
	for _, call := range [][2]string{{"GET", ""}, {"POST", ""}, {"DELETE", "/x"}, {"POST", "/x/regenerate"},
		{"GET", "/nbi_abcdefghijklmnopqrstuvwxyz01232LolCm"}, {"POST", "/nbi_abcdefghijklmnopqrstuvwxyz01232LolCm/accept"}} {
		r.WantError(t, 412, "invite links are only available with embedded identity provider", call[0], "/api/users/invites"+call[1], map[string]any{})
	}
	var instance struct {
		SetupRequired bool `json:"setup_required"`
	}
	r.Want(t, 200, "GET", "/api/instance", nil, &instance)
	if instance.SetupRequired {
		t.Error("there is nothing to set up")
	}
	r.WantError(t, 412, "setup is only available with embedded identity provider", "POST", "/api/setup",
		map[string]string{"email": "a@b.co", "name": "A", "password": goodPassword})
}

// Who vouches for a user is in the user's id.
func TestRESTWhoVouchesForAUser(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	r := c.REST()
	person, robot := c.Person(t, "user"), c.Robot(t, "user")
	var users []api.User
	r.Want(t, 200, "GET", "/api/users", nil, &users)
	for _, u := range users {
		switch u.Id {
		case person.ID:
			if u.IdpId == nil || *u.IdpId != "local" {
				t.Errorf("%+v", u)
			}
		case robot.ID:
			if u.IdpId != nil || u.Email != "" {
				t.Errorf("%+v", u)
			}
		}
	}
}

// Two who set the instance up at once, each at another replica: one of them owns it.
func TestIdentity01SetupHappensOnce(t *testing.T) {
	c := own(t)
	needsProcesses(t, c)
	at := apiReplicas(c, "")
	if len(at) < 2 {
		t.Skip("needs two replicas of the API")
	}
	required := func(r *harness.REST) bool {
		var instance struct {
			SetupRequired bool `json:"setup_required"`
		}
		r.Do(t, "GET", "/api/instance", nil, "Cache-Control: no-cache").JSON(t, &instance)
		return instance.SetupRequired
	}
	for message, change := range map[string]map[string]any{
		"email is required":                         {"email": ""},
		"invalid email format":                      {"email": "nobody"},
		"name is required":                          {"name": ""},
		"password is required":                      {"password": ""},
		"password must be at least 8 characters":    {"password": "Short 1"},
		"password must be at most 72 characters":    {"password": "A1 " + strings.Repeat("x", 70)},
		"pat_expire_in must be between 1 and 365":   {"create_pat": true, "pat_expire_in": 366},
		"pat_expire_in must be between 1 and 365 ":  {"create_pat": true, "pat_expire_in": 0},
		"pat_expire_in must be between 1 and 365  ": {"create_pat": true, "pat_expire_in": -1, "email": ""},
		"password must be at most 72 characters ":   {"password": strings.Repeat("é", 40)},
		"password must be at least 8 characters ":   {"password": "Sh0rt !"},
	} {
		body := map[string]any{"email": "a@b.co", "name": "A", "password": goodPassword}
		for k, v := range change {
			body[k] = v
		}
		at[0].WantError(t, 422, strings.TrimSpace(message), "POST", "/api/setup", body)
	}
	at[0].WantError(t, 400, "invalid request body", "POST", "/api/setup", `{"email":`)
	for round := range 10 {
		c.SQL(t, "DELETE FROM account")
		if !required(at[round%2]) {
			t.Fatal("an empty server does not ask to be set up")
		}
		answers := make([]*harness.Answer, 4)
		var wait sync.WaitGroup
		for n := range answers {
			wait.Go(func() {
				answers[n], _ = at[n%2].Try(t.Context(), "POST", "/api/setup",
					map[string]any{"email": fmt.Sprintf("a%d@b.co", n), "name": "A", "password": goodPassword, "create_pat": true})
			})
		}
		wait.Wait()
		won := 0
		for _, a := range answers {
			switch {
			case a == nil:
				t.Error("no answer")
			case a.Status == 200:
				won++
				var made struct {
					Token string `json:"personal_access_token"`
				}
				a.JSON(t, &made)
				harness.NewREST(c.APIURL, made.Token).Want(t, 200, "GET", "/api/users/current", nil, nil)
			default:
				if err := a.Error(412, "setup already completed"); err != nil {
					t.Error(err)
				}
			}
		}
		if got := c.SQL(t, "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM users), (SELECT count(*) FROM pat)"); won != 1 || got != "1|1|1" {
			t.Fatalf("round %d: %d have set it up; accounts, users, tokens: %s", round, won, got)
		}
		if required(at[0]) || required(at[1]) {
			t.Error("it asks to be set up once more")
		}
	}
}

// S21: whoever sets the instance up stands in the log with the address that they came from, and with nothing that is secret.
func TestIdentity01SetupIsLogged(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	open := p.All[0].Twin(t, map[string]string{"trusted_proxies": "192.0.2.0/24"})
	rest := func(at string) func(from string) []string {
		return func(from string) []string {
			var made struct {
				Token string `json:"personal_access_token"`
			}
			a := harness.NewREST(at, "").Do(t, "POST", "/api/setup", map[string]any{"email": webEmail, "name": "Ada", "password": webPassword,
				"create_pat": true}, "X-Forwarded-For: "+from)
			if a.JSON(t, &made); a.Status != 200 || made.Token == "" {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			return []string{made.Token}
		}
	}
	for _, way := range []struct {
		name, from, source string
		setUp              func(from string) []string // what it has made that is secret
		log                func() string
	}{
		{"over REST, through a proxy that is trusted", "203.0.113.21", "203.0.113.21", rest(p.URL), p.Log},
		{"over REST, by somebody who says that they are another", "203.0.113.22", "127.0.0.1", rest("http://" + open.Listen), open.Log},
		{"by the wizard, through a proxy that is trusted", "2001:db8::21", "2001:db8::21", func(from string) []string {
			b := newWebBrowser(t, p.URL, from)
			page := b.do(t, "GET", "/oauth2/setup", nil)
			csrf := page.one(t, webCSRF)
			form := chosen(webPassword, "csrf", csrf, "name", "Ada", "email", webEmail)
			if done := b.do(t, "POST", page.one(t, webAction), form); done.status != 200 {
				t.Fatalf("%d %s", done.status, done.text)
			}
			return []string{csrf}
		}, p.Log},
	} {
		t.Run(way.name, func(t *testing.T) {
			p.SQL(t, "DELETE FROM account")
			secrets := append(way.setUp(way.from), webPassword)
			line := fmt.Sprintf("account %s was set up from %s\"", p.SQL(t, "SELECT id FROM account"), way.source)
			harness.Eventually(t, 10*time.Second, "the line is there", func() error {
				if n := strings.Count(way.log(), line); n != 1 {
					return fmt.Errorf("%d times %q", n, line)
				}
				return nil
			})
			for _, secret := range secrets {
				if strings.Contains(way.log(), secret) {
					t.Errorf("the log holds %.8s...", secret)
				}
			}
		})
	}
}
