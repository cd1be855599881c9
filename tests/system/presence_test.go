package system

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/proto"

	"rookery.test/system/harness"
)

// staleLimit is the bound that docs/operations.md states.
const staleLimit = 30 * time.Second

func becomes(t *testing.T, s *harness.Space, id string, want bool, limit time.Duration) {
	t.Helper()
	harness.Eventually(t, limit, fmt.Sprintf("connected: %v", want), func() error {
		p, err := s.Peers.Get(t.Context(), id)
		if err == nil && p.Connected != want {
			err = fmt.Errorf("connected: %v", p.Connected)
		}
		return err
	})
}

// A replica and its agents die together, so nobody says that they are gone.
func TestPresenceReplicaAndAgentsDieTogether(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	doomed := c.Sibling(t, "management-1", nil)
	b := harness.NewBare(t, doomed.Listen, "together")
	b.Login(t, s.Key)
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	stays := harness.NewBare(t, managements(t, c)[0], "stays")
	stays.Login(t, s.Key)
	held := stays.Sync(t)
	held.Next(t, 5*time.Second)
	id, other := s.PeerID(t, "together"), s.PeerID(t, "stays")
	becomes(t, s, id, true, 5*time.Second)
	becomes(t, s, other, true, 5*time.Second)

	doomed.Kill(t)
	stream.Cut()
	died := time.Now()
	becomes(t, s, id, false, staleLimit)
	t.Logf("shown as gone %v after the replica's death", time.Since(died).Round(100*time.Millisecond))
	becomes(t, s, other, true, 0)
	seen, err := s.Peers.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if away := died.Sub(seen.LastSeen); away < -time.Second || away > staleLimit {
		t.Errorf("last seen %v before the replica died", away)
	}
}

// Whoever ends its connection to the proxy in front, in whatever way, is shown as gone at once.
func TestPresenceBehindTheFront(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	s := c.Lonely(t)
	front := strings.TrimPrefix(c.ManagementURL, "http://")
	for name, end := range map[string]func(*harness.Bare, *harness.Stream){
		"cancels":     func(_ *harness.Bare, stream *harness.Stream) { stream.Cut() },
		"disconnects": func(b *harness.Bare, _ *harness.Stream) { b.Conn.Close() },
	} {
		b := harness.NewBare(t, front, name)
		b.Login(t, s.Key)
		stream := b.Sync(t)
		stream.Next(t, 5*time.Second)
		id := s.PeerID(t, name)
		becomes(t, s, id, true, 5*time.Second)
		end(b, stream)
		left := time.Now()
		becomes(t, s, id, false, 5*time.Second)
		t.Logf("%s: shown as gone after %v", name, time.Since(left).Round(time.Millisecond))
	}
}

// The newest stream of an agent is the one that stays, however wrong the clocks of the replicas are.
func TestPresenceClocksOfReplicasDiffer(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Space(t)
	clock := harness.NewClock(t)
	clock.Set(t, 10*time.Minute)
	ahead := c.Sibling(t, "management-1", nil, append([]string{"env"}, clock.Env(t, c.Proc(t, "management-1"))...)...)
	b := harness.NewBare(t, ahead.Listen, "mover")
	b.Login(t, s.Key)
	left := b.Sync(t)
	left.Next(t, 5*time.Second)
	holder := func(name string) {
		t.Helper()
		harness.Eventually(t, 10*time.Second, name+" holds the agent", func() error {
			held := c.SQL(t, "SELECT replica FROM peer_status WHERE connected AND peer_id = '"+s.PeerID(t, "mover")+"'")
			if !strings.HasPrefix(held, name+"/") {
				return fmt.Errorf("%q", held)
			}
			return nil
		})
	}
	holder(ahead.Name)
	right := c.Sibling(t, "management-1", nil)
	stays := b.At(t, right.Listen).Sync(t)
	stays.Next(t, 5*time.Second)
	if _, err := left.End(t, 10*time.Second); err != nil {
		t.Errorf("the older stream ended with %v", err)
	}
	holder(right.Name)
	harness.NewBare(t, right.Listen, "neighbour").Login(t, s.Key)
	stays.Until(t, 10*time.Second, "the newer stream goes on", func(m *proto.SyncResponse) bool {
		return len(m.GetNetworkMap().GetRemotePeers()) == 1
	})
}

// A replica that stops in good order leaves nobody behind as connected.
func TestPresenceReplicaDrains(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	leaving := c.Sibling(t, "management-1", map[string]string{"drain_ms": "2000"})
	b := harness.NewBare(t, leaving.Listen, "drained")
	b.Login(t, s.Key)
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	id := s.PeerID(t, "drained")
	becomes(t, s, id, true, 5*time.Second)
	leaving.Terminate(t)
	if _, err := stream.End(t, 5*time.Second); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	if code := leaving.Exited(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	becomes(t, s, id, false, 0)
}

// Changes that nobody will read again go, whichever replica finds them; agents notice nothing.
func TestUpkeepPrunesOldChanges(t *testing.T) {
	t.Parallel()
	c := own(t)
	needsProcesses(t, c)
	s := c.Space(t)
	b := harness.NewBare(t, managements(t, c)[0], "follower")
	b.Login(t, s.Key)
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	c.SQL(t, "UPDATE account_change SET at = now() - interval '2 hours'")
	fresh := c.Sibling(t, "management-1", nil) // looks for them a few seconds after its start
	harness.Eventually(t, 20*time.Second, "old changes are deleted", func() error {
		if n := c.SQL(t, "SELECT count(*) FROM account_change"); n != "0" {
			return fmt.Errorf("%s are left", n)
		}
		return nil
	})
	harness.Eventually(t, 5*time.Second, "who deleted them counts them", func() error {
		pruned := 0.0
		for _, admin := range []string{c.Proc(t, "management-1").Admin, c.Proc(t, "management-2").Admin, fresh.Admin} {
			pruned += harness.Metric(t, admin, "rookery_management_changes_pruned_total")
		}
		if pruned == 0 {
			return fmt.Errorf("none counted")
		}
		return nil
	})
	other := harness.NewBare(t, fresh.Listen, "newcomer")
	other.Login(t, s.Key)
	stream.Until(t, 2*time.Second, "a map with the newcomer", func(m *proto.SyncResponse) bool {
		return len(m.GetNetworkMap().GetRemotePeers()) == 1
	})
}
