package system

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

// A server that nobody has set up yet, and one whose owner has deleted the account.
func TestREST07And09AnEmptyServer(t *testing.T) {
	c := own(t)
	needsProcesses(t, c)
	owner, nobody := c.REST(), anonymous(c)
	var accounts []struct{ ID string }
	owner.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	admin := c.Person(t, "admin")
	if err := admin.Do(t, "DELETE", "/api/accounts/"+accounts[0].ID, nil).Error(403,
		"user is not allowed to delete account. only account owner can delete account"); err != nil {
		t.Error(err)
	}
	if a := owner.Do(t, "DELETE", "/api/accounts/"+accounts[0].ID, nil, `If-Match: "stale"`); a.Status != 412 {
		t.Errorf("deleting with a stale tag: %d %s", a.Status, a.Body)
	}
	if a := owner.Want(t, 200, "DELETE", "/api/accounts/"+accounts[0].ID, nil, nil); strings.TrimSpace(string(a.Body)) != "{}" {
		t.Errorf("deleting the account answers %s", a.Body)
	}
	owner.WantError(t, 401, "token invalid", "GET", "/api/groups", nil)
	var instance struct {
		SetupRequired bool `json:"setup_required"`
	}
	nobody.Want(t, 200, "GET", "/api/instance", nil, &instance)
	if !instance.SetupRequired {
		t.Error("an empty server does not ask to be set up")
	}
	nobody.WantError(t, 422, "password must be at least 8 characters", "POST", "/api/setup",
		map[string]string{"email": "a@b.co", "name": "A", "password": "short"})
	good := map[string]any{"email": "a@b.co", "name": "A", "password": "Long enough, 1"}
	var made struct {
		UserID string `json:"user_id"`
		Email  string
	}
	a := nobody.Want(t, 200, "POST", "/api/setup", good, &made)
	if made.UserID == "" || made.Email != "a@b.co" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, Cache-Control %q", a.Body, a.Header.Get("Cache-Control"))
	}
	nobody.WantError(t, 412, "setup already completed", "POST", "/api/setup", good)
}

func TestREST14WhoSeesNoPeers(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	user := c.Person(t, "user")
	if a := user.Want(t, 200, "GET", "/api/peers", nil, nil); strings.TrimSpace(string(a.Body)) != "[]" {
		t.Errorf("%s", a.Body)
	}
	user.WantError(t, 403, "permission denied", "POST", "/api/groups", map[string]string{"name": "x"})
	var list []api.User
	user.Want(t, 200, "GET", "/api/users", nil, &list)
	if len(list) != 1 || list[0].Id != user.ID || list[0].IsCurrent == nil || !*list[0].IsCurrent {
		t.Errorf("%+v", list)
	}
	asked := []string{"/api/users?service_user=true", "/api/users?service_user=false"}
	if list[0].IsServiceUser != nil && *list[0].IsServiceUser {
		slices.Reverse(asked)
	}
	for n, path := range asked { // neither, then the caller
		if user.Want(t, 200, "GET", path, nil, &list); len(list) != n {
			t.Errorf("%s: %+v", path, list)
		}
	}
}

func TestREST22APolicyIsInTheTrail(t *testing.T) {
	s := cluster(t).Space(t)
	for _, e := range events(t, s.REST, "target="+s.Policy+"&activity=policy.add") {
		if strings.HasPrefix(e.Meta["name"], s.Name) {
			return
		}
	}
	t.Error("no event policy.add with the policy's name")
}

