package system

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/relay/messages"
	"rookery.test/system/harness"
)

// The numbers are those of the acceptance cases of the relay protocol.

const soon = 2 * time.Second

func relayAt(t *testing.T, c *harness.Cluster) string { return harness.Endpoint(t, c.RelayURLs[0]) }

var relayPeers int

// relayName is a name that no other test uses.
func relayName(what string) string {
	relayPeers++
	return fmt.Sprintf("%s-%d-%d", what, relayPeers, time.Now().UnixNano())
}

// relayToken is a good token, from management.
func relayToken(t *testing.T, c *harness.Cluster) []byte {
	t.Helper()
	login := harness.NewBare(t, front(t, c), "token").Login(t, c.Lonely(t).Key)
	return harness.RelayToken(t, login.GetNetbirdConfig().GetRelay())
}

func TestRelay14Auth(t *testing.T) {
	c := cluster(t)
	token := relayToken(t, c)
	for _, url := range c.RelayURLs {
		r := harness.NewRelay(t, harness.Endpoint(t, url), relayName("a"), token)
		if r.URL != url {
			t.Errorf("%s calls itself %s", url, r.URL)
		}
		r.WantAlive(t)
	}
}

// The vector of the specification, on a relay with its secret.
func TestRelay14AuthVector(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	m := c.Sibling(t, "relay-1", map[string]string{"relay_secret": "testsecret", "relay_secret_file": "",
		"exposed_url": "rels://relay1.example.com:443"})
	ws, err := harness.DialWS(m.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	auth := harness.Hex(t, "01062112a4427368612d905f28def18eaac05ae6f12b2c3452744afaf626da1343d57b395b544e0519b601"+
		"c6d8d64094f142f6db8ac8101023f36af96d57fb66bb5228cf81718743f74f9c31383933343536303030")
	if err := ws.Frame(true, harness.OpBinary, auth); err != nil {
		t.Fatal(err)
	}
	got, err := ws.ReadMessage(soon)
	if want := "\x01\x07rels://relay1.example.com:443"; err != nil || string(got) != want {
		t.Errorf("%q, %v instead of %q", got, err, want)
	}
	harness.Eventually(t, soon, "counted", func() error {
		if n := harness.Metric(t, m.Admin, "relay_peers"); n != 1 {
			return fmt.Errorf("relay_peers is %v", n)
		}
		return nil
	})
}

func TestRelay15BadAuth(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	const secret = "a secret of this test"
	m := c.Sibling(t, "relay-1", map[string]string{"relay_secret": secret, "relay_secret_file": ""})
	id := messages.HashID("somebody")
	auth := func(algorithm byte, payload string) []byte {
		key := sha256.Sum256([]byte(secret))
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte(payload))
		out := append([]byte{1, 6, 0x21, 0x12, 0xa4, 0x42}, id[:]...)
		return append(append(append(out, algorithm), mac.Sum(nil)...), payload...)
	}
	until := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
	with := func(at int, b byte) []byte {
		out := auth(1, until)
		out[at] = b
		return out
	}
	good := auth(1, until)
	for what, frame := range map[string][]byte{
		"wrong signature": with(60, good[60]^1),
		"expired":         auth(1, strconv.FormatInt(time.Now().Add(-time.Second).Unix()-1, 10)),
		"algorithm 2":     auth(2, until),
		"nine digits":     auth(1, "999999999"),
		"no number":       auth(1, "9999999999x"),
		"bad magic":       with(2, 0),
		"version 2":       with(0, 2),
		"type 1":          with(1, 1),
		"213 bytes":       append(good, bytes.Repeat([]byte{'0'}, 213-len(good))...),
		"no token":        good[:42],
		"empty":           {},
	} {
		ws, err := harness.DialWS(m.Listen)
		if err != nil {
			t.Fatal(err)
		}
		if err := ws.Frame(true, harness.OpBinary, frame); err != nil {
			t.Fatal(err)
		}
		if got, err := ws.ReadMessage(soon); err == nil {
			t.Errorf("%s: answered with % x", what, got)
		} else if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
			t.Errorf("%s: still open", what)
		}
		_ = ws.Close()
	}
	ws, err := harness.DialWS(m.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	_ = ws.Frame(true, harness.OpBinary, good)
	if _, err := ws.ReadMessage(soon); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestRelay16Silence(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	conn, err := net.Dial("tcp", relayAt(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ws, err := harness.DialWS(relayAt(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	start := time.Now()
	ws.WantClosed(t, 15*time.Second)
	if took := time.Since(start); took < 8*time.Second {
		t.Errorf("closed after %v", took)
	}
	_ = conn.SetReadDeadline(start.Add(20 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a silent connection was sent something")
	} else if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
		t.Error("a silent connection stays open")
	}
}

func TestRelay17To20Frames(t *testing.T) {
	c := cluster(t)
	token := relayToken(t, c)
	a := harness.NewRelay(t, relayAt(t, c), relayName("a"), token)
	b := harness.NewRelay(t, relayAt(t, c), relayName("b"), token)
	for _, size := range []int{0, 1, 1350, 8820 - 38} { // 17
		payload := bytes.Repeat([]byte{byte(size)}, size)
		a.Transport(t, b.ID, payload)
		b.WantTransport(t, a.ID, payload, soon)
	}
	a.Transport(t, messages.HashID(relayName("nobody")), []byte("x")) // 18
	a.WantAlive(t)
	short := append([]byte{1, 3}, a.ID[:35]...) // 19
	a.Send(t, short)
	a.Send(t, append([]byte{1, 8}, a.ID[:35]...))
	a.Send(t, append([]byte{1, 9}, a.ID[:35]...))
	a.Send(t, []byte{1, 8})
	a.WantAlive(t)

	closed := func(what string, op byte, frame []byte) { // 20
		x := harness.NewRelay(t, relayAt(t, c), relayName("x"), token)
		if err := x.Frame(true, op, frame); err != nil {
			t.Fatal(err)
		}
		if m, err := x.TryNext(soon); err == nil {
			t.Errorf("%s: answered % x", what, m)
		} else if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
			t.Errorf("%s: still open", what)
		}
	}
	for _, kind := range []byte{0, 1, 2, 7, 10, 11, 12, 255} {
		closed(fmt.Sprintf("type %d", kind), harness.OpBinary, []byte{1, kind})
	}
	closed("version 0", harness.OpBinary, []byte{0, 5})
	closed("version 2", harness.OpBinary, []byte{2, 5})
	closed("one byte", harness.OpBinary, []byte{1})
	closed("text frame", harness.OpText, []byte{1, 5})
	closed("empty frame", harness.OpBinary, nil)
	closed("CLOSE", harness.OpBinary, messages.MarshalCloseMsg())
	a.WantAlive(t)
}

func TestRelay21Oversized(t *testing.T) {
	c := cluster(t)
	token := relayToken(t, c)
	witness := harness.NewRelay(t, relayAt(t, c), relayName("w"), token)
	big := harness.NewRelay(t, relayAt(t, c), relayName("big"), token)
	m, _ := messages.MarshalTransportMsg(witness.ID, make([]byte, 8821-38))
	_ = big.Frame(true, harness.OpBinary, m)
	big.WantClosed(t, soon)
	parts := harness.NewRelay(t, relayAt(t, c), relayName("parts"), token)
	m, _ = messages.MarshalTransportMsg(witness.ID, []byte("in parts"))
	_ = parts.Frame(false, harness.OpBinary, m[:20])
	_ = parts.Frame(true, harness.OpContinue, m[20:])
	parts.WantClosed(t, soon)
	witness.WantAlive(t)
}

func TestRelay22Presence(t *testing.T) {
	c := cluster(t)
	token := relayToken(t, c)
	a := harness.NewRelay(t, relayAt(t, c), relayName("a"), token)
	name := relayName("b")
	id := messages.HashID(name)
	a.Subscribe(t, id)
	a.WantAlive(t)
	b := harness.NewRelay(t, relayAt(t, c), name, token)
	a.WantState(t, messages.MsgTypePeersOnline, id, soon)
	a.WantAlive(t)
	_ = b.Close()
	a.WantState(t, messages.MsgTypePeersWentOffline, id, soon)
	a.WantAlive(t)
}

func TestRelay23ManySubscriptions(t *testing.T) {
	c := cluster(t)
	token := relayToken(t, c)
	want := map[messages.PeerID]bool{}
	var ids []messages.PeerID
	for range 500 {
		r := harness.NewRelay(t, relayAt(t, c), relayName("many"), token)
		ids = append(ids, r.ID)
		want[r.ID] = true
	}
	a := harness.NewRelay(t, relayAt(t, c), relayName("a"), token)
	a.Subscribe(t, ids...)
	for len(want) > 0 {
		m, err := a.TryNext(soon)
		if err != nil {
			t.Fatalf("%d are missing: %v", len(want), err)
		}
		if len(m) > 2+36*244 || len(m) == 2 || (len(m)-2)%36 != 0 || m[1] != 10 {
			t.Fatalf("message of %d bytes: % .8x", len(m), m)
		}
		for rest := m[2:]; len(rest) > 0; rest = rest[36:] {
			delete(want, messages.PeerID(rest[:36]))
		}
	}
}

func TestRelay24Replacement(t *testing.T) {
	c := cluster(t)
	token := relayToken(t, c)
	a := harness.NewRelay(t, relayAt(t, c), relayName("a"), token)
	name := relayName("b")
	old := harness.NewRelay(t, relayAt(t, c), name, token)
	a.Subscribe(t, old.ID)
	a.WantState(t, messages.MsgTypePeersOnline, old.ID, soon)
	fresh := harness.NewRelay(t, relayAt(t, c), name, token)
	old.WantClosed(t, soon)
	a.Transport(t, fresh.ID, []byte("to the new one"))
	fresh.WantTransport(t, a.ID, []byte("to the new one"), soon)
	for _, m := range a.Barrier(t) {
		if m[1] == byte(messages.MsgTypePeersWentOffline) {
			t.Errorf("a replacement was announced as going offline")
		}
	}
}

func TestRelay25Unsubscribed(t *testing.T) {
	c := cluster(t)
	token := relayToken(t, c)
	a := harness.NewRelay(t, relayAt(t, c), relayName("a"), token)
	w := harness.NewRelay(t, relayAt(t, c), relayName("w"), token)
	b := harness.NewRelay(t, relayAt(t, c), relayName("b"), token)
	for _, r := range []*harness.Relay{a, w} {
		r.Subscribe(t, b.ID)
		r.WantState(t, messages.MsgTypePeersOnline, b.ID, soon)
	}
	a.Unsubscribe(t, b.ID)
	a.WantAlive(t)
	_ = b.Close()
	w.WantState(t, messages.MsgTypePeersWentOffline, b.ID, soon)
	a.WantAlive(t)
}

func TestRelay26HealthChecks(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	token := relayToken(t, c)
	mute := harness.NewRelay(t, relayAt(t, c), relayName("mute"), token)
	lively := harness.NewRelay(t, relayAt(t, c), relayName("lively"), token)
	start := time.Now()
	done := make(chan error, 1)
	go func() {
		_, err := lively.TryNext(100 * time.Second)
		done <- err
	}()
	checks := 0
	for {
		m, err := mute.ReadMessage(100 * time.Second)
		if err != nil {
			break
		}
		if !bytes.Equal(m, messages.MarshalHealthcheck()) {
			t.Fatalf("unexpected % x", m)
		}
		checks++
	}
	if took := time.Since(start); took < 44*time.Second || took > 92*time.Second || checks == 0 {
		t.Errorf("the mute client was closed after %v and %d health checks", took, checks)
	}
	err := <-done
	if nerr, ok := err.(net.Error); !ok || !nerr.Timeout() {
		t.Errorf("the lively client: %v", err)
	}
}

func TestRelay27StalledDestination(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	token := relayToken(t, c)
	a := harness.NewRelay(t, relayAt(t, c), relayName("a"), token)
	b := harness.NewRelay(t, relayAt(t, c), relayName("b"), token)
	s := harness.NewRelay(t, relayAt(t, c), relayName("stalled"), token)
	if tcp, ok := s.Conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}
	payload := make([]byte, 1350)
	slow := 0
	for round := range 200 {
		for range 100 {
			a.Transport(t, s.ID, payload)
		}
		start := time.Now()
		mark := fmt.Appendf(nil, "round %d", round)
		a.Transport(t, b.ID, mark)
		b.WantTransport(t, a.ID, mark, soon)
		if time.Since(start) > 50*time.Millisecond {
			slow++
		}
	}
	if slow > 20 {
		t.Errorf("%d of 200 messages to a good destination took more than 50 ms", slow)
	}
}

func TestRelay28AuthResponseComesFirst(t *testing.T) {
	c := cluster(t)
	token := relayToken(t, c)
	name := relayName("target")
	id := messages.HashID(name)
	b := harness.NewRelay(t, relayAt(t, c), relayName("b"), token)
	stop := make(chan struct{})
	var hammer sync.WaitGroup
	hammer.Add(1)
	go func() {
		defer hammer.Done()
		m, _ := messages.MarshalTransportMsg(id, []byte("too early"))
		for {
			select {
			case <-stop:
				return
			default:
				if b.Frame(true, harness.OpBinary, m) != nil {
					return
				}
			}
		}
	}()
	for range 100 {
		r, err := harness.TryRelay(relayAt(t, c), name, token)
		if err != nil {
			t.Error(err)
			break
		}
		_ = r.Close()
	}
	close(stop)
	hammer.Wait()
}

func TestRelay29Drain(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	token := relayToken(t, c)
	m := c.Sibling(t, "relay-1", map[string]string{"drain_ms": "2000"})
	r := harness.NewRelay(t, m.Listen, relayName("a"), token)
	m.Terminate(t)
	got, err := r.TryNext(5 * time.Second)
	if err != nil || !bytes.Equal(got, messages.MarshalCloseMsg()) {
		t.Errorf("% x, %v instead of CLOSE", got, err)
	}
	r.WantClosed(t, 5*time.Second)
	if code := m.Exited(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
