package compose

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// probe sends a datagram through a tunnel every 50 ms, which comes back, and knows the longest time without an answer.
type probe struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
	answers int
}

func watch(t *testing.T, from, to *harness.Daemon) *probe {
	t.Helper()
	address := net.JoinHostPort(to.Address(t), "7200")
	var server net.PacketConn
	var client net.Conn
	err := to.Inside(func() (err error) { server, err = net.ListenPacket("udp", address); return })
	if err == nil {
		err = from.Inside(func() (err error) { client, err = net.Dial("udp", address); return })
	}
	if err != nil {
		t.Fatal(err)
	}
	p, stop := &probe{last: time.Now()}, make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		_, _ = server.Close(), client.Close()
	})
	go func() {
		buf := make([]byte, 64)
		for {
			n, peer, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(buf[:n], peer)
		}
	}()
	go func() {
		buf := make([]byte, 64)
		for {
			_, err := client.Read(buf)
			select {
			case <-stop:
				return
			default:
			}
			if err == nil {
				p.answered()
			}
		}
	}()
	go func() {
		pace := time.NewTicker(50 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-stop:
				return
			case <-pace.C:
				_, _ = client.Write([]byte("?"))
			}
		}
	}()
	return p
}

func (p *probe) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longest = max(p.longest, time.Since(p.last))
	p.last = time.Now()
	p.answers++
}

// begin forgets what was.
func (p *probe) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longest, p.answers = 0, 0
}

// goes waits until forty more answers have come.
func (p *probe) goes(t *testing.T, what string, limit time.Duration) {
	t.Helper()
	p.mu.Lock()
	want := p.answers + 40
	p.mu.Unlock()
	harness.Eventually(t, limit, what+" carries traffic", func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.answers < want {
			return fmt.Errorf("%d answers, the last %v ago", p.answers, time.Since(p.last))
		}
		return nil
	})
}

// gap is the longest time without an answer, until now.
func (p *probe) gap() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.longest, time.Since(p.last)).Round(time.Millisecond)
}

// A tunnel of two hosts that reach each other needs nobody else. One through a relay waits until both ends are on one again.
const (
	directLimit  = 2 * time.Second
	relayedLimit = 45 * time.Second
)

// tunnels are two pairs of hosts, one of which may only talk through relays.
type tunnels struct {
	hosts           []*harness.Daemon
	direct, relayed *probe
}

func join(t *testing.T, s *stack) *tunnels {
	t.Helper()
	n, key := &tunnels{}, s.secret(t, "setup_key")
	for _, name := range []string{"alpha", "beta"} {
		n.hosts = append(n.hosts, s.host(t, name, key))
	}
	for _, name := range []string{"gamma", "delta"} {
		n.hosts = append(n.hosts, s.host(t, name, key, "NB_FORCE_RELAY=true"))
	}
	n.direct, n.relayed = watch(t, n.hosts[0], n.hosts[1]), watch(t, n.hosts[2], n.hosts[3])
	n.goes(t)
	way(t, n.hosts[0], n.hosts[1], "P2P", "")
	way(t, n.hosts[2], n.hosts[3], "Relayed", "rels://relay-")
	return n
}

// way waits until one host reaches another in that way.
func way(t *testing.T, from, to *harness.Daemon, kind, relay string) {
	t.Helper()
	address := to.Address(t)
	harness.Eventually(t, 30*time.Second, fmt.Sprintf("%s reaches %s: %s", from.Name, to.Name, kind), func() error {
		s, err := from.TryStatus(t.Context())
		if err != nil {
			return err
		}
		for _, p := range s.Peers.Details {
			if p.IP == address && p.ConnectionType == kind && strings.HasPrefix(p.RelayAddress, relay) {
				return nil
			} else if p.IP == address {
				return fmt.Errorf("%+v", p)
			}
		}
		return fmt.Errorf("does not know %s", address)
	})
}

func (n *tunnels) begin() {
	n.direct.begin()
	n.relayed.begin()
}

func (n *tunnels) goes(t *testing.T) {
	t.Helper()
	n.direct.goes(t, "the direct tunnel", time.Minute)
	n.relayed.goes(t, "the relayed tunnel", 2*time.Minute)
}