func TestREST30ServiceUsersTokens(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	r := c.REST()
	robot := c.Robot(t, "auditor")
	at := "/api/users/" + robot.ID + "/tokens"
	var made api.PersonalAccessTokenGenerated
	r.Want(t, 200, "POST", at, map[string]any{"name": "t", "expires_in": 30}, &made)
	p := made.PersonalAccessToken
	if !regexp.MustCompile(`^nbp_[0-9A-Za-z]{36}$`).MatchString(made.PlainToken) || p.ExpirationDate.Sub(p.CreatedAt) != 30*24*time.Hour {
		t.Errorf("%+v", made)
	}
	r.WantError(t, 422, "expiration has to be between 1 and 365", "POST", at, map[string]any{"name": "t", "expires_in": 366})
	r.WantError(t, 422, "token name can't be empty", "POST", at, map[string]any{"name": "", "expires_in": 1})
	if list := r.Want(t, 200, "GET", at, nil, nil); strings.Contains(string(list.Body), "plain_token") {
		t.Errorf("%s", list.Body)
	}
	harness.NewREST(c.APIURL, made.PlainToken).Want(t, 200, "GET", "/api/groups", nil, nil)
	hash := sha256.Sum256([]byte(made.PlainToken))
	if got := c.SQL(t, "SELECT row_to_json(pat) FROM pat WHERE id = '"+p.Id+"'"); strings.Contains(got, made.PlainToken) ||
		!strings.Contains(got, base64.StdEncoding.EncodeToString(hash[:])) {
		t.Errorf("stored: %s", got)
	}
	// Nobody makes tokens for other people, and only admins for service users.
	person, planner := c.Person(t, "auditor"), c.Person(t, "network_admin")
	r.WantError(t, 403, "admin role required to perform this action", "POST", "/api/users/"+person.ID+"/tokens",
		map[string]any{"name": "t", "expires_in": 1})
	planner.WantError(t, 403, "admin role required to perform this action", "POST", at, map[string]any{"name": "t", "expires_in": 1})
	harness.Eventually(t, 30*time.Second, "its use is noted", func() error {
		var seen api.PersonalAccessToken
		if r.Want(t, 200, "GET", at+"/"+p.Id, nil, &seen); seen.LastUsed == nil || seen.LastUsed.Before(p.CreatedAt) {
			return fmt.Errorf("last used %v", seen.LastUsed)
		}
		return nil
	})
	r.Want(t, 200, "DELETE", at+"/"+p.Id, nil, nil)
	harness.NewREST(c.APIURL, made.PlainToken).WantError(t, 401, "token invalid", "GET", "/api/groups", nil)
}

// Users from their making to their end.
func TestRESTUsers(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	email, group := s.Name+"@x.test", s.NewGroup(t, "of-users")
	body := func(change map[string]any) map[string]any {
		b := map[string]any{"name": "N", "email": email, "role": "user", "auto_groups": []string{}, "is_service_user": false}
		for k, v := range change {
			b[k] = v
		}
		return b
	}
	for message, change := range map[string]map[string]any{
		"unknown user role root":                      {"role": "root"},
		"can't create a service user with owner role": {"role": "owner", "is_service_user": true},
		"can't invite a user with owner role":         {"role": "owner"},
		"name can't be empty":                         {"name": ""},
		"email can't be empty":                        {"email": ""},
	} {
		s.WantError(t, 422, message, "POST", "/api/users", body(change))
	}
	var person struct {
		api.User
		Password string `json:"password"`
	}
	s.Want(t, 200, "POST", "/api/users", body(map[string]any{"auto_groups": []string{group}}), &person)
	at := "/api/users/" + person.Id
	defer s.Do(t, "DELETE", at, nil)
	if len(person.Password) != 16 || person.Email != email || person.Status != "active" || len(person.AutoGroups) != 1 {
		t.Errorf("%+v", person)
	}
	s.WantError(t, 409, "can't invite a user with an existing netbird account", "POST", "/api/users", body(nil))
	list := s.Want(t, 200, "GET", "/api/users?service_user=false", nil, nil)
	if !strings.Contains(string(list.Body), person.Id) || strings.Contains(string(list.Body), person.Password) {
		t.Errorf("%s", list.Body)
	}
	s.WantError(t, 422, "invalid service_user query parameter", "GET", "/api/users?service_user=perhaps", nil)
	s.WantError(t, 400, "group has been linked to user: "+person.Id, "DELETE", "/api/groups/"+group, nil)

	update := func(change map[string]any) map[string]any {
		b := map[string]any{"role": "user", "auto_groups": []string{}, "is_blocked": false}
		for k, v := range change {
			b[k] = v
		}
		return b
	}
	wrapped := "failed to process update for user " + strings.ToLower(person.Id) + ": "
	s.WantError(t, 404, "user: nope not found", "PUT", "/api/users/nope", update(nil))
	s.WantError(t, 400, "auto_groups field can't be absent", "PUT", at, map[string]any{"role": "user"})
	s.WantError(t, 422, "invalid user role", "PUT", at, update(map[string]any{"role": "root"}))
	s.WantError(t, 422, wrapped+"provided group id nope in the user "+strings.ToLower(person.Id)+" update doesn't exist", "PUT", at,
		update(map[string]any{"auto_groups": []string{"nope"}}))
	s.WantError(t, 422, wrapped+"can't add all group to the user", "PUT", at, update(map[string]any{"auto_groups": []string{all(t, s.REST)}}))
	var changed api.User
	s.Want(t, 200, "PUT", at, update(map[string]any{"role": "auditor", "is_blocked": true}), &changed)
	if changed.Role != "auditor" || changed.Status != "blocked" || !changed.IsBlocked || len(changed.AutoGroups) != 0 {
		t.Errorf("%+v", changed)
	}
	codes := map[string]event{}
	for _, e := range events(t, s.REST, "target="+person.Id) {
		codes[e.ActivityCode] = e
	}
	if codes["user.role.update"].Meta["role"] != "auditor" || codes["user.group.delete"].Meta["group_id"] != group ||
		codes["user.block"].Changes["is_blocked"].After != true || codes["user.create"].Changes["role"].After != "user" {
		t.Errorf("%+v", codes)
	}
	s.WantError(t, 422, "user "+strings.ToLower(person.Id)+" is not pending approval", "POST", at+"/approve", nil)
	s.WantError(t, 422, "user "+strings.ToLower(person.Id)+" is not pending approval", "DELETE", at+"/reject", nil)
	s.Want(t, 200, "DELETE", at, nil, nil)
	s.WantError(t, 404, "user: "+strings.ToLower(person.Id)+" not found", "DELETE", at, nil)
	// Old events still say who it was.
	if e := events(t, s.REST, "target="+person.Id+"&activity=user.delete"); len(e) != 1 || e[0].Meta["email"] != email || e[0].Meta["username"] != "N" {
		t.Errorf("%+v", e)
	}
}

