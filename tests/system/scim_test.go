package system

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netbirdio/netbird/shared/management/proto"
	"rookery.test/system/harness"
)

// A directory that provisions users over SCIM: its requests go to one replica after the other.
type directory struct {
	c         *harness.Cluster
	owner     *harness.REST
	replicas  []*harness.REST
	next      atomic.Int64
	ID        int64
	Token     string
	Name      string // of this directory's users and groups, in lower case
	Connector string
}

type integration struct {
	ID                int64
	Enabled           bool
	Prefix, Provider  string
	GroupPrefixes     []string  `json:"group_prefixes"`
	UserGroupPrefixes []string  `json:"user_group_prefixes"`
	ConnectorID       string    `json:"connector_id"`
	AuthToken         string    `json:"auth_token"`
	LastSyncedAt      time.Time `json:"last_synced_at"`
}

var directories atomic.Int64

// newDirectory makes a connector and an integration of it, which go with the test, users and groups included.
func newDirectory(t *testing.T, c *harness.Cluster, more object) *directory {
	t.Helper()
	needsProcesses(t, c)
	d := &directory{c: c, owner: c.REST(), replicas: apiReplicas(c, ""), Name: fmt.Sprintf("dir%d-%d", directories.Add(1), time.Now().UnixMilli())}
	d.Connector = "c-" + d.Name
	c.SQL(t, fmt.Sprintf(`INSERT INTO connector (id, account_id, type, name, client_id, sealed_secret)
		SELECT '%s', id, 'oidc', 'c', 'c', '' FROM account ORDER BY created_at LIMIT 1`, d.Connector))
	var made integration
	d.owner.Want(t, 200, "POST", "/api/integrations/scim-idp", with(object{"provider": "okta", "connector_id": d.Connector}, more), &made)
	d.ID, d.Token = made.ID, made.AuthToken
	t.Cleanup(func() {
		c.SQLAfter(fmt.Sprintf(`DELETE FROM users WHERE id IN (SELECT user_id FROM scim_user WHERE integration_id = %d)`, d.ID))
		c.SQLAfter(fmt.Sprintf(`DELETE FROM account_group WHERE id IN (SELECT group_id FROM scim_group WHERE integration_id = %d)`, d.ID))
		_, _ = d.owner.Try(context.Background(), "DELETE", d.path(""), nil)
		c.SQLAfter(fmt.Sprintf("DELETE FROM connector WHERE id = '%s'", d.Connector))
	})
	return d
}

func (d *directory) path(rest string) string {
	return fmt.Sprintf("/api/integrations/scim-idp/%d%s", d.ID, rest)
}

// try asks the next replica.
func (d *directory) try(ctx context.Context, method, path string, body any) (*harness.Answer, error) {
	r := d.replicas[int(d.next.Add(1))%len(d.replicas)]
	return r.Try(ctx, method, "/api/scim/v2"+path, body, "Authorization: Bearer "+d.Token, "Content-Type: application/scim+json")
}

