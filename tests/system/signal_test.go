package system

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	pb "google.golang.org/protobuf/proto"

	"github.com/netbirdio/netbird/shared/signal/proto"
	"rookery.test/system/harness"
)

// The numbers are those of the acceptance cases of the signal protocol.

// signals are two replicas, or the front twice where replicas are not known.
func signals(t *testing.T, c *harness.Cluster) [2]string {
	if len(c.Processes) == 0 {
		at := harness.Endpoint(t, c.SignalURL)
		return [2]string{at, at}
	}
	return [2]string{c.Proc(t, "signal-1").Listen, c.Proc(t, "signal-2").Listen}
}

func TestSignal01Registration(t *testing.T) {
	at := signals(t, cluster(t))
	s := harness.NewSignal(t, at[0])
	s.Conn.Connect()
	harness.NewSignal(t, at[0]).Send(t, s.Message("dummy", nil)) // the replica is warm
	start := time.Now()
	stream := s.Connect(t)
	if took := time.Since(start); took > 250*time.Millisecond {
		t.Errorf("registered after %v", took)
	}
	if got := stream.Header.Get("x-wiretrustee-peer-registered"); len(got) != 1 || got[0] != "1" {
		t.Errorf("header %v", stream.Header)
	}
	stream.Empty(t)
}

func TestSignal02NoPeerID(t *testing.T) {
	s := harness.NewSignal(t, signals(t, cluster(t))[0])
	_, err := s.TryConnect(t.Context(), "", 5*time.Second)
	harness.WantStatus(t, err, codes.FailedPrecondition, "missing connection header: x-wiretrustee-peer-id")
}

func TestSignal03And04NewerRegistrationWins(t *testing.T) {
	at := signals(t, cluster(t))
	for i, newer := range at {
		k := harness.NewSignal(t, at[0])
		old := k.Connect(t)
		second := k.At(t, newer).Connect(t)
		harness.WantStatus(t, old.End(t, 3*time.Second), codes.Unknown, "peer registered again")
		sender := harness.NewSignal(t, at[1-i])
		m := sender.Message(k.ID(), []byte("only to the second"))
		sender.Send(t, m)
		second.Want(t, m, time.Second)
		_ = k.Conn.Close() // 4: the late close of the first connection leaves the second registered
		m = sender.Message(k.ID(), []byte("still there"))
		sender.Send(t, m)
		second.Want(t, m, time.Second)
		second.Empty(t)
	}
}

func TestSignal05Send(t *testing.T) {
	at := signals(t, cluster(t))
	for _, entry := range at {
		k := harness.NewSignal(t, at[0])
		stream := k.Connect(t)
		sender := harness.NewSignal(t, entry)
		m := sender.Message(k.ID(), bytes.Repeat([]byte{7}, 300))
		sender.Send(t, m)
		stream.Want(t, m, time.Second)
		start := time.Now()
		sender.Send(t, m)
		stream.Want(t, m, time.Second)
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("delivered after %v", took)
		}
	}
}

func TestSignal06Absent(t *testing.T) {
	at := signals(t, cluster(t))
	s := harness.NewSignal(t, at[0])
	stream := s.Connect(t)
	for _, to := range []string{harness.NewKey(t).PublicKey().String(), "dummy", "", "no key at all"} {
		s.Send(t, s.Message(to, []byte("x")))
	}
	// Sends are in order, so that nothing else can be on its way once this one is there.
	last := s.Message(s.ID(), []byte("last"))
	s.Send(t, last)
	stream.Want(t, last, time.Second)
	stream.Empty(t)
}

func TestSignal07SelfProbe(t *testing.T) {
	at := signals(t, cluster(t))
	s := harness.NewSignal(t, at[0])
	stream := s.Connect(t)
	for _, entry := range at {
		m := s.Message(s.ID(), []byte("heartbeat through "+entry))
		s.At(t, entry).Send(t, m)
		stream.Want(t, m, time.Second)
	}
}

func TestSignal08Sizes(t *testing.T) {
	at := signals(t, cluster(t))
	s := harness.NewSignal(t, at[0])
	stream := s.Connect(t)
	for _, entry := range at {
		m := s.Message(s.ID(), bytes.Repeat([]byte{9}, 525_000))
		s.At(t, entry).Send(t, m)
		stream.Want(t, m, 3*time.Second)
	}
	m := s.Message(s.ID(), nil)
	m.Body = make([]byte, 4_194_305-pb.Size(m)-5)
	if pb.Size(m) != 4_194_305 {
		t.Fatalf("test message has %d bytes", pb.Size(m))
	}
	_, err := s.TrySend(t.Context(), m)
	harness.WantStatus(t, err, codes.ResourceExhausted, "")
	last := s.Message(s.ID(), []byte("last"))
	s.Send(t, last)
	stream.Want(t, last, 3*time.Second)
}

