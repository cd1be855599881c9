package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// EnvDaemons names the directory with the netbird programs that tests/system/run has built: netbird-<version>.
const EnvDaemons = "ROOKERY_NETBIRD"

// Daemon is a stock netbird program on a host of its own: a network namespace behind a cable to ours, a tun device, its own
// /etc and /var/lib. It routes, resolves and filters as on any Linux host, which agents inside a Go test (Agent) do not.
type Daemon struct {
	Name    string
	Host    string // the host's address at its end of the cable
	dir     string
	program string
	env     []string
	cmd     *exec.Cmd
	ns      *os.File
}

var daemons atomic.Int32

// What the host does before the program: private copies of what it writes to, and its end of the cable.
const hostScript = `
mount --make-rprivate /
cp -a /etc "$DIR/etc"
rm -f "$DIR/etc/resolv.conf"
echo "nameserver $GATEWAY" > "$DIR/etc/resolv.conf"
mount --bind "$DIR/etc" /etc
mount --bind "$DIR/lib" /var/lib
read -r cable
ip link set lo up
ip link set "$cable" name eth0
ip addr add "$ADDRESS/30" dev eth0
ip link set eth0 up
ip route add default via "$GATEWAY"
exec "$PROGRAM" service run --daemon-addr "unix://$DIR/sock" --log-file "$DIR/log" --log-level info
`

