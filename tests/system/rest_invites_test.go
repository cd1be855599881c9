package system

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

const goodPassword = "Long enough 1!"

type invite struct {
	ID          string
	Email       string
	Name        string
	Role        string
	AutoGroups  []string  `json:"auto_groups"`
	ExpiresAt   time.Time `json:"expires_at"`
	CreatedAt   time.Time `json:"created_at"`
	Expired     bool
	InviteToken string `json:"invite_token"`
}

// invited makes an invitation, which goes with the test.
func invited(t *testing.T, r *harness.REST, email string, change map[string]any) invite {
	t.Helper()
	body := map[string]any{"email": email, "name": "I", "role": "auditor", "auto_groups": []string{}}
	for k, v := range change {
		body[k] = v
	}
	var made invite
	if a := r.Want(t, 200, "POST", "/api/users/invites", body, &made); a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
	}
	return made
}

// accept tries to take an invitation, from an address of its own.
func accept(t *testing.T, r *harness.REST, token, password string) *harness.Answer {
	t.Helper()
	return r.Do(t, "POST", "/api/users/invites/"+token+"/accept", map[string]string{"password": password}, harness.FromElsewhere())
}

// apiReplicas are clients of each replica of the API, past the front.
func apiReplicas(c *harness.Cluster, token string) []*harness.REST {
	var list []*harness.REST
	for _, p := range c.Processes {
		if strings.HasPrefix(p.Name, "dashboard-api-") {
			list = append(list, harness.NewREST("http://"+p.Listen, token))
		}
	}
	return list
}

