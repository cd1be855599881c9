package differential

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	pb "google.golang.org/protobuf/proto"

	"github.com/netbirdio/netbird/shared/management/networkmap"
	"github.com/netbirdio/netbird/shared/management/proto"

	"rookery.test/system/harness"
)

// The two forms of a map say the same: what our servers make of an account, and what the agent's own code makes of the
// components that it gets from a replica that is set to send them.
func TestComponentsAreTheMap(t *testing.T) {
	cluster, err := harness.Up()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Down)
	cluster.DumpOnFailure(t)
	// Both are asked without the front between, so that a peer connects from one place.
	one := cluster.Names("management")[0]
	other := cluster.Sibling(t, one, map[string]string{"component_maps": "true"})
	bench, maps, routes, rules := &bench{t: t, cluster: cluster}, 0, 0, 0
	for _, p := range plans(t) {
		x, err := bench.expand(t.Context(), p, cluster.Proc(t, one).Listen, other.Listen)
		if err != nil {
			t.Fatalf("account of seed %d: %v", p.seed, err)
		}
		maps, routes, rules = maps+x.compared, routes+x.routes, rules+x.rules
		for i, d := range x.found {
			if i == maxShown {
				t.Errorf("and %d more", len(x.found)-i)
				break
			}
			t.Errorf("account of seed %d: %s: %s\n  map        %s\n  components %s", p.seed, d.At, d.Field, brief(d.Stock), brief(d.Ours))
		}
	}
	if maps == 0 || routes == 0 || rules == 0 {
		t.Fatalf("%d maps, %d routes and %d rules for routing peers are nothing to compare", maps, routes, rules)
	}
	t.Logf("%d maps in both forms, with %d routes and %d rules for routing peers", maps, routes, rules)
}

// expander plays a script on our servers alone.
type expander struct {
	*server
	other  *server // sends components
	ctx    context.Context
	agents map[string]*agent
	found  []*difference

	compared, routes, rules int // what there was to compare
}

func (b *bench) expand(ctx context.Context, p plan, classic, components string) (*expander, error) {
	ours, err := newServer(b.t, "ours", b.cluster.APIURL, classic)
	if err != nil {
		return nil, err
	}
	defer ours.conn.Close()
	ours.provider, ours.ca = b.provider()
	other, err := newServer(b.t, "components", b.cluster.APIURL, components)
	if err != nil {
		return nil, err
	}
	defer other.conn.Close()
	if err := b.empty(ctx); err != nil {
		return nil, err
	}
	if err := ours.open(ctx); err != nil {
		return nil, err
	}
	b.cluster.Token = ours.rest.Token
	x := &expander{server: ours, other: other, ctx: ctx, agents: map[string]*agent{}}
	script := write(p)
	for _, o := range script.ops {
		if err := x.play(script, o); err != nil {
			return nil, fmt.Errorf("%v: %w", o, err)
		}
	}
	return x, nil
}

