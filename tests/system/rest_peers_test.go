package system

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

// accessible are the names of the peers that the API says are in a peer's map.
func accessible(t *testing.T, r *harness.REST, id string) []string {
	t.Helper()
	var list []api.AccessiblePeer
	r.Want(t, 200, "GET", "/api/peers/"+id+"/accessible-peers", nil, &list)
	var out []string
	for _, p := range list {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}

// What the API calls accessible is what the agent is sent, by whatever it got there.
func TestRESTAccessiblePeersAreThoseOfTheMap(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	client, router, friend := harness.NewBare(t, front(t, c), s.Name+"-client"), harness.NewBare(t, front(t, c), s.Name+"-router"),
		harness.NewBare(t, front(t, c), s.Name+"-friend")
	for _, b := range []*harness.Bare{client, router, friend} {
		b.Login(t, s.Key)
	}
	id, by, with := s.PeerID(t, s.Name+"-client"), s.PeerID(t, s.Name+"-router"), s.PeerID(t, s.Name+"-friend")
	stream := client.Sync(t)
	mapped := func(want ...string) {
		t.Helper()
		if got := accessible(t, s.REST, id); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("accessible: %v instead of %v", got, want)
		}
		for {
			var got []string
			m := stream.Next(t, soon).GetNetworkMap()
			for _, p := range append(m.GetRemotePeers(), m.GetOfflinePeers()...) {
				name, _, _ := strings.Cut(p.GetFqdn(), ".")
				got = append(got, name)
			}
			slices.Sort(got)
			if fmt.Sprint(got) == fmt.Sprint(want) {
				return
			}
		}
	}
	mapped()
	s.AddPolicy(t, api.PolicyRuleUpdate{Name: "direct", Enabled: true, Action: "accept", Protocol: "all",
		SourceResource: &api.Resource{Id: id, Type: "peer"}, DestinationResource: &api.Resource{Id: with, Type: "peer"}})
	mapped(s.Name + "-friend")
	var n api.Network
	check(200, "POST", "/api/networks", api.NetworkRequest{Name: s.Name}).JSON(t, &n)
	defer s.Do(t, "DELETE", "/api/networks/"+n.Id, nil)
	var held api.NetworkResource
	check(200, "POST", "/api/networks/{networkId}/resources", map[string]any{"name": s.Name, "address": "10.7.0.0/24", "enabled": true}, n.Id).JSON(t, &held)
	check(200, "POST", "/api/networks/{networkId}/routers", map[string]any{"peer": by, "metric": 9999, "masquerade": true}, n.Id)
	s.AddPolicy(t, api.PolicyRuleUpdate{Name: "resource", Enabled: true, Action: "accept", Protocol: "tcp",
		SourceResource: &api.Resource{Id: id, Type: "peer"}, DestinationResource: &api.Resource{Id: held.Id, Type: "subnet"}})
	mapped(s.Name+"-friend", s.Name+"-router")
	check(200, "GET", "/api/peers/{peerId}/accessible-peers", nil, id)
	if got := accessible(t, s.REST, "nope"); len(got) != 0 {
		t.Errorf("of nobody: %v", got)
	}
	// A peer takes the policies along that name it.
	check(200, "DELETE", "/api/peers/{peerId}", nil, with)
	if e := lastEvent(t, s.REST, "policy.delete"); e.TargetId != with {
		t.Errorf("%+v", e)
	}
	mapped(s.Name + "-router")
}

