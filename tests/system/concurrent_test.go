package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/protobuf/encoding/protojson"
	pb "google.golang.org/protobuf/proto"
	"rookery.test/system/harness"
)

const (
	writers = 50
	// How long they write; ROOKERY_TEST_WRITERS asks for longer.
	writersFor = 10 * time.Second
)

// writer makes, changes and deletes objects at random. What it refers to is often gone by then, as others delete too.
type writer struct {
	*harness.REST
	n     int
	rnd   *rand.Rand
	ids   *sharedIDs
	tally map[int]int
}

// sharedIDs are the objects that there were at some time, by path.
type sharedIDs struct {
	sync.Mutex
	of map[string][]string
}

func (s *sharedIDs) add(path, id string) {
	s.Lock()
	defer s.Unlock()
	s.of[path] = append(s.of[path], id)
	if n := len(s.of[path]); n > 40 {
		s.of[path] = s.of[path][n-40:]
	}
}

func (s *sharedIDs) any(path string, rnd *rand.Rand) string {
	s.Lock()
	defer s.Unlock()
	if len(s.of[path]) == 0 {
		return "none"
	}
	return s.of[path][rnd.IntN(len(s.of[path]))]
}

func (w *writer) groups() []string {
	return []string{w.ids.any("/api/groups", w.rnd), w.ids.any("/api/groups", w.rnd)}
}

func (w *writer) name() string { return fmt.Sprintf("w%d-%d", w.n, w.rnd.IntN(1000)) }

// body is a new state of an object of this kind.
func (w *writer) body(path string) map[string]any {
	peer := w.ids.any("peers", w.rnd)
	on := w.rnd.IntN(4) > 0
	switch path {
	case "/api/groups":
		return map[string]any{"name": w.name(), "peers": []string{peer, w.ids.any("peers", w.rnd)}}
	case "/api/policies":
		return map[string]any{"name": w.name(), "enabled": on, "source_posture_checks": []string{}, "rules": []map[string]any{{
			"name": "r", "enabled": true, "action": "accept", "protocol": "tcp", "ports": []string{fmt.Sprint(1 + w.rnd.IntN(65535))},
			"bidirectional": on, "sources": w.groups(), "destinations": w.groups()}}}
	case "/api/routes":
		return map[string]any{"network_id": w.name(), "description": "", "enabled": on, "peer": peer, "metric": 1 + w.rnd.IntN(9999),
			"network": fmt.Sprintf("10.%d.%d.0/24", w.n, w.rnd.IntN(256)), "masquerade": on, "groups": w.groups(), "keep_route": false}
	case "/api/dns/nameservers":
		return map[string]any{"name": w.name(), "description": "", "enabled": on, "primary": false, "domains": []string{w.name() + ".example"},
			"search_domains_enabled": false, "groups": w.groups(), "nameservers": []map[string]any{{"ip": "9.9.9.9", "ns_type": "udp", "port": 53}}}
	case "/api/dns/zones":
		return map[string]any{"name": w.name(), "domain": w.name() + ".zone", "enabled": on, "enable_search_domain": on, "distribution_groups": w.groups()}
	case "/api/networks":
		return map[string]any{"name": w.name(), "description": ""}
	case "/api/setup-keys":
		return map[string]any{"name": w.name(), "type": "reusable", "expires_in": 86400, "auto_groups": w.groups(), "usage_limit": 0}
	}
	panic(path)
}

