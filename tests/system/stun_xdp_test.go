package system

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"rookery.test/system/harness"
)

const (
	xdpPort    = 42995
	byKernel   = "rookery_stun_xdp_answers_total"
	byAnyone   = "rookery_stun_answers_total"
	xdpDevices = "rookery_stun_xdp_devices"
)

// hosts are a stun's and its askers', which a cable joins. The kernel takes programs from root alone.
func hosts(t *testing.T) (*harness.Cluster, *harness.Cable) {
	t.Helper()
	c := cluster(t)
	needsProcesses(t, c)
	if os.Getuid() != 0 {
		t.Skip("needs root: nobody else gives programs to the kernel")
	}
	return c, harness.NewCable(t)
}

func xdpSettings(cable *harness.Cable, more ...string) map[string]string {
	all := map[string]string{"listen": at(cable.V4(1)) + "," + at(cable.V6(0, 1)), "xdp": cable.Near}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func at(host string) string { return net.JoinHostPort(host, fmt.Sprint(xdpPort)) }

// askers are one of each family at the far end, with ports of their own.
func askers(t *testing.T, cable *harness.Cable) []*harness.Stun {
	t.Helper()
	return []*harness.Stun{cable.Stun(t, cable.V4(2)+":0", at(cable.V4(1))),
		cable.Stun(t, "["+cable.V6(0, 2)+"]:0", at(cable.V6(0, 1)))}
}

// attributed is a question that only threads answer, as the one without the attribute.
func attributed(transaction string) []byte {
	m := append(harness.Binding(transaction), 0x7f, 0, 0, 4, 1, 2, 3, 4)
	m[3] = 8
	return m
}

// answered fails unless the kernel and the threads have answered so many.
func answered(t *testing.T, m *harness.Sibling, kernel, threads int) {
	t.Helper()
	counts(t, m.Admin, byAnyone, float64(kernel+threads), 2*time.Second) // threads count when theirs have left
	if got := counted(t, m.Admin, byKernel); got != float64(kernel) {
		t.Errorf("the kernel has answered %v questions instead of %d", got, kernel)
	}
}

func asks(t *testing.T, s *harness.Stun, question []byte) {
	t.Helper()
	s.Send(t, question)
	want := harness.BindingAnswer(string(question[8:20]), s.Local)
	if got := s.Receive(t, 2*time.Second); !bytes.Equal(got, want) {
		t.Fatalf("from %v: %x instead of %x", s.Local, got, want)
	}
}

// sum16 is the Internet checksum's sum, complemented.
func sum16(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for i := 0; i < len(b); i += 2 {
			if i+1 < len(b) {
				sum += uint32(b[i+1])
			}
			sum += uint32(b[i]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// udp is a datagram as it follows the header of IP. Its checksum is that which was computed, even if it is 0.
func udp(from, to netip.AddrPort, payload []byte) []byte {
	out := binary.BigEndian.AppendUint16(nil, from.Port())
	out = binary.BigEndian.AppendUint16(out, to.Port())
	out = binary.BigEndian.AppendUint16(out, uint16(8+len(payload)))
	out = append(append(out, 0, 0), payload...)
	sum := sum16(from.Addr().AsSlice(), to.Addr().AsSlice(), []byte{0, 17}, out[4:6], out)
	binary.BigEndian.PutUint16(out[6:], sum)
	return out
}

// ipv4 is a packet; `fragment` is its third word's lower half.
func ipv4(from, to netip.Addr, fragment uint16, payload []byte) []byte {
	out := []byte{0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, 17, 0, 0}
	binary.BigEndian.PutUint16(out[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(out[6:], fragment)
	out = append(append(out, from.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(out[10:], sum16(out))
	return append(out, payload...)
}

func ipv6(from, to netip.Addr, payload []byte) []byte {
	out := []byte{0x60, 0, 0, 0, 0, 0, 17, 64}
	binary.BigEndian.PutUint16(out[4:], uint16(len(payload)))
	out = append(append(out, from.AsSlice()...), to.AsSlice()...)
	return append(out, payload...)
}

func packet(t *testing.T, cable *harness.Cable, from, to netip.AddrPort, payload []byte) {
	t.Helper()
	if to.Addr().Is4() {
		cable.Packet(t, unix.ETH_P_IP, ipv4(from.Addr(), to.Addr(), 0, payload))
	} else {
		cable.Packet(t, unix.ETH_P_IPV6, ipv6(from.Addr(), to.Addr(), payload))
	}
}

// transactionOf is one with which the datagram's checksum is computed to be 0, which on the wire says that there is none: 0xffff is
// sent in its place.
func transactionOf(t *testing.T, datagram func(transaction string) []byte) string {
	t.Helper()
	for i := range uint32(10_000_000) {
		transaction := string(binary.BigEndian.AppendUint32([]byte("no check"), i))
		if d := datagram(transaction); d[6] == 0 && d[7] == 0 {
			return transaction
		}
	}
	t.Fatal("no checksum is 0")
	return ""
}

// On a cable without a driver's own support it is the kernel's generic part that runs the program. What it answers is what threads
// answer, from the address that was asked.
func TestStunXdpTheKernelAnswersAsThreadsDo(t *testing.T) {
	c, cable := hosts(t)
	cable.Add(t, 9)
	wildcards := fmt.Sprintf("0.0.0.0:%d,[::]:%[1]d", xdpPort)
	m := c.Sibling(t, "stun-1", xdpSettings(cable, "listen", wildcards))
	if want := "the kernel itself answers at " + cable.Near + " (generic)"; !strings.Contains(m.Log(), want) {
		t.Errorf("the log does not say %q", want)
	}
	if got := cable.Program(t); got != "xdpgeneric" {
		t.Errorf("at the device is %q", got)
	}
	counts(t, m.Admin, xdpDevices, 1, 0)
	kernel, threads := 0, 0
	for _, ends := range [][2]string{{cable.V4(2), cable.V4(1)}, {cable.V4(2), cable.V4(9)}, {cable.V6(0, 2), cable.V6(0, 1)},
		{cable.V6(0, 2), cable.V6(0, 9)}} {
		s := cable.Stun(t, net.JoinHostPort(ends[0], "0"), at(ends[1]))
		for i := range 20 {
			transaction := fmt.Sprintf("%6d%6d", i, kernel)
			asks(t, s, harness.Binding(transaction))
			kernel++
			answered(t, m, kernel, threads)
			asks(t, s, attributed(transaction)) // by a thread, the same
			threads++
			answered(t, m, kernel, threads)
		}
		server := netip.MustParseAddrPort(at(ends[1]))
		for _, transaction := range []string{
			transactionOf(t, func(tx string) []byte { return udp(s.Local, server, harness.Binding(tx)) }),
			transactionOf(t, func(tx string) []byte { return udp(server, s.Local, harness.BindingAnswer(tx, s.Local)) }),
		} {
			asks(t, s, harness.Binding(transaction))
			kernel++
		}
		answered(t, m, kernel, threads)
	}
	without := cable.Stun(t, cable.V4(2)+":0", at(cable.V4(1)))
	without.Set(t, unix.SOL_SOCKET, unix.SO_NO_CHECK, []byte{1, 0, 0, 0})
	asks(t, without, harness.Binding("no checksum!"))
	answered(t, m, kernel+1, threads)
	counts(t, m.Admin, "rookery_stun_requests_total", float64(kernel+1+threads), 0)
	m.Terminate(t)
	if code := m.Exited(t, 5*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := cable.Program(t); got != "" {
		t.Errorf("%q is at the device after the process has ended", got)
	}
}

func TestStunXdpThreadsAnswerTheRest(t *testing.T) {
	c, cable := hosts(t)
	m := c.Sibling(t, "stun-1", xdpSettings(cable))
	threads := 0
	by := func(what string) {
		t.Helper()
		threads++
		answered(t, m, 0, threads)
		if t.Failed() {
			t.Fatal(what)
		}
	}
	for _, s := range askers(t, cable) {
		asks(t, s, attributed(transaction))
		by("an attribute")
		asks(t, s, append(harness.Binding(transaction), "trailing"...))
		by("bytes after the message")
		asks(t, s, append(harness.Binding(transaction), make([]byte, 3000)...))
		by("fragments")
	}
	cable.Checksums(t, false)
	for _, s := range askers(t, cable) {
		asks(t, s, harness.Binding(transaction))
		by("a checksum that is left to the device")
	}
	cable.Checksums(t, true)

	s := cable.Stun(t, cable.V4(2)+":0", at(cable.V4(1)))
	s.Set(t, unix.IPPROTO_IP, unix.IP_OPTIONS, []byte{1, 1, 1, 1})
	asks(t, s, harness.Binding(transaction))
	by("IP options")

	// The second fragment looks like a question of its own.
	server := netip.MustParseAddrPort(at(cable.V4(1)))
	hidden := udp(s.Local, server, harness.Binding("a hidden one"))
	whole := udp(s.Local, server, bytes.Join([][]byte{harness.Binding(transaction), make([]byte, 20), hidden}, nil))
	cable.Packet(t, unix.ETH_P_IP, ipv4(s.Local.Addr(), server.Addr(), 0x2000, whole[:48]))
	cable.Packet(t, unix.ETH_P_IP, ipv4(s.Local.Addr(), server.Addr(), 6, whole[48:]))
	if got, want := s.Receive(t, 2*time.Second), harness.BindingAnswer(transaction, s.Local); !bytes.Equal(got, want) {
		t.Errorf("fragments: %x instead of %x", got, want)
	}
	by("a question in a fragment")

	cable.IP(t, "addr", "add", "fe80::2/64", "dev", cable.Far, "nodad")
	cable.AddNear(t, "fe80::1/64")
	asks(t, cable.Stun(t, "[fe80::2%"+cable.Far+"]:0", at(cable.V6(0, 1))), harness.Binding(transaction))
	by("an address that is of the cable alone")
}

// What the kernel refuses or knows nobody for is not the program's to answer.
func TestStunXdpNobodyElseIsAnswered(t *testing.T) {
	c, cable := hosts(t)
	cable.Add(t, 9)
	m := c.Sibling(t, "stun-1", xdpSettings(cable))
	for i, s := range askers(t, cable) {
		server := netip.MustParseAddrPort(at([]string{cable.V4(1), cable.V6(0, 1)}[i]))
		question := harness.Binding("never answer")
		for _, from := range [][]string{{"0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"}, {"::1", "ff02::1"}}[i] {
			nobody := netip.AddrPortFrom(netip.MustParseAddr(from), s.Local.Port())
			packet(t, cable, nobody, server, udp(nobody, server, question))
		}
		none := netip.AddrPortFrom(s.Local.Addr(), 0)
		packet(t, cable, none, server, udp(none, server, question)) // which a thread can answer as little
		wrong := udp(s.Local, server, question)
		wrong[6] ^= 1
		packet(t, cable, s.Local, server, wrong)
		if i == 0 {
			header := ipv4(s.Local.Addr(), server.Addr(), 0, udp(s.Local, server, question))
			header[10] ^= 1
			cable.Packet(t, unix.ETH_P_IP, header)
		} else {
			without := udp(s.Local, server, question)
			without[6], without[7] = 0, 0
			packet(t, cable, s.Local, server, without)
		}
		for _, to := range []netip.AddrPort{netip.AddrPortFrom(server.Addr(), xdpPort+1),
			netip.MustParseAddrPort(at([]string{cable.V4(9), cable.V6(0, 9)}[i]))} {
			packet(t, cable, s.Local, to, udp(s.Local, to, question))
		}
		// A thread's answer comes after all that the same thread has had before.
		asks(t, s, attributed("the good one"))
		asks(t, s, harness.Binding("the good one"))
		if got := counted(t, m.Admin, byKernel); got != float64(i+1) {
			t.Errorf("from %v: the kernel has answered %v instead of %d", s.Local, got, i+1)
		}
	}
}

func TestStunXdpWhatIsNoQuestionIsCounted(t *testing.T) {
	c, cable := hosts(t)
	m := c.Sibling(t, "stun-1", xdpSettings(cable))
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
	malformed := [][]byte{harness.Binding(transaction)[:19], {}, cookie, long, overrun, bytes.Repeat([]byte{0xff}, 1400)}
	other := [][]byte{kind(0x0011), kind(0x0101), kind(0x0003), append(kind(0x0003), make([]byte, 30)...)}
	for i, s := range askers(t, cable) {
		for _, datagram := range append(malformed[:len(malformed):len(malformed)], other...) {
			s.Send(t, datagram)
		}
		// Whatever these would have brought comes before the answers to good ones.
		asks(t, s, attributed("the good one"))
		asks(t, s, harness.Binding("the next one"))
		counts(t, m.Admin, `rookery_stun_dropped_total{reason="malformed"}`, float64((i+1)*len(malformed)), 2*time.Second)
		counts(t, m.Admin, `rookery_stun_dropped_total{reason="not_binding"}`, float64((i+1)*len(other)), 2*time.Second)
		counts(t, m.Admin, "rookery_stun_requests_total", float64((i+1)*(len(malformed)+len(other)+2)), 2*time.Second)
		answered(t, m, i+1, i+1)
	}
}

// onOneCore runs f there, and with it all that the kernel does on a cable. The seconds of its clock, from the first to the last.
func onOneCore(t *testing.T, f func()) int {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for core := 0; one.Count() == 0; core++ {
		if all.IsSet(core) {
			one.Set(core)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &all) }()
	second := func() int {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &ts); err != nil {
			t.Fatal(err)
		}
		return int(ts.Sec)
	}
	first := second()
	f()
	return second() - first + 1
}

// A core of the kernel caps an address, and what is over that does not come to the threads either.
func TestStunXdpRate(t *testing.T) {
	c, cable := hosts(t)
	m := c.Sibling(t, "stun-1", xdpSettings(cable, "prefix_rate", "50"))
	cable.AddFar(t, 0, 3)
	cable.AddFar(t, 1, 2)
	dropped := 0
	for _, who := range []struct {
		server      string
		crowd       []string // who are one to the cap
		other       string
		description string
	}{{cable.V4(1), []string{cable.V4(2)}, cable.V4(3), "an IPv4 address"},
		{cable.V6(0, 1), []string{cable.V6(0, 2), cable.V6(0, 3)}, cable.V6(1, 2), "an IPv6 /64"}} {
		var crowd []*harness.Stun
		for _, host := range who.crowd {
			crowd = append(crowd, cable.Stun(t, net.JoinHostPort(host, "0"), at(who.server)))
		}
		other := cable.Stun(t, net.JoinHostPort(who.other, "0"), at(who.server))
		const sent = 600
		seconds := onOneCore(t, func() {
			for i := range sent {
				crowd[i%len(crowd)].Send(t, harness.Binding(transaction))
			}
			asks(t, other, harness.Binding(transaction))
		})
		answers := 0
		for _, s := range crowd {
			// All that the kernel answers is there when it has taken the question: a thread's answer ends the wait.
			s.Send(t, attributed("the last one"))
			for got := s.Receive(t, 2*time.Second); !bytes.Equal(got, harness.BindingAnswer("the last one", s.Local)); got = s.Receive(t, 2*time.Second) {
				if !bytes.Equal(got, harness.BindingAnswer(transaction, s.Local)) {
					t.Fatalf("%s: %x", who.description, got)
				}
				answers++
			}
		}
		if answers < 50 || answers > 50*seconds {
			t.Errorf("%s: %d answers in %d seconds", who.description, answers, seconds)
		}
		dropped += sent - answers
		counts(t, m.Admin, `rookery_stun_dropped_total{reason="rate"}`, float64(dropped), 2*time.Second)
	}
}

// crowded asks on and on, as some agents at once do, a question of each every 20 ms, until what it returns is called, which says
// how many were answered. One without an answer after three tries fails the test.
func crowded(t *testing.T, cable *harness.Cable) (stop func() int) {
	t.Helper()
	const agents, pace = 8, 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for i := range agents {
		// By its port each is one process's, where threads answer.
		s := askers(t, cable)[i%2]
		wg.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				question := harness.Binding(fmt.Sprintf("%3d/%8d", i, n))
				if n%2 == 1 {
					question = attributed(string(question[8:]))
				}
				if err := s.Ask(question, 3, 250*time.Millisecond); err != nil {
					t.Errorf("question %d: %v", n, err)
				}
				mu.Lock()
				total++
				mu.Unlock()
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	stop = sync.OnceValue(func() int {
		cancel()
		wg.Wait()
		return total
	})
	t.Cleanup(func() { stop() })
	return stop
}

// A new process has threads that answer from the start, and the device as soon as the old one's program is gone from there, which
// goes with the process even if that is killed.
func TestStunXdpTheNextProcessTakesOver(t *testing.T) {
	c, cable := hosts(t)
	settings := xdpSettings(cable, "prefix_rate", "0")
	old := c.Sibling(t, "stun-1", settings)
	stop := crowded(t, cable)
	next := c.Sibling(t, "stun-1", settings)
	if want := `"warn".*another program is at ` + cable.Near; len(regexp.MustCompile(want).FindAllString(next.Log(), -1)) != 1 {
		t.Errorf("the next process does not say %s once", want)
	}
	counts(t, old.Admin, xdpDevices, 1, 0)
	counts(t, next.Admin, xdpDevices, 0, 0)
	old.Kill(t)
	gone := time.Now()
	before := counted(t, next.Admin, byAnyone)
	harness.Eventually(t, time.Second, "the next process's threads answer", func() error {
		if now, at := counted(t, next.Admin, byAnyone), cable.Program(t); now == before || at != "" {
			return fmt.Errorf("%v instead of %v; at the device is %q", now, before, at)
		}
		return nil
	})
	if got := counted(t, next.Admin, byKernel); got != 0 {
		t.Errorf("the next process's program has answered %v at once", got)
	}
	harness.Eventually(t, 6*time.Second-time.Since(gone), "the device is the next process's", func() error {
		if counted(t, next.Admin, byKernel) == 0 {
			return fmt.Errorf("at the device is %q", cable.Program(t))
		}
		return nil
	})
	counts(t, next.Admin, xdpDevices, 1, 0)
	if n := stop(); n < 100 {
		t.Errorf("%d questions", n)
	}
	if want := "the kernel itself answers at " + cable.Near + " (generic)"; strings.Count(next.Log(), want) != 1 {
		t.Errorf("the log does not say %q", want)
	}
	next.Kill(t)
	harness.Eventually(t, time.Second, "no program is at the device", func() error {
		if got := cable.Program(t); got != "" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
}

// A device that is replaced has the program again.
func TestStunXdpADeviceComesBack(t *testing.T) {
	c, cable := hosts(t)
	m := c.Sibling(t, "stun-1", xdpSettings(cable, "listen", fmt.Sprintf("0.0.0.0:%d,[::]:%[1]d", xdpPort)))
	asks(t, askers(t, cable)[0], harness.Binding(transaction))
	answered(t, m, 1, 0)
	cable.Unplug(t)
	cable.Plug(t)
	asks(t, askers(t, cable)[0], harness.Binding(transaction))
	answered(t, m, 1, 1)
	harness.Eventually(t, 7*time.Second, "the program is at the device", func() error {
		if got := cable.Program(t); got != "xdpgeneric" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	for _, s := range askers(t, cable) {
		asks(t, s, harness.Binding(transaction))
	}
	answered(t, m, 3, 1)
}

func TestStunXdpMistakesEndTheStart(t *testing.T) {
	c, cable := hosts(t)
	with := func(more ...string) map[string]string {
		return xdpSettings(cable, append([]string{"admin_listen", fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))}, more...)...)
	}
	for _, x := range []struct {
		settings map[string]string
		want     string
		checked  bool
		wrapper  []string
	}{
		{settings: with("xdp", "nosuch0"), want: "xdp: there is no network device nosuch0"},
		{settings: with("xdp", cable.Near+",nosuch0"), want: "xdp: there is no network device nosuch0"},
		{settings: with("xdp_mode", "native"), want: "xdp_mode: auto, driver or generic", checked: true},
		{settings: with("xdp", "a-name-of-sixteen"), want: "xdp: a-name-of-sixteen is no name of a network device", checked: true},
		{settings: with("xdp", "a,b,c,d,e,f,g,h,i"), want: "xdp: more than 8 devices", checked: true},
		{settings: with(), want: "it needs the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
			wrapper: []string{"setpriv", "--bounding-set=-bpf,-sys_admin", "--"}},
		{settings: with(), want: "it needs the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
			wrapper: []string{"setpriv", "--bounding-set=-net_admin,-sys_admin", "--"}},
	} {
		if said := c.Refused(t, "stun-1", x.settings, x.wrapper...); !strings.Contains(said, x.want) {
			t.Errorf("%v %v: %s\ninstead of %q", x.settings, x.wrapper, said, x.want)
		}
		if said, ok := c.Command(t, "stun-1", x.settings, "--check-config"); ok == x.checked || x.checked && !strings.Contains(said, x.want) {
			t.Errorf("--check-config with %v: %v: %s", x.settings, ok, said)
		}
	}
	if got := cable.Program(t); got != "" {
		t.Errorf("%q is left at the device", got)
	}
}

// A start that is refused for lack of capabilities names those with which it is not.
func TestStunXdpNeedsTheCapabilitiesThatItNames(t *testing.T) {
	c, cable := hosts(t)
	settings := xdpSettings(cable)
	settings["admin_listen"] = fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))
	bounded := func(set string) []string { return []string{"setpriv", "--bounding-set=-all" + set, "--"} }
	var named string
	for _, name := range regexp.MustCompile(`CAP_(\w+)`).FindAllStringSubmatch(c.Refused(t, "stun-1", settings, bounded("")...), -1) {
		named += ",+" + strings.ToLower(name[1])
	}
	m := c.Sibling(t, "stun-1", xdpSettings(cable), bounded(named)...)
	asks(t, askers(t, cable)[0], harness.Binding(transaction))
	answered(t, m, 1, 0)
}

// A driver sends what a program at its device has made: a cable's does so to an end where there is a program, too.
func TestStunXdpADriverRunsTheProgram(t *testing.T) {
	t.Run("frames of 1,500 bytes", func(t *testing.T) {
		c, cable := hosts(t)
		driverRunsTheProgram(t, c, cable)
	})
	t.Run("jumbo frames", func(t *testing.T) {
		c, cable := hosts(t)
		cable.Jumbo(t)
		driverRunsTheProgram(t, c, cable)
	})
}

func driverRunsTheProgram(t *testing.T, c *harness.Cluster, cable *harness.Cable) {
	t.Helper()
	m := c.Sibling(t, "stun-1", xdpSettings(cable, "xdp_mode", "driver"))
	c.Sibling(t, "stun-1", map[string]string{"listen": at(cable.V4(2)), "xdp": cable.Far, "xdp_mode": "driver"},
		"nsenter", "--net="+cable.Net(), "--")
	if want := "the kernel itself answers at " + cable.Near + " (driver)"; !strings.Contains(m.Log(), want) {
		t.Errorf("the log does not say %q", want)
	}
	if got := cable.Program(t); got != "xdp" {
		t.Errorf("at the device is %q", got)
	}
	for i, s := range askers(t, cable) {
		for range 20 {
			asks(t, s, harness.Binding(transaction))
		}
		answered(t, m, 20*(i+1), i)
		asks(t, s, attributed(transaction))
		answered(t, m, 20*(i+1), i+1)
	}
}
