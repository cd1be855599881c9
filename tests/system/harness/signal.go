package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	pb "google.golang.org/protobuf/proto"

	"github.com/netbirdio/netbird/shared/signal/proto"
)

// Paths of the signal service.
const (
	signalSend   = "/signalexchange.SignalExchange/Send"
	signalStream = "/signalexchange.SignalExchange/ConnectStream"
)

// rawCodec passes bytes through, so that a test decides about and sees every byte of a message.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", v)
	}
	return *b, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is not bytes", v)
	}
	*b = append([]byte(nil), data...)
	return nil
}

var _ encoding.Codec = rawCodec{}

// RawCodec makes a call carry bytes as they are.
func RawCodec() grpc.CallOption { return grpc.ForceCodec(rawCodec{}) }

// Signal is a bare signal client: one connection, calls without retries.
type Signal struct {
	Key  wgtypes.Key
	Conn *grpc.ClientConn
}

// NewSignal makes a client with a new key for the signal server at host:port.
func NewSignal(t testing.TB, hostport string) *Signal {
	t.Helper()
	return &Signal{NewKey(t), Dial(t, hostport, grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))}
}

// At is the same peer with a connection to another server.
func (s *Signal) At(t testing.TB, hostport string) *Signal {
	t.Helper()
	other := NewSignal(t, hostport)
	other.Key = s.Key
	return other
}

// ID is the peer's name on the wire.
func (s *Signal) ID() string { return s.Key.PublicKey().String() }

// Message is a message from this peer with a body of the test's making.
func (s *Signal) Message(to string, body []byte) *proto.EncryptedMessage {
	return &proto.EncryptedMessage{Key: s.ID(), RemoteKey: to, Body: body}
}

// TrySend sends one message and returns the answer's bytes.
func (s *Signal) TrySend(ctx context.Context, message *proto.EncryptedMessage) ([]byte, error) {
	text, err := pb.Marshal(message)
	if err != nil {
		return nil, err
	}
	return s.SendBytes(ctx, text)
}

// SendBytes sends what need not be a message.
func (s *Signal) SendBytes(ctx context.Context, text []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var answer []byte
	err := s.Conn.Invoke(ctx, signalSend, &text, &answer, RawCodec())
	return answer, err
}

// Send fails the test unless the message is taken with an empty answer.
func (s *Signal) Send(t testing.TB, message *proto.EncryptedMessage) {
	t.Helper()
	answer, err := s.TrySend(t.Context(), message)
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	if len(answer) != 0 {
		t.Fatalf("send was answered with % x", answer)
	}
}

// SignalStream is a registered ConnectStream.
type SignalStream struct {
	Header   metadata.MD
	Stream   grpc.ClientStream
	messages chan []byte
	cancel   context.CancelFunc
	err      error // valid once messages is closed
}

// TryConnect opens a ConnectStream and waits for the response header. Without an id none is sent.
func (s *Signal) TryConnect(ctx context.Context, id string, limit time.Duration) (*SignalStream, error) {
	if id != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-wiretrustee-peer-id", id)
	}
	ctx, cancel := context.WithCancel(ctx)
	desc := &grpc.StreamDesc{StreamName: "ConnectStream", ServerStreams: true, ClientStreams: true}
	rpc, err := s.Conn.NewStream(ctx, desc, signalStream, RawCodec())
	if err != nil {
		cancel()
		return nil, err
	}
	out := &SignalStream{Stream: rpc, messages: make(chan []byte, 16384), cancel: cancel}
	timer := time.AfterFunc(limit, cancel)
	out.Header, err = rpc.Header()
	if err == nil && !timer.Stop() {
		err = errors.New("no response header in time")
	}
	if err == nil && len(out.Header.Get("x-wiretrustee-peer-registered")) == 0 {
		// Refused: the status comes with the first read.
		var none []byte
		err = rpc.RecvMsg(&none)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer close(out.messages)
		for {
			var m []byte
			if err := rpc.RecvMsg(&m); err != nil {
				if err != io.EOF {
					out.err = err
				}
				return
			}
			out.messages <- m
		}
	}()
	return out, nil
}

// Connect registers the peer; the stream is cut with the test.
func (s *Signal) Connect(t testing.TB) *SignalStream {
	t.Helper()
	out, err := s.TryConnect(t.Context(), s.ID(), 5*time.Second)
	if err != nil {
		t.Fatalf("connect stream: %v", err)
	}
	if len(out.Header.Get("x-wiretrustee-peer-registered")) == 0 {
		t.Fatalf("the response header does not say registered: %v", out.Header)
	}
	t.Cleanup(out.cancel)
	return out
}

// Cut ends the stream from this side.
func (s *SignalStream) Cut() { s.cancel() }

// Next is the next message's bytes.
func (s *SignalStream) Next(t testing.TB, limit time.Duration) []byte {
	t.Helper()
	select {
	case m, ok := <-s.messages:
		if !ok {
			t.Fatalf("the stream has ended: %v", s.err)
		}
		return m
	case <-time.After(limit):
		t.Fatalf("no message within %v", limit)
	}
	return nil
}

// Comes waits for a message with that body; others are passed over.
func (s *SignalStream) Comes(body string, limit time.Duration) error {
	late := time.After(limit)
	for {
		select {
		case m, ok := <-s.messages:
			if !ok {
				return fmt.Errorf("the stream has ended: %w", s.err)
			}
			got := &proto.EncryptedMessage{}
			if err := pb.Unmarshal(m, got); err != nil {
				return err
			}
			if string(got.GetBody()) == body {
				return nil
			}
		case <-late:
			return fmt.Errorf("%q has not come in %v", body, limit)
		}
	}
}

// Want expects exactly that message next.
func (s *SignalStream) Want(t testing.TB, message *proto.EncryptedMessage, limit time.Duration) {
	t.Helper()
	got := &proto.EncryptedMessage{}
	if err := pb.Unmarshal(s.Next(t, limit), got); err != nil {
		t.Fatal(err)
	}
	if !pb.Equal(got, message) {
		t.Fatalf("got %.200v instead of %.200v", got, message)
	}
}

// Empty fails the test if a message is waiting.
func (s *SignalStream) Empty(t testing.TB) {
	t.Helper()
	select {
	case m, ok := <-s.messages:
		if !ok {
			t.Fatalf("the stream has ended: %v", s.err)
		}
		t.Fatalf("unexpected message of %d bytes", len(m))
	default:
	}
}

// End waits for the end of the stream and returns its status.
func (s *SignalStream) End(t testing.TB, limit time.Duration) error {
	t.Helper()
	timer := time.After(limit)
	for {
		select {
		case _, ok := <-s.messages:
			if !ok {
				return s.err
			}
		case <-timer:
			t.Fatalf("the stream goes on after %v", limit)
		}
	}
}
