package harness

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/proto"
	"github.com/netbirdio/netbird/shared/relay/messages"
)

// Relay is a bare relay client: one WebSocket connection with an identity, and no retries.
type Relay struct {
	*WS
	ID  messages.PeerID
	URL string // as the server names itself
}

// RelayToken is the binary token of relay credentials from management.
func RelayToken(t testing.TB, config *proto.RelayConfig) []byte {
	t.Helper()
	signature, err := base64.StdEncoding.DecodeString(config.GetTokenSignature())
	if err != nil {
		t.Fatal(err)
	}
	return append(append([]byte{1}, signature...), config.GetTokenPayload()...)
}

// SecretToken is the binary token that a relay with that secret accepts until then.
func SecretToken(secret string, until time.Time) []byte {
	payload := strconv.FormatInt(until.Unix(), 10)
	key := sha256.Sum256([]byte(secret))
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(payload))
	return append(append([]byte{1}, mac.Sum(nil)...), payload...)
}

// TryRelay connects and authenticates as the peer of that name.
func TryRelay(hostport, name string, token []byte) (*Relay, error) {
	ws, err := DialWS(hostport)
	if err != nil {
		return nil, err
	}
	return RelayOver(ws, name, token)
}

// RelayOver authenticates on a connection.
func RelayOver(ws *WS, name string, token []byte) (*Relay, error) {
	r := &Relay{WS: ws, ID: messages.HashID(name)}
	auth, err := messages.MarshalAuthMsg(r.ID, token)
	if err != nil {
		return nil, err
	}
	if err := ws.Frame(true, OpBinary, auth); err != nil {
		return nil, err
	}
	answer, err := ws.ReadMessage(5 * time.Second)
	if err != nil {
		_ = ws.Close()
		return nil, fmt.Errorf("no answer to AUTH: %w", err)
	}
	if len(answer) < 3 || answer[0] != 1 || messages.MsgType(answer[1]) != messages.MsgTypeAuthResponse {
		_ = ws.Close()
		return nil, fmt.Errorf("the first message is % x instead of AUTH_RESPONSE", answer)
	}
	r.URL = string(answer[2:])
	return r, nil
}

// NewRelay is TryRelay that fails the test; the connection ends with it.
func NewRelay(t testing.TB, hostport, name string, token []byte) *Relay {
	t.Helper()
	r, err := TryRelay(hostport, name, token)
	if err != nil {
		t.Fatalf("relay %s as %s: %v", hostport, name, err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// Send writes one relay message.
func (r *Relay) Send(t testing.TB, message []byte) {
	t.Helper()
	if err := r.Frame(true, OpBinary, message); err != nil {
		t.Fatal(err)
	}
}

// Transport sends a payload to a peer.
func (r *Relay) Transport(t testing.TB, to messages.PeerID, payload []byte) {
	t.Helper()
	m, err := messages.MarshalTransportMsg(to, payload)
	if err != nil {
		t.Fatal(err)
	}
	r.Send(t, m)
}

// Subscribe asks for the presence of peers.
func (r *Relay) Subscribe(t testing.TB, ids ...messages.PeerID) {
	t.Helper()
	all, err := messages.MarshalSubPeerStateMsg(ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		r.Send(t, m)
	}
}

// Unsubscribe takes that back.
func (r *Relay) Unsubscribe(t testing.TB, ids ...messages.PeerID) {
	t.Helper()
	all, err := messages.MarshalUnsubPeerStateMsg(ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		r.Send(t, m)
	}
}

// TryNext is the next message but for health checks, which are answered.
func (r *Relay) TryNext(limit time.Duration) ([]byte, error) {
	deadline := time.Now().Add(limit)
	for {
		m, err := r.ReadMessage(time.Until(deadline))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(m, messages.MarshalHealthcheck()) {
			return m, nil
		}
		if err := r.Frame(true, OpBinary, messages.MarshalHealthcheck()); err != nil {
			return nil, err
		}
	}
}

// WantTransport expects a payload of that peer.
func (r *Relay) WantTransport(t testing.TB, from messages.PeerID, payload []byte, limit time.Duration) {
	t.Helper()
	m, err := r.TryNext(limit)
	if err != nil {
		t.Fatalf("no TRANSPORT: %v", err)
	}
	want, _ := messages.MarshalTransportMsg(from, payload)
	if !bytes.Equal(m, want) {
		t.Fatalf("%d bytes % .48x... instead of %d bytes % .48x...", len(m), m, len(want), want)
	}
}

// WantState expects one presence message about exactly one peer.
func (r *Relay) WantState(t testing.TB, kind messages.MsgType, id messages.PeerID, limit time.Duration) {
	t.Helper()
	m, err := r.TryNext(limit)
	if err != nil {
		t.Fatalf("no %v: %v", kind, err)
	}
	want := append([]byte{1, byte(kind)}, id[:]...)
	if !bytes.Equal(m, want) {
		t.Fatalf("% x instead of %v of %v", m, kind, id)
	}
}

// WantAlive sends a message to itself and waits for it: everything before it has been dealt with, and nothing else came.
func (r *Relay) WantAlive(t testing.TB) {
	t.Helper()
	payload := fmt.Appendf(nil, "still here at %d", time.Now().UnixNano())
	r.Transport(t, r.ID, payload)
	r.WantTransport(t, r.ID, payload, 5*time.Second)
}

// Barrier sends a message to itself and returns the messages that came before it.
func (r *Relay) Barrier(t testing.TB) [][]byte {
	t.Helper()
	payload := fmt.Appendf(nil, "barrier at %d", time.Now().UnixNano())
	r.Transport(t, r.ID, payload)
	want, _ := messages.MarshalTransportMsg(r.ID, payload)
	var before [][]byte
	for {
		m, err := r.TryNext(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(m, want) {
			return before
		}
		before = append(before, m)
	}
}