// online waits until every host is connected to management and signal.
func (n *tunnels) online(t *testing.T) {
	t.Helper()
	for _, d := range n.hosts {
		harness.Eventually(t, time.Minute, d.Name+" is online", func() error {
			s, err := d.TryStatus(t.Context())
			if err == nil && (!s.Management.Connected || !s.Signal.Connected) {
				return fmt.Errorf("management: %v, signal: %v", s.Management.Connected, s.Signal.Connected)
			}
			return err
		})
	}
}

// judge says how long each tunnel stood still since begin.
func (n *tunnels) judge(t *testing.T, what string, relayed time.Duration) {
	t.Helper()
	d, r := n.direct.gap(), n.relayed.gap()
	t.Logf("%s: longest without an answer: direct %v, relayed %v", what, d, r)
	if d > directLimit || r > relayed {
		t.Errorf("%s: the direct tunnel stood still for %v (at most %v), the relayed one for %v (at most %v)", what, d, directLimit, r, relayed)
	}
}

// replaced has another image's containers take the place of those that run, with the tree's own command.
func (n *tunnels) replaced(t *testing.T, s *stack, what, tree, tag string) {
	t.Helper()
	images := map[string]string{}
	for _, name := range names {
		c, err := inspect(name)
		if err != nil {
			t.Fatal(err)
		}
		images[name] = c.Image
	}
	n.begin()
	t.Logf("%s: done after %v", what, s.up(t, tree, tag).Round(time.Millisecond))
	s.registered(t)
	n.online(t)
	n.goes(t)
	n.judge(t, what, relayedLimit)
	for _, name := range names[:10] {
		if c, err := inspect(name); err != nil || c.Image == images[name] {
			t.Errorf("%s: %s was not replaced: %v", what, name, err)
		}
	}
}

// What stock's programs have for themselves when nobody is there, in KiB (docs/performance.md, "Images"); ours have a fifth at most.
var stockIdle = map[string]int{"management": 53260, "dashboard-api": 53260, "signal": 17972, "relay": 19040, "stun": 19040}

// From nothing, by the one command; the images of the commit before are replaced by this one's, these by those, which then start on
// the newer schema, and those again; the certificate comes by ACME and is renewed; then everything dies in turn.
func TestCompose(t *testing.T) {
	s := newStack(t)
	t.Logf("up after %v", s.up(t, envBefore, "before").Round(time.Millisecond))
	for _, name := range names {
		harness.Eventually(t, 30*time.Second, name+" is healthy", func() error { return s.healthy(name) })
	}
	for _, name := range names[:10] {
		bare(t, name)
	}
	token := "Token " + s.secret(t, "token")
	a := startACME(t, s)
	s.trust(t, s.made(), a.root)
	n := join(t, s)
	n.replaced(t, s, "the upgrade", envTree, "latest")
	s.relaysByName(t)
	n.replaced(t, s, "the way back", envBefore, "before")
	n.replaced(t, s, "the upgrade again", envTree, "latest")

	a.certify(t, s, n)

	for _, name := range names {
		n.begin()
		back := s.kill(t, name)
		harness.Eventually(t, 30*time.Second, "REST answers", func() error { return s.groups(t.Context(), token) })
		s.registered(t)
		n.online(t)
		n.goes(t)
		limit := directLimit
		if name == "haproxy" || strings.HasPrefix(name, "relay-") {
			limit = relayedLimit
		}
		n.judge(t, fmt.Sprintf("kill -9 %s (back after %v)", name, back.Round(time.Millisecond)), limit)
	}
	for _, name := range names[:10] {
		kib, err := memory(name)
		t.Logf("%s: %d KiB, %v", name, kib, err)
		service := name[:strings.LastIndexByte(name, '-')]
		limit := stockIdle[service] / 5
		if service == "relay" {
			limit = stockIdle[service] / 4 // one of them is not idle: it carries a tunnel
		}
		if err != nil || kib > limit {
			t.Errorf("%s has %d KiB for itself, more than %d: %v", name, kib, limit, err)
		}
	}
}
