package system

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/relay/messages"
	"rookery.test/system/harness"
)

// A relay by itself: how it listens, what it bears, and how it stops. Each test starts a replica of its own.

const relayTestSecret = "a secret of this test"

func soloRelay(t *testing.T, settings map[string]string) (*harness.Sibling, []byte) {
	t.Helper()
	c := cluster(t)
	needsProcesses(t, c)
	all := map[string]string{"relay_secret": relayTestSecret, "relay_secret_file": "", "exposed_url": "rels://relay.test:443",
		"tls_cert_file": "", "tls_key_file": ""}
	maps.Copy(all, settings)
	return c.Sibling(t, "relay-1", all), harness.SecretToken(relayTestSecret, time.Now().Add(time.Hour))
}

// counted is one metric of a process, with its labels as printed.
func counted(t *testing.T, admin, name string) float64 {
	t.Helper()
	all, err := harness.Metrics(admin)
	if err != nil {
		t.Fatal(err)
	}
	value, ok := all[name]
	if !ok {
		t.Fatalf("no metric %s", name)
	}
	return value
}

func counts(t *testing.T, admin, name string, want float64, limit time.Duration) {
	t.Helper()
	harness.Eventually(t, limit, name, func() error {
		if got := counted(t, admin, name); got != want {
			return fmt.Errorf("%v instead of %v", got, want)
		}
		return nil
	})
}

func TestRelayTLSAndItsReload(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "relay.crt"), filepath.Join(dir, "relay.key")
	roots := harness.WriteCertificate(t, cert, key, 1)
	m, token := soloRelay(t, map[string]string{"tls_cert_file": cert, "tls_key_file": key})
	dial := func(pool *x509.CertPool, version uint16, alpn ...string) (*harness.WS, error) {
		return harness.DialTLSWS(m.Listen, &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version, NextProtos: alpn})
	}
	relay := func(name string, version uint16, alpn ...string) *harness.Relay {
		ws, err := dial(roots, version, alpn...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.Close() })
		if state := ws.Conn.(*tls.Conn).ConnectionState(); len(alpn) > 0 && state.NegotiatedProtocol != alpn[0] {
			t.Errorf("ALPN %q instead of %q", state.NegotiatedProtocol, alpn[0])
		}
		r, err := harness.RelayOver(ws, name, token)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a := relay("a", tls.VersionTLS13)             // an agent offers no ALPN
	b := relay("b", tls.VersionTLS12, "http/1.1") // a browser does
	for i := range 200 {
		payload := bytes.Repeat([]byte{byte(i)}, i*44) // more than one TLS record, too
		a.Transport(t, b.ID, payload)
		b.WantTransport(t, a.ID, payload, soon)
		b.Transport(t, a.ID, payload)
		a.WantTransport(t, b.ID, payload, soon)
	}

	if conn, err := net.Dial("tcp", m.Listen); err == nil { // cleartext on a TLS port
		_, _ = io.WriteString(conn, "GET /relay HTTP/1.1\r\nHost: x\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(soon))
		if text, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") || strings.Contains(string(text), "HTTP/") {
			t.Errorf("cleartext: %q, %v", text, err)
		}
		_ = conn.Close()
	}

	fresh := harness.WriteCertificate(t, cert, key, 2)
	harness.Eventually(t, 10*time.Second, "the new certificate is used", func() error {
		ws, err := dial(fresh, tls.VersionTLS13)
		if err != nil {
			return err
		}
		defer ws.Close()
		if serial := ws.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber; serial.Cmp(big.NewInt(2)) != 0 {
			return fmt.Errorf("serial %v", serial)
		}
		return nil
	})
	a.Transport(t, b.ID, []byte("on a connection of before"))
	b.WantTransport(t, a.ID, []byte("on a connection of before"), soon)
}

// What a receiver's socket does not take waits as records that are partly sent, and as messages that are not encrypted yet.
func TestRelayTLSBacklog(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "relay.crt"), filepath.Join(dir, "relay.key")
	roots := harness.WriteCertificate(t, cert, key, 1)
	m, token := soloRelay(t, map[string]string{"tls_cert_file": cert, "tls_key_file": key, "queue_bytes": "16777216"})
	relay := func(name string) *harness.Relay {
		ws, err := harness.DialTLSWS(m.Listen, &tls.Config{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.Close() })
		r, err := harness.RelayOver(ws, name, token)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b := relay("a"), relay("b")
	payload := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 4000) }
	const n = 1500 // 12 MB, more than the sockets of both sides take
	for i := range n {
		a.Transport(t, b.ID, payload(i))
	}
	counts(t, m.Admin, "rookery_relay_messages_received_total", n, soon)
	if queued := counted(t, m.Admin, "rookery_relay_queued_bytes"); queued < 100_000 {
		t.Errorf("only %v bytes wait for a receiver that reads nothing", queued)
	}
	for i := range n {
		b.WantTransport(t, a.ID, payload(i), soon)
	}
	counts(t, m.Admin, "rookery_relay_queued_bytes", 0, soon)
	b.Transport(t, a.ID, payload(7))
	a.WantTransport(t, b.ID, payload(7), soon)
}

