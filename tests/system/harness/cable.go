package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Cable joins another host to this one: a veth pair between the network of the tests and one in which there is nothing but the far
// end of it. Both ends have the addresses V4(n) and V6(net, n) that they are given; this host begins with host 1, the far one with
// host 2. It goes with the test.
type Cable struct {
	Near, Far string // its devices, here and there
	n         int
	ns        *os.File
}

var cables atomic.Int32

// NewCable plugs one in. What the far end sends has its checksum, as if it had come over a real one: Checksums.
func NewCable(t testing.TB) *Cable {
	t.Helper()
	n := int(cables.Add(1))
	c := &Cable{Near: fmt.Sprintf("near%d", n), Far: fmt.Sprintf("away%d", n), n: n}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			c.ns, err = os.Open(fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()))
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.ns.Close() }) // with which the network goes
	c.Plug(t)
	return c
}

// Plug makes the cable where it is not (any more).
func (c *Cable) Plug(t testing.TB) {
	t.Helper()
	ip(t, "link", "add", c.Near, "type", "veth", "peer", "name", c.Far, "netns", c.Net())
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", c.Near).Run() })
	ip(t, "link", "set", c.Near, "addrgenmode", "none", "up")
	c.Add(t, 1)
	c.IP(t, "link", "set", "lo", "up")
	c.IP(t, "link", "set", c.Far, "addrgenmode", "none", "up")
	c.AddFar(t, 0, 2)
	c.Checksums(t, true)
}

// Jumbo makes its frames larger than a page of memory.
func (c *Cable) Jumbo(t testing.TB) {
	t.Helper()
	ip(t, "link", "set", c.Near, "mtu", "9000")
	c.IP(t, "link", "set", c.Far, "mtu", "9000")
}

// Unplug takes both devices away.
func (c *Cable) Unplug(t testing.TB) {
	t.Helper()
	ip(t, "link", "del", c.Near)
}

// Net is a file that stands for the far network, as long as this process lives.
func (c *Cable) Net() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), c.ns.Fd()) }

// V4 is an IPv4 address on the cable.
func (c *Cable) V4(host int) string { return fmt.Sprintf("10.96.%d.%d", c.n, host) }

// V6 is an IPv6 address on the cable, of one of its networks (/64).
func (c *Cable) V6(network, host int) string {
	return fmt.Sprintf("fd96:%x:0:%x::%x", c.n, network, host)
}

// Add gives this end a host's addresses.
func (c *Cable) Add(t testing.TB, host int) {
	t.Helper()
	ip(t, "addr", "add", c.V4(host)+"/24", "dev", c.Near)
	ip(t, "addr", "add", c.V6(0, host)+"/48", "dev", c.Near, "nodad")
}

// AddNear gives this end another address.
func (c *Cable) AddNear(t testing.TB, address string) {
	t.Helper()
	ip(t, "addr", "add", address, "dev", c.Near, "nodad")
}

// AddFar gives the far end a host's addresses.
func (c *Cable) AddFar(t testing.TB, network, host int) {
	t.Helper()
	if network == 0 {
		c.IP(t, "addr", "add", c.V4(host)+"/24", "dev", c.Far)
	}
	c.IP(t, "addr", "add", c.V6(network, host)+"/48", "dev", c.Far, "nodad")
}

func ip(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
	return string(out)
}

// IP runs ip(8) at the far end.
func (c *Cable) IP(t testing.TB, args ...string) {
	t.Helper()
	err := c.Inside(func() error {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Inside runs f on a thread that stands in the far network: sockets it makes itself belong there.
func (c *Cable) Inside(f func() error) error { return inside(c.ns, f) }

// Stun is NewStun at the far end.
func (c *Cable) Stun(t testing.TB, local, server string) *Stun {
	t.Helper()
	var s *Stun
	if err := c.Inside(func() (err error) { s, err = openStun(local, server); return }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Checksums says who has to fill in the checksums of what the far end sends: its kernel, or the device, which is none and
// leaves them as they are.
func (c *Cable) Checksums(t testing.TB, byKernel bool) {
	t.Helper()
	value := struct{ command, data uint32 }{unix.ETHTOOL_STXCSUM, 1}
	if byKernel {
		value.data = 0
	}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], c.Far)
	err := c.Inside(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if _, _, code := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); code != 0 {
			return fmt.Errorf("checksums of %s: %w", c.Far, code)
		}
		return nil
	})
	runtime.KeepAlive(&value)
	if err != nil {
		t.Fatal(err)
	}
}

// Packet has the far end send a packet of that kind (unix.ETH_P_IP, unix.ETH_P_IPV6) as it is given.
func (c *Cable) Packet(t testing.TB, protocol uint16, packet []byte) {
	t.Helper()
	near, err := net.InterfaceByName(c.Near)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Inside(func() error {
		far, err := net.InterfaceByName(c.Far)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		to := unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: far.Index, Halen: uint8(len(near.HardwareAddr))}
		copy(to.Addr[:], near.HardwareAddr)
		return unix.Sendto(fd, packet, 0, &to)
	})
	if err != nil {
		t.Fatal(err)
	}
}

var programAt = regexp.MustCompile(` (xdp\w*) `)

// Program is what ip(8) says of a program at this end: xdp (of the driver), xdpgeneric, or nothing where there is none.
func (c *Cable) Program(t testing.TB) string {
	t.Helper()
	if found := programAt.FindStringSubmatch(ip(t, "link", "show", "dev", c.Near)); found != nil {
		return found[1]
	}
	return ""
}
