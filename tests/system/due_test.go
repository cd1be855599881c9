package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc/codes"

	"rookery.test/system/harness"
)

// lateLimit is what docs/operations.md promises of deadlines while one replica lives.
const lateLimit = 2 * time.Second

// mortals are further processes of management, one of which is killed now and then; another takes its place.
type mortals struct {
	settings map[string]string
	mu       sync.Mutex
	live     []*harness.Sibling
	died     map[string]time.Time // by name
	kills    int
}

func startMortals(t *testing.T, c *harness.Cluster, n int, settings map[string]string) *mortals {
	t.Helper()
	r := &mortals{settings: settings, died: map[string]time.Time{}}
	for range n {
		r.live = append(r.live, c.Sibling(t, "management-1", settings))
	}
	return r
}

func (r *mortals) any() *harness.Sibling {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live[rand.IntN(len(r.live))]
}

// oldest is the one that has lived longest.
func (r *mortals) oldest() *harness.Sibling {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live[0]
}

// kill ends one with SIGKILL and starts another.
func (r *mortals) kill(t *testing.T, victim *harness.Sibling) {
	t.Helper()
	r.mu.Lock()
	r.live = slices.DeleteFunc(r.live, func(s *harness.Sibling) bool { return s == victim })
	r.died[victim.Name] = time.Now()
	r.kills++
	r.mu.Unlock()
	victim.Kill(t)
	fresh := victim.Twin(t, r.settings)
	r.mu.Lock()
	r.live = append(r.live, fresh)
	r.mu.Unlock()
}

// leaveBehind has agents die together with the replica that they are connected to.
func (r *mortals) leaveBehind(t *testing.T, c *harness.Cluster, key string, n int) {
	t.Helper()
	doomed := r.any()
	var streams []*harness.Stream
	for i := range n {
		b := harness.NewBare(t, doomed.Listen, fmt.Sprintf("left-%d", i))
		b.Login(t, key)
		streams = append(streams, b.Sync(t))
		streams[i].Next(t, 5*time.Second)
	}
	harness.Eventually(t, 5*time.Second, "they are connected", func() error {
		if held := c.SQL(t, heldBy(doomed.Name)); held != strconv.Itoa(n) {
			return fmt.Errorf("%s of %d", held, n)
		}
		return nil
	})
	r.kill(t, doomed)
	for _, s := range streams {
		s.Cut()
	}
}

func heldBy(replica string) string {
	return fmt.Sprintf("SELECT count(*) FROM peer_status WHERE connected AND replica LIKE '%s/%%'", replica)
}

// noneStale fails when a peer is still shown as connected to one that has been dead for too long.
func (r *mortals) noneStale(t *testing.T, c *harness.Cluster) {
	t.Helper()
	for name, died := range r.died {
		if time.Since(died) < staleLimit {
			continue
		}
		if n := c.SQL(t, heldBy(name)); n != "0" {
			t.Fatalf("%s peers are connected to %s, which died %v ago", n, name, time.Since(died).Round(time.Second))
		}
		delete(r.died, name)
	}
}