func (d *directory) do(t *testing.T, status int, method, path string, body any) *harness.Answer {
	t.Helper()
	a, err := d.try(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != status {
		t.Fatalf("%s %s: %d instead of %d: %.600s", method, path, a.Status, status, a.Body)
	}
	if status < 400 && len(a.Body) > 0 && a.Header.Get("Content-Type") != "application/scim+json" {
		t.Errorf("%s %s: Content-Type %q", method, path, a.Header.Get("Content-Type"))
	}
	return a
}

// fault is a refusal in SCIM's words.
func (d *directory) fault(t *testing.T, status int, kind, method, path string, body any) {
	t.Helper()
	var e struct {
		Schemas                  []string
		Status, ScimType, Detail string
	}
	d.do(t, status, method, path, body).JSON(t, &e)
	if len(e.Schemas) != 1 || e.Schemas[0] != "urn:ietf:params:scim:api:messages:2.0:Error" || e.Status != fmt.Sprint(status) || e.ScimType != kind || e.Detail == "" {
		t.Errorf("%s %s %v: %+v instead of %q", method, path, body, e, kind)
	}
}

func (d *directory) make(t *testing.T, kind string, body object) string {
	t.Helper()
	var made struct{ ID string }
	a := d.do(t, 201, "POST", "/"+kind, body)
	a.JSON(t, &made)
	if !strings.HasSuffix(a.Header.Get("Location"), "/api/scim/v2/"+kind+"/"+made.ID) {
		t.Errorf("Location %q", a.Header.Get("Location"))
	}
	return made.ID
}

func (d *directory) user(t *testing.T, name string) string {
	t.Helper()
	return d.make(t, "Users", object{"userName": name + "@corp.test", "externalId": name + "-sub", "displayName": name, "active": true})
}

// userID is who signs in as the user of that name: the same as subject(externalId, connector).
func (d *directory) userID(name string) string {
	field := func(tag byte, s string) string { return string([]byte{tag, byte(len(s))}) + s }
	return base64.RawURLEncoding.EncodeToString([]byte(field(0x0a, name+"-sub") + field(0x12, d.Connector)))
}

func patch(ops ...object) object {
	return object{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops}
}

func members(ids ...string) []object {
	list := []object{}
	for _, id := range ids {
		list = append(list, object{"value": id})
	}
	return list
}

// state is everything that directories have changed, but for logs and times.
func (d *directory) state(t *testing.T) string {
	t.Helper()
	return d.c.SQL(t, `SELECT md5(coalesce((SELECT string_agg(x::text, ',' ORDER BY x.id) FROM scim_user x), '')
		|| coalesce((SELECT string_agg(x::text, ',' ORDER BY x.id) FROM scim_group x), '')
		|| coalesce((SELECT string_agg(x::text, ',' ORDER BY x.group_id, x.user_id) FROM scim_member x), '')
		|| (SELECT string_agg(x.id || x.blocked || x.auto_groups::text || x.role || x.name || x.email || x.issued, ',' ORDER BY x.id) FROM users x))`)
}

type provisioned struct {
	ID, Name, Email, Role, Issued string
	IsBlocked                     bool     `json:"is_blocked"`
	Pending                       bool     `json:"pending_approval"`
	AutoGroups                    []string `json:"auto_groups"`
}

// seen is the user as administrators see them; nil when there is none.
func (d *directory) seen(t *testing.T, id string) *provisioned {
	t.Helper()
	var list []provisioned
	d.owner.Want(t, 200, "GET", "/api/users?service_user=false", nil, &list)
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return nil
}

// contains tells where `got` lacks something of `want`: members of objects, lists as long, null for what must not be there.
func contains(got, want any, at string) error {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v", at, got)
		}
		for name, v := range w {
			inner, there := g[name]
			if v == nil && there {
				return fmt.Errorf("%s.%s is there: %v", at, name, inner)
			} else if v == nil {
				continue
			}
			if err := contains(inner, v, at+"."+name); err != nil {
				return err
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s is %v instead of %v", at, got, want)
		}
		for i := range w {
			if err := contains(g[i], w[i], fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	default:
		if got != want {
			return fmt.Errorf("%s is %v instead of %v", at, got, want)
		}
	}
	return nil
}

type step struct {
	Say, Method, Path string
	Status            int
	Body, Want        json.RawMessage
	Save              map[string]string
}

// replay sends what a provider sends, in its order, and returns the ids it has been given.
func (d *directory) replay(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "scim", file))
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	if err := json.Unmarshal(text, &steps); err != nil {
		t.Fatal(err)
	}
	known := map[string]string{"name": d.Name, "NAME": strings.ToUpper(d.Name), "other": d.user(t, d.Name+"-other")}
	fill := func(s string) string {
		for name, value := range known {
			s = strings.ReplaceAll(s, "{"+name+"}", value)
		}
		return s
	}
	for _, s := range steps {
		var body any
		if s.Body != nil {
			body = fill(string(s.Body))
		}
		a, err := d.try(t.Context(), s.Method, fill(s.Path), body)
		if err != nil {
			t.Fatalf("%s: %v", s.Say, err)
		}
		if a.Status != s.Status {
			t.Fatalf("%s: %s %s: %d instead of %d: %s", s.Say, s.Method, s.Path, a.Status, s.Status, a.Body)
		}
		if s.Status == 204 && len(a.Body) > 0 {
			t.Errorf("%s: a body with 204: %s", s.Say, a.Body)
		}
		if strings.Contains(string(a.Body), "password") {
			t.Errorf("%s: %s", s.Say, a.Body)
		}
		var got, want any
		if len(a.Body) > 0 {
			a.JSON(t, &got)
		}
		if s.Want != nil {
			if err := json.Unmarshal([]byte(fill(string(s.Want))), &want); err != nil {
				t.Fatal(err)
			}
			if err := contains(got, want, ""); err != nil {
				t.Fatalf("%s: %v in %s", s.Say, err, a.Body)
			}
		}
		for name, member := range s.Save {
			known[name] = got.(map[string]any)[member].(string)
		}
	}
	return known
}

