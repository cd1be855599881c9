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
	if err := f.conn.SetDeadline(time.Now().Add(Standstill)); err != nil {
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

// Standstill is how long a transfer may stand still before it is a failure. What an agent mends on its own must fit in, as that is not
// what the server is tested for: wireguard-go notices a session that only the other side has lost 15.0 to 15.3 s after the first
// data that nothing came back for (KeepaliveTimeout, RekeyTimeout and some jitter), and where that handshake is lost too it begins
// another every 5.0 to 5.3 s; the netstack's TCP retransmits 0.2, 0.6, 1.4, 3, 6.2, 12.6, 25.4 and 51 s after the first try. So where
// a tunnel is dead for more than 12.6 s nothing moves for 25.4 s, although a new connection would pass before. A tunnel that is dead
// for longer than that is none that WireGuard mends, and a failure. (What an agent does to IPv6 is kept out: in-netns.)
const Standstill = 45 * time.Second

// What stands still for this long is written down, and again at each doubling: TCP has retransmitted four times by then.
const noticedStandstill = 3 * time.Second

// Transfer moves that many bytes to the other agent's echo and back, at an address or a name, on one connection. While that stands
// still it logs how both ends are, and at a failure also what a new connection does. Where a new one passes, that does not acquit
// the tunnel: it may have been dead for longer than Standstill until just then.
func (a *Agent) Transfer(t testing.TB, other *Agent, host string, bytes int64) {
	t.Helper()
	start := time.Now()
	flow, err := a.DialEcho(host, Standstill)
	if err != nil {
		t.Fatalf("%v\n%s", err, plights(a, other))
	}
	moved := func(what func() error) {
		t.Helper()
		if err := a.watched(t, other, what); err != nil {
			plight := plights(a, other)
			t.Fatalf("%s to %s after %d bytes: %v\n%s\na new connection after that: %v", a.Name, host, flow.Bytes(), err, plight, a.anew(host))
		}
	}
	for flow.Bytes() < bytes {
		moved(func() error { return flow.Send(Standstill) })
	}
	moved(flow.Finish)
	t.Logf("%s to %s: %d MB each way in %v", a.Name, host, flow.Bytes()>>20, time.Since(start).Round(time.Millisecond))
}

// watched does something that takes no time, and logs how both ends are when it does, and when it is over.
func (a *Agent) watched(t testing.TB, other *Agent, what func() error) error {
	t.Helper()
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- what() }()
	for next := noticedStandstill; ; next *= 2 {
		select {
		case err := <-done:
			if stood := time.Since(start); stood >= noticedStandstill && err == nil {
				t.Logf("%s and %s: on again after %v\n%s", a.Name, other.Name, stood.Round(time.Millisecond), plights(a, other))
			}
			return err
		case <-time.After(time.Until(start.Add(next))):
			t.Logf("%s and %s: nothing has moved for %v\n%s", a.Name, other.Name, next, plights(a, other))
		}
	}
}

// plights are those of both ends.
func plights(a, b *Agent) string { return a.Plight(b) + "\n" + b.Plight(a) }

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
