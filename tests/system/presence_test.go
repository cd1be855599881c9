package system

import (
	"fmt"
	"testing"
	"time"

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