func (w *writer) act(ctx context.Context, t *testing.T) {
	paths := []string{"/api/groups", "/api/groups", "/api/policies", "/api/policies", "/api/routes", "/api/dns/nameservers", "/api/dns/zones",
		"/api/networks", "/api/setup-keys"}
	path := paths[w.rnd.IntN(len(paths))]
	method, at, body := "POST", path, any(w.body(path))
	switch w.rnd.IntN(3) {
	case 1:
		method, at = "PUT", path+"/"+w.ids.any(path, w.rnd)
	case 2:
		method, at, body = "DELETE", path+"/"+w.ids.any(path, w.rnd), nil
	}
	a, err := w.Try(ctx, method, at, body)
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("%s %s: %v", method, at, err)
		}
		return
	}
	w.tally[a.Status]++
	switch a.Status {
	case 200:
		if method == "POST" {
			var made struct{ ID string }
			a.JSON(t, &made)
			w.ids.add(path, made.ID)
		}
	case 400, 404, 409, 412, 422: // refused for what others did
	default:
		t.Errorf("%s %s: %d %s", method, at, a.Status, a.Body)
	}
}

// count adds one to a number that all writers share: it is the description of a network.
func (w *writer) count(ctx context.Context, t *testing.T, network string) bool {
	at := "/api/networks/" + network
	a, err := w.Try(ctx, "GET", at, nil)
	if err != nil || a.Status != 200 {
		return false
	}
	var now struct{ Name, Description string }
	a.JSON(t, &now)
	n := 0
	_, _ = fmt.Sscan(now.Description, &n)
	b, err := w.Try(ctx, "PUT", at, map[string]any{"name": now.Name, "description": fmt.Sprint(n + 1)}, "If-Match: "+a.Header.Get("ETag"))
	if err != nil {
		return false
	}
	if b.Status != 200 && b.Status != 412 {
		t.Errorf("counting: %d %s", b.Status, b.Body)
	}
	return b.Status == 200
}

// References that no constraint of the database holds, and how many of them dangle.
const dangling = `
WITH g AS (SELECT id FROM account_group),
r AS (SELECT 'policy' AS what, unnest(sources || destinations) AS id FROM policy_rule
 UNION ALL SELECT 'route', unnest(groups || peer_groups || access_control_groups) FROM route
 UNION ALL SELECT 'nameserver group', unnest(groups) FROM nameserver_group
 UNION ALL SELECT 'zone', unnest(distribution_groups) FROM zone
 UNION ALL SELECT 'setup key', unnest(auto_groups) FROM setup_key)
SELECT coalesce(string_agg(DISTINCT what, ', '), '') FROM r WHERE id NOT IN (SELECT id FROM g)`