// TestDueWithKills: a thousand ephemeral peers that go away and a thousand logins that expire, at three replicas of which
// one dies every second or so, are each acted on once and in time. What one leaves behind that had not yet said who went
// is put right although none of the others lives for long.
func TestDueWithKills(t *testing.T) {
	const count, left, life = 1000, 5, 12
	c := own(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	yes := true
	key := s.NewKey(t, api.CreateSetupKeyRequest{Name: "passing", Type: "reusable", Ephemeral: &yes})
	r := startMortals(t, c, 3, map[string]string{"ephemeral_life_s": strconv.Itoa(life)})
	c.Kill(t, "management-1") // from now on only those that die
	c.Kill(t, "management-2")

	// Every row that goes is noted, with the transaction that it went in.
	c.SQL(t, `CREATE TABLE due_gone (kind text, object_id text, at timestamptz, xid xid DEFAULT pg_current_xact_id()::xid);
		CREATE FUNCTION note_gone() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN INSERT INTO due_gone (kind, object_id, at) VALUES (OLD.kind, OLD.object_id, OLD.at); RETURN OLD; END';
		CREATE TRIGGER note_gone AFTER DELETE ON due FOR EACH ROW EXECUTE FUNCTION note_gone()`)

	// They come and go at whatever replica lives; some find theirs dead and come back at another.
	var coming sync.WaitGroup
	slots := make(chan struct{}, 24)
	errs := make(chan error, count)
	for i := range count {
		coming.Add(1)
		slots <- struct{}{}
		if i%100 == 99 {
			r.kill(t, r.any())
		}
		go func() {
			defer func() { <-slots; coming.Done() }()
			b := harness.NewBare(t, r.any().Listen, fmt.Sprintf("passing-%d", i))
			if err := harness.Within(20*time.Second, func() error { return visit(t, b.At(t, r.any().Listen), key.Key) }); err != nil {
				errs <- fmt.Errorf("peer %d: %w", i, err)
			}
		}()
	}
	coming.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}

	r.leaveBehind(t, c, key.Key, left)

	// Peers of a user, whose logins expire within the next seconds.
	account := c.SQL(t, "SELECT id FROM account")
	owner := c.SQL(t, "SELECT id FROM users WHERE role = 'owner'")
	c.SQL(t, fmt.Sprintf(`WITH p AS (INSERT INTO peer (id, account_id, key, ip, dns_label, name, user_id,
		login_expiration_enabled, last_login) SELECT 'late' || lpad(n::text, 16, '0'), '%[1]s',
		encode(sha256(n::text::bytea), 'base64'), inet '10.77.0.0' + n, 'late-' || n, 'late-' || n, '%[2]s', true,
		clock_timestamp() - make_interval(secs => (a.settings->>'peer_login_expiration')::bigint - 5 - n * 0.01)
		FROM generate_series(1, %[3]d) n, account a RETURNING id, account_id, last_login),
		s AS (INSERT INTO peer_status (peer_id) SELECT id FROM p)
		INSERT INTO due SELECT 'login', p.id, p.account_id, p.last_login +
		make_interval(secs => (a.settings->>'peer_login_expiration')::bigint) FROM p, account a`, account, owner, count))

	next := time.Now()
	harness.Eventually(t, 3*time.Minute, "everything has been acted on", func() error {
		if time.Now().After(next) {
			r.kill(t, r.oldest()) // none lives as long as the lease of a dead one
			next = time.Now().Add(time.Duration(500+rand.IntN(1500)) * time.Millisecond)
			r.noneStale(t, c)
		}
		left := c.SQL(t, "SELECT count(*) FROM peer WHERE ephemeral OR (id LIKE 'late%' AND NOT login_expired)")
		if left != "0" {
			return fmt.Errorf("%s peers are left, such as %s", left, c.SQL(t, `SELECT p.id || ' ' || to_jsonb(s) || ' ' ||
				coalesce((SELECT jsonb_agg(d) FROM due d WHERE d.object_id = p.id)::text, 'without a deadline') || ' now ' || clock_timestamp()
				FROM peer p LEFT JOIN peer_status s ON s.peer_id = p.id WHERE p.ephemeral OR (p.id LIKE 'late%' AND NOT p.login_expired) LIMIT 1`))
		}
		return nil
	})

	for what, q := range map[string]string{
		"ephemeral peers": "SELECT count(*) FROM peer WHERE ephemeral",
		"rows":            "SELECT count(*) FROM due WHERE kind IN ('ephemeral', 'login')",
		"peers deleted twice": `SELECT count(*) FROM (SELECT target_id FROM event WHERE code = 'user.peer.delete'
			GROUP BY target_id HAVING count(*) <> 1) x`,
		"logins expired twice": `SELECT count(*) FROM (SELECT target_id FROM event WHERE code = 'peer.login.expire'
			GROUP BY target_id HAVING count(*) <> 1) x`,
	} {
		if n := c.SQL(t, q); n != "0" {
			t.Errorf("%s %s", n, what)
		}
	}
	// Each act deleted its row in its own transaction, and says how long after the deadline that was.
	var acted int
	var early, late float64
	row := c.SQL(t, `SELECT count(*) || ' ' || min(extract(epoch FROM e.at - g.at)) || ' ' || max(extract(epoch FROM e.at - g.at))
		FROM event e JOIN due_gone g ON g.xid = e.xmin AND g.object_id = e.target_id AND
		g.kind = CASE e.code WHEN 'user.peer.delete' THEN 'ephemeral' WHEN 'peer.login.expire' THEN 'login' END`)
	if _, err := fmt.Sscan(row, &acted, &early, &late); err != nil {
		t.Fatalf("%q: %v", row, err)
	}
	t.Logf("%d kills; %d deadlines, the latest met %.3f s late", r.kills, acted, late)
	// A peer that came so late again that it had gone already has registered twice.
	if want := c.SQL(t, fmt.Sprintf("SELECT count(*) + %d FROM event WHERE code = 'peer.setupkey.add'", count)); want != strconv.Itoa(acted) {
		t.Errorf("%d acts with their rows instead of %s", acted, want)
	}
	if acted < 2*count+left {
		t.Errorf("only %d deadlines", acted)
	}
	if late > lateLimit.Seconds() || early < 0 {
		t.Errorf("between %.3f and %.3f s late", early, late)
	}
}

// visit logs in, gets a map, and goes.
func visit(t *testing.T, b *harness.Bare, key string) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	defer b.Conn.Close()
	if _, err := b.TryLogin(ctx, key); err != nil {
		return err
	}
	stream, err := b.TrySync(ctx)
	if err != nil {
		return err
	}
	defer stream.Cut()
	_, err = stream.TryNext(5 * time.Second)
	return err
}

