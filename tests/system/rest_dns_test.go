package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"rookery.test/system/harness"
)

// with is a body with some members changed; nil takes one away.
func with(base, change map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range base {
		out[k] = v
	}
	for k, v := range change {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

func TestREST27Nameservers(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	server := func(ip, kind string, port int) map[string]any {
		return map[string]any{"ip": ip, "ns_type": kind, "port": port}
	}
	servers := func(list ...map[string]any) []map[string]any { return list }
	base := map[string]any{"name": s.Name[len(s.Name)-10:], "description": "d", "enabled": true, "primary": false,
		"nameservers": servers(server("9.9.9.9", "udp", 53), server("2001:DB8::1", "udp", 5353)), "groups": []string{s.Group},
		"domains": []string{"Z.example", "a.example"}, "search_domains_enabled": true}

	var made map[string]any
	check(200, "POST", "/api/dns/nameservers", base).JSON(t, &made)
	id, _ := made["id"].(string)
	defer s.Do(t, "DELETE", "/api/dns/nameservers/"+id, nil)
	if got := fmt.Sprint(made["nameservers"]); got != "[map[ip:9.9.9.9 ns_type:udp port:53] map[ip:2001:db8::1 ns_type:udp port:5353]]" {
		t.Errorf("nameservers %s", got)
	}
	if got := fmt.Sprint(made["domains"], made["groups"], made["search_domains_enabled"], made["primary"]); got !=
		fmt.Sprint([]string{"Z.example", "a.example"}, []string{s.Group}, true, false) {
		t.Errorf("%s", got)
	}
	if e := lastEvent(t, s.REST, "nameserver.group.add"); e.TargetId != id || e.Meta["name"] != base["name"] {
		t.Errorf("%+v", e)
	}

	primary := map[string]any{"primary": true, "domains": nil, "search_domains_enabled": nil}
	for _, row := range []struct {
		message string
		change  map[string]any
	}{
		{"invalid ns servers format", map[string]any{"nameservers": servers(server("9.9.9.9", "tcp", 53))}},
		{"invalid ns servers format", map[string]any{"nameservers": servers(server("dns.example", "udp", 53))}},
		{"invalid ns servers format", map[string]any{"nameservers": servers(server("9.9.9.9", "udp", -1))}},
		{"nameserver group primary status is false and domains are empty, it should be primary or have at least one domain",
			map[string]any{"domains": []string{}}},
		{"nameserver group primary status is true and domains are not empty, you should set either primary or domain",
			map[string]any{"primary": true, "domains": []string{"x.io"}}},
		{"nameserver group primary status is true and search domains is enabled, you should not set search domains for primary nameservers",
			with(primary, map[string]any{"search_domains_enabled": true})},
		{`nameserver group got an invalid domain: a b "invalid domain name: invalid domain format: a b"`, map[string]any{"domains": []string{"a b"}}},
		{"the list of nameservers should be 1 or 3, got 0", map[string]any{"nameservers": nil}},
		{"the list of nameservers should be 1 or 3, got 4", map[string]any{"nameservers": servers(server("1.1.1.1", "udp", 1),
			server("1.1.1.1", "udp", 1), server("1.1.1.1", "udp", 1), server("1.1.1.1", "udp", 1))}},
		{"nameserver group name should be between 1 and 40", map[string]any{"name": nil}},
		{"nameserver group name should be between 1 and 40", map[string]any{"name": strings.Repeat("ü", 41)}},
		{"the list of group ids should not be empty", map[string]any{"groups": nil, "name": "other"}},
		{"group id should not be empty string", map[string]any{"groups": []string{""}, "name": "other"}},
		{"group id nope not found", map[string]any{"groups": []string{s.Group, "nope"}, "name": "other"}},
	} {
		s.WantError(t, 422, row.message, "POST", "/api/dns/nameservers", with(base, row.change))
		s.WantError(t, 422, row.message, "PUT", "/api/dns/nameservers/"+id, with(base, row.change))
	}
	s.WantError(t, 422, fmt.Sprintf("nameserver group with name %s already exist", base["name"]), "POST", "/api/dns/nameservers", base)
	check(400, "POST", "/api/dns/nameservers", `{"nameservers":[7]}`)
	check(400, "PUT", "/api/dns/nameservers/{nsgroupId}", `{"primary":1}`, id)
	check(400, "POST", "/api/dns/nameservers", "null")
	s.WantError(t, 404, "nameserver group: nope not found", "GET", "/api/dns/nameservers/nope", nil)
	s.WantError(t, 404, "nameserver group: nope not found", "PUT", "/api/dns/nameservers/nope", "{")
	s.WantError(t, 404, "nameserver group: nope not found", "DELETE", "/api/dns/nameservers/nope", nil)

	// Terraform tells an empty list from none.
	for _, domains := range []any{[]string{}, nil} {
		body := with(base, primary)
		if domains != nil {
			body["domains"] = domains
		}
		var put, got map[string]any
		check(200, "PUT", "/api/dns/nameservers/{nsgroupId}", body, id).JSON(t, &put)
		check(200, "GET", "/api/dns/nameservers/{nsgroupId}", nil, id).JSON(t, &got)
		if fmt.Sprint(put) != fmt.Sprint(got) || (got["domains"] == nil) != (domains == nil) {
			t.Errorf("PUT %v, GET %v", put, got)
		}
	}
	if e := lastEvent(t, s.REST, "nameserver.group.update"); e.TargetId != id {
		t.Errorf("%+v", e)
	}
	s.WantError(t, 400, fmt.Sprintf("group has been linked to name server groups: %s", base["name"]), "DELETE", "/api/groups/"+s.Group, nil)
	var list []api.NameserverGroup
	check(200, "GET", "/api/dns/nameservers", nil).JSON(t, &list)
	found := false
	for _, g := range list {
		found = found || g.Id == id
	}
	if !found {
		t.Errorf("not in the list: %v", list)
	}
	check(200, "DELETE", "/api/dns/nameservers/{nsgroupId}", nil, id)
	check(404, "GET", "/api/dns/nameservers/{nsgroupId}", nil, id)
	if e := lastEvent(t, s.REST, "nameserver.group.delete"); e.TargetId != id {
		t.Errorf("%+v", e)
	}
}

// A change reaches the agents it concerns.
func TestRESTNameserversReachTheirAgents(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	b := harness.NewBare(t, front(t, c), s.Name)
	b.Login(t, s.Key)
	stream := b.Sync(t)
	stream.Next(t, harness.CallLimit)
	var made api.NameserverGroup
	s.Want(t, 200, "POST", "/api/dns/nameservers", map[string]any{"name": s.Name[len(s.Name)-10:], "enabled": true,
		"nameservers": []map[string]any{{"ip": "192.0.2.53", "ns_type": "udp", "port": 53}}, "groups": []string{s.Group},
		"domains": []string{"reach.example"}}, &made)
	defer s.Do(t, "DELETE", "/api/dns/nameservers/"+made.Id, nil)
	has := func(m *proto.SyncResponse) bool {
		for _, g := range m.GetNetworkMap().GetDNSConfig().GetNameServerGroups() {
			for _, d := range g.GetDomains() {
				if d == "reach.example" && g.GetNameServers()[0].GetIP() == "192.0.2.53" {
					return true
				}
			}
		}
		return false
	}
	stream.Until(t, harness.CallLimit, "the nameserver", has)
	s.Want(t, 200, "PUT", "/api/dns/settings", map[string]any{"disabled_management_groups": []string{s.Group}}, nil)
	defer s.Do(t, "PUT", "/api/dns/settings", map[string]any{"disabled_management_groups": []string{}})
	stream.Until(t, harness.CallLimit, "a map without DNS", func(m *proto.SyncResponse) bool {
		return m.GetNetworkMap() != nil && !m.GetNetworkMap().GetDNSConfig().GetServiceEnable()
	})
	s.WantError(t, 400, "group has been linked to name server groups: "+made.Name, "DELETE", "/api/groups/"+s.Group, nil)
}

func TestRESTDNSSettings(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	other := s.NewGroup(t, "other")
	type settings struct {
		Groups []string `json:"disabled_management_groups"`
	}
	put := func(groups ...string) {
		t.Helper()
		var got, again settings
		check(200, "PUT", "/api/dns/settings", settings{groups}).JSON(t, &got)
		check(200, "GET", "/api/dns/settings", nil).JSON(t, &again)
		if fmt.Sprint(got.Groups) != fmt.Sprint(groups) || fmt.Sprint(again.Groups) != fmt.Sprint(groups) {
			t.Errorf("%v and %v instead of %v", got, again, groups)
		}
	}
	defer put()
	put(s.Group, other)
	if e := lastEvent(t, s.REST, "dns.setting.disabled.management.group.add"); e.Meta["group_id"] != s.Group && e.Meta["group_id"] != other {
		t.Errorf("%+v", e)
	}
	put(other)
	if e := lastEvent(t, s.REST, "dns.setting.disabled.management.group.delete"); e.Meta["group_id"] != s.Group || e.Meta["group"] != s.Name {
		t.Errorf("%+v", e)
	}
	put(other) // the same once more
	s.WantError(t, 422, "group id nope not found", "PUT", "/api/dns/settings", settings{[]string{other, "nope"}})
	s.WantError(t, 422, "group id should not be empty string", "PUT", "/api/dns/settings", settings{[]string{""}})
	check(400, "PUT", "/api/dns/settings", `{"disabled_management_groups":"x"}`)
	check(400, "PUT", "/api/dns/settings", "")
	s.WantError(t, 400, "group has been linked to disabled DNS management groups: "+s.Name+"-other", "DELETE", "/api/groups/"+other, nil)
	put(other)
}

func TestREST29Zones(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	domain := strings.ToLower(s.Name) + ".example"
	base := map[string]any{"name": "corp", "domain": domain, "enable_search_domain": true, "distribution_groups": []string{s.Group}}
	var zone api.Zone
	check(200, "POST", "/api/dns/zones", base).JSON(t, &zone)
	defer s.Do(t, "DELETE", "/api/dns/zones/"+zone.Id, nil)
	if !zone.Enabled || !zone.EnableSearchDomain || zone.Records == nil || len(zone.Records) != 0 || zone.Domain != domain {
		t.Errorf("%+v", zone)
	}
	if e := lastEvent(t, s.REST, "dns.zone.create"); e.TargetId != zone.Id || e.Meta["domain"] != domain || e.Meta["name"] != "corp" {
		t.Errorf("%+v", e)
	}
	for _, row := range []struct {
		status  int
		message string
		change  map[string]any
	}{
		{422, "zone name is required", map[string]any{"name": nil}},
		{422, "zone name exceeds maximum length of 255 characters", map[string]any{"name": strings.Repeat("x", 256)}},
		{422, "invalid zone domain format", map[string]any{"domain": "*." + domain}},
		{422, "invalid zone domain format", map[string]any{"domain": nil}},
		{422, "at least one distribution group is required", map[string]any{"distribution_groups": nil}},
		{422, "group: nope not found", map[string]any{"domain": "x." + domain, "distribution_groups": []string{"nope"}}},
		{422, "zone domain netbird.selfhosted conflicts with peer dns domain", map[string]any{"domain": "netbird.selfhosted"}},
		{409, "zone with domain " + domain + " already exists", nil},
	} {
		s.WantError(t, row.status, row.message, "POST", "/api/dns/zones", with(base, row.change))
	}
	s.WantError(t, 422, "zone domain cannot be updated", "PUT", "/api/dns/zones/"+zone.Id, with(base, map[string]any{"domain": "x.io"}))
	s.WantError(t, 422, "group: nope not found", "PUT", "/api/dns/zones/"+zone.Id, with(base, map[string]any{"distribution_groups": []string{"nope"}}))
	check(400, "POST", "/api/dns/zones", `{"domain":7}`)
	s.WantError(t, 404, "zone: nope not found", "GET", "/api/dns/zones/nope", nil)
	s.WantError(t, 404, "failed to get zone: zone: nope not found", "PUT", "/api/dns/zones/nope", base)
	s.WantError(t, 404, "failed to get zone: zone: nope not found", "DELETE", "/api/dns/zones/nope", nil)
	check(200, "PUT", "/api/dns/zones/{zoneId}", with(base, map[string]any{"enabled": false, "name": "renamed"}), zone.Id).JSON(t, &zone)
	if zone.Enabled || zone.Name != "renamed" {
		t.Errorf("%+v", zone)
	}
	if e := lastEvent(t, s.REST, "dns.zone.update"); e.TargetId != zone.Id || e.Meta["name"] != "renamed" {
		t.Errorf("%+v", e)
	}

	record := records(t, s, check, zone.Id, domain)
	check(200, "GET", "/api/dns/zones/{zoneId}", nil, zone.Id).JSON(t, &zone)
	if len(zone.Records) != 1 || zone.Records[0].Id != record {
		t.Errorf("%+v", zone)
	}
	check(200, "GET", "/api/dns/zones", nil)
	if a := check(200, "DELETE", "/api/dns/zones/{zoneId}", nil, zone.Id); strings.TrimSpace(string(a.Body)) != "{}" {
		t.Errorf("%s", a.Body)
	}
	s.WantError(t, 404, "dns record: "+record+" not found", "GET", "/api/dns/zones/"+zone.Id+"/records/"+record, nil)
	s.WantError(t, 404, "zone: "+zone.Id+" not found", "GET", "/api/dns/zones/"+zone.Id+"/records", nil)
	if e := lastEvent(t, s.REST, "dns.zone.record.delete"); e.TargetId != record || e.Meta["zone_name"] != "renamed" {
		t.Errorf("%+v", e)
	}
	if e := lastEvent(t, s.REST, "dns.zone.delete"); e.TargetId != zone.Id {
		t.Errorf("%+v", e)
	}
}

// records tries everything on a zone's records and leaves one, whose id it returns.
func records(t *testing.T, s *harness.Space, check func(int, string, string, any, ...string) *harness.Answer, zone, domain string) string {
	t.Helper()
	const pattern, one = "/api/dns/zones/{zoneId}/records", "/api/dns/zones/{zoneId}/records/{recordId}"
	path := "/api/dns/zones/" + zone + "/records"
	body := func(name, kind, content string, ttl int) map[string]any {
		return map[string]any{"name": name, "type": kind, "content": content, "ttl": ttl}
	}
	var a, alias api.DNSRecord
	check(200, "POST", pattern, body("a."+domain, "A", "192.0.2.1", 300), zone).JSON(t, &a)
	if a.Name != "a."+domain || a.Type != "A" || a.Content != "192.0.2.1" || a.Ttl != 300 {
		t.Errorf("%+v", a)
	}
	check(200, "POST", pattern, body("c."+domain, "CNAME", "x.io", 0), zone).JSON(t, &alias)
	var more api.DNSRecord
	for _, good := range []map[string]any{body("a."+domain, "AAAA", "2001:db8::1", 1), body(domain, "A", "192.0.2.1", 1), body("*."+domain, "A", "192.0.2.1", 1)} {
		check(200, "POST", pattern, good, zone).JSON(t, &more)
		check(200, "DELETE", one, nil, zone, more.Id)
	}
	for _, row := range []struct {
		status  int
		message string
		body    map[string]any
	}{
		{422, "record name is required", body("", "A", "192.0.2.1", 1)},
		{422, "invalid record name format", body("a."+domain+".", "A", "192.0.2.1", 1)},
		{422, "record type is required", body("b."+domain, "", "192.0.2.1", 1)},
		{422, "invalid record type, must be a, aaaa, or cname", body("b."+domain, "MX", "192.0.2.1", 1)},
		{422, "a record is required", body("b."+domain, "A", "", 1)},
		{422, "aaaa record is required", body("b."+domain, "AAAA", "", 1)},
		{422, "invalid cname target format", body("b."+domain, "CNAME", "", 1)},
		{422, "invalid cname target format", body("b."+domain, "CNAME", "*.x.io", 1)},
		{422, "a record must be a valid ipv4 address", body("b."+domain, "A", "::1", 1)},
		{422, "aaaa record must be a valid ipv6 address", body("b."+domain, "AAAA", "192.0.2.1", 1)},
		{422, "ttl cannot be negative", body("b."+domain, "A", "192.0.2.1", -1)},
		{422, "record name does not belong to zone", body("x.other.io", "A", "192.0.2.1", 1)},
		{409, "identical record already exists", body("a."+domain, "A", "192.0.2.1", 7)},
		{422, "an a, aaaa, or cname record with name a." + domain + " already exists", body("a."+domain, "CNAME", "x.io", 1)},
		{422, "an a, aaaa, or cname record with name c." + domain + " already exists", body("c."+domain, "CNAME", "y.io", 1)},
	} {
		s.WantError(t, row.status, row.message, "POST", path, row.body)
	}
	s.WantError(t, 409, "identical record already exists", "PUT", path+"/"+alias.Id, body("a."+domain, "A", "192.0.2.1", 1))
	s.WantError(t, 422, "an a, aaaa, or cname record with name c."+domain+" already exists", "PUT", path+"/"+a.Id, body("c."+domain, "A", "192.0.2.1", 1))
	check(400, "POST", pattern, `{"ttl":1.5}`, zone)
	s.WantError(t, 404, "failed to get zone: zone: nope not found", "POST", "/api/dns/zones/nope/records", body("a.b", "A", "192.0.2.1", 1))
	s.WantError(t, 404, "failed to get record: dns record: nope not found", "PUT", path+"/nope", body("b."+domain, "A", "192.0.2.1", 1))
	s.WantError(t, 404, "failed to get record: dns record: nope not found", "DELETE", path+"/nope", nil)
	check(404, "GET", one, nil, zone, "nope")
	check(200, "PUT", one, body("c."+domain, "A", "192.0.2.9", 60), zone, alias.Id).JSON(t, &alias)
	e := lastEvent(t, s.REST, "dns.zone.record.update")
	if e.TargetId != alias.Id || e.Meta["content"] != "192.0.2.9" || e.Meta["ttl"] != "60" || e.Meta["zone_id"] != zone || e.Meta["type"] != "A" {
		t.Errorf("%+v", e)
	}
	var list []api.DNSRecord
	check(200, "GET", pattern, nil, zone).JSON(t, &list)
	if len(list) != 2 || list[0].Id != a.Id || list[1].Id != alias.Id {
		t.Errorf("%+v", list)
	}
	check(200, "DELETE", one, nil, zone, a.Id)
	check(404, "DELETE", one, nil, zone, a.Id)
	return alias.Id
}
