package system

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/netbirdio/netbird/shared/management/proto"

	"rookery.test/system/harness"
)

// hardOfHearing is one more replica that learns of changes by the doorbell alone: it compares no serials in the time of a test.
func hardOfHearing(t *testing.T, c *harness.Cluster) *harness.Sibling {
	t.Helper()
	return c.Sibling(t, "management-1", map[string]string{"sweep_ms": "600000"})
}

// Who has signed in at one replica is not turned away by another that has not heard of it: its agent would not ask again.
func TestUnheardSignInIsLookedUp(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Space(t)
	b := harness.NewBare(t, hardOfHearing(t, c).Listen, "signs-in")
	id := owned(t, c, s, b)
	c.SQL(t, fmt.Sprintf("UPDATE peer SET login_expired = true WHERE id = '%s'", id))
	touch(t, c, id)
	s.SetPolicy(t, s.Policy, harness.Rule(s.Group, s.Group, "tcp", true, "7000")) // rings
	harness.Eventually(t, 10*time.Second, "the replica knows that the login has expired", func() error {
		if _, err := b.TryLogin(t.Context(), ""); err == nil {
			return fmt.Errorf("let in")
		}
		return nil
	})
	refused(t, b, codes.PermissionDenied, loginExpired)
	c.SQL(t, fmt.Sprintf("UPDATE peer SET login_expired = false, last_login = clock_timestamp() WHERE id = '%s'", id))
	touch(t, c, id) // does not
	b.Sync(t).Next(t, 5*time.Second)
	b.Login(t, "")
}

// A change that is announced while a replica reads the account for the first time, but was made after that had begun, is read
// at once.
func TestHeardDuringTheFirstLoad(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Space(t)
	b, other := harness.NewBare(t, managements(t, c)[0], "waits"), harness.NewBare(t, managements(t, c)[1], "other")
	b.Login(t, s.Key)
	other.Login(t, s.Key)
	watcher := other.Sync(t)
	watcher.Next(t, 5*time.Second)
	late := hardOfHearing(t, c)
	release := c.Hold(t, "LOCK TABLE zone IN ACCESS EXCLUSIVE MODE") // which only a first load reads
	stream := b.At(t, late.Listen).Sync(t)
	harness.Eventually(t, 10*time.Second, "the load waits", func() error {
		if n := c.SQL(t, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE application_name = '%s' AND wait_event_type = 'Lock'",
			late.Name)); n != "1" {
			return fmt.Errorf("%s wait", n)
		}
		return nil
	})
	s.SetPolicy(t, s.Policy, harness.Rule(s.Group, s.Group, "tcp", true, "7100"))
	has := func(m *proto.SyncResponse) bool { return hasPort(m.GetNetworkMap(), "7100") == nil }
	watcher.Until(t, 5*time.Second, "the new rule, where it was heard of", has)
	release()
	stream.Until(t, 5*time.Second, "the new rule", has)
}

// What a replica keeps of those who have called goes with them.
func TestKnownPeersGoWithTheirPeers(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Space(t)
	r := c.Sibling(t, "management-1", nil)
	known := func(want float64) {
		t.Helper()
		harness.Eventually(t, 10*time.Second, "known peers", func() error {
			if n := harness.Metric(t, r.Admin, "rookery_management_known_peers"); n != want {
				return fmt.Errorf("%v instead of %v", n, want)
			}
			return nil
		})
	}
	for i := range 4 {
		harness.NewBare(t, r.Listen, fmt.Sprintf("caller-%d", i)).Login(t, s.Key)
	}
	known(4)
	if err := s.Peers.Delete(t.Context(), s.PeerID(t, "caller-0")); err != nil {
		t.Fatal(err)
	}
	known(3)
	// A change that nothing is said of: the account is read anew.
	c.SQL(t, fmt.Sprintf("DELETE FROM peer WHERE id = '%s'; UPDATE account SET serial = serial + 1", s.PeerID(t, "caller-1")))
	known(2)
}
