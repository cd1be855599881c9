package harness

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"google.golang.org/grpc"

	"github.com/netbirdio/netbird/shared/management/proto"
)

// Browser is the way of an agent in a browser: gRPC in the binary messages of a WebSocket.
type Browser struct {
	GRPC *grpc.ClientConn
	mu   sync.Mutex
	tcp  []*line
}

// line is the TCP connection below; once it is held nobody reads it.
type line struct {
	net.Conn
	hold, end  sync.Once
	held, over chan struct{}
}

func (l *line) Read(p []byte) (int, error) {
	select {
	case <-l.held:
		<-l.over
		return 0, net.ErrClosed
	default:
		return l.Conn.Read(p)
	}
}

func (l *line) Close() error {
	l.end.Do(func() { close(l.over) })
	return l.Conn.Close()
}

// DialBrowser opens a gRPC connection through the WebSocket at url, closed with the test. The agent takes no message of more
// than 32 KiB.
func DialBrowser(t testing.TB, url string, config *tls.Config, options ...grpc.DialOption) *Browser {
	t.Helper()
	b := &Browser{}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		l := &line{Conn: conn, held: make(chan struct{}), over: make(chan struct{})}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.tcp = append(b.tcp, l)
		return l, nil
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: config}}
	open := func(ctx context.Context, _ string) (net.Conn, error) {
		ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client,
			HTTPHeader: http.Header{"Origin": {"https://dashboard.example"}}})
		if err != nil {
			return nil, err
		}
		conn := websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
		ws.SetReadLimit(32 << 10)
		return conn, nil
	}
	b.GRPC = Dial(t, "browser", append(options, grpc.WithContextDialer(open),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))...)
	t.Cleanup(b.Kill) // before the closing handshake, for which a held line would wait
	return b
}

// Hold leaves unread whatever comes from now on.
func (b *Browser) Hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.tcp {
		l.hold.Do(func() { close(l.held) })
	}
}

// Kill resets the connection, without a goodbye.
func (b *Browser) Kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.tcp {
		if tcp, ok := l.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = l.Close()
	}
	b.tcp = nil
}

// Management is a client with a new key on this connection.
func (b *Browser) Management(t testing.TB, hostname string) *Bare {
	t.Helper()
	return &Bare{Key: NewKey(t), Conn: b.GRPC, RPC: proto.NewManagementServiceClient(b.GRPC), Meta: Meta(hostname)}
}

// Signal is a peer with a new key on this connection.
func (b *Browser) Signal(t testing.TB) *Signal {
	t.Helper()
	return &Signal{NewKey(t), b.GRPC}
}