// Case 20: what Okta and Entra send, to two replicas in turn.
func TestIdentity20SCIMProviders(t *testing.T) {
	c := cluster(t)
	for file, after := range map[string]func(*directory) error{
		"okta_oin.json": func(d *directory) error {
			u := d.seen(t, d.userID(d.Name))
			if u == nil || u.Role != "user" || u.Issued != "integration" || u.IsBlocked || u.Pending || len(u.AutoGroups) != 0 || u.Name != "Ann Bee" {
				return fmt.Errorf("%+v", u)
			}
			return nil
		},
		"okta_aiw.json": func(d *directory) error {
			u := d.seen(t, d.userID(d.Name))
			if u == nil || u.IsBlocked || u.Name != "Ann Cee" {
				return fmt.Errorf("%+v", u)
			}
			return nil
		},
		"entra.json":      func(*directory) error { return nil },
		"entra_flag.json": func(*directory) error { return nil },
	} {
		t.Run(file, func(t *testing.T) {
			d := newDirectory(t, c, nil)
			d.replay(t, file)
			if err := after(d); err != nil {
				t.Error(err)
			}
			other := d.seen(t, d.userID(d.Name+"-other"))
			if other == nil || other.IsBlocked {
				t.Errorf("%+v", other)
			}
		})
	}
}

// A user who is deactivated loses access within 2 s, whichever replica is told, and others are told; it comes back with a login.
func TestIdentity20SCIMDeprovisioningCutsAccess(t *testing.T) {
	c := cluster(t)
	d := newDirectory(t, c, nil)
	s := c.Space(t)
	at := managements(t, c)
	group := d.make(t, "Groups", object{"displayName": d.Name + "-vpn"})
	for i, off := range []struct {
		what string
		cut  func(user string)
	}{
		{"PATCH", func(user string) {
			d.do(t, 200, "PATCH", "/Users/"+user, patch(object{"op": "Replace", "path": "active", "value": "False"}))
		}},
		{"PUT", func(user string) {
			d.do(t, 200, "PUT", "/Users/"+user, object{"userName": d.Name + "-1@corp.test", "active": false})
		}},
		{"DELETE", func(user string) { d.do(t, 204, "DELETE", "/Users/"+user, nil) }},
	} {
		name := fmt.Sprintf("%s-%d", d.Name, i)
		user := d.user(t, name)
		d.do(t, 204, "PATCH", "/Groups/"+group, patch(object{"op": "add", "path": "members", "value": members(user)}))
		b := harness.NewBare(t, at[i%2], "leaves-"+off.what)
		b.Login(t, s.Key)
		id := s.PeerID(t, b.Meta.Hostname)
		c.SQL(t, fmt.Sprintf(`UPDATE peer SET user_id = '%s', login_expiration_enabled = true, last_login = clock_timestamp() WHERE id = '%s'`, d.userID(name), id))
		touch(t, c, id)
		keyed := harness.NewBare(t, at[1-i%2], "stays-"+off.what)
		keyed.Login(t, s.Key)
		watcher := keyed.Sync(t)
		watcher.Until(t, 5*time.Second, "the peer of the user", func(m *proto.SyncResponse) bool {
			for _, p := range m.GetNetworkMap().GetRemotePeers() {
				if p.GetWgPubKey() == b.PublicKey() {
					return true
				}
			}
			return false
		})
		stream := b.Sync(t)
		stream.Next(t, 5*time.Second)
		pat := c.As(t, d.userID(name))
		if a := pat.Do(t, "GET", "/api/users/current", nil); a.Status != 200 {
			t.Errorf("before: %d %s", a.Status, a.Body)
		}
		began := time.Now()
		off.cut(user)
		if _, err := stream.End(t, 2*time.Second-time.Since(began)); err != nil {
			t.Logf("%s: the stream ended with %v", off.what, err)
		}
		t.Logf("%s: cut off after %v", off.what, time.Since(began))
		watcher.Until(t, 2*time.Second, "the others are told", func(m *proto.SyncResponse) bool {
			for _, p := range m.GetNetworkMap().GetRemotePeers() {
				if p.GetWgPubKey() == b.PublicKey() {
					return false
				}
			}
			return m.GetNetworkMap() != nil
		})
		if a := pat.Do(t, "GET", "/api/users/current", nil); (off.what == "DELETE") != (a.Status == 401) || (off.what != "DELETE") != (a.Status == 403) {
			t.Errorf("%s: the token still answers %d %s", off.what, a.Status, a.Body)
		}
		if off.what == "DELETE" {
			if u := d.seen(t, d.userID(name)); u != nil {
				t.Errorf("%+v", u)
			}
			continue
		}
		if _, err := b.TryLogin(t.Context(), ""); err == nil {
			t.Errorf("%s: the peer logs in again", off.what)
		} else {
			harness.WantStatus(t, err, codes.PermissionDenied, "")
		}
		d.do(t, 200, "PATCH", "/Users/"+user, patch(object{"op": "replace", "value": object{"active": true}}))
		if u := d.seen(t, d.userID(name)); u == nil || u.IsBlocked {
			t.Errorf("%+v", u)
		}
		// Until the next login; replicas hear of it a moment later.
		harness.Eventually(t, 5*time.Second, "the peer is refused for its login alone", func() error {
			again, err := b.TrySync(t.Context())
			if err == nil {
				_, err = again.End(t, 5*time.Second)
			}
			if got := status.Convert(err).Message(); got != loginExpired {
				return fmt.Errorf("it says %q", got)
			}
			return nil
		})
		refused(t, b, codes.PermissionDenied, loginExpired)
	}
}

