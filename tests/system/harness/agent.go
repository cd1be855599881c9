package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/client/embed"
	"github.com/netbirdio/netbird/shared/management/proto"
)

// Agent is an unmodified NetBird agent in netstack mode.
type Agent struct {
	*embed.Client
	Name   string
	Config string // path of the identity; the same file is the same peer

	key, management string
}

// NewAgent prepares an agent; a nil-like empty config makes a new identity.
func NewAgent(t testing.TB, name, key, management, config string) *Agent {
	t.Helper()
	if config == "" {
		config = filepath.Join(t.TempDir(), name+".json")
	}
	level := os.Getenv("ROOKERY_TEST_AGENT_LOG")
	if level == "" {
		level = "panic" // agents log every retry, and outages are what many tests are about
	}
	port, lazy := 0, false
	c, err := embed.New(embed.Options{DeviceName: name, SetupKey: key, ManagementURL: management, LogLevel: level,
		ConfigPath: config, WireguardPort: &port, LazyConnectionEnabled: &lazy})
	if err != nil {
		t.Fatal(err)
	}
	return &Agent{Client: c, Name: name, Config: config, key: key, management: management}
}

// NewTokenAgent prepares an agent with a new identity that signs in with a token of the identity provider.
func NewTokenAgent(t testing.TB, name, token, management string) *Agent {
	t.Helper()
	port, lazy := 0, false
	config := filepath.Join(t.TempDir(), name+".json")
	c, err := embed.New(embed.Options{DeviceName: name, JWTToken: token, ManagementURL: management, LogLevel: "panic",
		ConfigPath: config, WireguardPort: &port, LazyConnectionEnabled: &lazy})
	if err != nil {
		t.Fatal(err)
	}
	return &Agent{Client: c, Name: name, Config: config, management: management}
}

// StartAgent starts an agent and waits until it is online.
func StartAgent(t testing.TB, name, key, management string) *Agent {
	t.Helper()
	a := NewAgent(t, name, key, management, "")
	a.Up(t)
	return a
}

// Up starts the agent and waits until it is online; it stops with the test.
func (a *Agent) Up(t testing.TB) {
	t.Helper()
	if err := a.TryUp(30 * time.Second); err != nil {
		t.Fatalf("agent %s: %v", a.Name, err)
	}
	t.Cleanup(a.Down)
	a.Online(t, 20*time.Second)
}

// TryUp is bounded by the limit, which the login inside Start does not heed by itself.
func (a *Agent) TryUp(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Start(ctx) }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit + time.Second):
		return fmt.Errorf("start did not end within %v", limit)
	}
}

// Down stops the agent; stopping twice is fine.
func (a *Agent) Down() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = a.Stop(ctx)
}

// Again stops the agent and starts it with the same identity.
func (a *Agent) Again(t testing.TB) *Agent {
	t.Helper()
	a.Down()
	b := NewAgent(t, a.Name, a.key, a.management, a.Config)
	b.Up(t)
	return b
}

// Online waits for a map and for connections to management, signal and a relay.
func (a *Agent) Online(t testing.TB, limit time.Duration) {
	t.Helper()
	if err := a.TryOnline(limit); err != nil {
		t.Fatalf("agent %s is not online after %v: %v", a.Name, limit, err)
	}
}

// TryOnline is Online that returns why not.
func (a *Agent) TryOnline(limit time.Duration) error {
	return within(limit, 50*time.Millisecond, func() error {
		if a.Map() == nil {
			return errors.New("no network map")
		}
		s, err := a.Status()
		switch {
		case err != nil:
			return err
		case !s.ManagementState.Connected:
			return fmt.Errorf("management: %v", s.ManagementState.Error)
		case !s.SignalState.Connected:
			return fmt.Errorf("signal: %v", s.SignalState.Error)
		}
		// One is enough: after a change of its home relay an agent may list a connection to the new one as foreign and
		// dead for a minute, the one its home connection took the place of.
		relays := errors.New("no relay")
		for _, r := range s.Relays {
			if !strings.HasPrefix(r.URI, "rel") {
				continue
			}
			if r.Err == nil {
				return nil
			}
			relays = fmt.Errorf("%s: %w", r.URI, r.Err)
		}
		return relays
	})
}

// Map is the network map the agent works with, nil when it has none.
func (a *Agent) Map() *proto.NetworkMap {
	r, err := a.GetLatestSyncResponse()
	if err != nil || r == nil {
		return nil
	}
	return r.GetNetworkMap()
}

