package system

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rookery.test/system/harness"
)

// Agents in browsers have no TCP: their gRPC comes in the messages of a WebSocket.

// ways are the URLs of a tier's WebSockets, straight to a replica and through the front, in clear and over TLS.
func ways(t *testing.T, c *harness.Cluster, tier, direct string) map[string]*harness.Browser {
	t.Helper()
	path := "/ws-proxy/" + tier
	at := harness.Endpoint(t, c.FrontURL)
	out := map[string]*harness.Browser{"front": harness.DialBrowser(t, "ws://"+at+path, nil)}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
		out["front, TLS"] = harness.DialBrowser(t, "wss://"+at+path, &tls.Config{RootCAs: roots})
	}
	if len(c.Processes) > 0 {
		out["replica"] = harness.DialBrowser(t, "ws://"+direct+path, nil)
		dir := t.TempDir()
		cert, key := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
		roots := harness.WriteCertificate(t, cert, key, 1)
		m := c.Sibling(t, tier+"-1", map[string]string{"tls_cert_file": cert, "tls_key_file": key})
		out["replica, TLS"] = harness.DialBrowser(t, "wss://"+m.Listen+path, &tls.Config{RootCAs: roots})
		// What a browser itself offers.
		out["replica, TLS, ALPN"] = harness.DialBrowser(t, "wss://"+m.Listen+path,
			&tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}})
	}
	return out
}

func TestBrowserManagement(t *testing.T) {
	c := cluster(t)
	for name, way := range ways(t, c, "management", managements(t, c)[0]) {
		t.Run(name, func(t *testing.T) {
			s := c.Space(t)
			b := way.Management(t, "browser")
			if _, err := b.ServerKey(t.Context()); err != nil {
				t.Fatal(err)
			}
			address := b.Login(t, s.Key).GetPeerConfig().GetAddress()
			stream := b.Sync(t)
			if got := stream.Next(t, 5*time.Second).GetPeerConfig().GetAddress(); got != address || got == "" {
				t.Errorf("the map says %q, the login %q", got, address)
			}
			if strings.HasPrefix(name, "front") {
				// The front tells whom it speaks for in the upgrade.
				peer, err := s.Peers.Get(t.Context(), s.PeerID(t, "browser"))
				if err != nil {
					t.Fatal(err)
				}
				if peer.ConnectionIp != harness.Host {
					t.Errorf("the agent's address is %q instead of %q", peer.ConnectionIp, harness.Host)
				}
			}
			native := harness.NewBare(t, managements(t, c)[1], "native")
			native.Login(t, s.Key)
			stream.Until(t, 5*time.Second, "the other peer", func(m *proto.SyncResponse) bool {
				for _, p := range m.GetNetworkMap().GetRemotePeers() {
					if p.GetWgPubKey() == native.PublicKey() {
						return true
					}
				}
				return false
			})
		})
	}
}

func TestBrowserSignal(t *testing.T) {
	c := cluster(t)
	for name, way := range ways(t, c, "signal", signals(t, c)[0]) {
		t.Run(name, func(t *testing.T) {
			b := way.Signal(t)
			native := harness.NewSignal(t, signals(t, c)[1])
			to, from := b.Connect(t), native.Connect(t)
			for _, size := range []int{1, 32 << 10, 500_000} {
				body := make([]byte, size)
				for i := range body {
					body[i] = byte(i * 31 >> 3)
				}
				m := native.Message(b.ID(), body)
				native.Send(t, m)
				to.Want(t, m, 10*time.Second)
				m = b.Message(native.ID(), body)
				b.Send(t, m)
				from.Want(t, m, 10*time.Second)
			}
		})
	}
}

