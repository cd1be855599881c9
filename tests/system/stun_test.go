package system

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"rookery.test/system/harness"
)

const transaction = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"

func TestSignal31StunVectors(t *testing.T) {
	c := cluster(t)
	for _, url := range c.StunURLs {
		at := harness.Endpoint(t, url)
		s := harness.NewStun(t, "192.0.2.1:54321", at)
		s.Send(t, harness.Binding(transaction))
		want := harness.Hex(t, "010100142112a442000102030405060708090a0b002000080001f523e112a6438028000492a3d96b")
		if got := s.Receive(t, 2*time.Second); !bytes.Equal(got, want) {
			t.Errorf("%s, IPv4:\n%x instead of\n%x", url, got, want)
		}
		s.Close()
		other := harness.NewStun(t, harness.Host+":0", at)
		other.Send(t, harness.Binding(transaction))
		if got, want := other.Receive(t, 2*time.Second), harness.BindingAnswer(transaction, other.Local); !bytes.Equal(got, want) {
			t.Errorf("%s, from %v: %x instead of %x", url, other.Local, got, want)
		}
	}
}

func TestSignal31StunIPv6(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	// A replica of its own, on every address of the namespace; one socket may serve both families.
	_, port, err := net.SplitHostPort(c.Sibling(t, "stun-1", map[string]string{"listen": "[::]:42990"}).Listen)
	if err != nil {
		t.Fatal(err)
	}
	s := harness.NewStun(t, "[2001:db8::1]:54321", "[2001:db8::1]:"+port)
	s.Send(t, harness.Binding(transaction))
	want := harness.Hex(t, "010100202112a442000102030405060708090a0b002000140002f5230113a9fa000102030405060708090a0a802800049a2575fd")
	if got := s.Receive(t, 2*time.Second); !bytes.Equal(got, want) {
		t.Errorf("IPv6:\n%x instead of\n%x", got, want)
	}
}

func TestSignal32StunRefused(t *testing.T) {
	c := cluster(t)
	s := harness.NewStun(t, harness.Host+":0", harness.Endpoint(t, c.StunURLs[0]))
	kind := func(k uint16) []byte {
		out := harness.Binding(transaction)
		binary.BigEndian.PutUint16(out, k)
		return out
	}
	cookie := harness.Binding(transaction)
	cookie[4] = 0
	long := harness.Binding(transaction)
	long[3] = 8
	overrun := append(harness.Binding(transaction), 0x80, 0x22, 0, 9, 1, 2, 3, 4)
	overrun[3] = 8
	for _, datagram := range [][]byte{harness.Binding(transaction)[:19], {}, cookie, long, overrun, kind(0x0011), kind(0x0101),
		kind(0x0003), bytes.Repeat([]byte{0xff}, 1400)} {
		s.Send(t, datagram)
	}
	// Whatever these would have brought comes before the answer to a good one.
	s.Send(t, harness.Binding("the good one"))
	if got, want := s.Receive(t, 2*time.Second), harness.BindingAnswer("the good one", s.Local); !bytes.Equal(got, want) {
		t.Errorf("%x instead of %x", got, want)
	}
	if got := s.Receive(t, 300*time.Millisecond); got != nil {
		t.Errorf("one more answer: %x", got)
	}
}

func TestSignal33StunUnknownAttribute(t *testing.T) {
	c := cluster(t)
	s := harness.NewStun(t, harness.Host+":0", harness.Endpoint(t, c.StunURLs[0]))
	m := append(harness.Binding(transaction), 0x7f, 0, 0, 4, 1, 2, 3, 4)
	m[3] = 8
	s.Send(t, append(m, "trailing bytes"...))
	if got, want := s.Receive(t, 2*time.Second), harness.BindingAnswer(transaction, s.Local); !bytes.Equal(got, want) {
		t.Errorf("%x instead of %x", got, want)
	}
}
