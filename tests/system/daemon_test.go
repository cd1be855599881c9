package system

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// These run the stock netbird program on hosts of its own, which route, resolve and filter as Linux hosts do. Beyond the
// hosts' cables lies the network of the test, which plays the internet and the offices behind routing peers: a server there
// answers with the address that it sees, so that it shows through whom a client came.

func whoAmI(_, from string) string   { return from }
func echoLine(line, _ string) string { return line }

func wantAnswer(t *testing.T, d *harness.Daemon, limit time.Duration, address, want string) {
	t.Helper()
	harness.Eventually(t, limit, fmt.Sprintf("%s asks %s and hears %q", d.Name, address, want), func() error {
		got, err := d.Ask(address, "hello")
		if err == nil && got != want {
			err = fmt.Errorf("heard %q", got)
		}
		return err
	})
}

func wantSilence(t *testing.T, d *harness.Daemon, limit time.Duration, address string) {
	t.Helper()
	harness.Eventually(t, limit, fmt.Sprintf("%s hears nothing from %s", d.Name, address), func() error {
		if got, err := d.Ask(address, "hello"); err == nil {
			return fmt.Errorf("heard %q", got)
		}
		return nil
	})
}

func wantLookup(t *testing.T, d *harness.Daemon, limit time.Duration, name, want string) {
	t.Helper()
	harness.Eventually(t, limit, fmt.Sprintf("%s resolves %s to %s", d.Name, name, want), func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		found, err := d.Lookup(ctx, name)
		if err == nil && !slices.Contains(found, want) {
			err = fmt.Errorf("found %v", found)
		}
		return err
	})
}

// create makes an object that is deleted when the test ends, and returns its id.
func create(t *testing.T, r *harness.REST, path string, body map[string]any) string {
	t.Helper()
	var made struct{ ID string }
	r.Want(t, 200, "POST", path, body, &made)
	t.Cleanup(func() {
		if _, err := r.Try(context.Background(), "DELETE", path+"/"+made.ID, nil); err != nil {
			t.Error(err)
		}
	})
	return made.ID
}

// fleet is a client and routing peers, each in a group of its own space, with ICMP between client and routers so that they
// connect.
type fleet struct {
	*harness.REST
	c              *harness.Cluster
	clients, peers *harness.Space
	client         *harness.Daemon
	routers        []*harness.Daemon
}

func newFleet(t *testing.T, routers int) *fleet {
	t.Helper()
	c := cluster(t)
	f := &fleet{REST: c.REST(), c: c, clients: c.Lonely(t), peers: c.Lonely(t)}
	f.clients.Allow(t, f.clients.Group, f.peers.Group, "icmp", false)
	f.client = harness.NewHost(t, "client", "")
	f.client.Up(t, c, f.clients.Key)
	for i := range routers {
		r := harness.NewHost(t, fmt.Sprintf("router-%d", i), "")
		r.Up(t, c, f.peers.Key)
		f.routers = append(f.routers, r)
	}
	return f
}

func TestDaemonsTalkByAddressAndName(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	a, b := harness.NewHost(t, "host-a", ""), harness.NewHost(t, "host-b", "")
	a.Up(t, c, s.Key)
	b.Up(t, c, s.Key)
	b.Serve(t, ":7100", echoLine)
	wantAnswer(t, a, 20*time.Second, b.Address(t)+":7100", "hello")
	wantLookup(t, a, 10*time.Second, b.Status(t).FQDN, b.Address(t))
	if b.Status(t).IPv6 == "" {
		t.Fatal("host-b has no IPv6 address")
	}
	wantAnswer(t, a, 20*time.Second, "["+b.IPv6(t)+"]:7100", "hello")
	wantLookup(t, a, 10*time.Second, b.Status(t).FQDN, b.IPv6(t))
}