// An invitation from its making to its user.
func TestIdentity18Invites(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s, stranger := c.Lonely(t), apiReplicas(c, "")[0]
	email := strings.ToLower(s.Name) + "@invite.test"
	group := s.NewGroup(t, "of-the-invited")
	body := func(change map[string]any) map[string]any {
		b := map[string]any{"email": email, "name": "I", "role": "auditor", "auto_groups": []string{group}}
		for k, v := range change {
			b[k] = v
		}
		return b
	}
	for message, change := range map[string]map[string]any{
		"name can't be empty":                        {"name": ""},
		"email can't be empty":                       {"email": ""},
		"can't invite a user with owner role":        {"role": "owner"},
		"unknown user role root":                     {"role": "root"},
		"invite expiration must be at least 1 hour":  {"expires_in": 3599},
		"invite expiration must be at most 365 days": {"expires_in": 366 * 86400},
	} {
		s.WantError(t, 422, message, "POST", "/api/users/invites", body(change))
	}
	made := invited(t, s.REST, email, map[string]any{"auto_groups": []string{group}})
	defer s.Do(t, "DELETE", "/api/users/invites/"+made.ID, nil)
	if !regexp.MustCompile(`^nbi_[0-9A-Za-z]{36}$`).MatchString(made.InviteToken) || made.Expired || made.Role != "auditor" ||
		time.Since(made.CreatedAt) > time.Minute || made.ExpiresAt.Sub(made.CreatedAt) != 72*time.Hour {
		t.Errorf("%+v", made)
	}
	s.WantError(t, 409, "invite already exists for this email", "POST", "/api/users/invites", body(map[string]any{"email": strings.ToUpper(email)}))
	list := s.Want(t, 200, "GET", "/api/users/invites", nil, nil)
	if !strings.Contains(string(list.Body), made.ID) || strings.Contains(string(list.Body), "nbi_") {
		t.Errorf("%s", list.Body)
	}

	// What its holder sees.
	var seen struct {
		Email, Name string
		ExpiresAt   time.Time `json:"expires_at"`
		Valid       bool
		InvitedBy   string `json:"invited_by"`
	}
	at := "/api/users/invites/" + made.InviteToken
	show := stranger.Do(t, "GET", at, nil, harness.FromElsewhere())
	show.JSON(t, &seen)
	if show.Status != 200 || seen.Email != email || !seen.Valid || seen.InvitedBy == "" || !seen.ExpiresAt.Equal(made.ExpiresAt) {
		t.Errorf("%d %s", show.Status, show.Body)
	}
	for token, want := range map[string]string{
		"nbi_short":                                "422 invalid invite token: invalid token length",
		made.InviteToken[:39] + "~":                "422 invalid invite token: invalid token checksum",
		"nbi_abcdefghijklmnopqrstuvwxyz01232LolCm": "404 user invite not found",
		"someone": "401 no valid authentication provided",
	} {
		a := stranger.Do(t, "GET", "/api/users/invites/"+token, nil, harness.FromElsewhere())
		var status int
		fmt.Sscan(want, &status)
		if err := a.Error(status, want[4:]); err != nil {
			t.Errorf("GET %s: %v", token, err)
		}
	}

	// Another token, and the old one is dead.
	var again struct {
		InviteToken string    `json:"invite_token"`
		ExpiresAt   time.Time `json:"invite_expires_at"`
	}
	s.Want(t, 200, "POST", "/api/users/invites/"+made.ID+"/regenerate", nil, &again)
	s.WantError(t, 422, "invite expiration must be at least 1 hour", "POST", "/api/users/invites/"+made.ID+"/regenerate", map[string]any{"expires_in": 1})
	s.WantError(t, 404, "user invite not found", "POST", "/api/users/invites/nobody/regenerate", map[string]any{"expires_in": 1})
	if err := accept(t, stranger, made.InviteToken, goodPassword).Error(404, "user invite not found"); err != nil {
		t.Errorf("the old token: %v", err)
	}
	for password, message := range map[string]string{
		"":           "password is required",
		"Sh0rt!":     "invalid password: password must be at least 8 characters long",
		"longenough": "invalid password: password must contain at least one digit, one uppercase letter, one special character",
	} {
		if err := accept(t, stranger, again.InviteToken, password).Error(422, message); err != nil {
			t.Error(err)
		}
	}
	c.SQL(t, "UPDATE user_invite SET expires_at = now() - interval '1 second' WHERE id = '"+made.ID+"'")
	if err := accept(t, stranger, again.InviteToken, goodPassword).Error(422, "invite has expired"); err != nil {
		t.Error(err)
	}
	stranger.Do(t, "GET", "/api/users/invites/"+again.InviteToken, nil, harness.FromElsewhere()).JSON(t, &seen)
	if seen.Valid {
		t.Error("an invitation that has expired is valid")
	}
	s.Want(t, 200, "POST", "/api/users/invites/"+made.ID+"/regenerate", map[string]any{"expires_in": 3600}, &again)
	if a := accept(t, stranger, again.InviteToken, goodPassword); a.Status != 200 || strings.TrimSpace(string(a.Body)) != `{"success":true}` {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if err := accept(t, stranger, again.InviteToken, goodPassword).Error(404, "user invite not found"); err != nil {
		t.Errorf("once more: %v", err)
	}

	// The user, who waits for nobody's approval.
	var users []api.User
	s.Want(t, 200, "GET", "/api/users?service_user=false", nil, &users)
	var user *api.User
	for i := range users {
		if users[i].Email == email {
			user = &users[i]
		}
	}
	if user == nil || user.Role != "auditor" || len(user.AutoGroups) != 1 || user.AutoGroups[0] != group || user.PendingApproval || user.IsBlocked {
		t.Fatalf("%+v", user)
	}
	defer s.Do(t, "DELETE", "/api/users/"+user.Id, nil)
	s.WantError(t, 409, "user with this email already exists", "POST", "/api/users/invites", body(nil))
	told := events(t, s.REST, "target="+user.Id+"&activity=user.invite.link.accept")
	if len(told) != 1 || told[0].InitiatorID != user.Id || told[0].Meta["email"] != email {
		t.Errorf("%+v", told)
	}
	for code, want := range map[string]int{"create": 1, "regenerate": 2} {
		if got := len(events(t, s.REST, "target="+made.ID+"&activity=user.invite.link."+code)); got != want {
			t.Errorf("%d events of %s instead of %d", got, code, want)
		}
	}
}

// Two who hold one link and are equally quick, each at another replica, two hundred times.
func TestIdentity18AnInviteWorksOnce(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	owner, at := c.REST(), apiReplicas(c, "")
	if len(at) < 2 {
		t.Skip("needs two replicas of the API")
	}
	defer c.SQLAfter("DELETE FROM users WHERE email LIKE 'once-%@invite.test'")
	const rounds = 40
	for i := range rounds {
		made := invited(t, owner, fmt.Sprintf("once-%d@invite.test", i), nil)
		statuses := make([]int, 2)
		var wait sync.WaitGroup
		for n := range statuses {
			wait.Go(func() {
				a, err := at[n].Try(t.Context(), "POST", "/api/users/invites/"+made.InviteToken+"/accept",
					map[string]string{"password": goodPassword}, harness.FromElsewhere())
				if err == nil {
					statuses[n] = a.Status
				}
			})
		}
		wait.Wait()
		if !(statuses[0] == 200 && statuses[1] == 404) && !(statuses[0] == 404 && statuses[1] == 200) {
			t.Fatalf("round %d: %v", i, statuses)
		}
	}
	if got := c.SQL(t, "SELECT count(*), count(DISTINCT email) FROM users WHERE email LIKE 'once-%@invite.test'"); got != fmt.Sprintf("%d|%[1]d", rounds) {
		t.Errorf("users and e-mails: %s", got)
	}
}

// Strangers are counted by their address, whichever replica they ask.
func TestIdentity18InvitesAreNotGuessed(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	at, from := apiReplicas(c, ""), harness.FromElsewhere()
	const unknown = "/api/users/invites/nbi_abcdefghijklmnopqrstuvwxyz01232LolCm"
	let, refused := 0, 0
	for i := range 11 {
		var a *harness.Answer
		if i%3 == 2 {
			a = at[i%len(at)].Do(t, "POST", unknown+"/accept", map[string]string{"password": goodPassword}, from)
		} else {
			a = at[i%len(at)].Do(t, "GET", unknown, nil, from)
		}
		switch {
		case a.Error(404, "user invite not found") == nil:
			let++
		case a.Error(429, "rate limit exceeded, please try again later") == nil:
			refused++
		default:
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if i == 10 && a.Status != 429 {
			t.Errorf("the eleventh: %d", a.Status)
		}
	}
	if let < 5 || let > 7 || let+refused != 11 {
		t.Errorf("%d let in, %d refused", let, refused)
	}
	if err := at[0].Do(t, "GET", unknown, nil, harness.FromElsewhere()).Error(404, "user invite not found"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	// One network of the sixth version is one stranger.
	let = 0
	for i := range 8 {
		if at[i%len(at)].Do(t, "GET", unknown, nil, fmt.Sprintf("X-Forwarded-For: 2001:db8:7:7::%d", i+1)).Status == 404 {
			let++
		}
	}
	if let < 5 || let > 6 {
		t.Errorf("%d of 8 addresses of one network let in", let)
	}
}