// NewHost starts a host with the netbird of a version ("" = the current one), which has more in its environment. It has not
// joined yet.
func NewHost(t testing.TB, name, version string, env ...string) *Daemon {
	t.Helper()
	if version == "" {
		version = "0.77.1"
	}
	n := int(daemons.Add(1))
	d := &Daemon{Name: name, Host: fmt.Sprintf("10.97.%d.2", n), dir: t.TempDir(), env: env,
		program: filepath.Join(os.Getenv(EnvDaemons), "netbird-"+version)}
	if _, err := os.Stat(d.program); err != nil {
		t.Fatalf("netbird %s has not been built: %v", version, err)
	}
	if err := os.Mkdir(filepath.Join(d.dir, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Or some releases try their maker's service first, and nothing else until that has failed.
	if err := os.WriteFile(filepath.Join(d.dir, "lib", "default.json"), []byte(`{"DisableAutoConnect":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway := fmt.Sprintf("10.97.%d.1", n)
	d.cmd = exec.Command("/bin/sh", "-ec", hostScript)
	d.cmd.Env = append(d.environ(), "DIR="+d.dir, "ADDRESS="+d.Host, "GATEWAY="+gateway, "PROGRAM="+d.program,
		"NB_WG_KERNEL_DISABLED=true", "NB_FORCE_USERSPACE_ROUTER=true", "NB_LAZY_CONN=off")
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	in, err := d.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	d.cmd.Stdout, d.cmd.Stderr = &said, &said
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("%s: %s\n%s", name, said.String(), d.log(30))
		}
	})
	if d.ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", d.cmd.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	near, far := "cable"+strconv.Itoa(n), "far"+strconv.Itoa(n)
	for _, args := range [][]string{
		{"link", "add", near, "type", "veth", "peer", "name", far},
		{"addr", "add", gateway + "/30", "dev", near},
		{"link", "set", near, "up"},
		{"link", "set", far, "netns", strconv.Itoa(d.cmd.Process.Pid)},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	if _, err := io.WriteString(in, far+"\n"); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 20*time.Second, name+"'s daemon listens", func() error {
		_, err := os.Stat(filepath.Join(d.dir, "sock"))
		return err
	})
	return d
}

// environ is what the daemon and its commands find in their environment.
func (d *Daemon) environ() []string {
	// An agent inside this process, which has no network interface, says so to all that come after it.
	return append(append(os.Environ(), "NB_STATE_DIR="+d.dir+"/lib", "NB_USE_NETSTACK_MODE=false"), d.env...)
}

// Kill ends the program at once, as a power cut would. The host keeps its files.
func (d *Daemon) Kill() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

func (d *Daemon) log(lines int) string {
	text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Command is a netbird command against the daemon.
func (d *Daemon) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.program, append(args, "--daemon-addr", "unix://"+d.dir+"/sock")...)
	cmd.Env = d.environ()
	return cmd
}

// SSH is `netbird ssh` on the host.
func (d *Daemon) SSH(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(d.cmd.Process.Pid), "--net", "--mount", "--",
		d.program, "ssh"}, args...)...)
	cmd.Env = append(os.Environ(), "NB_STATE_DIR="+d.dir+"/lib", "NB_DAEMON_ADDR=unix://"+d.dir+"/sock")
	return cmd
}

// AddUser makes a user of the host, who is not one of any other host.
func (d *Daemon) AddUser(t testing.TB, name string, id int) {
	t.Helper()
	for file, line := range map[string]string{"passwd": fmt.Sprintf("%s:x:%d:%d::/:/bin/sh\n", name, id, id),
		"group": fmt.Sprintf("%s:x:%d:\n", name, id), "shadow": name + ":*:19000:0:99999:7:::\n"} {
		f, err := os.OpenFile(filepath.Join(d.dir, "etc", file), os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(line)
			_ = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Run is one netbird command, to its end.
func (d *Daemon) Run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := d.Command(ctx, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("netbird %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

// Up joins the network that the setup key opens.
func (d *Daemon) Up(t testing.TB, c *Cluster, key string, more ...string) {
	t.Helper()
	d.UpAt(t, c.ManagementURL, key, more...)
}

// UpAt is Up with a server of the test's own.
func (d *Daemon) UpAt(t testing.TB, management, key string, more ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := d.Run(ctx, append([]string{"up", "--management-url", management, "--setup-key", key, "--hostname", d.Name}, more...)...); err != nil {
		t.Fatal(err)
	}
}

// DaemonStatus is what `netbird status --json` says, as far as tests look at it.
type DaemonStatus struct {
	IP         string `json:"netbirdIp"`
	IPv6       string `json:"netbirdIpv6"`
	FQDN       string `json:"fqdn"`
	Management struct {
		Connected bool `json:"connected"`
	} `json:"management"`
	Signal struct {
		Connected bool `json:"connected"`
	} `json:"signal"`
	Peers struct {
		Details []struct {
			FQDN           string   `json:"fqdn"`
			IP             string   `json:"netbirdIp"`
			Status         string   `json:"status"`
			ConnectionType string   `json:"connectionType"` // P2P or Relayed
			RelayAddress   string   `json:"relayAddress"`
			Networks       []string `json:"networks"`
		} `json:"details"`
	} `json:"peers"`
	Networks []string `json:"networks"`
}

// Status asks the daemon.
func (d *Daemon) Status(t testing.TB) *DaemonStatus {
	t.Helper()
	s, err := d.TryStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TryStatus is Status that returns why not: the daemon asks STUN and relays first, and waits for those that are away.
func (d *Daemon) TryStatus(ctx context.Context) (*DaemonStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := d.Run(ctx, "status", "--json")
	if err != nil {
		return nil, err
	}
	s := &DaemonStatus{}
	if err := json.Unmarshal(out, s); err != nil {
		return nil, fmt.Errorf("status of %s: %w: %s", d.Name, err, out)
	}
	return s, nil
}

// Address is the daemon's overlay address, once it has one.
func (d *Daemon) Address(t testing.TB) string {
	t.Helper()
	var address string
	Eventually(t, 20*time.Second, d.Name+" has an address", func() error {
		s, err := d.TryStatus(t.Context())
		if err != nil {
			return err
		}
		address, _, _ = strings.Cut(s.IP, "/")
		if address == "" {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	return address
}

// IPv6 is its overlay address of the other family.
func (d *Daemon) IPv6(t testing.TB) string {
	t.Helper()
	address, _, _ := strings.Cut(d.Status(t).IPv6, "/")
	return address
}

// Inside runs f on a thread that stands in the host's network: sockets it makes itself belong there.
func (d *Daemon) Inside(f func() error) error { return inside(d.ns, f) }

// inside runs f on a thread that stands in that network.
func inside(ns *os.File, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// Ask connects from this host, writes a line if there is one, and returns the line that comes back.
func (d *Daemon) Ask(address, line string) (string, error) {
	var answer string
	err := d.Inside(func() error {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err := io.WriteString(c, line+"\n"); err != nil {
			return err
		}
		buf := make([]byte, 256)
		n, err := c.Read(buf)
		answer = strings.TrimSpace(string(buf[:n]))
		return err
	})
	return answer, err
}

// Serve answers each connection to a port of this host with what `answer` says of the line and the caller's address.
func (d *Daemon) Serve(t testing.TB, address string, answer func(line, from string) string) {
	t.Helper()
	var l net.Listener
	if err := d.Inside(func() (err error) { l, err = net.Listen("tcp", address); return }); err != nil {
		t.Fatal(err)
	}
	serve(t, l, answer)
}

// ServeHere is Serve in the network of the test itself, which is the internet to the hosts.
func ServeHere(t testing.TB, address string, answer func(line, from string) string) {
	t.Helper()
	host, _, _ := net.SplitHostPort(address)
	if out, err := exec.Command("ip", "addr", "add", host+"/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("address %s: %v: %s", host, err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "addr", "del", host+"/32", "dev", "lo").Run() })
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, answer)
}

func serve(t testing.TB, l net.Listener, answer func(line, from string) string) {
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				buf := make([]byte, 256)
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				from, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				_, _ = io.WriteString(c, answer(strings.TrimSpace(string(buf[:n])), from)+"\n")
			}()
		}
	}()
}

// Lookup asks the resolver that the host's resolv.conf names.
func (d *Daemon) Lookup(ctx context.Context, name string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(d.dir, "etc", "resolv.conf"))
	if err != nil {
		return nil, err
	}
	var server string
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "nameserver" {
			server = net.JoinHostPort(f[1], "53")
			break
		}
	}
	var found []string
	err = d.Inside(func() error {
		conn, err := net.Dial("udp", server)
		if err != nil {
			return err
		}
		defer conn.Close()
		r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
		found, err = r.LookupHost(ctx, name)
		return err
	})
	return found, err
}

// ServeNames answers DNS questions for names to the host, at the address that its own resolv.conf first named.
func (d *Daemon) ServeNames(t testing.TB, names map[string]string) {
	t.Helper()
	ServeNames(t, strings.TrimSuffix(d.Host, "2")+"1:53", names)
}

// ServeNames answers questions for the A records of names, and refuses all others, in the network of the test.
func ServeNames(t testing.TB, address string, names map[string]string) {
	t.Helper()
	host, _, _ := net.SplitHostPort(address)
	if strings.HasPrefix(host, "192.0.2.") {
		if out, err := exec.Command("ip", "addr", "add", host+"/32", "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("address %s: %v: %s", host, err, out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "addr", "del", host+"/32", "dev", "lo").Run() })
	}
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		ip, known := names[strings.ToLower(q.Question[0].Name)]
		if !known {
			m.Rcode = dns.RcodeNameError
		} else if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5},
				A: net.ParseIP(ip)})
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
}
