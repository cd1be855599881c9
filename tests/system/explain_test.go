package system

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

type identified struct{ ID, Name string }

type explanation struct {
	Allowed  bool
	Reason   string
	From, To struct{ Type, ID, Name, IP, Address string }
	Serial   uint64
	Ways     []struct {
		Allowed bool
		Reason  string
		Route   *struct {
			ID          string
			Network     string
			RoutingPeer identified `json:"routing_peer"`
		}
		Rules []struct {
			Policy          *identified
			Action          string
			Protocol, Ports string
			CoversAll       bool `json:"covers_all"`
		}
	}
	Policies []considered
}

type considered struct {
	Policy            identified
	Applies           bool
	WhyNot            []string     `json:"why_not"`
	SourceGroups      []identified `json:"source_groups"`
	DestinationGroups []identified `json:"destination_groups"`
	PostureChecks     []struct {
		Name   string
		Passed bool
	} `json:"posture_checks"`
}

// about is what was said of one policy; others of the account may have been considered too.
func (e *explanation) about(policy string) considered {
	for _, p := range e.Policies {
		if p.Policy.ID == policy {
			return p
		}
	}
	return considered{}
}

func explain(t *testing.T, r *harness.REST, from, to, more string) *explanation {
	t.Helper()
	e := &explanation{}
	r.Want(t, 200, "GET", fmt.Sprintf("/api/explain?from=%s&to=%s%s", url.QueryEscape(from), url.QueryEscape(to), more), nil, e)
	return e
}

// A client in one group, a server in another, and a policy from the first to the second.
func clientAndServer(t *testing.T, c *harness.Cluster, protocol string, ports ...string) (client, server *harness.Bare, clientIP, serverIP netip.Addr, policy *api.Policy) {
	t.Helper()
	from, to := c.Lonely(t), c.Lonely(t)
	id := from.Allow(t, from.Group, to.Group, protocol, false, ports...)
	policy, err := from.Policies.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	client, server = harness.NewBare(t, front(t, c), "client"), harness.NewBare(t, front(t, c), "server")
	clientIP = netip.MustParsePrefix(client.Login(t, from.Key).GetPeerConfig().GetAddress()).Addr()
	serverIP = netip.MustParsePrefix(server.Login(t, to.Key).GetPeerConfig().GetAddress()).Addr()
	return
}

func TestExplainNamesThePolicyThatDecides(t *testing.T) {
	c := cluster(t)
	r := c.REST()
	_, _, from, to, policy := clientAndServer(t, c, "tcp", "443")
	e := explain(t, r, from.String(), to.String(), "&proto=tcp&port=443")
	if !e.Allowed || e.Reason != "allowed" || len(e.Ways) != 1 || e.Ways[0].Route != nil || len(e.Ways[0].Rules) != 1 {
		t.Fatalf("%+v", e)
	}
	if rule := e.Ways[0].Rules[0]; rule.Policy == nil || rule.Policy.ID != *policy.Id || rule.Policy.Name != policy.Name ||
		rule.Ports != "443" || rule.Action != "accept" || !rule.CoversAll {
		t.Errorf("rule %+v", rule)
	}
	if p := e.about(*policy.Id); !p.Applies || len(p.WhyNot) != 0 || len(p.SourceGroups) != 1 ||
		p.SourceGroups[0].ID != (*policy.Rules[0].Sources)[0].Id {
		t.Errorf("policy %+v", p)
	}
	for _, q := range []struct{ from, to, more, reason, why string }{
		{from.String(), to.String(), "&proto=tcp&port=80", "no rule lets this traffic in", "the rule is for other ports"},
		{from.String(), to.String(), "&proto=udp&port=443", "no rule lets this traffic in", "the rule is for another protocol"},
		{to.String(), from.String(), "&proto=tcp&port=443", "no rule lets this traffic in", "the rule allows the other direction only"},
	} {
		e := explain(t, r, q.from, q.to, q.more)
		if p := e.about(*policy.Id); e.Allowed || e.Reason != q.reason || p.Applies || len(p.WhyNot) != 1 || p.WhyNot[0] != q.why {
			t.Errorf("%+v: %+v", q, e)
		}
	}
	r.Want(t, 200, "DELETE", "/api/policies/"+*policy.Id, nil, nil)
	if e := explain(t, r, from.String(), to.String(), "&proto=tcp&port=443"); e.Allowed || e.Reason != "no policy joins the two peers" {
		t.Errorf("after the policy went: %+v", e)
	}
}