// Who signed in before the directory spoke loses access by its first word already, with a connector and with a provider that is none of
// ours, and is deleted by it.
func TestSCIMWhoSignedInBefore(t *testing.T) {
	c := cluster(t)
	for what, more := range map[string]object{"by a connector": nil, "by a provider of the whole server": {"connector_id": ""}} {
		t.Run(what, func(t *testing.T) {
			d := newDirectory(t, c, more)
			id := func(name string) string {
				if more != nil {
					return name + "-sub"
				}
				return d.userID(name)
			}
			before := func(name string) *harness.User {
				c.SQL(t, fmt.Sprintf(`INSERT INTO users (id, account_id, role) SELECT '%s', id, 'user' FROM account ORDER BY created_at LIMIT 1`, id(name)))
				u := c.As(t, id(name))
				if a := u.Do(t, "GET", "/api/users/current", nil); a.Status != 200 {
					t.Errorf("before: %d %s", a.Status, a.Body)
				}
				return u
			}
			first, second := d.Name+"-first", d.Name+"-second"
			inactive := before(first)
			d.make(t, "Users", object{"userName": first + "@corp.test", "externalId": first + "-sub", "active": false})
			if a := inactive.Do(t, "GET", "/api/users/current", nil); a.Status != 403 {
				t.Errorf("made inactive: %d %s", a.Status, a.Body)
			}
			later := before(second)
			user := d.user(t, second)
			group := d.make(t, "Groups", object{"displayName": d.Name + "-g", "members": members(user)})
			if u := d.seen(t, id(second)); u == nil || u.Issued != "integration" || len(u.AutoGroups) != 1 {
				t.Errorf("in group %s: %+v", group, u)
			}
			d.do(t, 200, "PATCH", "/Users/"+user, patch(object{"op": "replace", "value": object{"active": false}}))
			if a := later.Do(t, "GET", "/api/users/current", nil); a.Status != 403 {
				t.Errorf("deactivated: %d %s", a.Status, a.Body)
			}
			d.do(t, 204, "DELETE", "/Users/"+user, nil)
			if a := later.Do(t, "GET", "/api/users/current", nil); a.Status != 401 {
				t.Errorf("deleted: %d %s", a.Status, a.Body)
			}
		})
	}
}