func TestDaemonRoutingPeerFailsOver(t *testing.T) {
	f := newFleet(t, 2)
	harness.ServeHere(t, "10.200.0.1:7100", whoAmI)
	wantAnswer(t, f.client, 5*time.Second, "10.200.0.1:7100", f.client.Host) // nobody routes it yet
	create(t, f.REST, "/api/routes", map[string]any{"network_id": "office", "description": "", "enabled": true, "network": "10.200.0.0/24",
		"peer_groups": []string{f.peers.Group}, "metric": 100, "masquerade": true, "groups": []string{f.clients.Group}, "keep_route": false})
	through := ""
	harness.Eventually(t, 30*time.Second, "the client goes through a router", func() error {
		got, err := f.client.Ask("10.200.0.1:7100", "hello")
		if err == nil && got == f.client.Host {
			err = fmt.Errorf("still straight")
		}
		through = got
		return err
	})
	first, second := f.routers[0], f.routers[1]
	if through == second.Host {
		first, second = second, first
	}
	if through != first.Host {
		t.Fatalf("came from %s", through)
	}
	first.Kill()
	wantAnswer(t, f.client, 60*time.Second, "10.200.0.1:7100", second.Host)
}

func TestDaemonExitNode(t *testing.T) {
	f := newFleet(t, 1)
	harness.ServeHere(t, "198.51.100.7:7100", whoAmI)
	wantAnswer(t, f.client, 5*time.Second, "198.51.100.7:7100", f.client.Host)
	create(t, f.REST, "/api/routes", map[string]any{"network_id": "exit", "description": "", "enabled": true, "network": "0.0.0.0/0",
		"peer_groups": []string{f.peers.Group}, "metric": 100, "masquerade": true, "groups": []string{f.clients.Group}, "keep_route": false})
	wantAnswer(t, f.client, 30*time.Second, "198.51.100.7:7100", f.routers[0].Host)
}

func TestDaemonDomainRouteAndResource(t *testing.T) {
	f := newFleet(t, 1)
	harness.ServeHere(t, "10.202.0.1:7100", whoAmI)
	harness.ServeHere(t, "10.202.0.2:7100", whoAmI)
	f.routers[0].ServeNames(t, map[string]string{"db.corp.example.": "10.202.0.1", "wiki.lab.example.": "10.202.0.2"})
	create(t, f.REST, "/api/routes", map[string]any{"network_id": "by-name", "description": "", "enabled": true, "domains": []string{"db.corp.example"},
		"peer_groups": []string{f.peers.Group}, "metric": 100, "masquerade": true, "groups": []string{f.clients.Group}, "keep_route": true})
	wantLookup(t, f.client, 30*time.Second, "db.corp.example", "10.202.0.1")
	wantAnswer(t, f.client, 30*time.Second, "10.202.0.1:7100", f.routers[0].Host)

	network := create(t, f.REST, "/api/networks", map[string]any{"name": "lab"})
	create(t, f.REST, "/api/networks/"+network+"/routers", map[string]any{"peer_groups": []string{f.peers.Group}, "metric": 100, "masquerade": true, "enabled": true})
	resource := create(t, f.REST, "/api/networks/"+network+"/resources", map[string]any{"name": "labs-" + f.peers.Name, "address": "*.lab.example",
		"groups": []string{}, "enabled": true})
	f.clients.AddPolicy(t, harness.RuleToResource(f.clients.Group, resource, "domain", "tcp", "7100"))
	wantLookup(t, f.client, 30*time.Second, "wiki.lab.example", "10.202.0.2")
	wantAnswer(t, f.client, 30*time.Second, "10.202.0.2:7100", f.routers[0].Host)
}

