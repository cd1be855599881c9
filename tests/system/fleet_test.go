package system

import (
	"context"
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
	bare   *harness.Bare
	fqdn   string
	key    string
	v6     bool
	mu     sync.Mutex
	latest *proto.NetworkMap
	err    error
}

// join logs in and follows the Sync stream for the rest of the test.
func (m *member) join(ctx context.Context) error {
	r, err := m.bare.TryLogin(ctx, m.key)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	m.fqdn = r.GetPeerConfig().GetFqdn()
	stream, err := m.bare.TrySync(ctx)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	first := make(chan struct{})
	go func() {
		for once := sync.OnceFunc(func() { close(first) }); ; {
			r, err := stream.TryNext(5 * time.Minute)
			m.mu.Lock()
			if err != nil {
				m.err = err
			} else if r.GetNetworkMap() != nil {
				m.latest = r.GetNetworkMap()
			}
			m.mu.Unlock()
			once()
			if err != nil {
				return
			}
		}
	}()
	select {
	case <-first:
	case <-time.After(30 * time.Second):
		return fmt.Errorf("no first map")
	}
	return nil
}

func (m *member) state() (*proto.NetworkMap, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest, m.err
}

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

	// One more change, and all maps are right again.
	s.SetPolicy(t, s.Policy, harness.Rule(s.Group, s.Group, "tcp", true, "22"))
	answered := time.Now()
	fleetMatches(t, s, members)
	t.Logf("a change was right everywhere %v after the answer", time.Since(answered).Round(time.Millisecond))
}

func fleetMatches(t *testing.T, s *harness.Space, members []*member) {
	t.Helper()
	made := map[string]harness.Made{}
	for _, m := range members {
		made[m.fqdn] = harness.Made{Key: m.bare.PublicKey(), V6: m.v6}
	}
	expected := s.ReadAccount(t, made)
	ids := expected.IDs()
	for i, m := range members {
		var seen *proto.NetworkMap
		want := expected.Lines(ids[m.fqdn])
		err := harness.Within(30*time.Second, func() error {
			now, err := m.state()
			switch {
			case err != nil:
				return err
			case now == nil || now == seen:
				return fmt.Errorf("the map of serial %d is not it", seen.GetSerial())
			}
			seen = now
			if diff := harness.Difference(harness.MapLines(now), want); diff != "" {
				return fmt.Errorf("serial %d:\n%s", now.GetSerial(), diff)
			}
			return nil
		})
		if err != nil {
			now, _ := m.state()
			t.Fatalf("peer %d, %s: %v\n%s", i, m.fqdn, err, harness.Difference(harness.MapLines(now), want))
		}
	}
}