func TestSignal09Malformed(t *testing.T) {
	at := signals(t, cluster(t))
	s := harness.NewSignal(t, at[0])
	stream := s.Connect(t)
	good, err := pb.Marshal(s.Message(s.ID(), []byte("body")))
	if err != nil {
		t.Fatal(err)
	}
	for what, tail := range map[string][]byte{
		"invalid UTF-8 in key":        {0x12, 2, 0xff, 0xfe},
		"invalid UTF-8 in remote key": {0x1a, 2, 0xff, 0xfe},
		"truncated varint":            {0x28, 0x80},
		"length past the end":         {0x22, 0x7f, 1},
		"field number 0":              {0x00, 0x01},
		"unterminated group":          {0x2b, 0x28, 0x01},
	} {
		_, err := s.SendBytes(t.Context(), append(bytes.Clone(good), tail...))
		if got, _ := status.FromError(err); got.Code() != codes.Internal {
			t.Errorf("%s: status %d %q", what, got.Code(), got.Message())
		}
	}
	stream.Empty(t)

	// The last of several values counts; a known field with another wire type is an unknown one.
	twice := append([]byte{0x1a, 1, 'x'}, good...)
	other := append([]byte{0x18, 1}, good...)
	for what, text := range map[string][]byte{"field twice": twice, "other wire type": other} {
		if _, err := s.SendBytes(t.Context(), text); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		got := &proto.EncryptedMessage{}
		if err := pb.Unmarshal(stream.Next(t, time.Second), got); err != nil || string(got.GetBody()) != "body" {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
}

// stalled registers a peer that then never reads another byte from its connection.
func stalled(t *testing.T, hostport, id string) net.Conn {
	t.Helper()
	conn, framer := h2(t, hostport)
	writeRequest(t, framer, 1, "/signalexchange.SignalExchange/ConnectStream", "x-wiretrustee-peer-id", id)
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Header().Type == http2.FrameHeaders {
			return conn
		}
	}
}

// h2 opens a cleartext HTTP/2 connection of which the test makes every frame.
func h2(t *testing.T, hostport string) (net.Conn, *http2.Framer) {
	t.Helper()
	conn, err := net.Dial("tcp", hostport)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return conn, framer
}

func writeRequest(t *testing.T, framer *http2.Framer, id uint32, path string, more ...string) {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "test",
		"content-type", "application/grpc", "te", "trailers"}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSignal10StalledDestination(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	at := signals(t, c)
	for i, entry := range at {
		dead := harness.NewSignal(t, at[0])
		stalled(t, at[0], dead.ID())
		sender := harness.NewSignal(t, entry)
		var senders sync.WaitGroup
		var mu sync.Mutex
		slow := 0
		for range 20 {
			senders.Add(1)
			go func() {
				defer senders.Done()
				for range 500 {
					start := time.Now()
					_, err := sender.TrySend(context.Background(), sender.Message(dead.ID(), make([]byte, 1000)))
					mu.Lock()
					if err != nil {
						t.Errorf("send: %v", err)
					}
					if time.Since(start) > 250*time.Millisecond {
						slow++
					}
					mu.Unlock()
				}
			}()
		}
		senders.Wait()
		if slow > 100 {
			t.Errorf("round %d: %d of 10000 sends took more than 250 ms", i, slow)
		}
		// A newcomer with that key takes over at once, whatever became of the stalled one. It may be given what was still
		// on its way between the replicas.
		stream := dead.Connect(t)
		m := sender.Message(dead.ID(), []byte("fresh"))
		sender.Send(t, m)
		for got := (&proto.EncryptedMessage{}); !pb.Equal(got, m); {
			if err := pb.Unmarshal(stream.Next(t, time.Second), got); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestSignal11Order(t *testing.T) {
	at := signals(t, cluster(t))
	for _, entry := range at {
		k := harness.NewSignal(t, at[0])
		stream := k.Connect(t)
		sender := harness.NewSignal(t, entry)
		for i := range 100 {
			sender.Send(t, sender.Message(k.ID(), fmt.Appendf(nil, "%d", i)))
		}
		for i := range 100 {
			stream.Want(t, sender.Message(k.ID(), fmt.Appendf(nil, "%d", i)), time.Second)
		}
	}
}

func TestSignal12NotGRPC(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	at := signals(t, c)[0]
	resp, err := http.Get("http://" + at + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET /: status %d", resp.StatusCode)
	}
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write(bytes.Repeat([]byte{0xde, 0xad}, 200))
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("after garbage: %v", err)
	}
	harness.NewSignal(t, at).Connect(t)
}

func TestSignal13Pings(t *testing.T) {
	at := signals(t, cluster(t))[0]
	_, framer := h2(t, at)
	writeRequest(t, framer, 1, "/signalexchange.SignalExchange/ConnectStream", "x-wiretrustee-peer-id", harness.NewSignal(t, at).ID())
	const pings = 20
	for i := range pings {
		if err := framer.WritePing(false, [8]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for acked := 0; acked < pings; {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("after %d acknowledgements: %v", acked, err)
		}
		switch f := f.(type) {
		case *http2.PingFrame:
			if f.IsAck() {
				acked++
			}
		case *http2.GoAwayFrame:
			t.Fatalf("GOAWAY %v", f.ErrCode)
		}
	}
}