func TestRESTPeersAreFoundAndMoved(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	for _, name := range []string{"-one", "-two"} {
		harness.NewBare(t, front(t, c), s.Name+name).Login(t, s.Key)
	}
	var one, two api.Peer
	check(200, "GET", "/api/peers/{peerId}", nil, s.PeerID(t, s.Name+"-one")).JSON(t, &one)
	check(200, "GET", "/api/peers/{peerId}", nil, s.PeerID(t, s.Name+"-two")).JSON(t, &two)
	var found []api.PeerBatch
	for query, want := range map[string]int{"name=" + s.Name: 2, "name=" + s.Name + "-o": 1, "ip=" + one.Ip + "&name=" + s.Name: 1,
		"ip=" + one.Ip + "&name=" + s.Name + "-two": 0, "name=%25": 0} {
		s.Want(t, 200, "GET", "/api/peers?"+query, nil, &found)
		if len(found) != want {
			t.Errorf("%s: %d peers", query, len(found))
		}
	}
	var accounts []struct{ Settings api.AccountSettings }
	s.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	network := *accounts[0].Settings.NetworkRange
	put := func(change map[string]any) map[string]any {
		base := map[string]any{"name": one.Name, "ssh_enabled": false, "login_expiration_enabled": false, "inactivity_expiration_enabled": false}
		for k, v := range change {
			base[k] = v
		}
		return base
	}
	at := "/api/peers/" + one.Id
	const sso = "this peer hasn't been added with the sso login, therefore the "
	s.WantError(t, 412, sso+"login expiration can't be updated", "PUT", at, put(map[string]any{"login_expiration_enabled": true}))
	s.WantError(t, 412, sso+"inactivity expiration can't be updated", "PUT", at, put(map[string]any{"inactivity_expiration_enabled": true}))
	s.WantError(t, 422, "update peer ip transaction: ip 192.0.2.1 is not within the account network range "+network, "PUT", at, put(map[string]any{"ip": "192.0.2.1"}))
	s.WantError(t, 422, "update peer ip transaction: ip "+two.Ip+" is already assigned to peer "+two.Id, "PUT", at, put(map[string]any{"ip": two.Ip}))
	for change, beginning := range map[string]string{`{"name":"x","ip":"fd00::1"}`: "invalid ip address fd00::1: ",
		`{"name":"x","ip":"x"}`: "invalid ip address x: ", `{"name":"x","ipv6":"10.0.0.1"}`: "invalid ipv6 address 10.0.0.1: "} {
		var failure struct{ Message string }
		a := check(422, "PUT", "/api/peers/{peerId}", change, one.Id)
		if a.JSON(t, &failure); !strings.HasPrefix(failure.Message, beginning) {
			t.Errorf("%s: %s", change, a.Body)
		}
	}
	check(400, "PUT", "/api/peers/{peerId}", `{"approval_required":"yes"}`, one.Id)
	check(404, "PUT", "/api/peers/{peerId}", put(nil), "nope")
	// Nothing of all that moved it.
	var after api.Peer
	check(200, "GET", "/api/peers/{peerId}", nil, one.Id).JSON(t, &after)
	if after.Ip != one.Ip || after.Name != one.Name {
		t.Errorf("%+v", after)
	}
	free := one.Ip[:strings.LastIndex(one.Ip, ".")+1]
	for host := 1; ; host++ {
		a := s.Do(t, "PUT", at, put(map[string]any{"ip": fmt.Sprintf("%s%d", free, host), "ssh_enabled": true}))
		if a.Status == 200 {
			a.JSON(t, &after)
			break
		}
		if host == 250 {
			t.Fatalf("no free address: %s", a.Body)
		}
	}
	if e := lastEvent(t, s.REST, "peer.ip.update"); e.TargetId != one.Id || e.Meta["ip"] != after.Ip || e.Meta["old_ip"] != one.Ip {
		t.Errorf("%+v", e)
	}
	if e := lastEvent(t, s.REST, "peer.ssh.enable"); e.TargetId != after.Ip || !after.SshEnabled {
		t.Errorf("%+v", e)
	}
}

// A peer that somebody takes the approval from sees nobody until it has it back.
func TestRESTApprovalIsTakenAndGiven(t *testing.T) {
	c := cluster(t)
	s := c.Space(t)
	var accounts []map[string]json.RawMessage
	s.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	var id string
	var settings map[string]any
	_ = json.Unmarshal(accounts[0]["id"], &id)
	_ = json.Unmarshal(accounts[0]["settings"], &settings)
	extra := settings["extra"].(map[string]any)
	extra["peer_approval_enabled"] = true
	s.Want(t, 200, "PUT", "/api/accounts/"+id, map[string]any{"settings": settings}, nil)
	defer func() {
		extra["peer_approval_enabled"] = false
		s.Want(t, 200, "PUT", "/api/accounts/"+id, map[string]any{"settings": settings}, nil)
	}()
	a, b := harness.NewBare(t, front(t, c), s.Name+"-a"), harness.NewBare(t, front(t, c), s.Name+"-b")
	a.Login(t, s.Key)
	b.Login(t, s.Key)
	stream := a.Sync(t)
	until := func(peers int) {
		t.Helper()
		for len(stream.Next(t, soon).GetNetworkMap().GetRemotePeers()) != peers {
		}
	}
	stream.Next(t, 5*time.Second)
	peer := s.PeerID(t, s.Name+"-b")
	for _, waits := range []bool{true, false} {
		var got api.Peer
		s.Want(t, 200, "PUT", "/api/peers/"+peer, map[string]any{"name": s.Name + "-b", "approval_required": waits}, &got)
		if got.ApprovalRequired != waits {
			t.Errorf("approval_required %v instead of %v", got.ApprovalRequired, waits)
		}
		if waits {
			until(0)
		} else {
			until(1)
		}
	}
	if e := lastEvent(t, s.REST, "peer.approve"); e.TargetId != peer {
		t.Errorf("%+v", e)
	}
	if e := lastEvent(t, s.REST, "peer.approval.revoke"); e.TargetId != peer {
		t.Errorf("%+v", e)
	}
}
