package system

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// leaves calls back with every place inside a value, containers included.
func leaves(value any, at []any, each func(at []any, value any)) {
	if len(at) > 0 {
		each(slices.Clone(at), value)
	}
	switch v := value.(type) {
	case object:
		for name, inner := range v {
			leaves(inner, append(at, name), each)
		}
	case []any:
		for i, inner := range v {
			leaves(inner, append(at, i), each)
		}
	}
}

// wrong is a value of another type.
func wrong(value any) any {
	switch value.(type) {
	case string:
		return object{"x": 1}
	case object:
		return []any{}
	default:
		return "text"
	}
}

type hostile struct {
	what string
	body string
	want []int
}

// Lists that hold no ids.
var free = map[string]bool{"domains": true, "jwt_allow_groups": true}

// hostileBodies are what a stranger might send instead of a good body.
func hostileBodies(t *testing.T, op harness.Operation, good object) []hostile {
	text := func(v any) string {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	unreadable, refused := []int{400}, []int{400, 422}
	list := []hostile{
		{"nothing", "", unreadable},
		{"null", "null", unreadable},
		{"a list", "[]", unreadable},
		{"a text", `"x"`, unreadable},
		{"a number", "7", unreadable},
		{"half an object", `{"a":`, unreadable},
		{"a NUL", `{"name":"\u0000"}`, unreadable},
		{"half a surrogate", `{"name":"\ud800"}`, unreadable},
		{"no UTF-8", "{\"name\":\"\xff\xfe\"}", unreadable},
		{"deep objects", strings.Repeat(`{"a":`, 50000) + "1" + strings.Repeat("}", 50000), unreadable},
		{"deep lists", `{"name":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + "}", unreadable},
		{"two megabytes", `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, unreadable},
	}
	if strings.HasSuffix(op.Path, "/regenerate") {
		list = list[1:] // its body may be empty
	}
	leaves(any(good), nil, func(at []any, value any) {
		change := func(what string, to any, want []int) {
			changed := clone(good)
			set(changed, at, to)
			list = append(list, hostile{fmt.Sprintf("%v %s", at, what), text(changed), want})
		}
		last := at[len(at)-1]
		if last != "embedded_idp_enabled" && last != "local_auth_disabled" { // facts of the server, which are not read
			change("of another type", wrong(value), refused)
		}
		switch value.(type) {
		case string:
			change("of 64 KB", strings.Repeat("x", 64<<10), refused)
		case float64, int:
			change("past 64 bits", json.RawMessage("99999999999999999999"), unreadable)
			change("past a double", json.RawMessage("1e400"), unreadable)
			change("with a fraction", json.RawMessage("1.5"), unreadable)
		case []any:
			many := make([]any, 20000)
			for i := range many {
				many[i] = fmt.Sprintf("nobody%014d", i)
			}
			if !free[fmt.Sprint(last)] && (!strings.HasPrefix(op.Path, "/api/policies") || last == "source_posture_checks") { // where unknown ids are left out
				change("of 20000 strangers", many, []int{400, 404, 422})
			}
		}
	})
	return list
}

// Whatever comes instead of a good body is refused with a stated status, and nothing is written.
func TestRESTHostileBodies(t *testing.T) {
	c, o, w := describedWorld(t)
	sent := 0
	for _, op := range o.Described() {
		good := w.body(op.Name)
		if good == nil {
			continue
		}
		before := c.Written(t)
		for _, h := range hostileBodies(t, op, clone(good).(object)) {
			sent++
			a := w.asker(op).Do(t, op.Method, w.path(op.Path), h.body, harness.FromElsewhere())
			ok := slices.Contains(h.want, a.Status)
			// What is never made answers without a look at the body.
			if status, other := otherwise[op.Name]; other && a.Status == status {
				ok = true
			}
			var e struct {
				Message *string
				Code    int
			}
			if json.Unmarshal(a.Body, &e) != nil || e.Message == nil || e.Code != a.Status {
				ok = false
			}
			if !ok {
				t.Errorf("%s, %s: %d %.200s", op.Name, h.what, a.Status, a.Body)
			}
		}
		if what := c.WrittenSince(t, before); what != "" {
			t.Errorf("%s: something was written: %s", op.Name, what)
		}
	}
	t.Logf("%d requests", sent)
}

// Numbers as far out as they go are taken or refused, and the server lives.
func TestRESTNumbersFarOut(t *testing.T) {
	_, o, w := describedWorld(t)
	for _, op := range o.Described() {
		good := w.body(op.Name)
		if good == nil || op.Path == "/api/accounts/{accountId}" {
			continue
		}
		leaves(clone(good), nil, func(at []any, value any) {
			if _, number := value.(float64); !number {
				return
			}
			for _, n := range []string{"9223372036854775807", "-9223372036854775808", "2147483648", "-2147483649", "65536", "-1", "0"} {
				changed := clone(w.body(op.Name))
				set(changed, at, json.RawMessage(n))
				a := w.Do(t, op.Method, w.path(op.Path), changed)
				if a.Status != 200 && a.Status != 400 && a.Status != 422 && a.Status != otherwise[op.Name] {
					t.Errorf("%s, %v = %s: %d %.200s", op.Name, at, n, a.Status, a.Body)
				}
				if !strings.HasSuffix(op.Path, "/jobs") {
					w.undo(t, op, a)
				}
			}
		})
	}
}

// An id that is no UTF-8, or has a NUL, is one that nobody has.
func TestRESTNamesThatAreNoText(t *testing.T) {
	_, o, w := describedWorld(t)
	asked := 0
	for _, op := range o.Described() {
		for name := range w.ids {
			if !strings.Contains(op.Path, "{"+name+"}") {
				continue
			}
			ask := func(id string) *harness.Answer {
				asked++
				var body any
				if b := w.body(op.Name); b != nil {
					body = b
				}
				return w.asker(op).Do(t, op.Method, w.path(strings.ReplaceAll(op.Path, "{"+name+"}", id)), body, harness.FromElsewhere(), `If-Match: "x"`)
			}
			want := ask("no-body")
			for _, id := range []string{"no%FFbody", "no\xc3body", "no%C3%A9%C3body", "no%00body"} {
				if a := ask(id); a.Status != want.Status || a.Status >= 500 && a.Status != 501 {
					t.Errorf("%s with %s %q: %d %s instead of %d", op.Name, name, id, a.Status, a.Body, want.Status)
				}
			}
		}
	}
	for _, path := range []string{"/api/groups?name=%FF", "/api/groups?q=%FF", "/api/peers?name=%FF", "/api/peers?ip=%FF", "/api/users?service_user=%FF",
		"/api/events/audit?search=%FF", "/api/explain?from=%FF&to=%FF", "/oauth2/auth/%FF?login=x", "/oauth2/auth/%FF", "/oauth2/callback/%FF?state=x",
		"/oauth2/static/%FF", "/oauth2/invite?token=%FF", "/api/scim/v2/Users/%FF", "/api/groups?%FF=%FF"} {
		asked++
		if a := w.direct.Do(t, "GET", path, nil); a.Status >= 500 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	t.Logf("%d requests", asked)
}

// Strangers hold back the rest of more bodies than fit: they take no more memory than all bodies may, and keep nobody out.
func TestRESTBodiesHeldBack(t *testing.T) {
	c := cluster(t)
	d := newDirectory(t, c, nil)
	api := c.Sibling(t, "dashboard-api-1", nil)
	d.replicas = []*harness.REST{harness.NewREST("http://"+api.Listen, "")}
	before := api.RSS(t)
	const size = 4 << 20
	part := bytes.Repeat([]byte(" "), size-1)
	var held []net.Conn
	for range 100 {
		conn, err := net.Dial("tcp", api.Listen)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		// Nobody's token, but well-formed.
		_, err = fmt.Fprintf(conn, "POST /api/scim/v2/Groups HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nbs_%s\r\nContent-Length: %d\r\n\r\n%s",
			harness.NewPAT(t)[4:], size, part)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	// One who sends a large body meanwhile is heard.
	d.make(t, "Groups", object{"displayName": d.Name + "-large", "x": strings.Repeat("x", size)})
	grown := (api.RSS(t) - before) >> 20
	t.Logf("%d MiB more for %d MiB that were sent", grown, len(held)*size>>20)
	if grown > 150 && !api.Sanitized(t) {
		t.Errorf("%d MiB more", grown)
	}
	// Those that gave way are told so, the latest are refused for what they are.
	for i, want := range map[int]int{0: 503, len(held) - 1: 401} {
		if _, err := held[i].Write([]byte(" ")); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(held[i]), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != want || (want == 503) != (answer.Header.Get("Retry-After") != "") {
			t.Errorf("body %d: %d %v", i, answer.StatusCode, answer.Header)
		}
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	d.make(t, "Groups", object{"displayName": d.Name + "-after", "x": strings.Repeat("x", size)})
}

// Of two members with one name the last counts.
func TestRESTDuplicateMembers(t *testing.T) {
	s := cluster(t).Lonely(t)
	s.WantError(t, 422, "group name shouldn't be empty", "POST", "/api/groups", `{"name":"`+s.Name+`-twice","name":""}`)
	var made named
	s.Want(t, 200, "POST", "/api/groups", `{"name":"","name":"`+s.Name+`-twice"}`, &made)
	defer s.Do(t, "DELETE", "/api/groups/"+made.ID, nil)
	if made.Name != s.Name+"-twice" {
		t.Errorf("%+v", made)
	}
}

// foreign makes another account with one object of every kind, and returns their ids by the names in paths.
func foreign(t *testing.T, c *harness.Cluster) map[string]string {
	t.Helper()
	id := func(kind string) string { return (kind + "foreign0000000000000")[:20] }
	ids := map[string]string{"accountId": id("a"), "groupId": id("g"), "peerId": id("p"), "userId": id("u"), "policyId": id("l"),
		"keyId": id("k"), "routeId": id("r"), "nsgroupId": id("n"), "zoneId": id("z"), "recordId": id("c"), "networkId": id("t"),
		"resourceId": id("s"), "routerId": id("o"), "postureCheckId": id("h"), "tokenId": id("e"), "inviteId": id("i"), "jobId": "nope"}
	sql := `DELETE FROM account WHERE id = '{accountId}';
		INSERT INTO account (id, domain, is_primary, created_by, network_id, net4, settings, onboarding)
			SELECT '{accountId}', 'f.test', false, 'x', '{accountId}', '100.99.0.0/16', settings, onboarding FROM account LIMIT 1;
		INSERT INTO users (id, account_id, role, is_service_user, name) VALUES ('{userId}', '{accountId}', 'admin', true, 'f');
		INSERT INTO pat (id, account_id, user_id, name, hash, created_by, expires_at) VALUES ('{tokenId}', '{accountId}', '{userId}', 't', 'foreign', 'x', now() + interval '1 day');
		INSERT INTO user_invite (id, account_id, name, email, role, hash, created_by, expires_at) VALUES ('{inviteId}', '{accountId}', 'f', 'f@f.test', 'user', 'foreign', 'x', now() + interval '1 day');
		INSERT INTO account_group (id, public_id, account_id, name) VALUES ('{groupId}', '{groupId}', '{accountId}', 'f');
		INSERT INTO peer (id, account_id, key, ip, dns_label, name) VALUES ('{peerId}', '{accountId}', 'foreign', '100.99.0.1', 'f', 'f');
		INSERT INTO posture_check (id, public_id, account_id, name, checks) VALUES ('{postureCheckId}', '{postureCheckId}', '{accountId}', 'f', '{"nb_version_check":{"min_version":"0.1"}}');
		INSERT INTO policy (id, public_id, account_id, name, enabled) VALUES ('{policyId}', '{policyId}', '{accountId}', 'f', true);
		INSERT INTO policy_rule (policy_id, position, id, enabled, action, protocol, bidirectional, sources, destinations)
			VALUES ('{policyId}', 0, '{policyId}', true, 'accept', 'all', true, ARRAY['{groupId}'], ARRAY['{groupId}']);
		INSERT INTO setup_key (id, account_id, name, hash, masked, type) VALUES ('{keyId}', '{accountId}', 'f', 'foreign', 'f', 'reusable');
		INSERT INTO network (id, public_id, account_id, name) VALUES ('{networkId}', '{networkId}', '{accountId}', 'f');
		INSERT INTO network_resource (id, public_id, account_id, network_id, name, type, prefix, enabled) VALUES ('{resourceId}', '{resourceId}', '{accountId}', '{networkId}', 'f', 'host', '10.9.9.9', true);
		INSERT INTO network_router (id, public_id, account_id, network_id, peer_id, metric, masquerade, enabled) VALUES ('{routerId}', '{routerId}', '{accountId}', '{networkId}', '{peerId}', 1, true, true);
		INSERT INTO route (id, public_id, account_id, net_id, network, peer_id, groups, metric, masquerade, enabled) VALUES ('{routeId}', '{routeId}', '{accountId}', 'f', '10.9.0.0/16', '{peerId}', ARRAY['{groupId}'], 1, true, true);
		INSERT INTO nameserver_group (id, public_id, account_id, name, nameservers, groups, is_primary, search_domains_enabled, enabled) VALUES ('{nsgroupId}', '{nsgroupId}', '{accountId}', 'f', '[]', ARRAY['{groupId}'], true, false, true);
		INSERT INTO zone (id, account_id, name, domain, enabled, enable_search_domain, distribution_groups) VALUES ('{zoneId}', '{accountId}', 'f', 'f.test', true, false, ARRAY['{groupId}']);
		INSERT INTO zone_record (id, zone_id, name, type, content, ttl) VALUES ('{recordId}', '{zoneId}', 'a.f.test', 'A', '192.0.2.1', 1);`
	for name, value := range ids {
		sql = strings.ReplaceAll(sql, "{"+name+"}", value)
	}
	c.SQL(t, sql)
	t.Cleanup(func() { c.SQLAfter("DELETE FROM account WHERE id = '" + ids["accountId"] + "'") })
	return ids
}

// Another account's objects are not there: not to read, not to change, and not to name.
func TestRESTAnotherAccountsObjects(t *testing.T) {
	c, o, w := describedWorld(t)
	theirs := foreign(t, c)
	before := c.Written(t)
	asked, policies := 0, false
	for _, op := range o.Described() {
		if policies { // one of them has been written, without what is theirs
			before, policies = c.Written(t), false
		}
		if op.Public || op.Permissions == nil || stated(op.Name) != 200 && op.Path != "/api/users/{userId}/approve" {
			continue
		}
		var body any
		if b := w.body(op.Name); b != nil {
			body = b
		}
		// Each name of the path in turn is theirs.
		for name, id := range theirs {
			if !strings.Contains(op.Path, "{"+name+"}") {
				continue
			}
			asked++
			a := w.Do(t, op.Method, w.path(strings.ReplaceAll(op.Path, "{"+name+"}", id)), body)
			if strings.Contains(string(a.Body), "foreign\"") || strings.Contains(string(a.Body), "f.test") {
				t.Errorf("%s with their %s tells: %s", op.Name, name, a.Body)
			}
			switch {
			case a.Status == 404 && strings.Contains(string(a.Body), "not found"):
			case a.Status == 403 && (name == "accountId" || strings.Contains(op.Path, "/tokens")):
			case a.Status == 200 && op.Method == "GET" && strings.TrimSpace(string(a.Body)) == "[]":
			default:
				t.Errorf("%s with their %s: %d %s", op.Name, name, a.Status, a.Body)
			}
		}
		if body == nil || op.Path == "/api/accounts/{accountId}" {
			continue
		}
		// Each id in the body in turn is theirs.
		ours := map[string]string{w.Group: "groupId"}
		for name, id := range w.ids {
			ours[id] = name
		}
		leaves(clone(body), nil, func(at []any, value any) {
			id, _ := value.(string)
			name, known := ours[id]
			if !known || theirs[name] == "" {
				return
			}
			asked++
			changed := clone(w.body(op.Name))
			set(changed, at, theirs[name])
			a := w.Do(t, op.Method, w.path(op.Path), changed)
			if strings.Contains(string(a.Body), `"`+theirs[name]+`"`) {
				t.Errorf("%s with their %s at %v tells: %s", op.Name, name, at, a.Body)
			}
			if a.Status == 200 && strings.HasPrefix(op.Path, "/api/policies") {
				w.undo(t, op, a) // left out
				policies = true
				return
			}
			if a.Status != 422 && a.Status != 404 && a.Status != 400 {
				t.Errorf("%s with their %s at %v: %d %s", op.Name, name, at, a.Status, a.Body)
			}
		})
	}
	if what := c.WrittenSince(t, before); what != "" {
		t.Errorf("something was written: %s", what)
	}
	t.Logf("%d requests", asked)
}

// Where it is asked for, one token has so many requests, on all replicas together; Terraform has as many as it needs.
func TestRESTTokenRateLimit(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	api := c.DashboardAPI(t, 2, map[string]string{"token_rate_limit": "true", "token_rate_per_min": "1", "token_rate_burst": "7"})
	robot, other := c.Robot(t, "admin"), c.Robot(t, "admin")
	as := func(u *harness.User) *harness.REST { return harness.NewREST(api.URL, u.Token) }
	for i := range 7 {
		as(robot).Want(t, 200, "GET", []string{"/api/groups", "/api/users"}[i%2], nil, nil)
	}
	o, err := harness.ReadOpenAPI(description)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "POST"} {
		a := as(robot).Do(t, method, "/api/groups", object{"name": "x"})
		if err := errors.Join(a.Error(429, "too many requests"), o.Check(method, "/api/groups", a)); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	if a := as(robot).Do(t, "GET", "/api/groups", nil, "User-Agent: HashiCorp Terraform/1.9"); a.Status != 200 {
		t.Errorf("Terraform: %d %s", a.Status, a.Body)
	}
	as(other).Want(t, 200, "GET", "/api/groups", nil, nil)
	robot.Want(t, 200, "GET", "/api/groups", nil, nil) // by a replica that does not limit
}
