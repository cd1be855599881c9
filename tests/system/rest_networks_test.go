package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

func TestREST28Networks(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	var n, other api.Network
	check(200, "POST", "/api/networks", api.NetworkRequest{Name: s.Name}).JSON(t, &n)
	defer s.Do(t, "DELETE", "/api/networks/"+n.Id, nil)
	check(200, "POST", "/api/networks", api.NetworkRequest{Name: s.Name}).JSON(t, &other) // names may repeat
	defer s.Do(t, "DELETE", "/api/networks/"+other.Id, nil)
	if n.Description == nil || *n.Description != "" || n.RoutingPeersCount != 0 || len(n.Routers)+len(n.Resources)+len(n.Policies) != 0 {
		t.Errorf("%+v", n)
	}
	if e := lastEvent(t, s.REST, "network.create"); e.TargetId != other.Id || e.Meta["name"] != s.Name {
		t.Errorf("%+v", e)
	}
	described := "described"
	check(200, "PUT", "/api/networks/{networkId}", api.NetworkRequest{Name: s.Name, Description: &described}, n.Id).JSON(t, &n)
	if *n.Description != described || lastEvent(t, s.REST, "network.update").TargetId != n.Id {
		t.Errorf("%+v", n)
	}
	check(400, "POST", "/api/networks", `{"name":`)
	s.WantError(t, 404, "network: nope not found", "GET", "/api/networks/nope", nil)
	s.WantError(t, 404, "failed to get network: network: nope not found", "PUT", "/api/networks/nope", api.NetworkRequest{})
	s.WantError(t, 404, "failed to get network: network: nope not found", "DELETE", "/api/networks/nope", nil)
	check(404, "GET", "/api/networks/{networkId}", nil, "nope")

	at := "/api/networks/" + n.Id + "/resources"
	const resources, resource = "/api/networks/{networkId}/resources", "/api/networks/{networkId}/resources/{resourceId}"
	var host map[string]any
	check(200, "POST", resources, map[string]any{"name": s.Name + "-h", "address": "10.0.0.5", "groups": nil, "enabled": true}, n.Id).JSON(t, &host)
	if host["type"] != "host" || host["address"] != "10.0.0.5/32" || host["groups"] != nil || host["description"] != "" || host["enabled"] != true {
		t.Errorf("%v", host)
	}
	s.WantError(t, 422, "failed to create network resource: resource with name "+s.Name+"-h already exists", "POST", at,
		map[string]any{"name": s.Name + "-h", "address": "10.0.0.5", "groups": nil})
	for address, want := range map[string][2]string{
		"192.168.0.0/16": {"subnet", "192.168.0.0/16"},
		"10.1.2.3/16":    {"subnet", "10.1.2.3/16"},
		"*.Mock1.com":    {"domain", "*.Mock1.com"},
		"2001:db8::1":    {"host", "2001:db8::1/128"},
	} {
		var got api.NetworkResource
		check(200, "POST", resources, map[string]any{"name": s.Name + address, "address": address, "groups": []string{s.Group}}, n.Id).JSON(t, &got)
		if string(got.Type) != want[0] || got.Address != want[1] || got.Enabled || len(got.Groups) != 1 || got.Groups[0].Id != s.Group ||
			got.Groups[0].Name != s.Name {
			t.Errorf("%s: %+v", address, got)
		}
		if e := lastEvent(t, s.REST, "resource.group.add"); e.TargetId != s.Group || e.Meta["name"] != s.Name || e.Meta["id"] != s.Group ||
			e.Meta["resource_name"] != got.Name || e.Meta["resource_id"] != got.Id || e.Meta["resource_type"] != want[0] {
			t.Errorf("%+v", e)
		}
		if e := lastEvent(t, s.REST, "network.resource.create"); e.TargetId != got.Id || e.Meta["name"] != got.Name || e.Meta["type"] != want[0] ||
			e.Meta["network_id"] != n.Id || e.Meta["network_name"] != s.Name {
			t.Errorf("%+v", e)
		}
		check(200, "PUT", resource, map[string]any{"name": got.Name, "address": address, "enabled": true}, n.Id, got.Id).JSON(t, &got)
		if !got.Enabled || got.Groups != nil || lastEvent(t, s.REST, "resource.group.delete").Meta["resource_id"] != got.Id {
			t.Errorf("%s: %+v", address, got)
		}
		check(200, "DELETE", resource, nil, n.Id, got.Id)
		check(404, "GET", resource, nil, n.Id, got.Id)
	}
	for _, address := range []string{"", "a b", "10.0.0.1/33", "-bad-"} {
		s.WantError(t, 422, "failed to create network resource: invalid address "+address, "POST", at, map[string]any{"name": "x", "address": address})
	}
	id := host["id"].(string)
	unknown := map[string]any{"name": s.Name + "-h", "address": "10.0.0.5", "groups": []string{"zz"}}
	for path, want := range map[string]string{
		"PUT " + at + "/" + id:                                  "failed to update network resource: failed to update resource groups: failed to add resource to group: error adding resource to group: group: zz not found",
		"PUT " + at + "/nope":                                   "failed to update network resource: failed to get network resource: network resource: nope not found",
		"GET " + at + "/nope":                                   "failed to get network resource: network resource: nope not found",
		"GET /api/networks/" + other.Id + "/resources/" + id:    "failed to get network resource: network resource: " + id + " not found",
		"DELETE " + at + "/nope":                                "failed to delete network resource: failed to get network resource: network resource: nope not found",
		"DELETE /api/networks/" + other.Id + "/resources/" + id: "failed to delete network resource: failed to get network resource: network resource: " + id + " not found",
		"DELETE /api/networks/nope/resources/" + id:             "failed to delete network resource: failed to get network resource: network resource: " + id + " not found",
		"POST /api/networks/nope/resources":                     "failed to create network resource: failed to get network: network: nope not found",
		"PUT /api/networks/nope/resources/" + id:                "failed to update network resource: failed to get network: network: nope not found",
	} {
		method, path, _ := strings.Cut(path, " ")
		s.WantError(t, 404, want, method, path, unknown)
	}
	var list []api.NetworkResource
	check(200, "GET", resources, nil, n.Id).JSON(t, &list)
	if len(list) != 1 || list[0].Id != id {
		t.Errorf("%+v", list)
	}
	if a := check(200, "GET", resources, nil, "nope"); strings.TrimSpace(string(a.Body)) != "[]" {
		t.Errorf("resources of nothing: %s", a.Body)
	}
	check(200, "GET", "/api/networks/resources", nil).JSON(t, &list)
	if !strings.Contains(fmt.Sprint(list), id) {
		t.Errorf("the account's resources lack %s: %+v", id, list)
	}
}