func TestDaemonResolvesZonesAndMatchDomains(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	d := harness.NewHost(t, "resolver", "")
	d.Up(t, c, s.Key)
	zone := create(t, s.REST, "/api/dns/zones", map[string]any{"name": s.Name, "domain": s.Name + ".example", "enabled": true,
		"enable_search_domain": false, "distribution_groups": []string{s.Group}})
	create(t, s.REST, "/api/dns/zones/"+zone+"/records", map[string]any{"name": "db." + s.Name + ".example", "type": "A", "content": "10.9.8.7", "ttl": 60})
	wantLookup(t, d, 20*time.Second, "db."+s.Name+".example", "10.9.8.7")
	harness.ServeNames(t, "192.0.2.53:53", map[string]string{"www.match.example.": "10.9.8.6"})
	create(t, s.REST, "/api/dns/nameservers", map[string]any{"name": s.Name[len(s.Name)-20:], "description": "", "enabled": true, "primary": false,
		"nameservers": []map[string]any{{"ip": "192.0.2.53", "ns_type": "udp", "port": 53}}, "groups": []string{s.Group},
		"domains": []string{"match.example"}, "search_domains_enabled": false})
	wantLookup(t, d, 20*time.Second, "www.match.example", "10.9.8.6")
}

func TestDaemonPostureCheckCutsAndRestores(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := func(version string) map[string]any {
		return map[string]any{"name": s.Name, "description": "", "checks": map[string]any{"nb_version_check": map[string]any{"min_version": version}}}
	}
	id := create(t, s.REST, "/api/posture-checks", check("0.77.0"))
	create(t, s.REST, "/api/policies", map[string]any{"name": s.Name, "enabled": true, "source_posture_checks": []string{id},
		"rules": []map[string]any{{"name": "r", "enabled": true, "action": "accept", "protocol": "all", "bidirectional": true,
			"sources": []string{s.Group}, "destinations": []string{s.Group}}}})
	a, b := harness.NewHost(t, "checked", ""), harness.NewHost(t, "server", "")
	a.Up(t, c, s.Key)
	b.Up(t, c, s.Key)
	b.Serve(t, ":7100", echoLine)
	wantAnswer(t, a, 20*time.Second, b.Address(t)+":7100", "hello")
	s.Want(t, 200, "PUT", "/api/posture-checks/"+id, check("99.0.0"), nil)
	wantSilence(t, a, 10*time.Second, b.Address(t)+":7100")
	s.Want(t, 200, "PUT", "/api/posture-checks/"+id, check("0.50.0"), nil)
	wantAnswer(t, a, 20*time.Second, b.Address(t)+":7100", "hello")
}

func TestDaemonDropBeatsAccept(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	a, b := harness.NewHost(t, "dropped", ""), harness.NewHost(t, "server", "")
	a.Up(t, c, s.Key)
	b.Up(t, c, s.Key)
	b.Serve(t, ":7100", echoLine)
	b.Serve(t, ":7200", echoLine)
	wantAnswer(t, a, 20*time.Second, b.Address(t)+":7100", "hello")
	rule := harness.Rule(s.Group, s.Group, "tcp", false, "7100")
	rule.Action = "drop"
	s.AddPolicy(t, rule)
	wantSilence(t, a, 10*time.Second, b.Address(t)+":7100")
	wantAnswer(t, a, 10*time.Second, b.Address(t)+":7200", "hello")
}

// Earlier releases of the program, as far as their modules are published.
func TestDaemonsOfEarlierReleases(t *testing.T) {
	c := cluster(t)
	for _, version := range []string{"0.48.0", "0.60.7", "0.69.0"} {
		t.Run(version, func(t *testing.T) {
			s := c.Space(t)
			old, now := harness.NewHost(t, "old", version), harness.NewHost(t, "now", "")
			old.Up(t, c, s.Key)
			now.Up(t, c, s.Key)
			old.Serve(t, ":7100", echoLine)
			now.Serve(t, ":7100", echoLine)
			wantAnswer(t, old, 30*time.Second, now.Address(t)+":7100", "hello")
			wantAnswer(t, now, 30*time.Second, old.Address(t)+":7100", "hello")
		})
	}
}
