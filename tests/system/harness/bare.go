package harness

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	pb "google.golang.org/protobuf/proto"

	"github.com/netbirdio/netbird/encryption"
	"github.com/netbirdio/netbird/shared/management/proto"
)

// CallLimit bounds one unary call.
const CallLimit = 10 * time.Second

// Bare is a management client without the agent's retries: each call is one call, and its status is returned.
type Bare struct {
	Key  wgtypes.Key
	RPC  proto.ManagementServiceClient
	Conn *grpc.ClientConn
	Meta *proto.PeerSystemMeta
}

// NewKey makes a WireGuard key.
func NewKey(t testing.TB) wgtypes.Key {
	t.Helper()
	key, err := wgtypes.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Dial opens a gRPC connection to host:port, in cleartext unless an option says otherwise; closed with the test.
func Dial(t testing.TB, hostport string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16 << 20))}, options...)
	conn, err := grpc.NewClient("passthrough:///"+hostport, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// NewBare makes a client with a new key for the management server at host:port.
func NewBare(t testing.TB, hostport, hostname string, options ...grpc.DialOption) *Bare {
	t.Helper()
	conn := Dial(t, hostport, options...)
	return &Bare{Key: NewKey(t), Conn: conn, RPC: proto.NewManagementServiceClient(conn), Meta: Meta(hostname)}
}

// At is the same peer with a connection to another server.
func (b *Bare) At(t testing.TB, hostport string) *Bare {
	t.Helper()
	conn := Dial(t, hostport)
	return &Bare{Key: b.Key, Conn: conn, RPC: proto.NewManagementServiceClient(conn), Meta: b.Meta}
}

// Meta is what a current Linux agent says about its machine.
func Meta(hostname string) *proto.PeerSystemMeta {
	return &proto.PeerSystemMeta{Hostname: hostname, GoOS: "linux", Kernel: "Linux", Core: "12", Platform: "x86_64",
		OS: "Debian GNU/Linux", OSVersion: "12", KernelVersion: "6.1.0", NetbirdVersion: "0.77.1",
		Environment: &proto.Environment{}, Flags: &proto.Flags{}, SyncMessageVersion: 1,
		NetworkAddresses: []*proto.NetworkAddress{{NetIP: "192.168.7.5/24", Mac: "02:00:00:00:00:01"}},
		Capabilities:     []proto.PeerCapability{1, 2}}
}

// PublicKey is the peer's identity on the wire.
func (b *Bare) PublicKey() string { return b.Key.PublicKey().String() }

// ServerKey asks for the server's key.
func (b *Bare) ServerKey(ctx context.Context) (wgtypes.Key, error) {
	r, err := b.RPC.GetServerKey(ctx, &proto.Empty{})
	if err != nil {
		return wgtypes.Key{}, err
	}
	return wgtypes.ParseKey(r.GetKey())
}

// Seal encrypts a message for the server.
func (b *Bare) Seal(server wgtypes.Key, m pb.Message) (*proto.EncryptedMessage, error) {
	plain, err := pb.Marshal(m)
	if err != nil {
		return nil, err
	}
	body, err := encryption.Encrypt(plain, server, b.Key)
	if err != nil {
		return nil, err
	}
	return &proto.EncryptedMessage{WgPubKey: b.PublicKey(), Body: body}, nil
}

// Open decrypts a message of the server.
func (b *Bare) Open(server wgtypes.Key, e *proto.EncryptedMessage, m pb.Message) error {
	plain, err := encryption.Decrypt(e.GetBody(), server, b.Key)
	if err != nil {
		return err
	}
	return pb.Unmarshal(plain, m)
}

type unary func(context.Context, *proto.EncryptedMessage, ...grpc.CallOption) (*proto.EncryptedMessage, error)

// call is one round: server key, request, answer.
func (b *Bare) call(ctx context.Context, rpc unary, in, out pb.Message) error {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	server, err := b.ServerKey(ctx)
	if err != nil {
		return err
	}
	sealed, err := b.Seal(server, in)
	if err != nil {
		return err
	}
	answer, err := rpc(ctx, sealed)
	if err != nil {
		return err
	}
	return b.Open(server, answer, out)
}

// TryLogin logs in, with a setup key unless it is empty.
func (b *Bare) TryLogin(ctx context.Context, setupKey string, labels ...string) (*proto.LoginResponse, error) {
	out := &proto.LoginResponse{}
	in := &proto.LoginRequest{SetupKey: strings.ToLower(setupKey), Meta: b.Meta, DnsLabels: labels,
		PeerKeys: &proto.PeerKeys{SshPubKey: []byte("ssh-ed25519 AAAAC3Nza"), WgPubKey: []byte(b.PublicKey())}}
	if err := b.call(ctx, b.RPC.Login, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Login is TryLogin that fails the test.
func (b *Bare) Login(t testing.TB, setupKey string, labels ...string) *proto.LoginResponse {
	t.Helper()
	out, err := b.TryLogin(t.Context(), setupKey, labels...)
	if err != nil {
		t.Fatalf("login of %s: %v", b.Meta.GetHostname(), err)
	}
	return out
}

// TokenLogin logs in with a token of the identity provider, as an agent does that has no setup key.
func (b *Bare) TokenLogin(ctx context.Context, token string) (*proto.LoginResponse, error) {
	return b.Send(ctx, &proto.LoginRequest{SetupKey: "00000000-0000-0000-0000-000000000000", JwtToken: token, Meta: b.Meta,
		PeerKeys: &proto.PeerKeys{SshPubKey: []byte("ssh-ed25519 AAAAC3Nza"), WgPubKey: []byte(b.PublicKey())}})
}

// Send calls Login with a request of the test's making.
func (b *Bare) Send(ctx context.Context, in *proto.LoginRequest) (*proto.LoginResponse, error) {
	out := &proto.LoginResponse{}
	if err := b.call(ctx, b.RPC.Login, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Flow asks for the PKCE flow.
func (b *Bare) PKCE(ctx context.Context) (*proto.PKCEAuthorizationFlow, error) {
	out := &proto.PKCEAuthorizationFlow{}
	if err := b.call(ctx, b.RPC.GetPKCEAuthorizationFlow, &proto.PKCEAuthorizationFlowRequest{}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Device asks for the device flow.
func (b *Bare) Device(ctx context.Context) (*proto.DeviceAuthorizationFlow, error) {
	out := &proto.DeviceAuthorizationFlow{}
	if err := b.call(ctx, b.RPC.GetDeviceAuthorizationFlow, &proto.DeviceAuthorizationFlowRequest{}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Extend asks for a new deadline of the login.
func (b *Bare) Extend(ctx context.Context, token string) (*proto.ExtendAuthSessionResponse, error) {
	out := &proto.ExtendAuthSessionResponse{}
	in := &proto.ExtendAuthSessionRequest{JwtToken: token, Meta: b.Meta}
	if err := b.call(ctx, b.RPC.ExtendAuthSession, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

// plain is a call whose answer is not encrypted.
func (b *Bare) plain(ctx context.Context, in pb.Message,
	rpc func(context.Context, *proto.EncryptedMessage, ...grpc.CallOption) (*proto.Empty, error)) error {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	server, err := b.ServerKey(ctx)
	if err != nil {
		return err
	}
	sealed, err := b.Seal(server, in)
	if err != nil {
		return err
	}
	_, err = rpc(ctx, sealed)
	return err
}

// Logout deletes the peer.
func (b *Bare) Logout(ctx context.Context) error {
	return b.plain(ctx, &proto.Empty{}, b.RPC.Logout)
}

// SyncMeta reports the machine's facts.
func (b *Bare) SyncMeta(ctx context.Context) error {
	return b.plain(ctx, &proto.SyncMetaRequest{Meta: b.Meta}, b.RPC.SyncMeta)
}

// Stream is a Sync stream. One goroutine reads it; the messages wait in a list.
type Stream struct {
	messages chan *proto.SyncResponse
	cancel   context.CancelFunc
	err      error // valid once messages is closed; nil for status 0
}

// Sync opens a Sync stream; it is cut with the test.
func (b *Bare) Sync(t testing.TB) *Stream {
	t.Helper()
	s, err := b.TrySync(t.Context())
	if err != nil {
		t.Fatalf("sync of %s: %v", b.Meta.GetHostname(), err)
	}
	return s
}

// syncRequest opens a stream at the server whose key it returns.
func (b *Bare) syncRequest(ctx context.Context) (wgtypes.Key, *proto.EncryptedMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	server, err := b.ServerKey(ctx)
	if err != nil {
		return server, nil, err
	}
	sealed, err := b.Seal(server, &proto.SyncRequest{Meta: b.Meta})
	return server, sealed, err
}

// TrySync returns errors of the opening alone; how the stream ends is told by Next.
func (b *Bare) TrySync(ctx context.Context) (*Stream, error) {
	server, sealed, err := b.syncRequest(ctx)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	rpc, err := b.RPC.Sync(ctx, sealed)
	if err != nil {
		stop()
		return nil, err
	}
	s := &Stream{messages: make(chan *proto.SyncResponse, 4096), cancel: stop}
	go func() {
		defer close(s.messages)
		for {
			sealed, err := rpc.Recv()
			if err == nil {
				out := &proto.SyncResponse{}
				if err = b.Open(server, sealed, out); err == nil {
					s.messages <- out
					continue
				}
			}
			if err != io.EOF {
				s.err = err
			}
			return
		}
	}()
	return s, nil
}

// Cut ends the stream from this side.
func (s *Stream) Cut() { s.cancel() }

// errEnded says that a stream is over, with its status.
type errEnded struct{ err error }

func (e errEnded) Error() string { return fmt.Sprintf("the stream has ended: %v", e.err) }

func (e errEnded) Unwrap() error { return e.err }

// TryNext is the next message within the limit.
func (s *Stream) TryNext(limit time.Duration) (*proto.SyncResponse, error) {
	select {
	case m, ok := <-s.messages:
		if !ok {
			return nil, errEnded{s.err}
		}
		return m, nil
	case <-time.After(limit):
		return nil, fmt.Errorf("no message within %v", limit)
	}
}

// Next is TryNext that fails the test.
func (s *Stream) Next(t testing.TB, limit time.Duration) *proto.SyncResponse {
	t.Helper()
	m, err := s.TryNext(limit)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Until reads messages up to the first that satisfies `good`, and returns it with how many were read before.
func (s *Stream) Until(t testing.TB, limit time.Duration, what string, good func(*proto.SyncResponse) bool) (
	*proto.SyncResponse, int) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for before := 0; ; before++ {
		m, err := s.TryNext(time.Until(deadline))
		if err != nil {
			t.Fatalf("%s, after %d other messages: %v", what, before, err)
		}
		if good(m) {
			return m, before
		}
	}
}

// Quiet fails the test if a message comes within the span.
func (s *Stream) Quiet(t testing.TB, span time.Duration) {
	t.Helper()
	select {
	case m, ok := <-s.messages:
		if !ok {
			t.Fatalf("the stream has ended: %v", s.err)
		}
		t.Fatalf("unexpected message: %v", m)
	case <-time.After(span):
	}
}

// End reads the stream to its end and returns the messages and the status.
func (s *Stream) End(t testing.TB, limit time.Duration) ([]*proto.SyncResponse, error) {
	t.Helper()
	var all []*proto.SyncResponse
	deadline := time.Now().Add(limit)
	for {
		m, err := s.TryNext(time.Until(deadline))
		if ended, ok := err.(errEnded); ok {
			return all, ended.err
		}
		if err != nil {
			t.Fatalf("the stream goes on after %d messages: %v", len(all), err)
		}
		all = append(all, m)
	}
}

// WantStatus fails the test unless the error is that gRPC status; an empty message is not compared.
func WantStatus(t testing.TB, err error, code codes.Code, message string) {
	t.Helper()
	s, _ := status.FromError(err)
	if s.Code() != code || (message != "" && s.Message() != message) {
		t.Fatalf("status %d %q instead of %d %q", s.Code(), s.Message(), code, message)
	}
}
