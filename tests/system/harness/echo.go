package harness

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// An agent's netstack drops beyond about a hundred unread packets of a peer and recovers badly, so that no more than this
// is under way at a time: every chunk is answered before the next one leaves.
const chunkBytes = 32 << 10

// EchoPort is where Echo listens.
const EchoPort = "7007"

// Echo serves transfers on the agent's address until the test ends.
//
// A transfer is a sequence of chunks, each a length (4 bytes, big-endian) and that many bytes, which are sent back. The
// length 0 ends it; the answer is the SHA-256 of everything received.
func (a *Agent) Echo(t testing.TB) {
	t.Helper()
	l, err := a.ListenTCP(":" + EchoPort)
	if err != nil {
		t.Fatalf("agent %s: %v", a.Name, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = serveEcho(conn)
			}()
		}
	}()
}

func serveEcho(conn net.Conn) error {
	sum, buf := sha256.New(), make([]byte, chunkBytes)
	for {
		n, err := readChunk(conn, buf)
		if err != nil {
			return err
		}
		if n == 0 {
			_, err := conn.Write(sum.Sum(nil))
			return err
		}
		sum.Write(buf[:n])
		if err := writeChunk(conn, buf[:n]); err != nil {
			return err
		}
	}
}

func readChunk(r io.Reader, buf []byte) (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if n > len(buf) {
		return 0, fmt.Errorf("chunk of %d bytes", n)
	}
	_, err := io.ReadFull(r, buf[:n])
	return n, err
}

func writeChunk(w io.Writer, data []byte) error {
	out := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(data)), uint32(len(data)))
	_, err := w.Write(append(out, data...))
	return err
}

// Flow is one transfer: random bytes go to the echo and come back, and both ways are checked.
type Flow struct {
	conn   net.Conn
	random *rand.ChaCha8
	sum    hash.Hash
	bytes  atomic.Int64
	chunk  int
}

// Dial opens a flow to the echo of another agent, at an address or a name.
func (a *Agent) DialEcho(host string, limit time.Duration) (*Flow, error) {
	var flow *Flow
	err := within(limit, 50*time.Millisecond, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		conn, err := a.Dial(ctx, "tcp", net.JoinHostPort(host, EchoPort))
		if err != nil {
			return fmt.Errorf("%s dials %s: %w", a.Name, host, err)
		}
		flow = &Flow{conn: conn, random: rand.NewChaCha8([32]byte{1}), sum: sha256.New(), chunk: chunkBytes}
		return nil
	})
	return flow, err
}

// OnePacket keeps no more than one packet under way. An agent's netstack that lost a whole window may need a minute after the
// tunnel is back, one that lost a single packet goes on with its next retransmission.
func (f *Flow) OnePacket() { f.chunk = 1000 }

// Send moves one chunk there and back. It waits up to the limit for a stalled connection.
func (f *Flow) Send(limit time.Duration) error {
	if err := f.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	out, back := make([]byte, f.chunk), make([]byte, f.chunk)
	_, _ = f.random.Read(out)
	f.sum.Write(out)
	if err := writeChunk(f.conn, out); err != nil {
		return err
	}
	n, err := readChunk(f.conn, back)
	if err != nil {
		return err
	}
	if string(back[:n]) != string(out) {
		return fmt.Errorf("after %d bytes %d came back that are not those sent", f.bytes.Load(), n)
	}
	f.bytes.Add(int64(n))
	return nil
}

// Bytes have gone there and come back so far. Any goroutine.
func (f *Flow) Bytes() int64 { return f.bytes.Load() }

// Finish compares the checksums of both ends and closes the flow.
func (f *Flow) Finish() error {
	defer f.conn.Close()
	if err := f.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if err := writeChunk(f.conn, nil); err != nil {
		return err
	}
	var far [sha256.Size]byte
	if _, err := io.ReadFull(f.conn, far[:]); err != nil {
		return err
	}
	if string(far[:]) != string(f.sum.Sum(nil)) {
		return fmt.Errorf("checksums differ after %d bytes", f.Bytes())
	}
	return nil
}

// Transfer moves that many bytes to the host and back. Where that fails it says what another connection does: where nothing
// passes on that one either, it was the tunnel.
func (a *Agent) Transfer(t testing.TB, host string, bytes int64) {
	t.Helper()
	start := time.Now()
	flow, err := a.DialEcho(host, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for flow.Bytes() < bytes {
		if err := flow.Send(20 * time.Second); err != nil {
			t.Fatalf("%s to %s after %d bytes: %v; on another connection: %v", a.Name, host, flow.Bytes(), err, a.anew(host))
		}
	}
	if err := flow.Finish(); err != nil {
		t.Fatalf("%s to %s: %v; on another connection: %v", a.Name, host, err, a.anew(host))
	}
	t.Logf("%s to %s: %d MB each way in %v", a.Name, host, flow.Bytes()>>20, time.Since(start).Round(time.Millisecond))
}

// anew moves a chunk on a connection of its own.
func (a *Agent) anew(host string) error {
	flow, err := a.DialEcho(host, 20*time.Second)
	if err != nil {
		return err
	}
	if err := flow.Send(20 * time.Second); err != nil {
		return err
	}
	return flow.Finish()
}