// The integration as administrators have it.
func TestSCIMIntegration(t *testing.T) {
	c := cluster(t)
	d := newDirectory(t, c, nil)
	check := described(t, d.owner)
	var got, made integration
	check(200, "GET", "/api/integrations/scim-idp/{integrationId}", nil, fmt.Sprint(d.ID)).JSON(t, &got)
	if !got.Enabled || got.Provider != "okta" || got.ConnectorID != d.Connector || got.AuthToken != d.Token[:8]+"****" || len(got.GroupPrefixes) != 0 {
		t.Errorf("%+v", got)
	}
	var list []integration
	check(200, "GET", "/api/integrations/scim-idp", nil).JSON(t, &list)
	if len(list) == 0 || strings.Contains(fmt.Sprint(list), d.Token) {
		t.Errorf("%+v", list)
	}
	if stored := c.SQL(t, fmt.Sprintf("SELECT x::text FROM scim_integration x WHERE id = %d", d.ID)); strings.Contains(stored, d.Token) {
		t.Error("the token is stored")
	}
	for message, body := range map[string]any{
		"provider is required":                          object{"prefix": "x"},
		"connector nope not found":                      object{"provider": "okta", "connector_id": "nope"},
		"group_prefixes has an empty entry":             object{"provider": "okta", "group_prefixes": []string{""}},
		"provider is longer than 255 characters":        object{"provider": strings.Repeat("x", 256)},
		"user_group_prefixes has more than 100 entries": object{"provider": "okta", "user_group_prefixes": strings.Split(strings.Repeat("x,", 100)+"x", ",")},
	} {
		d.owner.WantError(t, 422, message, "POST", "/api/integrations/scim-idp", body)
	}
	check(400, "POST", "/api/integrations/scim-idp", `{"provider":7}`)
	check(200, "POST", "/api/integrations/scim-idp", object{"provider": "generic", "group_prefixes": []string{"a"}}).JSON(t, &made)
	if made.AuthToken == "" || made.AuthToken == d.Token || !strings.HasPrefix(made.AuthToken, "nbs_") || len(made.AuthToken) != 40 {
		t.Errorf("%+v", made)
	}
	check(200, "DELETE", "/api/integrations/scim-idp/{integrationId}", nil, fmt.Sprint(made.ID))
	check(404, "GET", "/api/integrations/scim-idp/{integrationId}", nil, fmt.Sprint(made.ID))
	for _, id := range []string{"nope", "999999999", "-1"} {
		for _, path := range []string{"GET ", "PUT ", "DELETE ", "GET /logs", "POST /token"} {
			method, rest, _ := strings.Cut(path, " ")
			d.owner.WantError(t, 404, "scim integration not found", method, "/api/integrations/scim-idp/"+id+rest, object{})
		}
	}

	// Roles.
	for role, want := range map[string][2]int{"admin": {200, 200}, "network_admin": {200, 403}, "auditor": {200, 403}, "user": {403, 403}} {
		p := c.Person(t, role)
		if a := p.Do(t, "GET", d.path(""), nil); a.Status != want[0] {
			t.Errorf("%s reads: %d", role, a.Status)
		}
		if a := p.Do(t, "PUT", d.path(""), object{"enabled": true}); a.Status != want[1] {
			t.Errorf("%s writes: %d", role, a.Status)
		}
	}

	// A new token; the old one is dead at once, at every replica.
	old := d.Token
	var token struct {
		AuthToken string `json:"auth_token"`
	}
	check(200, "POST", "/api/integrations/scim-idp/{integrationId}/token", nil, fmt.Sprint(d.ID)).JSON(t, &token)
	for range d.replicas {
		a := d.do(t, 401, "GET", "/Users", nil)
		if a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("WWW-Authenticate %q", a.Header.Get("WWW-Authenticate"))
		}
	}
	d.Token = token.AuthToken
	d.do(t, 200, "GET", "/Users", nil)
	for _, bad := range []string{"", "nbs_", old[:39] + "!", harness.NewPAT(t), c.Token} {
		d.Token = bad
		d.do(t, 401, "GET", "/ServiceProviderConfig", nil)
		d.do(t, 401, "POST", "/Users", object{"userName": "x"})
	}
	d.Token = token.AuthToken
	if a := d.do(t, 404, "GET", "/Users/../../../users", nil); !strings.Contains(string(a.Body), "there is no such resource") {
		t.Errorf("%s", a.Body)
	}

	// Switched off.
	check(200, "PUT", "/api/integrations/scim-idp/{integrationId}", object{"enabled": false}, fmt.Sprint(d.ID)).JSON(t, &got)
	if got.Enabled || got.ConnectorID != d.Connector {
		t.Errorf("%+v", got)
	}
	d.fault(t, 403, "", "GET", "/Users", nil)
	d.fault(t, 403, "", "POST", "/Users", object{"userName": "x"})
	check(200, "PUT", "/api/integrations/scim-idp/{integrationId}", object{"enabled": true}, fmt.Sprint(d.ID))

	d.fault(t, 400, "invalidValue", "POST", "/Users", object{"displayName": "x"})
	var logs []struct {
		ID             int64
		Level, Message string
		Timestamp      time.Time
	}
	check(200, "GET", "/api/integrations/scim-idp/{integrationId}/logs", nil, fmt.Sprint(d.ID)).JSON(t, &logs)
	if len(logs) < 2 || logs[0].Level != "error" || !strings.Contains(logs[0].Message, "userName is required") {
		t.Errorf("%+v", logs)
	}
}