func TestRESTNetworkRouters(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	harness.NewBare(t, front(t, c), s.Name+"-router").Login(t, s.Key)
	peer := s.PeerID(t, s.Name+"-router")
	routing := s.NewGroup(t, "routing")
	s.Want(t, 200, "PUT", "/api/groups/"+routing, map[string]any{"name": s.Name + "-routing", "peers": []string{peer}}, nil)
	var n, other api.Network
	check(200, "POST", "/api/networks", api.NetworkRequest{Name: s.Name}).JSON(t, &n)
	defer s.Do(t, "DELETE", "/api/networks/"+n.Id, nil)
	check(200, "POST", "/api/networks", api.NetworkRequest{Name: s.Name + "-other"}).JSON(t, &other)
	defer s.Do(t, "DELETE", "/api/networks/"+other.Id, nil)

	at := "/api/networks/" + n.Id + "/routers"
	const routers, router = "/api/networks/{networkId}/routers", "/api/networks/{networkId}/routers/{routerId}"
	var byPeer, byGroup map[string]any
	check(200, "POST", routers, map[string]any{"peer": peer, "metric": 9999, "masquerade": true}, n.Id).JSON(t, &byPeer)
	if byPeer["peer"] != peer || byPeer["peer_groups"] != nil || byPeer["enabled"] != true || byPeer["metric"] != 9999.0 {
		t.Errorf("%v", byPeer)
	}
	if e := lastEvent(t, s.REST, "network.router.create"); e.TargetId != byPeer["id"] ||
		fmt.Sprint(e.Meta) != fmt.Sprint(map[string]string{"network_id": n.Id, "network_name": s.Name, "peer": peer, "peer_groups": "<nil>"}) {
		t.Errorf("%+v", e)
	}
	check(200, "POST", routers, map[string]any{"peer_groups": []string{routing}, "metric": 1, "enabled": false}, n.Id).JSON(t, &byGroup)
	if byGroup["peer"] != "" || fmt.Sprint(byGroup["peer_groups"]) != "["+routing+"]" || byGroup["enabled"] != false {
		t.Errorf("%v", byGroup)
	}
	id := byPeer["id"].(string)
	check(200, "PUT", router, map[string]any{"peer": peer, "metric": 7, "enabled": false}, n.Id, id).JSON(t, &byPeer)
	if byPeer["metric"] != 7.0 || byPeer["masquerade"] != false || lastEvent(t, s.REST, "network.router.update").TargetId != id {
		t.Errorf("%v", byPeer)
	}
	for _, path := range []string{"POST " + at, "PUT " + at + "/" + id, "PUT " + at + "/nope"} {
		method, path, _ := strings.Cut(path, " ")
		s.WantError(t, 400, "peer and peer_groups cannot be set at the same time", method, path, map[string]any{"peer": peer, "peer_groups": []string{s.Group}})
		s.WantError(t, 400, "either peer or peer_groups must be provided", method, path, map[string]any{"peer": "", "peer_groups": []string{}})
	}
	valid := map[string]any{"peer": peer, "metric": 1}
	for path, want := range map[string]string{
		"GET " + at + "/nope":                                 "failed to get network router: network router: nope not found",
		"PUT " + at + "/nope":                                 "failed to get network router: network router: nope not found",
		"DELETE " + at + "/nope":                              "failed to get network router: network router: nope not found",
		"POST /api/networks/nope/routers":                     "failed to get network: network: nope not found",
		"GET /api/networks/" + other.Id + "/routers/" + id:    "failed to get network router: network router: " + id + " not found",
		"PUT /api/networks/" + other.Id + "/routers/" + id:    "failed to get network router: network router: " + id + " not found",
		"DELETE /api/networks/" + other.Id + "/routers/" + id: "failed to get network router: network router: " + id + " not found",
	} {
		method, path, _ := strings.Cut(path, " ")
		s.WantError(t, 404, want, method, path, valid)
	}
	s.WantError(t, 422, "peer with id nope not found", "POST", at, map[string]any{"peer": "nope"})
	s.WantError(t, 422, "group id nope not found", "POST", at, map[string]any{"peer_groups": []string{"nope"}})
	s.WantError(t, 412, "peer is linked to a network router: "+id, "DELETE", "/api/peers/"+peer, nil)
	s.WantError(t, 400, "group has been linked to network router: "+byGroup["id"].(string), "DELETE", "/api/groups/"+routing, nil)

	// What a network holds, and what lets somebody at it.
	var held api.NetworkResource
	check(200, "POST", "/api/networks/{networkId}/resources", map[string]any{"name": s.Name, "address": "10.7.0.0/24", "enabled": true}, n.Id).JSON(t, &held)
	direct := s.AddPolicy(t, api.PolicyRuleUpdate{Name: s.Name, Enabled: true, Action: "accept", Protocol: "tcp", Sources: &[]string{s.Group},
		DestinationResource: &api.Resource{Id: held.Id, Type: "subnet"}})
	holder := s.NewGroup(t, "holder")
	s.Want(t, 200, "PUT", "/api/groups/"+holder, map[string]any{"name": s.Name + "-holder", "resources": []any{map[string]string{"id": held.Id, "type": "subnet"}}}, nil)
	byHolder := s.Allow(t, s.Group, holder, "all", false)
	check(200, "GET", "/api/networks/{networkId}", nil, n.Id).JSON(t, &n)
	if fmt.Sprint(n.Routers) != fmt.Sprint([]string{id, byGroup["id"].(string)}) || fmt.Sprint(n.Resources) != "["+held.Id+"]" ||
		fmt.Sprint(n.Policies) != fmt.Sprint([]string{direct, byHolder}) || n.RoutingPeersCount != 2 {
		t.Errorf("%+v", n)
	}
	var all []api.NetworkRouter
	check(200, "GET", "/api/networks/routers", nil).JSON(t, &all)
	if !strings.Contains(fmt.Sprintf("%+v", all), id) {
		t.Errorf("the account's routers lack %s", id)
	}
	check(200, "GET", routers, nil, n.Id).JSON(t, &all)
	if len(all) != 2 {
		t.Errorf("%+v", all)
	}
	check(200, "DELETE", router, nil, n.Id, id)
	s.WantError(t, 404, "failed to get network router: network router: "+id+" not found", "GET", at+"/"+id, nil)

	// The network takes the rest along.
	check(200, "DELETE", "/api/networks/{networkId}", nil, n.Id)
	for code, target := range map[string]string{"network.delete": n.Id, "network.router.delete": byGroup["id"].(string),
		"network.resource.delete": held.Id, "resource.group.delete": holder} {
		if e := lastEvent(t, s.REST, code); e.TargetId != target {
			t.Errorf("%s of %s instead of %s", code, e.TargetId, target)
		}
	}
	var group api.Group
	s.Want(t, 200, "GET", "/api/groups/"+holder, nil, &group)
	if group.ResourcesCount != 0 {
		t.Errorf("the group still holds %+v", group.Resources)
	}
	check(200, "GET", "/api/networks", nil)
}
