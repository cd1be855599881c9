package differential

import (
	"fmt"
	"math/rand/v2"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
	pb "google.golang.org/protobuf/proto"

	"github.com/netbirdio/netbird/shared/management/proto"
)

// agent is a peer: the same key and the same machine for both servers.
type agent struct {
	name string // peer:3, also its machine's serial number
	key  wgtypes.Key
	meta *proto.PeerSystemMeta
}

// dice are the only source of chance, so that a seed tells the whole account.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0x726f6f6b657279))} }

// chance is true in that many cases of a hundred.
func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

// between includes both ends.
func (d dice) between(low, high int) int { return low + d.IntN(high-low+1) }

func pick[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

// some are `n` of the elements at most, in random order.
func some[T any](d dice, from []T, n int) []T {
	out := make([]T, 0, n)
	for _, i := range d.Perm(len(from)) {
		if len(out) == n {
			break
		}
		out = append(out, from[i])
	}
	return out
}

func (d dice) wireguardKey() wgtypes.Key {
	var raw [wgtypes.KeyLen]byte
	for i := range raw {
		raw[i] = byte(d.Uint32())
	}
	raw[0] &= 248
	raw[31] = raw[31]&127 | 64
	return wgtypes.Key(raw)
}

// Around every version that a gate of the map or of a posture check stands at.
var agentVersions = []string{"0.77.1", "0.77.1", "0.77.1", "0.77.0", "0.75.0", "0.70.3", "0.61.1", "0.60.0", "0.59.13", "0.59.0",
	"0.58.2", "0.50.1", "0.48.0", "0.47.9", "0.45.0", "0.36.5", "0.29.3", "0.29.2", "0.28.0", "0.60.0-rc1", "0.77.1-beta.2", "development",
	"ci-1234abcd", "dev-77", "v0.65.0", "", "nonsense", "0.65"}

var systems = []struct {
	goOS, kernel, os  string
	versions, kernels []string
}{
	{"linux", "Linux", "Debian GNU/Linux", []string{"12", "11"}, []string{"6.1.0", "6.1.0-18-amd64", "5.15.0", "4.19.3"}},
	{"linux", "Linux", "Ubuntu", []string{"22.04", "24.04"}, []string{"6.8.0-45-generic", "5.4.0"}},
	{"windows", "Windows", "Windows 11 Pro", []string{"10.0.22631"}, []string{"10.0.22631", "10.0.19045", "10.0.22631.4317"}},
	{"darwin", "Darwin", "macOS", []string{"14.5", "13.6.1", "15.0-beta"}, []string{"23.5.0"}},
	{"android", "Linux", "Android", []string{"14", "10.0"}, []string{"5.10"}},
	{"ios", "Darwin", "iOS", []string{"17.4.1", "16.0"}, []string{"23.4.0"}},
	{"freebsd", "FreeBSD", "FreeBSD", []string{"14.0"}, []string{"14.0-RELEASE"}},
}

var hostNames = []string{"web", "db", "Laptop of Ann", "büro-pc", "HOST_42", "srv.example.com", "a-very-long-host-name-that-does-not-fit-into-one-dns-label-at-all-0123",
	"node", "node", "node", "x", "router", "日本", "phone", "--dash--", "UPPER", "api-1", "api-2", "ci.runner", "vm"}

var processPaths = []string{"/usr/bin/edr", "/usr/sbin/sshd", "/Applications/Edr.app/edr", `C:\Program Files\edr\edr.exe`}

// machine is what a random agent says of itself.
func (d dice) machine(serial string) *proto.PeerSystemMeta {
	m := &proto.PeerSystemMeta{SysSerialNumber: serial, Core: "12", Platform: "x86_64", SysProductName: "Box", SysManufacturer: "Maker",
		Environment: &proto.Environment{}, Flags: &proto.Flags{}}
	m.Hostname = pick(d, hostNames)
	if d.chance(60) {
		m.Hostname += fmt.Sprintf("-%d", d.IntN(90))
	}
	d.system(m)
	d.software(m)
	d.surroundings(m)
	return m
}

func (d dice) system(m *proto.PeerSystemMeta) {
	s := pick(d, systems)
	m.GoOS, m.Kernel, m.OS = s.goOS, s.kernel, s.os
	m.OSVersion, m.KernelVersion = pick(d, s.versions), pick(d, s.kernels)
	if d.chance(5) {
		m.KernelVersion = "unknown"
	}
}

// software is what an update of the agent changes.
func (d dice) software(m *proto.PeerSystemMeta) {
	m.NetbirdVersion = "0.77.1"
	if d.chance(60) {
		m.NetbirdVersion = pick(d, agentVersions)
	}
	if d.chance(30) {
		m.UiVersion = m.NetbirdVersion
	}
	m.Capabilities = nil
	if d.chance(80) {
		m.Capabilities = append(m.Capabilities, proto.PeerCapability_PeerCapabilitySourcePrefixes)
	}
	if d.chance(75) {
		m.Capabilities = append(m.Capabilities, proto.PeerCapability_PeerCapabilityIPv6Overlay)
	}
	m.Flags = &proto.Flags{ServerSSHAllowed: d.chance(50), DisableIPv6: d.chance(15), RosenpassEnabled: d.chance(10),
		DisableDNS: d.chance(5), DisableFirewall: d.chance(5), BlockInbound: d.chance(5), DisableClientRoutes: d.chance(5),
		DisableServerRoutes: d.chance(5), LazyConnectionEnabled: d.chance(20)}
}

// surroundings are what posture checks look at besides.
func (d dice) surroundings(m *proto.PeerSystemMeta) {
	m.NetworkAddresses, m.Files = nil, nil
	for range d.IntN(3) {
		m.NetworkAddresses = append(m.NetworkAddresses, &proto.NetworkAddress{
			NetIP: pick(d, []string{"192.168.7.5/24", "192.168.8.9/24", "10.1.2.3/8", "172.16.0.9/16", "fe80::1/64", "2001:db8:1::7/64"}),
			Mac:   "02:00:00:00:00:01"})
	}
	for _, path := range some(d, processPaths, d.IntN(len(processPaths)+1)) {
		m.Files = append(m.Files, &proto.File{Path: path, Exist: true, ProcessIsRunning: d.chance(70)})
	}
}

// changed is the machine after something has happened to it.
func (d dice) changed(m *proto.PeerSystemMeta) *proto.PeerSystemMeta {
	out := pb.Clone(m).(*proto.PeerSystemMeta)
	switch d.IntN(4) {
	case 0:
		d.software(out)
	case 1:
		d.surroundings(out)
	case 2:
		d.system(out)
	default:
		out.Hostname = pick(d, hostNames)
	}
	return out
}