// What is shown, found and paged.
func TestSCIMReading(t *testing.T) {
	c := cluster(t)
	d := newDirectory(t, c, nil)
	var ids []string
	for i := range 5 {
		ids = append(ids, d.user(t, fmt.Sprintf("%s-%d", d.Name, i)))
	}
	type list struct {
		TotalResults, StartIndex, ItemsPerPage int
		Resources                              []map[string]any
	}
	get := func(path string) (l list) {
		t.Helper()
		d.do(t, 200, "GET", path, nil).JSON(t, &l)
		return l
	}
	for query, want := range map[string][]string{
		"":                       ids,
		"?startIndex=2&count=2":  ids[1:3],
		"?startIndex=5":          ids[4:],
		"?startIndex=6":          {},
		"?startIndex=-3&count=1": ids[:1],
		"?count=0":               {},
		"?count=-1":              {},
		"?count=9999":            ids,
		"?what=is&this":          ids,
	} {
		l := get("/Users" + query)
		var got []string
		for _, r := range l.Resources {
			got = append(got, r["id"].(string))
		}
		if l.TotalResults != 5 || l.ItemsPerPage != len(want) || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %+v", query, l)
		}
	}
	name := func(i int) string { return fmt.Sprintf("%s-%d", d.Name, i) }
	for filter, want := range map[string]int{
		`userName eq "` + strings.ToUpper(name(1)) + `@CORP.test"`:                            1,
		`USERNAME EQ "` + name(1) + `@corp.test" and active eq true`:                          1,
		`userName eq "` + name(1) + `@corp.test" and active eq false`:                         0,
		`(userName eq "` + name(1) + `@corp.test") and (id eq "` + ids[1] + `")`:              1,
		`userName eq "` + name(1) + `@corp.test" and userName eq "` + name(2) + `@corp.test"`: 0,
		`externalId eq "` + name(2) + `-sub"`:                                                 1,
		`externalId eq "` + strings.ToUpper(name(2)) + `-sub"`:                                0,
		`externalId eq ""`:                           0,
		`id eq "` + ids[3] + `"`:                     1,
		`id eq ` + ids[3]:                            1,
		`id eq "x' OR '1'='1"`:                       0,
		`displayName eq "` + name(4) + `"`:           1,
		`active eq true`:                             5,
		`active eq "False"`:                          0,
		`emails.value eq "nobody@x"`:                 0,
		`emails[type eq "work"].value eq "nobody@x"`: 0,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName eq "` + name(0) + `@corp.test"`: 1,
	} {
		if l := get("/Users?filter=" + url.QueryEscape(filter)); l.TotalResults != want || len(l.Resources) != want {
			t.Errorf("%s: %+v", filter, l)
		}
	}
	for _, filter := range []string{`userName co "a"`, `userName eq "a" or id eq "b"`, `not (id eq "a")`, `userName pr`, `shoeSize eq 43`,
		`userName eq`, `userName`, `"`, `active eq maybe`, `userName.x eq "a"`, `emails.type eq "work"`, strings.Repeat("(", 100), `a eq "` + strings.Repeat("x", 5000) + `"`} {
		d.fault(t, 400, "invalidFilter", "GET", "/Users?filter="+url.QueryEscape(filter), nil)
		d.fault(t, 400, "invalidFilter", "GET", "/Groups?filter="+url.QueryEscape(filter), nil)
	}
	for query, want := range map[string]string{
		"?attributes=userName,name.givenName":                           "id schemas userName",
		"?attributes=urn:ietf:params:scim:schemas:core:2.0:User:active": "active id schemas",
		"?excludedAttributes=groups,meta,externalId,id":                 "active displayName id schemas userName",
	} {
		var u map[string]any
		d.do(t, 200, "GET", "/Users/"+ids[0]+query, nil).JSON(t, &u)
		if got := strings.Join(slices.Sorted(maps.Keys(u)), " "); got != want {
			t.Errorf("%s: %s instead of %s", query, got, want)
		}
	}
	for _, path := range []string{"/Users/" + "nope", "/Groups/nope", "/Groups/" + ids[0], "/Schemas/nope", "/ResourceTypes/nope"} {
		d.fault(t, 404, "", "GET", path, nil)
	}
	var config struct {
		Patch, Bulk, Sort, Etag struct{ Supported bool }
		Filter                  struct {
			Supported  bool
			MaxResults int
		}
		AuthenticationSchemes []struct{ Type string }
	}
	d.do(t, 200, "GET", "/ServiceProviderConfig", nil).JSON(t, &config)
	if !config.Patch.Supported || config.Bulk.Supported || config.Sort.Supported || config.Etag.Supported || !config.Filter.Supported ||
		config.Filter.MaxResults != 200 || len(config.AuthenticationSchemes) != 1 || config.AuthenticationSchemes[0].Type != "oauthbearertoken" {
		t.Errorf("%+v", config)
	}
	if l := get("/ResourceTypes"); l.TotalResults != 2 {
		t.Errorf("%+v", l)
	}
	for _, r := range get("/Schemas").Resources {
		d.do(t, 200, "GET", "/Schemas/"+r["id"].(string), nil)
	}
}

