package harness

import (
	"context"
	"io"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
	"google.golang.org/grpc"
	pb "google.golang.org/protobuf/proto"

	"github.com/netbirdio/netbird/shared/management/proto"
)

// Tail follows a Sync stream and keeps its newest message as it came. Hundreds of them cost next to nothing while messages
// arrive, so that what they time is the server; a message is opened when somebody asks for it.
type Tail struct {
	bare   *Bare
	server wgtypes.Key

	mu     sync.Mutex
	last   []byte
	at     time.Time
	count  int
	ended  bool
	err    error // how it ended; nil for status 0
	opened *proto.SyncResponse
}

// Tail opens a Sync stream, which lives as long as the context.
func (b *Bare) Tail(ctx context.Context) (*Tail, error) {
	server, sealed, err := b.syncRequest(ctx)
	if err != nil {
		return nil, err
	}
	request, err := pb.Marshal(sealed)
	if err != nil {
		return nil, err
	}
	stream, err := b.Conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true},
		"/management.ManagementService/Sync", RawCodec())
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(&request); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	t := &Tail{bare: b, server: server}
	go t.follow(stream)
	return t, nil
}

func (t *Tail) follow(stream grpc.ClientStream) {
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		t.mu.Lock()
		if err == nil {
			t.last, t.at, t.opened = message, time.Now(), nil
			t.count++
		} else {
			t.ended = true
			if err != io.EOF {
				t.err = err
			}
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Count tells how many messages came, when the last did, and how the stream ended if it has.
func (t *Tail) Count() (int, time.Time, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return t.count, t.at, errEnded{t.err}
	}
	return t.count, t.at, nil
}

// Last is the newest message; nil before the first.
func (t *Tail) Last() (*proto.SyncResponse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.opened != nil || t.last == nil {
		return t.opened, nil
	}
	sealed, out := &proto.EncryptedMessage{}, &proto.SyncResponse{}
	if err := pb.Unmarshal(t.last, sealed); err != nil {
		return nil, err
	}
	if err := t.bare.Open(t.server, sealed, out); err != nil {
		return nil, err
	}
	t.opened = out
	return out, nil
}