// What is no upgrade is told so, and gRPC's own path is none.
func TestBrowserRefused(t *testing.T) {
	c := cluster(t)
	entries := map[string]string{"replica": signals(t, c)[0], "front": harness.Endpoint(t, c.FrontURL)}
	for name, at := range entries {
		t.Run(name, func(t *testing.T) {
			for path, want := range map[string]int{"/ws-proxy/signal": http.StatusUpgradeRequired} {
				resp, err := http.Get("http://" + at + path)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != want {
					t.Errorf("GET %s: %d instead of %d", path, resp.StatusCode, want)
				}
			}
			other := harness.DialBrowser(t, "ws://"+at+"/ws-proxy/flow", nil).Signal(t)
			_, err := other.TrySend(t.Context(), other.Message("nobody", nil))
			if status.Code(err) != codes.Unavailable {
				t.Errorf("a call through /ws-proxy/flow: %v", err)
			}
		})
	}
}

// The life of a connection as its replica counts it: killed, come again, drained.
func TestBrowserKilledAndDrained(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	m := c.Sibling(t, "signal-1", nil)
	count := func(name string, want float64) {
		t.Helper()
		harness.Eventually(t, 5*time.Second, name, func() error {
			if got := harness.Metric(t, m.Admin, name); got != want {
				return fmt.Errorf("%v instead of %v", got, want)
			}
			return nil
		})
	}
	way := harness.DialBrowser(t, "ws://"+m.Listen+"/ws-proxy/signal", nil)
	b := way.Signal(t)
	first := b.Connect(t)
	count("rookery_signal_wsproxy_active_connections", 1)
	count("rookery_signal_active_peers", 1)
	way.Kill()
	if err := first.End(t, 5*time.Second); status.Code(err) != codes.Unavailable {
		t.Errorf("the killed stream ended with %v", err)
	}
	count("rookery_signal_active_peers", 0)
	count("rookery_signal_wsproxy_active_connections", 0)
	count("rookery_signal_wsproxy_errors_total", 1)

	var again *harness.SignalStream
	harness.Eventually(t, 10*time.Second, "it comes again", func() error {
		stream, err := b.TryConnect(t.Context(), b.ID(), 5*time.Second)
		again = stream
		return err
	})
	if harness.Metric(t, m.Admin, "rookery_signal_wsproxy_bytes_transferred_total") < 100 {
		t.Error("the bytes are not counted")
	}
	m.Terminate(t)
	if err := again.End(t, 20*time.Second); status.Code(err) != codes.Unavailable {
		t.Errorf("the drained stream ended with %v", err)
	}
	if code := m.Exited(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// An agent whose TCP connection nobody reads, with windows open as far as they go, holds up itself alone.
func TestBrowserSlowReader(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	const slows, each, size = 4, 400, 64 << 10 // 25 MiB for each
	grown := growth(t, c, "signal")
	at := signals(t, c)[0]
	var slow []*harness.Signal
	for range slows {
		way := harness.DialBrowser(t, "ws://"+at+"/ws-proxy/signal", nil, grpc.WithInitialWindowSize(1<<30),
			grpc.WithInitialConnWindowSize(1<<30))
		s := way.Signal(t)
		register(t, s)
		way.Hold()
		slow = append(slow, s)
	}
	beside := harness.DialBrowser(t, "ws://"+at+"/ws-proxy/signal", nil).Signal(t)
	stream := beside.Connect(t)
	sender := harness.NewSignal(t, at)
	var worst time.Duration
	for i := range each {
		for _, s := range slow {
			if _, err := sender.TrySend(t.Context(), sender.Message(s.ID(), make([]byte, size))); err != nil {
				t.Fatal(err)
			}
		}
		m := sender.Message(beside.ID(), fmt.Appendf(nil, "%d", i))
		start := time.Now()
		sender.Send(t, m)
		stream.Want(t, m, 2*time.Second)
		worst = max(worst, time.Since(start))
	}
	t.Logf("%d messages to one who reads, the slowest took %v; the replica grew by %d KiB", each, worst, grown()>>10)
	if got := grown(); got > slows*3<<20+16<<20 && !c.Proc(t, "signal-1").Sanitized(t) {
		t.Errorf("a replica grew by %d KiB", got>>10)
	}
}