// Nobody reaches another's people: neither another account's integration, nor another one of the same account.
func TestSCIMStrangers(t *testing.T) {
	c := cluster(t)
	mine, other := newDirectory(t, c, nil), newDirectory(t, c, nil)
	user, group := mine.user(t, mine.Name), mine.make(t, "Groups", object{"displayName": mine.Name + "-g"})
	stranger := other.make(t, "Groups", object{"displayName": other.Name + "-g"})
	own := other.user(t, other.Name)
	was := mine.state(t)
	for _, at := range []string{"/Users/" + user, "/Groups/" + group} {
		other.fault(t, 404, "", "GET", at, nil)
		other.fault(t, 404, "", "DELETE", at, nil)
		other.fault(t, 404, "", "PUT", at, object{"userName": "x", "displayName": "x"})
		other.fault(t, 404, "", "PATCH", at, patch(object{"op": "replace", "value": object{"displayName": "x"}}))
	}
	other.do(t, 204, "PATCH", "/Groups/"+stranger, patch(object{"op": "add", "path": "members", "value": members(user, "nobody")}))
	if now := mine.state(t); now != was {
		t.Error("a stranger has changed something")
	}
	var l struct{ TotalResults int }
	other.do(t, 200, "GET", "/Users?filter="+url.QueryEscape(`id eq "`+user+`"`), nil).JSON(t, &l)
	if l.TotalResults != 0 {
		t.Errorf("a stranger finds %d", l.TotalResults)
	}
	// The same person, announced by an integration that has the same connector: nobody is taken over.
	mine.owner.Want(t, 200, "PUT", other.path(""), object{"connector_id": mine.Connector}, nil)
	thief := other.make(t, "Users", object{"userName": "thief@x.test", "externalId": mine.Name + "-sub", "active": true})
	other.do(t, 200, "PATCH", "/Users/"+thief, patch(object{"op": "replace", "value": object{"active": false}}))
	if u := mine.seen(t, mine.userID(mine.Name)); u == nil || u.IsBlocked || u.Email != mine.Name+"@corp.test" {
		t.Errorf("%+v", u)
	}
	if u := mine.seen(t, other.userID(other.Name)); u == nil || u.IsBlocked {
		t.Errorf("%s: %+v", own, u)
	}
	// An integration of another account.
	c.SQL(t, fmt.Sprintf(`INSERT INTO account (id, created_by, network_id, net4, settings, onboarding, is_primary)
		SELECT 'scimforeign%d', 'x', 'n', net4, settings, onboarding, false FROM account ORDER BY created_at LIMIT 1`, mine.ID))
	defer c.SQLAfter(fmt.Sprintf("DELETE FROM account WHERE id = 'scimforeign%d'", mine.ID))
	c.SQL(t, fmt.Sprintf("UPDATE scim_integration SET account_id = 'scimforeign%d', connector_id = '' WHERE id = %d", mine.ID, other.ID))
	other.fault(t, 404, "", "GET", "/Users/"+user, nil)
	other.do(t, 204, "PATCH", "/Groups/"+stranger, patch(object{"op": "replace", "path": "members", "value": members(user)}))
	mine.owner.WantError(t, 404, "scim integration not found", "GET", other.path(""), nil)
	mine.owner.WantError(t, 404, "scim integration not found", "POST", other.path("/token"), nil)
	if u := mine.seen(t, mine.userID(mine.Name)); u == nil || len(u.AutoGroups) != 0 {
		t.Errorf("%+v", u)
	}
}

