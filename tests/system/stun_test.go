package system

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
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

// Vectors through a socket of both families: an IPv4 agent is told its IPv4 address, and every answer comes from where the
// request went, whichever of the machine's addresses that is.
func TestStunEveryAddressOfTheMachine(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	want := harness.Hex(t, "010100142112a442000102030405060708090a0b002000080001f523e112a6438028000492a3d96b")
	for _, listen := range []string{"[::]:42991", "0.0.0.0:42992", "0.0.0.0:42993,[::]:42993"} {
		c.Sibling(t, "stun-1", map[string]string{"listen": listen})
		port := listen[strings.LastIndexByte(listen, ':')+1:]
		for _, host := range []string{"127.0.0.1", "127.0.0.5", harness.Host, "192.0.2.1"} {
			s := harness.NewStun(t, "192.0.2.1:54321", net.JoinHostPort(host, port))
			s.Send(t, harness.Binding(transaction))
			if got := s.Receive(t, 2*time.Second); !bytes.Equal(got, want) {
				t.Errorf("%s, to %s: %x instead of %x", listen, host, got, want)
			}
			s.Close()
		}
	}
}

func TestStunLongDatagrams(t *testing.T) {
	c := cluster(t)
	s := harness.NewStun(t, harness.Host+":0", harness.Endpoint(t, c.StunURLs[0]))
	for _, n := range []int{21, 1499, 1500, 1501, 9000} {
		s.Send(t, append(harness.Binding(transaction), make([]byte, n-20)...)) // bytes after the message mean nothing
		if got, want := s.Receive(t, 2*time.Second), harness.BindingAnswer(transaction, s.Local); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %x instead of %x", n, got, want)
		}
	}
	overrun := append(harness.Binding(transaction), 0x80, 0x22, 0x06, 0x00)
	binary.BigEndian.PutUint16(overrun[2:], 4+0x600)
	s.Send(t, append(overrun, make([]byte, 0x600)...)) // well-formed, but longer than what is read
	if got := s.Receive(t, 300*time.Millisecond); got != nil {
		t.Errorf("answered with %x", got)
	}
}

// Every request of a burst is answered once, from many sockets at the same time.
func TestStunBurst(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	m := c.Sibling(t, "stun-1", map[string]string{"loops": "4"})
	_, port, _ := net.SplitHostPort(m.Listen)
	const agents, each = 20, 20
	var all []*harness.Stun
	for range agents {
		all = append(all, harness.NewStun(t, harness.Host+":0", net.JoinHostPort(harness.Host, port)))
	}
	for i := range each {
		for _, s := range all {
			s.Send(t, harness.Binding(fmt.Sprintf("request %4d", i)))
		}
	}
	for _, s := range all {
		seen := map[string]bool{}
		for range each {
			got := s.Receive(t, 2*time.Second)
			if len(got) < 20 || !bytes.Equal(got, harness.BindingAnswer(string(got[8:20]), s.Local)) || seen[string(got[8:20])] {
				t.Fatalf("answer %x after %d", got, len(seen))
			}
			seen[string(got[8:20])] = true
		}
	}
	counts(t, m.Admin, "rookery_stun_answers_total", agents*each, 2*time.Second) // which is after they have left
	m.Terminate(t)
	if code := m.Exited(t, 5*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Whatever comes from however many addresses, the other services of the machine go first.
func TestStunStandsBehindOthers(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	own, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	pid := c.Sibling(t, "stun-1", map[string]string{"nice": "7", "loops": "2"}).PID
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(threads) < 3 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	for _, thread := range threads {
		tid, _ := strconv.Atoi(thread.Name())
		if got, err := syscall.Getpriority(syscall.PRIO_PROCESS, tid); err != nil || got != own-7 { // both are 20 less the niceness
			t.Errorf("thread %d: %d, %v; the test's own %d", tid, got, err, own)
		}
	}
}

func TestStunRate(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	m := c.Sibling(t, "stun-1", map[string]string{"loops": "1", "prefix_rate": "10", "listen": "[::]:42994"})
	_, port, _ := net.SplitHostPort(m.Listen)
	flood := harness.NewStun(t, harness.Host+":0", net.JoinHostPort(harness.Host, port))
	start := time.Now()
	for range 500 {
		flood.Send(t, harness.Binding(transaction))
	}
	seconds := 2 + int(time.Since(start)/time.Second) // the burst may lie across the end of one
	other := harness.NewStun(t, "127.0.0.9:0", net.JoinHostPort("127.0.0.1", port))
	other.Send(t, harness.Binding(transaction))
	if got, want := other.Receive(t, 2*time.Second), harness.BindingAnswer(transaction, other.Local); !bytes.Equal(got, want) {
		t.Errorf("another address: %x instead of %x", got, want)
	}
	answers := 0
	for flood.Receive(t, 200*time.Millisecond) != nil {
		answers++
	}
	if answers < 10 || answers > 10*seconds {
		t.Errorf("%d answers", answers)
	}
	counts(t, m.Admin, `rookery_stun_dropped_total{reason="rate"}`, float64(500-answers), 2*time.Second)
}