func (x *expander) play(s *script, o *op) error {
	switch o.act {
	case request:
		a, err := x.askAs(x.ctx, o.as, o.method, o.path, o.body)
		if err == nil && o.bind != "" {
			x.learnObject(o.bind, a)
		}
		return err
	case register:
		return x.register(&agent{name: o.peer, key: s.agents[o.peer].key, meta: o.meta}, o)
	case enter:
		if x.has(o) {
			return ignoreRefusal(x.signIn(o.as))
		}
	case relogin:
		if g := x.agents[o.peer]; g != nil {
			g.meta = pb.Clone(o.meta).(*proto.PeerSystemMeta)
			g.meta.SyncMessageVersion = 1
			_, err := x.bare(g).TryLogin(x.ctx, "")
			return ignoreRefusal(err)
		}
	case tell:
		if g := x.agents[o.peer]; g != nil {
			g.meta = pb.Clone(o.meta).(*proto.PeerSystemMeta)
			g.meta.SyncMessageVersion = 1
			return ignoreRefusal(x.bare(g).SyncMeta(x.ctx))
		}
	case logout:
		if g := x.agents[o.peer]; g != nil {
			delete(x.agents, o.peer)
			return ignoreRefusal(x.bare(g).Logout(x.ctx))
		}
	case look:
		for _, name := range slices.Sorted(maps.Keys(x.agents)) {
			if err := x.see(x.agents[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func ignoreRefusal(err error) error {
	if refused(err) {
		return nil
	}
	return err
}

func (x *expander) register(g *agent, o *op) error {
	if x.agents[g.name] != nil || !x.has(o) {
		return nil
	}
	if _, err := x.enrol(x.ctx, g, o); err != nil {
		return ignoreRefusal(err)
	}
	g.meta = pb.Clone(g.meta).(*proto.PeerSystemMeta)
	g.meta.SyncMessageVersion = 1
	x.agents[g.name] = g
	return x.learnPeers(x.ctx)
}

// first is what a stream of the agent begins with, and its serial.
func (x *expander) first(s *server, g *agent) (*proto.SyncResponse, uint64, error) {
	m, stream, err := s.fresh(x.ctx, g)
	if err != nil {
		return nil, 0, err
	}
	stream.Cut()
	if m.GetNetworkMap() != nil {
		return m, m.GetNetworkMap().GetSerial(), nil
	}
	return m, m.GetNetworkMapEnvelope().GetFull().GetSerial(), nil
}

// both are the two forms of one state: replicas follow each other, so the one that is behind is asked again.
func (x *expander) both(g *agent) (classic, components *proto.SyncResponse, err error) {
	classic, at, err := x.first(x.server, g)
	if err != nil {
		return nil, nil, err
	}
	components, otherAt, err := x.first(x.other, g)
	for deadline := time.Now().Add(syncLimit); err == nil && at != otherAt; {
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf("serial %d here, %d there", at, otherAt)
		}
		if at < otherAt {
			classic, at, err = x.first(x.server, g)
		} else {
			components, otherAt, err = x.first(x.other, g)
		}
	}
	return classic, components, err
}

func (x *expander) see(g *agent) error {
	classic, components, err := x.both(g)
	if refused(err) { // deleted
		delete(x.agents, g.name)
		return nil
	}
	if err != nil {
		return err
	}
	if classic.Version != 0 || classic.NetworkMap == nil || classic.NetworkMapEnvelope != nil {
		return fmt.Errorf("version %d instead of a map", classic.Version)
	}
	if components.Version != 1 || components.NetworkMap != nil || len(components.RemotePeers) > 0 {
		return fmt.Errorf("version %d instead of components", components.Version)
	}
	_, domain, _ := strings.Cut(components.GetPeerConfig().GetFqdn(), ".") // as the agent finds it
	expanded, err := networkmap.EnvelopeToNetworkMap(x.ctx, components.GetNetworkMapEnvelope(), g.key.PublicKey().String(), domain)
	if err != nil {
		return err
	}
	components.NetworkMap, components.NetworkMapEnvelope, components.Version = expanded.NetworkMap, nil, 0
	classic.RemotePeers, classic.RemotePeersIsEmpty = nil, false // the map's once more, for old agents
	compare("map of "+g.name, "", anonymous(classic), anonymous(components), &x.found)
	x.compared++
	x.routes += len(classic.NetworkMap.Routes)
	x.rules += len(classic.NetworkMap.RoutesFirewallRules)
	return nil
}

// anonymous is the response without ids: components have ids of their own. Rules tell their route in place of its id.
func anonymous(r *proto.SyncResponse) map[string]any {
	out := plainSync(r)
	m, _ := out["NetworkMap"].(map[string]any)
	routes := map[string]string{}
	each(m["Routes"], func(r map[string]any) {
		routes[text(r["ID"])] = fmt.Sprintf("%s %s through %s", r["NetID"], r["Network"], r["Peer"])
		delete(r, "ID")
	})
	each(m["FirewallRules"], func(r map[string]any) { r["PolicyID"] = present(r["PolicyID"]) })
	kept := []any{}
	each(m["routesFirewallRules"], func(r map[string]any) {
		r["PolicyID"], r["RouteID"] = present(r["PolicyID"]), routes[text(r["RouteID"])]
		// The agent makes rules for SSH that it then refuses.
		if r["protocol"] != "NETBIRD_SSH" {
			kept = append(kept, r)
		}
	})
	delete(m, "routesFirewallRules")
	delete(m, "routesFirewallRulesIsEmpty")
	if len(kept) > 0 {
		m["routesFirewallRules"] = kept
	}
	return out
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func present(v any) bool { return text(v) != "" }

func each(list any, do func(map[string]any)) {
	elements, _ := list.([]any)
	for _, e := range elements {
		do(e.(map[string]any))
	}
}