// Bodies that are none, cost much or contradict themselves change nothing.
func TestSCIMHostileBodies(t *testing.T) {
	c := cluster(t)
	d := newDirectory(t, c, nil)
	user, group := d.user(t, d.Name), d.make(t, "Groups", object{"displayName": d.Name + "-g"})
	was := d.state(t)
	deep := strings.Repeat(`{"a":`, 100000) + "1" + strings.Repeat("}", 100000)
	for kind, bodies := range map[string][]string{
		"invalidSyntax": {"", "null", "[]", "7", "{", `{"userName":"a","userName":"b"}`, `{"userName":"a","USERNAME":"b"}`, "{\"a\":\"\xff\"}",
			`{"a":"\u0000"}`, `{"a":"\ud800"}`, `{} {}`, `{"Operations":[]}`, `{"Operations":{}}`, `{"schemas":["x"],"Operations":[{"op":"remove","path":"members"}]}`,
			`{"Operations":[7]}`, `{"Operations":[{"op":"move","path":"x"}]}`, `{"Operations":[{"op":"add","value":7}]}`},
		"tooMany":       {deep, `{"a":[` + strings.Repeat("[],", 150001) + `[]]}`},
		"noTarget":      {`{"Operations":[{"op":"remove"}]}`},
		"invalidPath":   {`{"Operations":[{"op":"add","path":"a b","value":1}]}`, `{"Operations":[{"op":"replace","value":{"..":1}}]}`},
		"invalidValue":  {`{"Operations":[{"op":"add","path":"displayName"}]}`, `{"Operations":[{"op":"replace","path":"externalId","value":{"a":1}}]}`},
		"mutability":    {`{"Operations":[{"op":"replace","path":"id","value":"x"}]}`},
		"invalidFilter": {`{"Operations":[{"op":"remove","path":"members[value co \"x\"]"},{"op":"remove","path":"emails[value co \"x\"]"}]}`},
	} {
		for _, body := range bodies {
			d.fault(t, 400, kind, "PATCH", "/Users/"+user, body)
			d.fault(t, 400, kind, "PATCH", "/Groups/"+group, body)
		}
	}
	for _, body := range []string{`{"userName":""}`, `{"userName":null}`, `{"userName":7}`, `{"userName":"` + strings.Repeat("x", 1025) + `"}`,
		`{"userName":"a","active":7}`, `{"userName":"a","emails":7}`, `{"userName":"a","name":"b"}`} {
		d.fault(t, 400, "invalidValue", "POST", "/Users", body)
		d.fault(t, 400, "invalidValue", "PUT", "/Users/"+user, body)
	}
	for _, body := range []string{`{"displayName":""}`, `{"displayName":"` + strings.Repeat("x", 256) + `"}`, `{"displayName":"a","members":[{}]}`} {
		d.fault(t, 400, "invalidValue", "POST", "/Groups", body)
	}
	// All or nothing: the last of the operations is refused.
	d.fault(t, 400, "invalidValue", "PATCH", "/Users/"+user, patch(object{"op": "replace", "path": "displayName", "value": "changed"},
		object{"op": "replace", "path": "active", "value": false}, object{"op": "replace", "path": "userName", "value": ""}))
	d.fault(t, 409, "uniqueness", "PATCH", "/Groups/"+group, patch(object{"op": "add", "path": "members", "value": members(user)},
		object{"op": "replace", "path": "displayName", "value": "All"}))
	if now := d.state(t); now != was {
		t.Error("something has changed")
	}
	if a, err := d.try(t.Context(), "POST", "/Users", `{"userName":"`+strings.Repeat("x", 1<<20)+`"}`); err != nil || a.Status != 400 {
		t.Errorf("a user of a MiB: %v %v", a, err)
	}
	if a, err := d.try(t.Context(), "PATCH", "/Groups/"+group, `{"x":"`+strings.Repeat("x", 5<<20)+`"}`); err != nil || a.Status != 400 {
		t.Errorf("a group of more than 5 MiB: %v %v", a, err)
	}
	d.do(t, 204, "PATCH", "/Groups/"+group, `{"Operations":[{"op":"add","path":"x","value":"`+strings.Repeat("x", 5<<20-200)+`"}]}`)
}

// Many change one group at once, at both replicas: nobody's change is lost.
func TestSCIMConcurrentPatches(t *testing.T) {
	c := cluster(t)
	d := newDirectory(t, c, nil)
	group := d.make(t, "Groups", object{"displayName": d.Name + "-g"})
	var users []string
	for i := range 40 {
		users = append(users, d.user(t, fmt.Sprintf("%s-%d", d.Name, i)))
	}
	all := func(op func(i int) object) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range users {
			wg.Add(1)
			go func() {
				defer wg.Done()
				a, err := d.try(t.Context(), "PATCH", "/Groups/"+group, patch(op(i)))
				if err != nil || a.Status != 204 {
					t.Errorf("%v %v", a, err)
				}
			}()
		}
		wg.Wait()
	}
	count := func(want int) {
		t.Helper()
		n := c.SQL(t, fmt.Sprintf(`SELECT (SELECT count(*) FROM scim_member WHERE group_id = '%s') || ' ' || (SELECT count(*) FROM users u
			JOIN scim_user s ON s.user_id = u.id AND s.integration_id = %d JOIN scim_group g ON g.id = '%s' AND g.group_id = ANY(u.auto_groups))`, group, d.ID, group))
		if n != fmt.Sprintf("%d %d", want, want) {
			t.Errorf("%s members instead of %d", n, want)
		}
	}
	all(func(i int) object { return object{"op": "add", "path": "members", "value": members(users[i])} })
	count(40)
	all(func(i int) object {
		if i%2 == 0 {
			return object{"op": "remove", "path": fmt.Sprintf(`members[value eq "%s"]`, users[i])}
		}
		return object{"op": "Add", "value": object{"members": members(users[i])}}
	})
	count(20)
}