func TestRESTAUserSetsItsPassword(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	r := c.REST()
	name := fmt.Sprintf("password-%d", time.Now().UnixNano())
	var made struct{ ID, Password string }
	r.Want(t, 200, "POST", "/api/users", map[string]any{"name": name, "email": name + "@x.test", "role": "user", "auto_groups": []string{}}, &made)
	defer r.Do(t, "DELETE", "/api/users/"+made.ID, nil)
	self := c.As(t, made.ID)
	at := "/api/users/" + made.ID + "/password"
	self.WantError(t, 422, "old password is required", "PUT", at, map[string]string{"new_password": "Something 1"})
	self.WantError(t, 422, "failed to update password: current password is incorrect", "PUT", at,
		map[string]string{"old_password": "x", "new_password": "Something 1"})
	r.WantError(t, 422, "failed to update password: users can only change their own password", "PUT", at,
		map[string]string{"old_password": made.Password, "new_password": "something"})
	self.WantError(t, 422, "failed to update password: password must contain at least one digit, one uppercase letter, one special character",
		"PUT", at, map[string]string{"old_password": made.Password, "new_password": "something"})
	self.Want(t, 200, "PUT", at, map[string]string{"old_password": made.Password, "new_password": "Something 1"}, nil)
	self.WantError(t, 422, "failed to update password: current password is incorrect", "PUT", at,
		map[string]string{"old_password": made.Password, "new_password": "Something 2"})
}

// The cases that the specification adds to the numbered ones; those of one kind of object stand with it.
func TestRESTFurtherCases(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	var me api.User
	s.Want(t, 200, "GET", "/api/users/current", nil, &me)
	s.WantError(t, 422, "self deletion is not allowed", "DELETE", "/api/users/"+me.Id, nil)
	s.WantError(t, 400, "auto_groups field can't be absent", "PUT", "/api/users/"+me.Id, map[string]any{"role": "owner"})
	s.WantError(t, 422, "invalid user role", "PUT", "/api/users/"+me.Id, map[string]any{"role": "root", "auto_groups": []string{}})
	var page struct {
		Data     []any
		Page     int
		PageSize int `json:"page_size"`
	}
	s.Want(t, 200, "GET", "/api/events/proxy?page=0&page_size=1000&sort_by=x", nil, &page)
	if page.Page != 1 || page.PageSize != 100 || page.Data == nil {
		t.Errorf("%+v", page)
	}
	s.WantError(t, 422, "invalid country code", "GET", "/api/locations/countries/DEU/cities", nil)
	for _, path := range []string{"/api/groups", "/api/policies", "/api/setup-keys", "/api/routes", "/api/networks", "/api/posture-checks",
		"/api/dns/zones", "/api/dns/nameservers", "/api/users"} {
		s.WantError(t, 400, "couldn't parse JSON request", "POST", path, "null")
	}
	if a := s.Do(t, "GET", "/api/groups", nil); a.Status != http.StatusOK {
		t.Errorf("afterwards: %d", a.Status)
	}
}
