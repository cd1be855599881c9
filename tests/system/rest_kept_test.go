package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// keptRounds is how many changes are made and read back; ROOKERY_TEST_KEPT_ROUNDS asks for more.
const keptRounds = 500

func apis(t *testing.T, c *harness.Cluster, token string) [2]*harness.REST {
	t.Helper()
	var out [2]*harness.REST
	for i := range out {
		out[i] = harness.NewREST("http://"+c.Proc(t, fmt.Sprintf("dashboard-api-%d", i+1)).Listen, token)
	}
	return out
}

// keptCount is how many reads of both replicas were answered by what is kept.
func keptCount(t *testing.T, c *harness.Cluster) (n float64) {
	t.Helper()
	for _, name := range c.Names("dashboard-api") {
		all, err := harness.Metrics(c.Proc(t, name).Admin)
		if err != nil {
			t.Fatal(err)
		}
		n += all[`rookery_api_kept_answers_total{outcome="given_again"}`]
	}
	return n
}

// A numbered object: its n-th state, and which state an answer shows.
type numbered struct {
	path, list string
	body       func(n int) any
	shown      func(object map[string]json.RawMessage) string
}

func numberedObjects(t *testing.T, s *harness.Space) []numbered {
	t.Helper()
	text := func(field string) func(map[string]json.RawMessage) string {
		return func(o map[string]json.RawMessage) string { return strings.Trim(string(o[field]), `"`) }
	}
	make := func(path string, body any) string {
		var made struct{ ID string }
		s.Want(t, 200, "POST", path, body, &made)
		at := path + "/" + made.ID
		t.Cleanup(func() { _, _ = s.Try(context.Background(), "DELETE", at, nil) })
		return at
	}
	group := func(n int) any { return map[string]any{"name": fmt.Sprintf("%s-%d", s.Name, n)} }
	network := func(n int) any {
		return map[string]any{"name": s.Name, "description": fmt.Sprintf("%s-%d", s.Name, n)}
	}
	nameserver := func(n int) any {
		return map[string]any{"name": s.Name[len(s.Name)-20:], "description": fmt.Sprintf("%s-%d", s.Name, n), "enabled": true, "primary": false,
			"domains": []string{"kept.example"}, "search_domains_enabled": false, "groups": []string{s.Group},
			"nameservers": []map[string]any{{"ip": "9.9.9.9", "ns_type": "udp", "port": 53}}}
	}
	policy := func(n int) any {
		return map[string]any{"name": s.Name, "description": fmt.Sprintf("%s-%d", s.Name, n), "enabled": true, "rules": []map[string]any{{
			"name": "r", "enabled": true, "action": "accept", "protocol": "tcp", "ports": []string{"80"}, "bidirectional": true,
			"sources": []string{s.Group}, "destinations": []string{s.Group}}}}
	}
	b := harness.NewBare(t, managements(t, s.Cluster)[0], "kept")
	b.Login(t, s.Key)
	peer := func(n int) any {
		return map[string]any{"name": fmt.Sprintf("%s-%d", s.Name, n), "ssh_enabled": false, "login_expiration_enabled": false,
			"inactivity_expiration_enabled": false}
	}
	return []numbered{
		{"/api/groups/" + s.Group, "/api/groups", group, text("name")},
		{make("/api/networks", network(0)), "/api/networks", network, text("description")},
		{make("/api/dns/nameservers", nameserver(0)), "/api/dns/nameservers", nameserver, text("description")},
		{make("/api/policies", policy(0)), "/api/policies", policy, text("description")},
		{"/api/peers/" + s.PeerID(t, "kept"), "/api/peers", peer, text("name")},
	}
}

// find is the object of that id in a list's answer.
func find(t *testing.T, list []byte, id string) map[string]json.RawMessage {
	t.Helper()
	var all []map[string]json.RawMessage
	if err := json.Unmarshal(list, &all); err != nil {
		t.Fatalf("%v: %s", err, list)
	}
	for _, o := range all {
		if strings.Trim(string(o["id"]), `"`) == id {
			return o
		}
	}
	t.Fatalf("no %s in %s", id, list)
	return nil
}