// IP is the agent's own address, without a prefix length.
func (a *Agent) IP(t testing.TB) string {
	t.Helper()
	s, err := a.Status()
	if err != nil {
		t.Fatal(err)
	}
	ip, _, _ := strings.Cut(s.LocalPeerState.IP, "/")
	if ip == "" {
		t.Fatalf("agent %s has no address", a.Name)
	}
	return ip
}

// FQDN is the agent's own full name.
func (a *Agent) FQDN(t testing.TB) string {
	t.Helper()
	s, err := a.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s.LocalPeerState.FQDN
}

// PublicKey is the agent's own key.
func (a *Agent) PublicKey(t testing.TB) string {
	t.Helper()
	s, err := a.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s.LocalPeerState.PubKey
}

// Path is how one peer reaches another.
type Path int

// The ways a test may ask for.
const (
	AnyPath Path = iota
	Direct
	Relayed
)

// Connected waits until this agent is connected to the other in the wanted way.
func (a *Agent) Connected(t testing.TB, other *Agent, way Path, limit time.Duration) {
	t.Helper()
	if err := a.TryConnected(other.PublicKey(t), way, limit); err != nil {
		t.Fatalf("%s to %s not connected after %v: %v", a.Name, other.Name, limit, err)
	}
}

// TryConnected is Connected that returns why not. An agent says that it is connected as soon as it has told WireGuard where the other
// is; nothing passes before their handshake. On a busy machine both may begin one, the second is dropped as a flood when it comes
// within 20 ms of another, and then it is 5.0 to 5.3 s until the next.
func (a *Agent) TryConnected(key string, way Path, limit time.Duration) error {
	return within(limit, 50*time.Millisecond, func() error {
		s, err := a.Status()
		if err != nil {
			return err
		}
		for _, p := range s.Peers {
			if p.PubKey != key {
				continue
			}
			switch {
			case p.ConnStatus != embed.PeerStatusConnected:
				return fmt.Errorf("status %v", p.ConnStatus)
			case way == Direct && p.Relayed, way == Relayed && !p.Relayed:
				return fmt.Errorf("relayed: %v", p.Relayed)
			case p.LastWireguardHandshake.IsZero():
				return errors.New("no WireGuard handshake")
			}
			return nil
		}
		return errors.New("not among the agent's peers")
	})
}

// Plight is one line of how this agent's connection to the other is, for who reads why nothing passed.
func (a *Agent) Plight(other *Agent) string {
	between := a.Name + " to " + other.Name + ": "
	o, err := other.Status()
	if err != nil {
		return between + err.Error()
	}
	s, err := a.Status()
	if err != nil {
		return between + err.Error()
	}
	for _, p := range s.Peers {
		if p.PubKey != o.LocalPeerState.PubKey {
			continue
		}
		way := fmt.Sprintf("direct, %s %s to %s %s", p.LocalIceCandidateType, p.LocalIceCandidateEndpoint, p.RemoteIceCandidateType,
			p.RemoteIceCandidateEndpoint)
		if p.Relayed {
			way = "relayed by " + p.RelayServerAddress
		}
		return fmt.Sprintf("%s%v %s, %s; last handshake %s, %d bytes in, %d out", between, p.ConnStatus, ago(p.ConnStatusUpdate), way,
			ago(p.LastWireguardHandshake), p.BytesRx, p.BytesTx)
	}
	return between + "not among the agent's peers"
}

// ago is how long ago that was; an agent knows handshakes by the second.
func ago(when time.Time) string {
	if when.IsZero() {
		return "never"
	}
	return time.Since(when).Round(10*time.Millisecond).String() + " ago"
}

// RelayOf is the relay through which this agent reaches the other.
func (a *Agent) RelayOf(t testing.TB, other *Agent) string {
	t.Helper()
	key := other.PublicKey(t)
	s, err := a.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Peers {
		if p.PubKey == key {
			return p.RelayServerAddress
		}
	}
	t.Fatalf("%s does not know %s", a.Name, other.Name)
	return ""
}

// Mesh waits until both agents are connected to each other.
func Mesh(t testing.TB, a, b *Agent, way Path) {
	t.Helper()
	a.Connected(t, b, way, 30*time.Second)
	b.Connected(t, a, way, 30*time.Second)
}