// Fifty clients write at once, through both replicas: nothing is lost, nobody is refused for a reason that is ours, serials
// rise, and every peer ends up with the map that a fresh look at the database gives.
func TestConcurrentWriters(t *testing.T) {
	c := own(t)
	needsProcesses(t, c)
	limit := writersFor
	if text := os.Getenv("ROOKERY_TEST_WRITERS"); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	ids := &sharedIDs{of: map[string][]string{}}
	var peers []*harness.Bare
	var held []*latest
	for i := range 12 {
		b := harness.NewBare(t, front(t, c), fmt.Sprintf("peer-%d", i))
		b.Login(t, c.SetupKey)
		peers = append(peers, b)
		held = append(held, follow(t, b))
	}
	var all []struct{ ID string }
	c.REST().Want(t, 200, "GET", "/api/peers", nil, &all)
	for _, p := range all {
		ids.add("peers", p.ID)
	}
	var network struct{ ID string }
	c.REST().Want(t, 200, "POST", "/api/networks", map[string]any{"name": "counter", "description": "0"}, &network)

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var wait sync.WaitGroup
	var lock sync.Mutex
	counted, tally := 0, map[int]int{}
	for n := range writers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			name := []string{"dashboard-api-1", "dashboard-api-2"}[n%2]
			w := &writer{REST: harness.NewREST("http://"+c.Proc(t, name).Listen, c.Token), n: n,
				rnd: rand.New(rand.NewPCG(uint64(n), 1)), ids: ids, tally: map[int]int{}}
			mine := 0
			for ctx.Err() == nil {
				w.act(ctx, t)
				if n < 8 && w.count(t.Context(), t, network.ID) {
					mine++
				}
			}
			lock.Lock()
			defer lock.Unlock()
			counted += mine
			for status, times := range w.tally {
				tally[status] += times
			}
		}()
	}
	wait.Wait()
	t.Logf("answers by status: %v; counted to %d", tally, counted)

	var now struct{ Description string }
	c.REST().Want(t, 200, "GET", "/api/networks/"+network.ID, nil, &now)
	if now.Description != fmt.Sprint(counted) {
		t.Errorf("%d were told that they had counted, the number is %s", counted, now.Description)
	}
	if tally[200] < writers {
		t.Errorf("only %d requests succeeded", tally[200])
	}
	if what := c.SQL(t, dangling); what != "" {
		t.Errorf("groups that are no more are named by: %s", what)
	}
	serial := c.SQL(t, "SELECT serial FROM account")
	if got := c.SQL(t, "SELECT count(DISTINCT serial) || ' ' || max(serial) FROM account_change"); got != serial+" "+serial {
		t.Errorf("serial %s; different serials and the last one in account_change: %s", serial, got)
	}
	// A last change that concerns everybody: who has it has all before it.
	var everybody []struct{ ID string }
	c.REST().Want(t, 200, "GET", "/api/groups?name=All", nil, &everybody)
	c.REST().Want(t, 200, "POST", "/api/policies", map[string]any{"name": "last", "enabled": true, "rules": []map[string]any{{"name": "r",
		"enabled": true, "action": "accept", "protocol": "udp", "ports": []string{"9"}, "bidirectional": true,
		"sources": []string{everybody[0].ID}, "destinations": []string{everybody[0].ID}}}}, nil)
	want, _ := strconv.ParseUint(c.SQL(t, "SELECT serial FROM account"), 10, 64)
	for i := range peers {
		harness.Eventually(t, 20*time.Second, fmt.Sprintf("peer %d has serial %d", i, want), func() error {
			if m := held[i].map_(); m.GetSerial() < want {
				return fmt.Errorf("it has %d", m.GetSerial())
			}
			return nil
		})
	}
	for i, b := range peers {
		fresh := b.At(t, front(t, c)).Sync(t).Next(t, 10*time.Second)
		last := held[i].map_()
		if last == nil {
			t.Errorf("peer %d was never given a map", i)
			continue
		}
		if said := mapDifference(last, fresh.GetNetworkMap()); said != "" {
			t.Errorf("peer %d holds another map than it would get now: %s", i, said)
		}
		if held[i].back > 0 {
			t.Errorf("peer %d: %d serials went back", i, held[i].back)
		}
	}
}

// latest is the newest map that came over a stream.
type latest struct {
	sync.Mutex
	last *proto.NetworkMap
	back int
}

func (l *latest) map_() *proto.NetworkMap {
	l.Lock()
	defer l.Unlock()
	return l.last
}

func follow(t *testing.T, b *harness.Bare) *latest {
	s := b.Sync(t)
	l := &latest{}
	go func() {
		for {
			m, err := s.TryNext(10 * time.Minute)
			if err != nil {
				return
			}
			if m.GetNetworkMap() == nil {
				continue
			}
			l.Lock()
			if l.last != nil && m.GetNetworkMap().GetSerial() < l.last.GetSerial() {
				l.back++
			}
			l.last = m.GetNetworkMap()
			l.Unlock()
		}
	}()
	return l
}

// mapDifference compares all but the serial. The order is the same for the same map.
func mapDifference(a, b *proto.NetworkMap) string {
	a, b = pb.Clone(a).(*proto.NetworkMap), pb.Clone(b).(*proto.NetworkMap)
	a.Serial, b.Serial = 0, 0
	if pb.Equal(a, b) {
		return ""
	}
	x, y := strings.Split(protojson.Format(a), "\n"), strings.Split(protojson.Format(b), "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("%q and %q", x[max(0, i-3):min(len(x), i+3)], y[max(0, i-3):min(len(y), i+3)])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(x), len(y))
}