// A peer of the account's owner, as a sign-in would make it.
func owned(t *testing.T, c *harness.Cluster, s *harness.Space, b *harness.Bare) string {
	t.Helper()
	b.Login(t, s.Key)
	id := s.PeerID(t, b.Meta.Hostname)
	c.SQL(t, fmt.Sprintf(`UPDATE peer SET user_id = (SELECT id FROM users WHERE role = 'owner'),
		login_expiration_enabled = true, last_login = clock_timestamp() WHERE id = '%s'`, id))
	touch(t, c, id)
	return id
}

// touch makes a change behind the services' back a change of the account, which they find by themselves.
func touch(t *testing.T, c *harness.Cluster, peer string) {
	t.Helper()
	c.SQL(t, fmt.Sprintf(`WITH a AS (UPDATE account SET serial = serial + 1 RETURNING id, serial)
		INSERT INTO account_change (account_id, serial, kind, object_id) SELECT id, serial, 'peer', '%s' FROM a`, peer))
}

const loginExpired = "peer login has expired, please log in once more"

func refused(t *testing.T, b *harness.Bare, code codes.Code, text string) {
	t.Helper()
	_, err := b.TryLogin(t.Context(), "")
	harness.WantStatus(t, err, code, text)
	again, err := b.TrySync(t.Context())
	if err == nil {
		_, err = again.End(t, 5*time.Second)
	}
	harness.WantStatus(t, err, code, text)
}

// Case 13, and what others see of it: an expired login ends the stream at whichever replica it is.
func TestManagement13LoginExpires(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Space(t)
	at := managements(t, c)
	b := harness.NewBare(t, at[0], "expiring")
	id := owned(t, c, s, b)
	other := harness.NewBare(t, at[1], "stays")
	other.Login(t, s.Key)
	watcher := other.Sync(t)
	watcher.Next(t, 5*time.Second)
	var stream *harness.Stream
	harness.Eventually(t, 5*time.Second, "the deadline is in the map", func() error {
		stream = b.Sync(t)
		m := stream.Next(t, 5*time.Second)
		if m.GetSessionExpiresAt().GetSeconds() == 0 {
			stream.Cut()
			return fmt.Errorf("no deadline yet")
		}
		return nil
	})
	c.SQL(t, fmt.Sprintf(`WITH p AS (UPDATE peer SET last_login = clock_timestamp() - make_interval(secs => 86399) WHERE id = '%s'
		RETURNING id, account_id) INSERT INTO due SELECT 'login', id, account_id, clock_timestamp() + interval '1 s' FROM p`, id))
	if _, err := stream.End(t, time.Second+lateLimit+time.Second); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	watcher.Until(t, 2*time.Second, "the expired peer among the offline ones", func(m *proto.SyncResponse) bool {
		for _, p := range m.GetNetworkMap().GetOfflinePeers() {
			if p.GetWgPubKey() == b.PublicKey() {
				return true
			}
		}
		return false
	})
	refused(t, b, codes.PermissionDenied, loginExpired)
	if n := c.SQL(t, fmt.Sprintf("SELECT count(*) FROM event WHERE code = 'peer.login.expire' AND target_id = '%s'", id)); n != "1" {
		t.Errorf("%s events", n)
	}
}

// Case 25, with a life of seconds: the peer stays for all of it, then goes, and who saw it is told.
func TestManagement25EphemeralPeer(t *testing.T) {
	t.Parallel()
	const life = 4 * time.Second
	c := own(t)
	needsProcesses(t, c)
	s := c.Space(t)
	yes := true
	key := s.NewKey(t, api.CreateSetupKeyRequest{Name: "passing", Type: "reusable", Ephemeral: &yes})
	r := startMortals(t, c, 1, map[string]string{"ephemeral_life_s": strconv.Itoa(int(life.Seconds()))})
	c.Kill(t, "management-1")
	c.Kill(t, "management-2")
	watcher := harness.NewBare(t, r.any().Listen, "stays")
	watcher.Login(t, s.Key)
	maps := watcher.Sync(t)
	maps.Next(t, 5*time.Second)
	b := harness.NewBare(t, r.any().Listen, "passing")
	b.Login(t, key.Key)
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	has := func(n int) func(*proto.SyncResponse) bool {
		return func(m *proto.SyncResponse) bool { return len(m.GetNetworkMap().GetRemotePeers()) == n }
	}
	maps.Until(t, 2*time.Second, "a map with it", has(1))
	maps.Quiet(t, life+time.Second) // it is connected: nothing happens to it
	if n := len(s.Members(t)); n != 2 {
		t.Fatalf("%d peers while it was connected", n)
	}
	stream.Cut()
	left := time.Now()
	maps.Until(t, life+lateLimit, "a map without it", has(0))
	if away := time.Since(left); away < life-200*time.Millisecond {
		t.Errorf("gone after %v", away)
	}
	refused(t, b, codes.PermissionDenied, "")
}
