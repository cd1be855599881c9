package system

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"rookery.test/system/harness"
)

const crowd = 50

// atOnce makes the calls while the account is held, so that all but the first wait behind it; meanwhile the replica goes on with who
// asks for something else. Returns each call's error and how many serials all of them took.
func atOnce(t *testing.T, c *harness.Cluster, calls []func(context.Context) error) ([]error, int) {
	t.Helper()
	serial := func() (n int) {
		t.Helper()
		if _, err := fmt.Sscan(c.SQL(t, "SELECT max(serial) FROM account"), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := serial()
	release := c.Hold(t, "SELECT 1 FROM account FOR UPDATE")
	errs := make([]error, len(calls))
	var under sync.WaitGroup
	for i, call := range calls {
		under.Add(1)
		go func() {
			defer under.Done()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			errs[i] = call(ctx)
		}()
	}
	replica := c.Proc(t, "management-1")
	harness.Eventually(t, 20*time.Second, "all wait", func() error {
		if n := harness.Metric(t, replica.Admin, "rookery_management_jobs_queued"); n < float64(len(calls)-1) {
			return fmt.Errorf("%.0f", n)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := harness.NewBare(t, replica.Listen, "stranger").TryLogin(ctx, "")
	harness.WantStatus(t, err, codes.PermissionDenied, "")
	release()
	under.Wait()
	return errs, serial() - before
}

// What agents of an account report or end at the same moment takes one worker and few commits, and each is answered by itself.
func TestAgentsOfAnAccountShareACommit(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	agents := make([]*harness.Bare, crowd)
	for i := range agents {
		agents[i] = harness.NewBare(t, managements(t, c)[0], fmt.Sprintf("crowd-%d", i))
		agents[i].Login(t, s.Key)
	}

	var calls []func(context.Context) error
	for i, b := range agents {
		b.Meta.KernelVersion = fmt.Sprintf("6.2.%d", i)
		calls = append(calls, b.SyncMeta)
	}
	errs, serials := atOnce(t, c, calls)
	for i, err := range errs {
		if err != nil {
			t.Errorf("SyncMeta of %d: %v", i, err)
		}
	}
	if serials < 1 || serials > crowd/4 {
		t.Errorf("%d changes took %d serials", crowd, serials)
	}
	stored := c.SQL(t, "SELECT count(*) FROM peer WHERE name LIKE 'crowd-%' AND meta->>'kernelVersion' = '6.2.' || substr(name, 7)")
	if stored != fmt.Sprint(crowd) {
		t.Errorf("%s of %d are stored as they were told", stored, crowd)
	}

	// The first is named by a router, which a peer cannot leave; the second asks twice.
	id := s.PeerID(t, "crowd-0")
	var network, router struct{ ID string }
	s.Want(t, 200, "POST", "/api/networks", map[string]any{"name": s.Name}, &network)
	defer s.Do(t, "DELETE", "/api/networks/"+network.ID, nil)
	s.Want(t, 200, "POST", "/api/networks/"+network.ID+"/routers", map[string]any{"peer": id, "metric": 1, "enabled": true}, &router)
	calls = []func(context.Context) error{agents[1].Logout}
	for _, b := range agents {
		calls = append(calls, b.Logout)
	}
	errs, serials = atOnce(t, c, calls)
	if (errs[0] == nil) == (errs[2] == nil) {
		t.Errorf("who left twice was told %v and %v", errs[0], errs[2])
	}
	harness.WantStatus(t, errs[1], codes.FailedPrecondition, "peer is linked to a network router: "+router.ID)
	for i, err := range errs[3:] {
		if err != nil {
			t.Errorf("Logout of %d: %v", i+2, err)
		}
	}
	if serials < 1 || serials > crowd/4 {
		t.Errorf("%d who left took %d serials", crowd, serials)
	}
	if left := s.Members(t); len(left) != 1 || left[0].Id != id {
		t.Errorf("left in the account: %+v", left)
	}
	told := c.SQL(t, "SELECT count(DISTINCT target_id) || ' ' || count(*) FROM event WHERE code = 'user.peer.delete' AND meta->>'name' LIKE 'crowd-%'")
	if told != fmt.Sprintf("%d %d", crowd-1, crowd-1) {
		t.Errorf("events of who left: %s", told)
	}
}
