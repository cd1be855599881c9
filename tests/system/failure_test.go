package system

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"rookery.test/system/harness"
)

// stream keeps data flowing from one agent to another until stopped; a stall beyond the limit is an error.
type traffic struct {
	flow *harness.Flow
	stop chan struct{}
	done chan error
}

func startTraffic(t *testing.T, from *harness.Agent, to string, stall time.Duration) *traffic {
	t.Helper()
	flow, err := from.DialEcho(to, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	flow.OnePacket()
	tr := &traffic{flow, make(chan struct{}), make(chan error, 1)}
	go func() {
		pace := time.NewTicker(2 * time.Millisecond) // as fast as it goes would be a core's work
		defer pace.Stop()
		for {
			select {
			case <-tr.stop:
				tr.done <- flow.Finish()
				return
			case <-pace.C:
			}
			if err := flow.Send(stall); err != nil {
				tr.done <- fmt.Errorf("after %d bytes: %w", flow.Bytes(), err)
				return
			}
		}
	}()
	return tr
}

// moves waits until more data than retransmissions could pass off has come through.
func (tr *traffic) moves(t *testing.T, limit time.Duration) {
	t.Helper()
	target := tr.flow.Bytes() + 100<<10
	harness.Eventually(t, limit, "data flows", func() error {
		select {
		case err := <-tr.done:
			tr.done <- err
			t.Fatalf("the connection broke: %v", err)
		default:
		}
		if now := tr.flow.Bytes(); now < target {
			return fmt.Errorf("%d of %d bytes", now, target)
		}
		return nil
	})
}

func (tr *traffic) finish(t *testing.T) {
	t.Helper()
	close(tr.stop)
	if err := <-tr.done; err != nil {
		t.Errorf("the connection broke: %v", err)
	}
}

// hasPort tells whether a map holds a rule with that port.
func hasPort(m *proto.NetworkMap, port string) error {
	for _, r := range m.GetFirewallRules() {
		if r.GetPort() == port {
			return nil
		}
	}
	return fmt.Errorf("port %s is in none of %d rules of serial %d", port, len(m.GetFirewallRules()), m.GetSerial())
}

// changeReaches changes a policy by REST and waits until every agent has it, counted from the answer.
func changeReaches(t *testing.T, s *harness.Space, policy string, port int, limit time.Duration, agents ...*harness.Agent) {
	t.Helper()
	s.SetPolicy(t, policy, harness.Rule(s.Group, s.Group, "tcp", true, strconv.Itoa(port)))
	answered := time.Now()
	for _, a := range agents {
		if err := harness.Within(time.Until(answered.Add(limit)), func() error { return hasPort(a.Map(), strconv.Itoa(port)) }); err != nil {
			t.Errorf("%v after the answer %s has not got the change: %v", time.Since(answered), a.Name, err)
		}
	}
}

func killEachInTurn(t *testing.T, c *harness.Cluster, way harness.Path, recovery time.Duration) {
	s := c.Space(t)
	changing := s.Allow(t, s.Group, s.Group, "tcp", true, "7999")
	a := harness.StartAgent(t, "alpha", s.Key, c.ManagementURL)
	b := harness.StartAgent(t, "beta", s.Key, c.ManagementURL)
	harness.Mesh(t, a, b, way)
	b.Echo(t)
	flow := startTraffic(t, a, b.IP(t), recovery)
	flow.moves(t, recovery)
	port := 8000
	for _, tier := range []string{"management", "signal", "relay", "stun", "dashboard-api"} {
		for _, name := range c.Names(tier) {
			t.Logf("kill -9 %s", name)
			c.Kill(t, name)
			port++
			changeReaches(t, s, changing, port, 2*time.Second, a, b)
			third := harness.StartAgent(t, "third-"+name, s.Key, c.ManagementURL)
			if err := third.TryConnected(a.PublicKey(t), harness.AnyPath, recovery); err != nil {
				t.Errorf("the third agent did not reach alpha without %s: %v", name, err)
			}
			third.Down()
			flow.moves(t, recovery)
			c.Restart(t)
			if err := s.Peers.Delete(t.Context(), s.PeerID(t, "third-"+name)); err != nil {
				t.Error(err)
			}
			a.Online(t, recovery)
			b.Online(t, recovery)
		}
	}
	flow.finish(t)
}

func TestFailureKillEachDirect(t *testing.T) {
	t.Parallel()
	c := own(t)
	needsProcesses(t, c)
	killEachInTurn(t, c, harness.Direct, 30*time.Second)
}

// Agents notice a dead relay at once, try it again for up to 6.5 s and then pick another.
func TestFailureKillEachRelayed(t *testing.T) {
	t.Parallel()
	if !harness.InChild(t, nil, "NB_FORCE_RELAY=true") {
		return
	}
	c := own(t)
	needsProcesses(t, c)
	killEachInTurn(t, c, harness.Relayed, time.Minute)
}

// One relay replica is killed while both agents use it, and the tunnel goes on through the other.
func TestFailureKillRelay(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	if !harness.InChild(t, c, "NB_FORCE_RELAY=true") {
		return
	}
	s := c.Space(t)
	relays := map[string]*harness.Sibling{}
	urls := ""
	for i := range 2 {
		port := harness.FreePort(t)
		at := fmt.Sprintf("%s:%d", harness.Host, port)
		url := "rel://" + at
		relays[url] = c.Sibling(t, fmt.Sprintf("relay-%d", i+1), map[string]string{"listen": at, "exposed_url": url})
		if urls != "" {
			urls += ","
		}
		urls += url
	}
	m := c.Sibling(t, "management-1", map[string]string{"relay_urls": urls})
	a := harness.StartAgent(t, "alpha", s.Key, "http://"+m.Listen)
	b := harness.StartAgent(t, "beta", s.Key, "http://"+m.Listen)
	harness.Mesh(t, a, b, harness.Relayed)
	b.Echo(t)
	flow := startTraffic(t, a, b.IP(t), time.Minute)
	flow.moves(t, 20*time.Second)
	used := relays[a.RelayOf(t, b)]
	if used == nil {
		t.Fatalf("the agents use %s, none of %s", a.RelayOf(t, b), urls)
	}
	used.Kill(t)
	late, err := a.DialEcho(b.IP(t), 30*time.Second)
	if err != nil {
		t.Fatalf("no new connection through the other relay: %v", err)
	}
	if err := late.Send(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	flow.moves(t, time.Minute)
	flow.finish(t)
}

// Reading and replacing go on while each replica of dashboard-api dies with requests under way.
func TestFailureKillUnderRequests(t *testing.T) {
	c := own(t)
	needsProcesses(t, c)
	s := c.Space(t)
	id := s.Allow(t, s.Group, s.Group, "tcp", true, "7999")
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var answered atomic.Int64
	for n := range 16 {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				method, path, body := "GET", "/api/groups", any(nil)
				if i%2 == 0 {
					method, path = "PUT", "/api/policies/"+id
					body = api.PutApiPoliciesPolicyIdJSONRequestBody{Name: s.Name, Enabled: true,
						Rules: []api.PolicyRuleUpdate{harness.Rule(s.Group, s.Group, "tcp", true, strconv.Itoa(8000+n))}}
				}
				answer, err := s.Try(t.Context(), method, path, body)
				if err != nil {
					t.Errorf("%s %s: %v", method, path, err)
				} else if answer.Status != 200 {
					t.Errorf("%s %s: status %d: %s", method, path, answer.Status, answer.Body)
				}
				answered.Add(1)
			}
		}()
	}
	busy := func() {
		target := answered.Load() + 100
		harness.Eventually(t, 20*time.Second, "requests are answered", func() error {
			if now := answered.Load(); now < target {
				return fmt.Errorf("%d of %d", now, target)
			}
			return nil
		})
	}
	for range 3 {
		for _, name := range c.Names("dashboard-api") {
			busy()
			c.Kill(t, name)
			busy()
			c.Restart(t)
		}
	}
	busy()
	close(stop)
	callers.Wait()
	t.Logf("%d requests", answered.Load())
}

