package harness

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
)

// Expected computes the maps that peers ought to have from what the REST API shows of the account. It covers groups, accept
// and drop policies between groups, all protocols but SSH, ports and port ranges, and the peers' own DNS zone.
type Expected struct {
	peers    map[string]api.PeerBatch // by id
	members  map[string][]string      // group id → peer ids
	policies []*api.Policy
	made     map[string]Made // by full name
}

// Made is what REST does not show of a peer that the test made.
type Made struct {
	Key string // WireGuard public key
	V6  bool   // the agent handles IPv6
}

// ReadAccount reads the account; `made` describes the test's peers by full name.
func (r *REST) ReadAccount(t testing.TB, made map[string]Made) *Expected {
	t.Helper()
	e := &Expected{map[string]api.PeerBatch{}, map[string][]string{}, nil, made}
	var peers []api.PeerBatch
	var groups []api.Group
	r.Want(t, 200, "GET", "/api/peers", nil, &peers)
	r.Want(t, 200, "GET", "/api/groups", nil, &groups)
	r.Want(t, 200, "GET", "/api/policies", nil, &e.policies)
	for _, p := range peers {
		e.peers[p.Id] = p
	}
	for _, g := range groups {
		for _, p := range g.Peers {
			e.members[g.Id] = append(e.members[g.Id], p.Id)
		}
	}
	return e
}

func (e *Expected) union(groups *[]api.GroupMinimum) map[string]bool {
	out := map[string]bool{}
	if groups != nil {
		for _, g := range *groups {
			for _, p := range e.members[g.Id] {
				out[p] = true
			}
		}
	}
	return out
}

var protocols = map[api.PolicyRuleProtocol]string{"all": "ALL", "tcp": "TCP", "udp": "UDP", "icmp": "ICMP"}

// ports are the forms in which a rule's ports appear in a map.
func ports(rule *api.PolicyRule) []string {
	var out []string
	if rule.Ports != nil {
		for _, p := range *rule.Ports {
			out = append(out, p)
		}
	}
	if len(out) == 0 && rule.PortRanges != nil {
		for _, r := range *rule.PortRanges {
			out = append(out, fmt.Sprintf("%d-%d", r.Start, r.End))
		}
	}
	if len(out) == 0 {
		out = []string{""}
		if rule.Protocol == "tcp" || rule.Protocol == "udp" {
			out[0] = "0-0"
		}
	}
	return out
}

// Lines is the map of one peer, a sorted list of what it holds.
func (e *Expected) Lines(id string) []string {
	v6 := e.made[e.peers[id].DnsLabel].V6
	set := map[string]bool{}
	visible := map[string]bool{id: true}
	addresses := func(p api.PeerBatch) []string {
		out := []string{p.Ip}
		if v6 && p.Ipv6 != nil {
			out = append(out, *p.Ipv6)
		}
		return out
	}
	emit := func(rule *api.PolicyRule, direction string, remotes map[string]bool) {
		prefix := "rule " + *rule.Id + " " + direction + " "
		action := " " + strings.ToUpper(string(rule.Action)) + " " + protocols[rule.Protocol] + " ["
		for remote := range remotes {
			if remote == id {
				continue
			}
			visible[remote] = true
			for _, address := range addresses(e.peers[remote]) {
				for _, port := range ports(rule) {
					set[prefix+address+action+port+"]"] = true
				}
			}
		}
	}
	for _, policy := range e.policies {
		for i := range policy.Rules {
			rule := &policy.Rules[i]
			if !policy.Enabled || !rule.Enabled {
				continue
			}
			from, to := e.union(rule.Sources), e.union(rule.Destinations)
			if to[id] || rule.Bidirectional && from[id] {
				if to[id] {
					emit(rule, "IN", from)
				}
				if rule.Bidirectional && from[id] {
					emit(rule, "IN", to)
				}
			}
			if from[id] {
				emit(rule, "OUT", to)
			}
			if rule.Bidirectional && to[id] {
				emit(rule, "OUT", from)
			}
		}
	}
	for other := range visible {
		p := e.peers[other]
		set["dns "+p.DnsLabel+" A "+p.Ip] = true
		if v6 && p.Ipv6 != nil && e.made[p.DnsLabel].V6 {
			set["dns "+p.DnsLabel+" AAAA "+*p.Ipv6] = true
		}
		if other == id {
			continue
		}
		ips := p.Ip + "/32"
		if v6 && p.Ipv6 != nil {
			ips += "," + *p.Ipv6 + "/128"
		}
		set["peer "+e.made[p.DnsLabel].Key+" "+p.DnsLabel+" "+p.Version+" "+ips] = true
	}
	return sorted(set)
}

// MapLines writes a map in the form of Lines.
func MapLines(m *proto.NetworkMap) []string {
	set := map[string]bool{}
	for _, p := range m.GetRemotePeers() {
		set["peer "+p.GetWgPubKey()+" "+p.GetFqdn()+" "+p.GetAgentVersion()+" "+strings.Join(p.GetAllowedIps(), ",")] = true
	}
	for _, r := range m.GetFirewallRules() {
		port := r.GetPort()
		if span := r.GetPortInfo().GetRange(); span != nil {
			port = fmt.Sprintf("%d-%d", span.GetStart(), span.GetEnd())
		}
		set["rule "+string(r.GetPolicyID())+" "+r.GetDirection().String()+" "+r.GetPeerIP()+" "+r.GetAction().String()+" "+
			r.GetProtocol().String()+" ["+port+"]"] = true
	}
	for _, zone := range m.GetDNSConfig().GetCustomZones() {
		for _, record := range zone.GetRecords() {
			kind := map[int64]string{1: "A", 28: "AAAA"}[record.GetType()]
			set["dns "+record.GetName()+" "+kind+" "+record.GetRData()] = true
		}
	}
	return sorted(set)
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for line := range set {
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// Difference says in a few words how two sorted lists differ; it is empty when they do not.
func Difference(got, want []string) string {
	var out []string
	for _, line := range want {
		if _, ok := slices.BinarySearch(got, line); !ok {
			out = append(out, "missing "+line)
		}
	}
	for _, line := range got {
		if _, ok := slices.BinarySearch(want, line); !ok {
			out = append(out, "too many "+line)
		}
	}
	if len(out) > 6 {
		out = append(out[:6], fmt.Sprintf("and %d more", len(out)-6))
	}
	return strings.Join(out, "\n")
}

// IDs are the peers' ids by full name.
func (e *Expected) IDs() map[string]string {
	out := map[string]string{}
	for id, p := range e.peers {
		out[p.DnsLabel] = id
	}
	return out
}