// reader reads again and again, and never may see an older state than it saw before, on whatever replica.
func reader(ctx context.Context, t *testing.T, at [2]*harness.REST, o numbered, name string) (reads int) {
	seen := 0
	for ctx.Err() == nil {
		a, err := at[reads%2].Try(ctx, "GET", o.path, nil)
		if err != nil || a.Status != 200 {
			if ctx.Err() == nil {
				t.Errorf("%s: %v %v", o.path, err, a)
			}
			return reads
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(a.Body, &object); err != nil {
			t.Error(err)
			return reads
		}
		n, err := strconv.Atoi(strings.TrimPrefix(o.shown(object), name+"-"))
		if err == nil && n < seen {
			t.Errorf("%s went back from %d to %d", o.path, seen, n)
			return reads
		}
		if err == nil {
			seen = n
		}
		reads++
	}
	return reads
}

// What is written on one replica is read on the other from the moment on that it was answered, while others keep what is
// read there.
func TestRESTReadsWhatTheOtherReplicaWrote(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	at := apis(t, c, c.Token)
	objects := numberedObjects(t, s)
	rounds := keptRounds
	if n, err := strconv.Atoi(os.Getenv("ROOKERY_TEST_KEPT_ROUNDS")); err == nil {
		rounds = n
	}
	before := keptCount(t, c)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wait sync.WaitGroup
	var reads [8]int
	for i := range reads {
		wait.Add(1)
		go func() {
			defer wait.Done()
			reads[i] = reader(ctx, t, at, objects[i%len(objects)], s.Name)
		}()
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= rounds && !t.Failed(); n++ {
		o := objects[rnd.IntN(len(objects))]
		writes, other := at[n%2], at[(n+1)%2]
		want := fmt.Sprintf("%s-%d", s.Name, n)
		writes.Want(t, 200, "PUT", o.path, o.body(n), nil)
		var object map[string]json.RawMessage
		other.Want(t, 200, "GET", o.path, nil, &object)
		if got := o.shown(object); got != want {
			t.Fatalf("round %d: %s shows %q instead of %q", n, o.path, got, want)
		}
		list := other.Want(t, 200, "GET", o.list, nil, nil)
		if got := o.shown(find(t, list.Body, o.path[strings.LastIndex(o.path, "/")+1:])); got != want {
			t.Fatalf("round %d: %s shows %q instead of %q", n, o.list, got, want)
		}
		// The same from Postgres, whatever is kept.
		if fresh := other.Do(t, "GET", o.list, nil, "Cache-Control: no-cache"); !bytes.Equal(fresh.Body, list.Body) && o.list != "/api/peers" {
			t.Fatalf("round %d: %s is\n%s\nand afresh\n%s", n, o.list, list.Body, fresh.Body)
		}
	}
	stop()
	wait.Wait()
	total := 0
	for _, n := range reads {
		total += n
	}
	given := keptCount(t, c) - before
	if given == 0 {
		t.Error("nothing was answered by what is kept")
	}
	t.Logf("%d changes, %d reads beside them, %.0f answered by what is kept", rounds, total, given)
}

// Who may not read any more is told so at once, by the replica that has kept the answer for them.
func TestRESTKeptAnswersAreForWhoMayReadThem(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	owner := apis(t, c, c.Token)
	for _, end := range []struct {
		what   string
		status int
		act    func(u *harness.User)
	}{
		{"blocked", 403, func(u *harness.User) {
			owner[0].Want(t, 200, "PUT", "/api/users/"+u.ID, map[string]any{"role": "admin", "auto_groups": []string{}, "is_blocked": true}, nil)
		}},
		{"a plain user", 403, func(u *harness.User) {
			owner[0].Want(t, 200, "PUT", "/api/users/"+u.ID, map[string]any{"role": "user", "auto_groups": []string{}, "is_blocked": false}, nil)
		}},
		{"deleted", 401, func(u *harness.User) { owner[0].Want(t, 200, "DELETE", "/api/users/"+u.ID, nil, nil) }},
		{"without the token", 401, func(u *harness.User) {
			c.SQL(t, fmt.Sprintf("DELETE FROM pat WHERE user_id = '%s'", u.ID))
		}},
		{"past the token's time", 401, func(u *harness.User) {
			c.SQL(t, fmt.Sprintf("UPDATE pat SET expires_at = now() WHERE user_id = '%s'", u.ID))
		}},
	} {
		u := c.Person(t, "admin")
		mine := harness.NewREST(owner[1].URL, u.Token)
		before := keptCount(t, c)
		for range 3 {
			mine.Want(t, 200, "GET", "/api/groups", nil, nil)
		}
		if keptCount(t, c) == before {
			t.Errorf("%s: nothing was answered by what is kept", end.what)
		}
		end.act(u)
		if a := mine.Do(t, "GET", "/api/groups", nil); a.Status != end.status {
			t.Errorf("%s: %d %s", end.what, a.Status, a.Body)
		}
	}
}

// A list shows who is connected, and its tag is good for what is kept, too.
func TestRESTKeptAnswersFollowPresenceAndTags(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	at := apis(t, c, c.Token)
	b := harness.NewBare(t, managements(t, c)[0], "comes")
	b.Login(t, s.Key)
	id := s.PeerID(t, "comes")
	shows := func(want bool) {
		t.Helper()
		harness.Eventually(t, 5*time.Second, fmt.Sprintf("connected: %v", want), func() error {
			for _, r := range at {
				list := r.Want(t, 200, "GET", "/api/peers", nil, nil)
				if got := string(find(t, list.Body, id)["connected"]); got != strconv.FormatBool(want) {
					return fmt.Errorf("connected: %s", got)
				}
			}
			return nil
		})
	}
	shows(false)
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	shows(true)
	stream.Cut()
	shows(false)

	first := at[0].Want(t, 200, "GET", "/api/groups", nil, nil)
	tag := first.Header.Get("ETag")
	before := keptCount(t, c)
	for range 3 {
		a := at[0].Do(t, "GET", "/api/groups", nil, "If-None-Match: "+tag)
		if a.Status != http.StatusNotModified || len(a.Body) != 0 || a.Header.Get("ETag") != tag {
			t.Errorf("%d with %s: %s", a.Status, a.Header.Get("ETag"), a.Body)
		}
	}
	if keptCount(t, c) == before {
		t.Error("nothing was answered by what is kept")
	}
	s.Want(t, 200, "PUT", "/api/groups/"+s.Group, map[string]any{"name": s.Name + "-changed"}, nil)
	if a := at[0].Do(t, "GET", "/api/groups", nil, "If-None-Match: "+tag); a.Status != 200 || bytes.Equal(a.Body, first.Body) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	page := at[0].Do(t, "GET", "/api/groups?per_page=1", nil)
	again := at[0].Do(t, "GET", "/api/groups?per_page=1", nil)
	for _, h := range []string{"Link", "X-Total-Count", "ETag", "Content-Type", "Cache-Control"} {
		if page.Header.Get(h) == "" || page.Header.Get(h) != again.Header.Get(h) {
			t.Errorf("%s: %q, and again %q", h, page.Header.Get(h), again.Header.Get(h))
		}
	}
}
