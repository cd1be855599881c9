package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"rookery.test/system/harness"
)

const fleetSize = 500

type member struct {
	bare *harness.Bare
	tail *harness.Tail
	fqdn string
	key  string
	v6   bool
}

// join logs in and follows the Sync stream for the rest of the test.
func (m *member) join(ctx context.Context) error {
	r, err := m.bare.TryLogin(ctx, m.key)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	m.fqdn = r.GetPeerConfig().GetFqdn()
	m.tail, err = m.bare.Tail(ctx)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	err = harness.Within(30*time.Second, func() error {
		n, _, err := m.tail.Count()
		if n > 0 {
			return nil
		}
		return errors.Join(errNoMap, err)
	})
	if err != nil {
		return fmt.Errorf("first map: %w", err)
	}
	return nil
}

var errNoMap = errors.New("none yet")

func TestFleet500JoinAtOnce(t *testing.T) {
	c := cluster(t)
	size := fleetSize
	if text := os.Getenv("ROOKERY_TEST_FLEET"); text != "" {
		size, _ = strconv.Atoi(text)
	}
	s := c.Space(t)
	at := managements(t, c)
	// Everybody with everybody, and groups with policies of every sort between them.
	var groups, keys []string
	for i := range 4 {
		groups = append(groups, s.NewGroup(t, strconv.Itoa(i)))
		keys = append(keys, s.NewKey(t, api.CreateSetupKeyRequest{Name: "fleet", Type: "reusable",
			AutoGroups: []string{s.Group, groups[i]}}).Key)
	}
	s.Allow(t, groups[0], groups[1], "tcp", false, "443", "80")
	s.Allow(t, groups[1], groups[1], "icmp", true)
	ranged := harness.Rule(groups[2], groups[3], "udp", true)
	ranged.PortRanges = &[]api.RulePortRange{{Start: 5000, End: 5100}, {Start: 7000, End: 7000}}
	s.AddPolicy(t, ranged)
	deny := harness.Rule(groups[3], groups[0], "tcp", false)
	deny.Action = "drop"
	s.AddPolicy(t, deny)

	members := make([]*member, size)
	for i := range members {
		m := &member{bare: harness.NewBare(t, at[i%2], fmt.Sprintf("fleet-%d", i)), key: keys[i%4], v6: i%3 != 0}
		if !m.v6 {
			m.bare.Meta.Capabilities = []proto.PeerCapability{1}
		}
		members[i] = m
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	start := time.Now()
	var joining sync.WaitGroup
	errs := make([]error, size)
	for i, m := range members {
		joining.Add(1)
		go func() {
			defer joining.Done()
			errs[i] = m.join(ctx)
		}()
	}
	joining.Wait()
	failed := 0
	for i, err := range errs {
		if err != nil {
			failed++
			if failed < 5 {
				t.Errorf("peer %d: %v", i, err)
			}
		}
	}
	t.Logf("%d peers joined in %v, %d failed", size, time.Since(start).Round(time.Millisecond), failed)
	if failed > 0 {
		t.Fatalf("%d peers failed", failed)
	}
	fleetMatches(t, s, members)
	t.Logf("all maps are right %v after the first login", time.Since(start).Round(time.Millisecond))

	// One more change is with everybody soon, and all maps are right again.
	before := make([]int, size)
	for i, m := range members {
		before[i], _, _ = m.tail.Count()
	}
	cost := managementCPU(t, c)
	s.SetPolicy(t, s.Policy, harness.Rule(s.Group, s.Group, "tcp", true, "22"))
	answered := time.Now()
	last := arrived(t, members, before)
	t.Logf("a change had reached everybody %v after the answer; management took %v of CPU time",
		last.Sub(answered).Round(time.Millisecond), managementCPU(t, c)-cost)
	fleetMatches(t, s, members)
	serials := map[uint64]int{}
	for i, m := range members {
		if n, _, _ := m.tail.Count(); n != before[i]+1 {
			t.Errorf("peer %d got %d maps for one change", i, n-before[i])
		}
		r, err := m.tail.Last()
		if err != nil {
			t.Fatal(err)
		}
		serials[r.GetNetworkMap().GetSerial()]++
	}
	if len(serials) != 1 {
		t.Errorf("maps of several serials after one change: %v", serials)
	}
	if late := last.Sub(answered); late > fleetLimit {
		t.Errorf("the last of %d peers had the change %v after the answer", size, late)
	}
}

// fleetLimit is generous: the clients of all peers share the machine with the servers.
const fleetLimit = 10 * time.Second

// arrived waits for one more message on every stream and tells when the last of them came.
func arrived(t *testing.T, members []*member, before []int) time.Time {
	t.Helper()
	var last time.Time
	for i, m := range members {
		harness.Eventually(t, 30*time.Second, "the change on every stream", func() error {
			n, at, err := m.tail.Count()
			if n > before[i] {
				if at.After(last) {
					last = at
				}
				return nil
			}
			return errors.Join(fmt.Errorf("peer %d: %w", i, errNoMap), err)
		})
	}
	return last
}

func managementCPU(t *testing.T, c *harness.Cluster) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, name := range c.Names("management") {
		sum += c.CPU(t, name)
	}
	return sum
}

// fleetMatches compares every peer's newest map with what REST says it ought to hold.
func fleetMatches(t *testing.T, s *harness.Space, members []*member) {
	t.Helper()
	made := map[string]harness.Made{}
	for _, m := range members {
		made[m.fqdn] = harness.Made{Key: m.bare.PublicKey(), V6: m.v6}
	}
	expected := s.ReadAccount(t, made)
	ids := expected.IDs()
	for i, m := range members {
		want := expected.Lines(ids[m.fqdn])
		seen := -1
		err := harness.Within(30*time.Second, func() error {
			n, _, err := m.tail.Count()
			if err != nil {
				return err
			}
			if n == seen {
				return fmt.Errorf("message %d is not it", n)
			}
			seen = n
			r, err := m.tail.Last()
			if err != nil {
				return err
			}
			if diff := harness.Difference(harness.MapLines(r.GetNetworkMap()), want); diff != "" {
				return fmt.Errorf("serial %d:\n%s", r.GetNetworkMap().GetSerial(), diff)
			}
			return nil
		})
		if err != nil {
			r, _ := m.tail.Last()
			t.Fatalf("peer %d, %s: %v\n%s", i, m.fqdn, err, harness.Difference(harness.MapLines(r.GetNetworkMap()), want))
		}
	}
}