func TestFailureRedis(t *testing.T) {
	t.Parallel()
	c := own(t)
	needsProcesses(t, c)
	s := c.Space(t)
	changing := s.Allow(t, s.Group, s.Group, "tcp", true, "7999")
	at := managements(t, c)
	a := harness.StartAgent(t, "alpha", s.Key, "http://"+at[0])
	b := harness.StartAgent(t, "beta", s.Key, "http://"+at[1])
	harness.Mesh(t, a, b, harness.AnyPath)
	c.Kill(t, "redis")
	// A sweep every 3 s finds what nobody announced.
	changeReaches(t, s, changing, 8001, 6*time.Second, a, b)
	third := harness.StartAgent(t, "gamma", s.Key, c.ManagementURL)
	changeReaches(t, s, changing, 8002, 6*time.Second, a, b, third)
	c.Restart(t)
	harness.Eventually(t, 20*time.Second, "prompt again", func() error {
		start := time.Now()
		port := 9000 + int(start.UnixMilli()%50000)
		s.SetPolicy(t, changing, harness.Rule(s.Group, s.Group, "tcp", true, strconv.Itoa(port)))
		return harness.Within(time.Second, func() error {
			for _, agent := range []*harness.Agent{a, b, third} {
				if err := hasPort(agent.Map(), strconv.Itoa(port)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	harness.Mesh(t, a, b, harness.AnyPath)
	third.Connected(t, a, harness.AnyPath, 30*time.Second)
}

func TestFailurePostgres(t *testing.T) {
	t.Parallel()
	c := own(t)
	needsProcesses(t, c)
	s := c.Space(t)
	at := managements(t, c)
	var streams []*harness.Stream
	var peers []*harness.Bare
	for i := range 4 {
		b := harness.NewBare(t, at[i%2], fmt.Sprintf("peer-%d", i))
		b.Login(t, s.Key)
		peers = append(peers, b)
	}
	for _, b := range peers {
		stream := b.Sync(t)
		stream.Until(t, 5*time.Second, "the whole map", func(m *proto.SyncResponse) bool {
			return len(m.GetNetworkMap().GetRemotePeers()) == len(peers)-1
		})
		streams = append(streams, stream)
	}
	c.Kill(t, "postgres")
	harness.Eventually(t, 10*time.Second, "REST answers 503", func() error {
		answer, err := s.Try(t.Context(), "GET", "/api/groups", nil)
		if err != nil {
			return err
		}
		if answer.Status != 503 {
			return fmt.Errorf("status %d", answer.Status)
		}
		return nil
	})
	for _, entry := range at {
		_, err := harness.NewBare(t, entry, "newcomer").TryLogin(t.Context(), s.Key)
		switch got, _ := status.FromError(err); got.Code() {
		case codes.Unavailable:
		default:
			t.Errorf("a new login without Postgres: %v, want Unavailable", err)
		}
	}
	// Longer than a sweep: a failed read must neither end a stream nor send a map.
	for i, stream := range streams {
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
			m, err := stream.TryNext(time.Until(deadline))
			if err == nil && len(m.GetNetworkMap().GetRemotePeers()) != len(peers)-1 {
				t.Errorf("peer %d got a map with %d peers", i, len(m.GetNetworkMap().GetRemotePeers()))
			} else if err != nil && time.Now().Before(deadline) {
				t.Errorf("peer %d: %v", i, err)
				break
			}
		}
	}
	c.Restart(t)
	harness.Eventually(t, 20*time.Second, "a new login works on both", func() error {
		for _, entry := range at {
			if _, err := harness.NewBare(t, entry, "late").TryLogin(context.Background(), s.Key); err != nil {
				return err
			}
		}
		return nil
	})
	for i, stream := range streams {
		stream.Until(t, 10*time.Second, fmt.Sprintf("peer %d gets a map with the late ones", i), func(m *proto.SyncResponse) bool {
			return len(m.GetNetworkMap().GetRemotePeers()) >= len(peers)-1+2
		})
	}
}

// A management replica that is told to go ends its streams with status 0 or by GOAWAY, and within its deadline.
func TestDrainManagement(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	m := c.Sibling(t, "management-1", map[string]string{"drain_ms": "3000"})
	b := harness.NewBare(t, m.Listen, "drained")
	b.Login(t, s.Key)
	stream := b.Sync(t)
	stream.Next(t, 5*time.Second)
	m.Terminate(t)
	_, err := stream.End(t, 5*time.Second)
	if got, _ := status.FromError(err); got.Code() != codes.OK && got.Code() != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	if code := m.Exited(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