func TestRelayRealIP(t *testing.T) {
	for trusted, believed := range map[string]bool{"": false, "203.0.113.0/24": false, "127.0.0.0/8," + harness.Host: true} {
		m, token := soloRelay(t, map[string]string{"log_level": "debug", "trusted_proxies": trusted})
		ws, err := harness.DialWSWith(m.Listen, map[string]string{"X-Real-Ip": "198.51.100.7", "X-Real-Port": "4711"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := harness.RelayOver(ws, "a", token)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		harness.Eventually(t, soon, "the end is logged", func() error {
			if !strings.Contains(m.Log(), "connection closed") {
				return fmt.Errorf("log: %s", m.Log())
			}
			return nil
		})
		if got := strings.Contains(m.Log(), `"198.51.100.7:4711"`); got != believed {
			t.Errorf("trusted_proxies %q: believed is %v:\n%s", trusted, got, m.Log())
		}
	}
}

func TestRelayMaxConnections(t *testing.T) {
	m, token := soloRelay(t, map[string]string{"max_connections": "3"})
	var all []*harness.Relay
	for i := range 3 {
		all = append(all, harness.NewRelay(t, m.Listen, fmt.Sprint("peer ", i), token))
	}
	if ws, err := harness.DialWS(m.Listen); err == nil {
		_ = ws.Close()
		t.Error("a fourth connection was let in")
	}
	if n := counted(t, m.Admin, "rookery_relay_connections_refused_total"); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
	_ = all[0].Close()
	harness.Eventually(t, soon, "a place is free again", func() error {
		r, err := harness.TryRelay(m.Listen, "newcomer", token)
		if err == nil {
			t.Cleanup(func() { _ = r.Close() })
		}
		return err
	})
	for _, r := range all[1:] {
		r.WantAlive(t)
	}
}

// stall makes a client whose socket takes next to nothing and that never reads.
func stall(t *testing.T, at, name string, token []byte) *harness.Relay {
	t.Helper()
	r := harness.NewRelay(t, at, name, token)
	if err := r.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRelaySlowReceiverCostsOnlyItself(t *testing.T) {
	m, token := soloRelay(t, map[string]string{"queue_bytes": "262144"})
	a := harness.NewRelay(t, m.Listen, "sender", token)
	slow := stall(t, m.Listen, "slow", token)
	c := harness.NewRelay(t, m.Listen, "c", token)
	d := harness.NewRelay(t, m.Listen, "d", token)
	c.WantAlive(t)
	before := m.RSS(t)
	stop := make(chan struct{})
	var flood sync.WaitGroup
	flood.Add(1)
	go func() {
		defer flood.Done()
		big, _ := messages.MarshalTransportMsg(slow.ID, make([]byte, 8000))
		for {
			select {
			case <-stop:
				return
			default:
				if a.Frame(true, harness.OpBinary, big) != nil {
					return
				}
			}
		}
	}()
	late, rounds := 0, 0
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); rounds++ {
		mark := fmt.Appendf(nil, "round %d", rounds)
		start := time.Now()
		c.Transport(t, d.ID, mark)
		d.WantTransport(t, c.ID, mark, soon)
		if time.Since(start) > 100*time.Millisecond {
			late++
		}
	}
	if rounds < 20 || late > rounds/10 {
		t.Errorf("%d of %d messages of a good pair took more than 100 ms", late, rounds)
	}
	if queued := counted(t, m.Admin, "rookery_relay_queued_bytes"); queued > 300_000 {
		t.Errorf("%v bytes queued for a receiver that may have 262144", queued)
	}
	if grown := m.RSS(t) - before; grown > 16<<20 && !m.Sanitized(t) {
		t.Errorf("memory grew by %d bytes", grown)
	}
	if counted(t, m.Admin, `rookery_relay_messages_dropped_total{reason="queue"}`) == 0 {
		t.Error("no drop was counted")
	}
	counts(t, m.Admin, `rookery_relay_connections_closed_total{reason="slow"}`, 1, 15*time.Second)
	close(stop)
	_ = a.Close()
	flood.Wait()
	counts(t, m.Admin, "rookery_relay_queued_bytes", 0, soon)
	c.WantAlive(t)
}

// Control messages are never dropped: who has no room for them is closed.
func TestRelayControlOverflow(t *testing.T) {
	m, token := soloRelay(t, map[string]string{"queue_bytes": "65536"})
	var ids []messages.PeerID
	for i := range messages.MaxMessageSize/36 - 1 {
		ids = append(ids, harness.NewRelay(t, m.Listen, fmt.Sprint("online ", i), token).ID)
	}
	witness := harness.NewRelay(t, m.Listen, "witness", token)
	s := stall(t, m.Listen, "deaf", token)
	all, err := messages.MarshalSubPeerStateMsg(ids)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if s.Frame(true, harness.OpBinary, all[0]) != nil {
			break // closed
		}
		if i > 20000 {
			t.Fatal("still open after 20,000 answers that nobody read")
		}
	}
	counts(t, m.Admin, `rookery_relay_connections_closed_total{reason="slow"}`, 1, soon)
	witness.WantAlive(t)
	if n := counted(t, m.Admin, "rookery_relay_subscriptions"); n != 0 {
		t.Errorf("%v subscriptions are left", n)
	}
}

func TestRelayHostileInput(t *testing.T) {
	m, token := soloRelay(t, nil)
	witness := harness.NewRelay(t, m.Listen, "witness", token)
	ended := func(what string, conn net.Conn) {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(soon))
		_, err := io.Copy(io.Discard, conn)
		if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
			t.Errorf("%s: still open", what)
		}
		_ = conn.Close()
	}
	early := map[string][]byte{}
	early["TRANSPORT before AUTH"], _ = messages.MarshalTransportMsg(witness.ID, []byte("not allowed"))
	early["SUBSCRIBE before AUTH"] = append([]byte{1, 8}, witness.ID[:]...)
	early["HEALTHCHECK before AUTH"] = messages.MarshalHealthcheck()
	early["8820 bytes before AUTH"] = append([]byte{1, 6}, make([]byte, 8818)...)
	for what, frame := range early {
		ws, err := harness.DialWS(m.Listen)
		if err != nil {
			t.Fatal(err)
		}
		if err := ws.Frame(true, harness.OpBinary, frame); err != nil {
			t.Fatal(err)
		}
		ended(what, ws.Conn)
	}
	raw := map[string][]byte{
		"unmasked":             {0x82, 2, 1, 5},
		"reserved bit":         {0xc2, 0x82, 0, 0, 0, 0, 1, 5},
		"64-bit length":        {0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"length not shortest":  {0x82, 0xfe, 0, 2, 0, 0, 0, 0, 1, 5},
		"ping of 126 bytes":    {0x89, 0xfe, 0, 126, 0, 0, 0, 0},
		"fragmented ping":      {0x09, 0x80, 0, 0, 0, 0},
		"unknown opcode":       {0x83, 0x80, 0, 0, 0, 0},
		"continuation of none": {0x80, 0x80, 0, 0, 0, 0},
	}
	for what, frame := range raw {
		r := harness.NewRelay(t, m.Listen, "x "+what, token)
		if _, err := r.Write(frame); err != nil {
			t.Fatal(err)
		}
		ended(what, r.Conn)
	}
	if n := counted(t, m.Admin, `rookery_relay_connections_closed_total{reason="protocol"}`); n != float64(len(raw)) {
		t.Errorf("%v connections counted as having broken a rule, not %d", n, len(raw))
	}
	if n := counted(t, m.Admin, "rookery_relay_auth_failed_total"); n != float64(len(early)) {
		t.Errorf("%v failed logins counted, not %d", n, len(early))
	}
	for _, text := range []string{"\x16\x03\x01\x02", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /relay HTTP/1.1\r\n" +
		strings.Repeat("X: "+strings.Repeat("y", 100)+"\r\n", 100) + "\r\n", strings.Repeat("A", 9000)} {
		conn, err := net.Dial("tcp", m.Listen)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, text)
		ended(fmt.Sprintf("%.10q", text), conn)
	}
	// A flood of pings that nobody reads the answers of holds no memory.
	ws, err := harness.DialWS(m.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ping := bytes.Repeat([]byte{7}, 125)
	_ = ws.SetWriteDeadline(time.Now().Add(10 * time.Second))
	for range 20000 {
		if err := ws.Frame(true, harness.OpPing, ping); err != nil {
			t.Fatal(err)
		}
	}
	witness.WantAlive(t)
	if queued := counted(t, m.Admin, "rookery_relay_queued_bytes"); queued > 70_000 {
		t.Errorf("%v bytes of pongs wait", queued)
	}
}

