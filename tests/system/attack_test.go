package system

import (
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// Attacks on the REST API. Those on tokens of identity providers, on sign-in and on SCIM stand with each of them.

// Whoever is blocked has a token that opens nothing, on every replica at once; who is deleted has none.
func TestAttackTokenOfABlockedUser(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	owner := c.REST()
	for _, service := range []bool{false, true} {
		who := c.Person(t, "admin")
		if service {
			who = c.Robot(t, "admin")
		}
		who.Want(t, 200, "GET", "/api/groups", nil, nil)
		change := map[string]any{"role": "admin", "auto_groups": []string{}, "is_blocked": true}
		owner.Want(t, 200, "PUT", "/api/users/"+who.ID, change, nil)
		before := c.Written(t)
		for _, r := range apiReplicas(c, who.Token) {
			for _, op := range operations(t) {
				a := send(t, r, op)
				if a.Status != 403 || !strings.Contains(string(a.Body), "user is blocked") {
					t.Errorf("blocked, %s: %d %s", op.Name, a.Status, a.Body)
				}
			}
		}
		if what := c.WrittenSince(t, before); what != "" {
			t.Errorf("a blocked user has written something: %s", what)
		}
		change["is_blocked"] = false
		owner.Want(t, 200, "PUT", "/api/users/"+who.ID, change, nil)
		who.Want(t, 200, "GET", "/api/groups", nil, nil)
		owner.Want(t, 200, "DELETE", "/api/users/"+who.ID, nil, nil)
		for _, r := range apiReplicas(c, who.Token) {
			r.WantError(t, 401, "token invalid", "GET", "/api/groups", nil)
		}
	}
}

// S22. Nobody becomes, makes or invites somebody who may do more than they may.
func TestAttackRoleEscalation(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	var me struct{ ID string }
	c.REST().Want(t, 200, "GET", "/api/users/current", nil, &me)
	robot, victim := c.Robot(t, "admin"), c.Person(t, "user")
	admin := c.Person(t, "admin")
	people := map[string]*harness.User{"admin": admin, "service admin": c.Robot(t, "admin")}
	for _, role := range []string{"network_admin", "auditor", "user", "billing_admin"} {
		people[role], people["service "+role] = c.Person(t, role), c.Robot(t, role)
	}
	update := func(role string) map[string]any {
		return map[string]any{"role": role, "auto_groups": []string{}, "is_blocked": false}
	}
	person := func(role string) map[string]any {
		return map[string]any{"role": role, "auto_groups": []string{}, "name": "n", "email": "escalation@x.test"}
	}
	// In whatever letters, and hidden behind a harmless one.
	owners := []any{update("owner"), update("OWNER"), `{"role":"user","auto_groups":[],"role":"owner"}`, `{"role":"user","auto_groups":[],"Role":"owner"}`}
	before := c.Written(t)
	for name, who := range people {
		refused := func(method, path string, body any, statuses ...int) {
			t.Helper()
			if a := who.Do(t, method, path, body); !slices.Contains(statuses, a.Status) {
				t.Errorf("%s, %s %s %v: %d %s", name, method, path, body, a.Status, a.Body)
			}
		}
		for _, body := range owners {
			refused("PUT", "/api/users/"+who.ID, body, 403)
			refused("PUT", "/api/users/"+victim.ID, body, 403)
		}
		refused("PUT", "/api/users/"+me.ID, update("user"), 403) // the owner is put down
		refused("PUT", "/api/users/"+me.ID, map[string]any{"role": "owner", "auto_groups": []string{}, "is_blocked": true}, 403)
		refused("DELETE", "/api/users/"+me.ID, nil, 403)
		refused("DELETE", "/api/users/"+who.ID, nil, 403, 422)
		for _, role := range []string{"owner", "OWNER", "Owner"} {
			refused("POST", "/api/users", person(role), 403, 422)
			refused("POST", "/api/users/invites", person(role), 403, 422)
			robot := person(role)
			robot["is_service_user"] = true
			refused("POST", "/api/users", robot, 403, 422)
		}
		// Somebody else's tokens.
		refused("POST", "/api/users/"+me.ID+"/tokens", map[string]any{"name": "t", "expires_in": 1}, 403)
		refused("GET", "/api/users/"+me.ID+"/tokens", nil, 403)
		refused("PUT", "/api/users/"+me.ID+"/password", map[string]any{"old_password": "x", "new_password": goodPassword}, 403, 422)
		if strings.HasSuffix(name, "admin") && !strings.Contains(name, "_") {
			continue
		}
		for _, body := range []any{update("admin"), update("user")} {
			refused("PUT", "/api/users/"+who.ID, body, 403)
			refused("PUT", "/api/users/"+victim.ID, body, 403)
		}
		refused("POST", "/api/users", person("user"), 403)
		refused("POST", "/api/users/invites", person("user"), 403)
		refused("POST", "/api/users/"+robot.ID+"/tokens", map[string]any{"name": "t", "expires_in": 1}, 403)
		refused("POST", "/api/users/"+victim.ID+"/approve", nil, 403)
		refused("POST", "/api/identity-providers", map[string]any{"type": "oidc", "name": "p", "issuer": "https://idp.test",
			"client_id": "c", "client_secret": "s"}, 403)
		refused("POST", "/api/reverse-proxies/proxy-tokens", map[string]any{"name": "t"}, 403)
		refused("POST", "/api/setup", map[string]any{"email": "a@b.co", "name": "A", "password": goodPassword}, 412)
	}
	if what := c.WrittenSince(t, before); what != "" {
		t.Errorf("something was written: %s", what)
	}
	// Their roles are what they were.
	for name, who := range people {
		role := strings.TrimPrefix(name, "service ")
		if got := c.SQL(t, "SELECT role FROM users WHERE id = '"+who.ID+"'"); got != role {
			t.Errorf("%s is %s", name, got)
		}
	}
}

// What one tenant has is in no list of another, in either direction.
func TestAttackListsOfAnotherAccount(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	w := newWorld(t, c)
	theirs := foreign(t, c)
	tenant := c.As(t, theirs["userId"])
	c.SQL(t, fmt.Sprintf(`INSERT INTO proxy_token (id, account_id, name, hash, created_by) VALUES ('x%s', '%s', 'f', 'foreign', 'x')`,
		theirs["tokenId"][1:], theirs["accountId"]))
	asked := 0
	for _, op := range operations(t) {
		if op.Method != "GET" || strings.Contains(op.Path, "{") {
			continue
		}
		asked++
		for _, side := range []struct {
			r    *harness.REST
			not  map[string]string
			what string
		}{{w.REST, theirs, "ours"}, {tenant.REST, w.ids, "theirs"}} {
			a := side.r.Do(t, "GET", op.Path, nil)
			for name, id := range side.not {
				if len(id) > 8 && strings.Contains(string(a.Body), id) {
					t.Errorf("%s of %s shows the other's %s", op.Name, side.what, name)
				}
			}
			if a.Status >= 500 {
				t.Errorf("%s of %s: %d %s", op.Name, side.what, a.Status, a.Body)
			}
		}
	}
	// And nothing of ours can be changed or read with their token.
	before := c.Written(t)
	for _, op := range operations(t) {
		if !strings.Contains(op.Path, "{") {
			continue
		}
		var body any
		if b := w.body(op.Name); b != nil {
			body = b
		}
		asked++
		a := tenant.Do(t, op.Method, w.path(op.Path), body)
		empty := a.Status == 200 && op.Method == "GET" && strings.TrimSpace(string(a.Body)) == "[]"
		if a.Status < 400 && !empty && !strings.HasPrefix(op.Path, "/api/locations/") || a.Status >= 500 {
			t.Errorf("their %s: %d %s", op.Name, a.Status, a.Body)
		}
	}
	if what := c.WrittenSince(t, before); what != "" {
		t.Errorf("something of ours was written: %s", what)
	}
	revoke := "/api/reverse-proxies/proxy-tokens/x" + theirs["tokenId"][1:]
	w.WantError(t, 404, "token not found", "DELETE", revoke, nil)
	t.Logf("%d requests", asked)
}

// Tokens that are too old, too long, or of another kind.
func TestAttackTokensOfREST(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	who := c.Person(t, "admin")
	at := apiReplicas(c, who.Token)[0]
	refused := func(what, authorization string) {
		t.Helper()
		if err := anonymous(c).Do(t, "GET", "/api/groups", nil, "Authorization: "+authorization).Error(401, "token invalid"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	at.Want(t, 200, "GET", "/api/groups", nil, nil)
	c.SQL(t, "UPDATE pat SET expires_at = now() - interval '1 second' WHERE user_id = '"+who.ID+"'")
	refused("expired", "Token "+who.Token)
	refused("expired, as Bearer", "Bearer "+who.Token)
	refused("longer", "Token "+who.Token+"0")
	refused("shorter", "Token "+who.Token[:39])
	refused("in other letters", "Token "+strings.ToUpper(who.Token))
	refused("well-formed", "Token "+harness.NewPAT(t))
	refused("of 8 KB", "Token nbp_"+strings.Repeat("a", 8<<10))
	refused("of 8 KB, as Bearer", "Bearer "+strings.Repeat("a", 4000)+"."+strings.Repeat("b", 4000)+".c")
	refused("unsigned", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.")
	s := c.Lonely(t)
	refused("an invitation's", "Token "+invited(t, s.REST, strings.ToLower(s.Name)+"@attack.test", nil).InviteToken)
	defer c.SQLAfter("DELETE FROM user_invite WHERE email LIKE '%@attack.test'")
	var proxy proxyToken
	s.Want(t, 200, "POST", "/api/reverse-proxies/proxy-tokens", map[string]any{"name": s.Name}, &proxy)
	refused("a proxy's", "Token "+proxy.PlainToken)
	// Larger than any header may be: refused or cut off, and the replica lives.
	for _, n := range []int{64 << 10, 1 << 20, 16 << 20} {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(at.URL, "http://"), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = fmt.Fprintf(conn, "GET /api/groups HTTP/1.1\r\nHost: x\r\nAuthorization: Token %s\r\n\r\n", strings.Repeat("a", n))
		answer := make([]byte, 512)
		got, _ := conn.Read(answer)
		if text := string(answer[:got]); got > 0 && !strings.HasPrefix(text, "HTTP/1.1 4") {
			t.Errorf("a token of %d bytes: %q", n, text)
		}
		conn.Close()
	}
	if a := apiReplicas(c, c.Token)[0].Do(t, "GET", "/api/groups", nil); a.Status != 200 {
		t.Errorf("afterwards: %d %s", a.Status, a.Body)
	}
}

// burst sends a request so often, several at once, and counts the answers by status.
func burst(t *testing.T, n int, send func(i int) (*harness.Answer, error)) map[int]int {
	t.Helper()
	var mu sync.Mutex
	var wait sync.WaitGroup
	tally, next := map[int]int{}, 0
	for range 16 {
		wait.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				a, err := send(i)
				mu.Lock()
				if err != nil {
					tally[0]++
				} else {
					tally[a.Status]++
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return tally
}

// Whoever has somebody's token does not find out the password by changing it: of 10,000 guesses a handful are looked at.
func TestAttackPasswordGuessesByChange(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	var made struct{ ID, Password string }
	name := fmt.Sprintf("guessed-%d", time.Now().UnixNano())
	c.REST().Want(t, 200, "POST", "/api/users", map[string]any{"name": name, "email": name + "@x.test", "role": "user", "auto_groups": []string{}}, &made)
	defer c.REST().Do(t, "DELETE", "/api/users/"+made.ID, nil)
	at := apiReplicas(c, c.As(t, made.ID).Token)
	path, started := "/api/users/"+made.ID+"/password", time.Now()
	tally := burst(t, 10000, func(i int) (*harness.Answer, error) {
		return at[i%len(at)].Try(t.Context(), "PUT", path, map[string]string{"old_password": fmt.Sprintf("Guess %d!", i), "new_password": goodPassword})
	})
	looked, minutes := tally[422], int(time.Since(started)/time.Minute)+1
	if looked < 5 || looked > 5+minutes || tally[429]+tally[503]+looked != 10000 {
		t.Errorf("%v after %v", tally, time.Since(started))
	}
	t.Logf("%v in %v", tally, time.Since(started).Round(time.Second))
	// The right one waits too, and works once there is another try.
	body := map[string]string{"old_password": made.Password, "new_password": goodPassword}
	if a := at[0].Do(t, "PUT", path, body); a.Status != 429 && a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	} else if a.Status == 429 {
		c.SQL(t, "UPDATE rate_bucket SET at = at - interval '2 minutes' WHERE who = '"+made.ID+"'")
		at[1%len(at)].Want(t, 200, "PUT", path, body, nil)
	}
	// Nobody else has to wait.
	other := c.Person(t, "user")
	other.WantError(t, 422, "failed to update password: current password is incorrect", "PUT", "/api/users/"+other.ID+"/password",
		map[string]string{"old_password": "x", "new_password": goodPassword})
}

// S23. 10,000 guesses at invitations from one address.
func TestAttackInviteGuesses(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	at, from, started := apiReplicas(c, ""), harness.FromElsewhere(), time.Now()
	tokens := make([]string, 10000)
	for i := range tokens {
		tokens[i] = "nbi_" + harness.NewPAT(t)[4:]
	}
	tally := burst(t, len(tokens), func(i int) (*harness.Answer, error) {
		return at[i%len(at)].Try(t.Context(), "GET", "/api/users/invites/"+tokens[i], nil, from)
	})
	looked, most := tally[404], 6+int(time.Since(started)/(6*time.Second))
	if looked < 5 || looked > most || tally[429]+tally[503]+looked != len(tokens) {
		t.Errorf("%v after %v", tally, time.Since(started))
	}
	t.Logf("%v in %v", tally, time.Since(started).Round(time.Second))
}

// S14. What a stranger, or a user without rights, is told does not depend on who or what exists.
func TestAttackEnumeration(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	user, other := c.Person(t, "user"), c.Person(t, "user")
	s := c.Lonely(t)
	stranger := apiReplicas(c, "")[0]
	gone := invited(t, s.REST, strings.ToLower(s.Name)+"@enumerated.test", nil)
	s.Want(t, 200, "DELETE", "/api/users/invites/"+gone.ID, nil, nil)
	same := func(what string, ask func(there bool) *harness.Answer) {
		t.Helper()
		a, b := ask(true), ask(false)
		if a.Status != b.Status || string(a.Body) != string(b.Body) {
			t.Errorf("%s: %d %s, but %d %s", what, a.Status, a.Body, b.Status, b.Body)
		}
	}
	pick := func(there bool, a, b string) string {
		if there {
			return a
		}
		return b
	}
	body := map[string]string{"old_password": "x", "new_password": goodPassword}
	same("another user's password", func(there bool) *harness.Answer {
		return user.Do(t, "PUT", "/api/users/"+pick(there, other.ID, "nobody")+"/password", body)
	})
	same("a deleted invitation", func(there bool) *harness.Answer {
		return stranger.Do(t, "GET", "/api/users/invites/"+pick(there, gone.InviteToken, "nbi_"+harness.NewPAT(t)[4:]), nil, harness.FromElsewhere())
	})
	same("inviting without the right to", func(there bool) *harness.Answer {
		return user.Do(t, "POST", "/api/users/invites", map[string]any{"email": pick(there, other.ID+"@x.test", "nobody@x.test"), "name": "N",
			"role": "user", "auto_groups": []string{}})
	})
	same("setting up again", func(there bool) *harness.Answer {
		return stranger.Do(t, "POST", "/api/setup", map[string]any{"email": pick(there, other.ID+"@x.test", "nobody@x.test"), "name": "N", "password": goodPassword})
	})
	for _, op := range operations(t) {
		if strings.Count(op.Path, "{userId}") == 1 && !strings.Contains(op.Path, "/tokens") && !strings.Contains(op.Path, "/password") {
			same(op.Name+" without the right to", func(there bool) *harness.Answer {
				return user.Do(t, op.Method, strings.ReplaceAll(op.Path, "{userId}", pick(there, other.ID, "nobody")), map[string]any{})
			})
		}
	}
}

// S26. Whatever the tests have done so far with this cluster, and what is done here on purpose: no log of any service or store has a
// token, a password or a key in it.
func TestAttackSecretsAreInNoLog(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	at := apiReplicas(c, "")
	made := invited(t, s.REST, strings.ToLower(s.Name)+"@log.test", nil)
	defer c.SQLAfter("DELETE FROM users WHERE email LIKE '%@log.test'")
	const password, wrong = "Never in a log 1!", "Nor is th1s one!"
	secrets := map[string]string{"an invitation's token": made.InviteToken, "a password": password, "a wrong password": wrong,
		"the owner's token": c.Token, "a setup key": s.Key}
	for _, p := range []string{wrong[:6], wrong, password} {
		for _, r := range at {
			r.Do(t, "GET", "/api/users/invites/"+made.InviteToken, nil, harness.FromElsewhere())
			r.Do(t, "POST", "/api/users/invites/"+made.InviteToken+"/accept", map[string]string{"password": p}, harness.FromElsewhere())
		}
	}
	var users []struct{ ID, Email string }
	s.Want(t, 200, "GET", "/api/users", nil, &users)
	for _, u := range users {
		if u.Email != made.Email && u.Email != strings.ToLower(s.Name)+"@log.test" {
			continue
		}
		self := c.As(t, u.ID)
		secrets["a user's token"] = self.Token
		for _, old := range []string{wrong, password} {
			self.Do(t, "PUT", "/api/users/"+u.ID+"/password", map[string]string{"old_password": old, "new_password": goodPassword})
		}
		var pat struct {
			Plain string `json:"plain_token"`
		}
		s.Do(t, "DELETE", "/api/users/"+u.ID, nil)
		self.Do(t, "GET", "/api/groups", nil)
		robot := c.Robot(t, "user")
		s.Want(t, 200, "POST", "/api/users/"+robot.ID+"/tokens", map[string]any{"name": "t", "expires_in": 1}, &pat)
		secrets["a service user's token"] = pat.Plain
	}
	if secrets["a user's token"] == "" {
		t.Error("the invitation has made nobody")
	}
	var proxy proxyToken
	s.Want(t, 200, "POST", "/api/reverse-proxies/proxy-tokens", map[string]any{"name": s.Name}, &proxy)
	secrets["a proxy's token"] = proxy.PlainToken
	// Errors of the database name what they were about.
	s.Do(t, "POST", "/api/users", `{"name":"`+password+`","email":"x","role":"root"}`)
	bare := harness.NewBare(t, front(t, c), "log")
	bare.Login(t, s.Key)

	pattern := regexp.MustCompile(`nb[pix]_[0-9A-Za-z]{30,}`)
	bearer := regexp.MustCompile(`eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}`)
	texts := c.LogTexts(t)
	if len(texts) < 5 {
		t.Fatalf("only %d logs", len(texts))
	}
	for file, text := range texts {
		for what, secret := range secrets {
			escaped, _ := json.Marshal(secret)
			if secret != "" && (strings.Contains(text, secret) || strings.Contains(text, strings.Trim(string(escaped), `"`))) {
				t.Errorf("%s: %s", file, what)
			}
		}
		for _, p := range []*regexp.Regexp{pattern, bearer} {
			if found := p.FindString(text); found != "" {
				t.Errorf("%s: a token like %.8s...", file, found)
			}
		}
	}
	t.Logf("%d logs", len(texts))
}