func TestExplainRefusesWhatItCannotAnswer(t *testing.T) {
	c := cluster(t)
	r := c.REST()
	_, _, from, to, _ := clientAndServer(t, c, "all")
	for _, q := range []struct {
		query   string
		status  int
		message string
	}{
		{"to=" + to.String(), 422, "query parameter 'from' is required: a peer's id, address or name"},
		{"from=" + from.String(), 422, "query parameter 'to' is required: a peer, a network resource, an address or a domain"},
		{"from=nobody&to=" + to.String(), 404, "peer not found: nobody"},
		{"from=" + from.String() + "&to=nothing", 404, "no peer or network resource is called nothing"},
		{"from=" + from.String() + "&to=" + to.String() + "&proto=gre", 422, "query parameter 'proto' must be all, tcp, udp or icmp"},
		{"from=" + from.String() + "&to=" + to.String() + "&port=70000", 422, "query parameter 'port' must be in 1..65535"},
		{"from=" + from.String() + "&to=" + to.String() + "&proto=icmp&port=7", 422, "icmp has no ports: leave out 'port'"},
	} {
		r.WantError(t, q.status, q.message, "GET", "/api/explain?"+q.query, nil)
	}
}

// What the endpoint shows is what the peer's stream carried.
func TestNetworkMapShowsWhatThePeerHolds(t *testing.T) {
	c := cluster(t)
	r := c.REST()
	_, server, _, to, _ := clientAndServer(t, c, "tcp", "22", "443")
	m := server.Sync(t).Next(t, 5*time.Second).GetNetworkMap()
	var shown struct {
		PeerConfig struct{ Address string }
		NetworkMap struct {
			Serial        uint64
			RemotePeers   []struct{ WgPubKey string }
			FirewallRules []struct {
				PeerIP, Direction, Action, Protocol, Port, PolicyID string
				SourcePrefixes                                      []string
			}
		}
	}
	r.Want(t, 200, "GET", "/api/peers/"+peerID(t, r, to)+"/network-map", nil, &shown)
	if shown.NetworkMap.Serial != m.GetSerial() || shown.PeerConfig.Address != m.GetPeerConfig().GetAddress() ||
		len(shown.NetworkMap.RemotePeers) != len(m.GetRemotePeers()) || len(shown.NetworkMap.FirewallRules) != len(m.GetFirewallRules()) {
		t.Fatalf("shown %+v, held %v", shown, m)
	}
	for i, p := range m.GetRemotePeers() {
		if shown.NetworkMap.RemotePeers[i].WgPubKey != p.GetWgPubKey() {
			t.Errorf("remote peer %d: %v, held %v", i, shown.NetworkMap.RemotePeers[i], p)
		}
	}
	for i, f := range m.GetFirewallRules() {
		s := shown.NetworkMap.FirewallRules[i]
		if s.PeerIP != f.GetPeerIP() || s.Port != f.GetPort() || s.PolicyID != string(f.GetPolicyID()) ||
			s.Direction != f.GetDirection().String() || s.Protocol != f.GetProtocol().String() || s.Action != f.GetAction().String() {
			t.Errorf("rule %d: %+v, held %v", i, s, f)
		}
		if len(f.GetSourcePrefixes()) != len(s.SourcePrefixes) || len(s.SourcePrefixes) > 0 && !strings.HasPrefix(s.SourcePrefixes[0], f.GetPeerIP()+"/") {
			t.Errorf("rule %d: prefixes %v, held %x", i, s.SourcePrefixes, f.GetSourcePrefixes())
		}
	}
	r.WantError(t, 404, "peer not found: none", "GET", "/api/peers/none/network-map", nil)
}

func peerID(t *testing.T, r *harness.REST, ip netip.Addr) string {
	t.Helper()
	var peers []struct{ ID, IP string }
	r.Want(t, 200, "GET", "/api/peers?ip="+ip.String(), nil, &peers)
	for _, p := range peers {
		if p.IP == ip.String() {
			return p.ID
		}
	}
	t.Fatalf("no peer has %v: %v", ip, peers)
	return ""
}
