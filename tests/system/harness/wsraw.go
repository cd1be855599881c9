package harness

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// WebSocket opcodes.
const (
	OpContinue = 0x0
	OpText     = 0x1
	OpBinary   = 0x2
	OpClose    = 0x8
	OpPing     = 0x9
	OpPong     = 0xa
)

// WS is a WebSocket client that sends exactly the frames it is told to, good or bad.
type WS struct {
	net.Conn
	in *bufio.Reader
}

// DialWS upgrades a TCP connection at /relay.
func DialWS(hostport string) (*WS, error) {
	conn, err := net.DialTimeout("tcp", hostport, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return upgradeOrClose(conn, hostport, nil)
}

// DialWSWith is DialWS with more request headers.
func DialWSWith(hostport string, headers map[string]string) (*WS, error) {
	conn, err := net.DialTimeout("tcp", hostport, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return upgradeOrClose(conn, hostport, headers)
}

// DialTLSWS is DialWS over TLS.
func DialTLSWS(hostport string, config *tls.Config) (*WS, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", hostport, config)
	if err != nil {
		return nil, err
	}
	return upgradeOrClose(conn, hostport, nil)
}

func upgradeOrClose(conn net.Conn, host string, headers map[string]string) (*WS, error) {
	ws, err := upgrade(conn, host, headers)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return ws, nil
}

func upgrade(conn net.Conn, host string, headers map[string]string) (*WS, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	more := ""
	for name, value := range headers {
		more += name + ": " + value + "\r\n"
	}
	_, err := fmt.Fprintf(conn, "GET /relay HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"User-Agent: Go-http-client/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s\r\n", host, key, more)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	switch {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("upgrade: status %d", resp.StatusCode)
	case resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return nil, fmt.Errorf("upgrade: Sec-WebSocket-Accept %q", resp.Header.Get("Sec-WebSocket-Accept"))
	case resp.Header.Get("Sec-WebSocket-Protocol") != "", resp.Header.Get("Sec-WebSocket-Extensions") != "":
		return nil, fmt.Errorf("upgrade: agents refuse these headers: %v", resp.Header)
	}
	_ = conn.SetDeadline(time.Time{})
	return &WS{conn, in}, nil
}

// Frame writes one masked frame.
func (w *WS) Frame(final bool, op byte, payload []byte) error {
	head := []byte{op, 0x80}
	if final {
		head[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		head[1] |= byte(n)
	case n < 1<<16:
		head[1] |= 126
		head = binary.BigEndian.AppendUint16(head, uint16(n))
	default:
		head[1] |= 127
		head = binary.BigEndian.AppendUint64(head, uint64(n))
	}
	mask := [4]byte{0x11, 0x22, 0x33, 0x44}
	out := append(head, mask[:]...)
	for i, b := range payload {
		out = append(out, b^mask[i%4])
	}
	_, err := w.Write(out)
	return err
}

// Read returns the next message, which has to be one whole binary frame; pings are answered.
func (w *WS) ReadMessage(limit time.Duration) ([]byte, error) {
	if err := w.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	for {
		var head [2]byte
		if _, err := io.ReadFull(w.in, head[:]); err != nil {
			return nil, err
		}
		n := uint64(head[1] & 0x7f)
		if head[1]&0x80 != 0 {
			return nil, fmt.Errorf("the server masks its frames")
		}
		switch n {
		case 126:
			var ext [2]byte
			if _, err := io.ReadFull(w.in, ext[:]); err != nil {
				return nil, err
			}
			n = uint64(binary.BigEndian.Uint16(ext[:]))
		case 127:
			var ext [8]byte
			if _, err := io.ReadFull(w.in, ext[:]); err != nil {
				return nil, err
			}
			n = binary.BigEndian.Uint64(ext[:])
		}
		if n > 8820 {
			return nil, fmt.Errorf("frame of %d bytes, more than an agent reads", n)
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(w.in, payload); err != nil {
			return nil, err
		}
		switch head[0] {
		case 0x80 | OpBinary:
			return payload, nil
		case 0x80 | OpPing:
			if err := w.Frame(true, OpPong, payload); err != nil {
				return nil, err
			}
		case 0x80 | OpPong:
		case 0x80 | OpClose:
			return nil, io.EOF
		default:
			return nil, fmt.Errorf("frame with first byte %#x, which agents cannot read", head[0])
		}
	}
}

// WantClosed fails the test unless the server closes the connection within the limit without sending a message.
func (w *WS) WantClosed(t testing.TB, limit time.Duration) {
	t.Helper()
	m, err := w.ReadMessage(limit)
	if err == nil {
		t.Fatalf("message % x instead of a closed connection", m)
	}
	if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
		t.Fatalf("still open after %v", limit)
	}
}