func TestRelayBytesInPieces(t *testing.T) {
	m, token := soloRelay(t, nil)
	a := harness.NewRelay(t, m.Listen, "a", token)
	conn, err := net.Dial("tcp", m.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := "GET /relay HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nOrigin: https://elsewhere\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	id := messages.HashID("pieces")
	auth, _ := messages.MarshalAuthMsg(id, token)
	transport, _ := messages.MarshalTransportMsg(a.ID, bytes.Repeat([]byte("piece"), 100))
	stream := []byte(request)
	for _, message := range [][]byte{auth, transport, transport} {
		head := []byte{0x82, 0x80 | byte(len(message)), 0, 0, 0, 0}
		if len(message) > 125 {
			head = []byte{0x82, 0xfe, byte(len(message) >> 8), byte(len(message)), 0, 0, 0, 0}
		}
		stream = append(append(stream, head...), message...)
	}
	_ = conn.(*net.TCPConn).SetNoDelay(true)
	for i := range stream {
		if _, err := conn.Write(stream[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		a.WantTransport(t, id, bytes.Repeat([]byte("piece"), 100), soon)
	}
}

// What a browser adds: it pings, and it closes with a close frame.
func TestRelayPingAndCloseFrames(t *testing.T) {
	m, token := soloRelay(t, nil)
	a := harness.NewRelay(t, m.Listen, "a", token)
	b := harness.NewRelay(t, m.Listen, "b", token)
	a.Subscribe(t, b.ID)
	a.WantState(t, messages.MsgTypePeersOnline, b.ID, soon)
	raw := func(n int) []byte {
		t.Helper()
		_ = b.SetReadDeadline(time.Now().Add(soon))
		got := make([]byte, n)
		if _, err := io.ReadFull(b.Conn, got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if err := b.Frame(true, harness.OpPing, []byte("are you there")); err != nil {
		t.Fatal(err)
	}
	if got := raw(15); string(got) != "\x8a\x0dare you there" {
		t.Errorf("%q instead of a pong", got)
	}
	if err := b.Frame(true, harness.OpClose, []byte("\x03\xe8done")); err != nil {
		t.Fatal(err)
	}
	if got := raw(4); string(got) != "\x88\x02\x03\xe8" {
		t.Errorf("%q instead of a close frame", got)
	}
	if n, err := b.Conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d bytes, %v after the close frame", n, err)
	}
	_ = b.Close()
	a.WantState(t, messages.MsgTypePeersWentOffline, b.ID, soon)
}

func TestRelaySilentConnectionsEnd(t *testing.T) {
	t.Parallel()
	m, _ := soloRelay(t, nil)
	half, err := net.Dial("tcp", m.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	_, _ = io.WriteString(half, "GET /relay HTTP/1.1\r\nHost: x\r\n")
	open, err := harness.DialWS(m.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	counts(t, m.Admin, `rookery_relay_connections_closed_total{reason="silent"}`, 2, 14*time.Second)
	counts(t, m.Admin, "rookery_relay_connections", 0, soon)
}

func TestRelayDrainTellsEveryone(t *testing.T) {
	m, token := soloRelay(t, map[string]string{"drain_ms": "3000"})
	const peers = 40
	type farewell struct {
		message []byte
		at      time.Time
		err     error
	}
	farewells := make(chan farewell, peers)
	for i := range peers {
		r := harness.NewRelay(t, m.Listen, fmt.Sprint("peer ", i), token)
		go func() {
			message, err := r.TryNext(10 * time.Second)
			farewells <- farewell{message, time.Now(), err}
			_ = r.Close()
		}()
	}
	idle, err := harness.DialWS(m.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	m.Terminate(t)
	harness.Eventually(t, soon, "not ready", func() error {
		if code, err := harness.Ready(m.Admin); err == nil && code == 200 {
			return fmt.Errorf("ready")
		}
		return nil
	})
	var first, last time.Time
	for range peers {
		f := <-farewells
		if f.err != nil || !bytes.Equal(f.message, messages.MarshalCloseMsg()) {
			t.Fatalf("% x, %v instead of CLOSE", f.message, f.err)
		}
		if first.IsZero() {
			first = f.at
		}
		last = f.at
	}
	if spread := last.Sub(first); spread < 50*time.Millisecond {
		t.Errorf("all were told within %v", spread)
	}
	idle.WantClosed(t, 5*time.Second)
	if code := m.Exited(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
