package harness

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Binding is a binding request with no attributes.
func Binding(transaction string) []byte {
	return append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, transaction...)
}

// BindingAnswer is the one answer to a binding request from that source.
func BindingAnswer(transaction string, source netip.AddrPort) []byte {
	ip := source.Addr().Unmap()
	value := []byte{0, 1}
	if ip.Is6() {
		value[1] = 2
	}
	value = binary.BigEndian.AppendUint16(value, source.Port()^0x2112)
	mask := append([]byte{0x21, 0x12, 0xa4, 0x42}, transaction...)
	for i, b := range ip.AsSlice() {
		value = append(value, b^mask[i])
	}
	out := []byte{1, 1, 0, byte(4 + len(value) + 8)}
	out = append(out, mask...)
	out = append(out, 0, 0x20, 0, byte(len(value)))
	out = append(out, value...)
	sum := crc32.ChecksumIEEE(out) ^ 0x5354554e
	return binary.BigEndian.AppendUint32(append(out, 0x80, 0x28, 0, 4), sum)
}

// Hex decodes a vector.
func Hex(t testing.TB, text string) []byte {
	t.Helper()
	out, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Stun sends datagrams from one socket to a STUN server.
type Stun struct {
	conn   *net.UDPConn
	Local  netip.AddrPort
	server netip.AddrPort
}

// NewStun binds the local address, which may have port 0.
func NewStun(t testing.TB, local, server string) *Stun {
	t.Helper()
	s, err := openStun(local, server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func openStun(local, server string) (*Stun, error) {
	from, to := netip.MustParseAddrPort(local), netip.MustParseAddrPort(server)
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(from))
	if err != nil {
		return nil, err
	}
	return &Stun{conn, netip.AddrPortFrom(from.Addr(), conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()), to}, nil
}

// Close frees the local port for the next one.
func (s *Stun) Close() {
	_ = s.conn.Close()
}

// Send sends one datagram.
func (s *Stun) Send(t testing.TB, datagram []byte) {
	t.Helper()
	if _, err := s.conn.WriteToUDPAddrPort(datagram, s.server); err != nil {
		t.Fatal(err)
	}
}

// Receive is the next datagram, which has to come from where the requests go; nil when none comes in time.
func (s *Stun) Receive(t testing.TB, limit time.Duration) []byte {
	t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	n, from, err := s.conn.ReadFromUDPAddrPort(buf)
	if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if netip.AddrPortFrom(from.Addr().Unmap(), from.Port()) != s.server {
		t.Fatalf("answer from %v instead of %v", from, s.server)
	}
	return buf[:n]
}

// Set sets an option of the socket.
func (s *Stun) Set(t testing.TB, level, option int, value []byte) {
	t.Helper()
	raw, err := s.conn.SyscallConn()
	if err == nil {
		failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), level, option, string(value)) })
		err = errors.Join(err, failed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Ask sends a question until its answer is there, that often and with so much time for each, as agents do. What else comes is an
// answer to one before. Any goroutine.
func (s *Stun) Ask(question []byte, times int, each time.Duration) error {
	want, buf := BindingAnswer(string(question[8:20]), s.Local), make([]byte, 2048)
	for range times {
		if _, err := s.conn.WriteToUDPAddrPort(question, s.server); err != nil {
			return err
		}
		if err := s.conn.SetReadDeadline(time.Now().Add(each)); err != nil {
			return err
		}
		for {
			n, from, err := s.conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
					break
				}
				return err
			}
			if n < 20 || string(buf[8:20]) != string(question[8:20]) {
				continue
			}
			if from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()); from != s.server || !bytes.Equal(buf[:n], want) {
				return fmt.Errorf("%x from %v instead of %x from %v", buf[:n], from, want, s.server)
			}
			return nil
		}
	}
	return fmt.Errorf("no answer to %v from %v, asked %d times", s.Local, s.server, times)
}
