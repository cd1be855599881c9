package differential

// wrong sends a request that is spoiled in one place. Most are refused; what matters is that both servers do the same.
func (w *world) wrong(kind, method, path string, body, before object) {
	spoiled := clone(body)
	if kind == "settings" {
		w.spoil(spoiled["settings"].(object), wrongValues[kind])
	} else if kind == "policy" && w.chance(75) {
		w.spoil(spoiled["rules"].([]any)[0].(object), wrongValues["rule"])
	} else {
		w.spoil(spoiled, wrongValues[kind])
	}
	o := &op{kind: kind, method: method, path: path, body: spoiled}
	if method == "POST" {
		// It may be accepted after all; then it is an object like any other, which nothing refers to.
		name := w.name(kind)
		o.bind = name
	}
	if before != nil {
		o.before = before
	}
	w.add(o)
	if kind == "router" && method == "POST" {
		w.add(&op{kind: kind, method: "PUT", path: path + "/" + ref(o.bind), body: spoiled}) // see create
	}
}

// spoil leaves a member out, gives it another type, or a value from the list.
func (w *world) spoil(body object, values map[string][]any) {
	keys := sortedKeys(body)
	if len(values) > 0 && w.chance(75) {
		key := pick(w.dice, sortedKeys(values))
		body[key] = pick(w.dice, values[key])
		return
	}
	if len(keys) == 0 {
		return
	}
	key := pick(w.dice, keys)
	switch {
	case w.chance(50):
		delete(body, key)
	case w.chance(60):
		body[key] = pick(w.dice, []any{"text", 7, 1.5, true, []any{}, []any{1}, object{}})
	default:
		body[key] = nil
	}
}

// wrongValues are values that a member of an object does not take, or takes only here and there.
var wrongValues = map[string]map[string][]any{
	"user":    {"role": {"", "king"}, "auto_groups": {[]any{nobody}, []any{"${group:All}"}, nil}, "email": {"", "owner@rookery.test"}, "name": {""}},
	"visitor": {"rules": {[]any{}, nil}, "wg_pub_key": {""}},
	"group":   {"name": {"", "All", "group twice"}, "resources": {[]any{object{"id": nobody, "type": "host"}}, []any{"x"}}},
	"setup-key": {"name": {""}, "type": {"", "many"}, "expires_in": {-1, 1 << 40}, "usage_limit": {-1, 2},
		"auto_groups": {[]any{nobody}, []any{"${group:All}"}, nil}, "revoked": {false}},
	"peer": {"name": {"", "...", "!!!"}, "ip": {"100.200.0.1", "10.0.0.1", "1.2.3", "::1", "100.200.0.0", "${ip of peer:1}"}, "ipv6": {"fd00::1", "x"}},
	"posture-check": {"name": {"", "posture twice"}, "checks": {object{}, object{"nb_version_check": object{"min_version": ""}},
		object{"nb_version_check": object{"min_version": "new"}}, object{"os_version_check": object{}},
		object{"os_version_check": object{"linux": object{"min_kernel_version": "x.y"}}},
		object{"os_version_check": object{"ios": object{"min_version": ""}}},
		object{"geo_location_check": object{"action": "allow", "locations": []any{object{"country_code": "DE"}}}},
		object{"peer_network_range_check": object{"action": "", "ranges": []any{"10.0.0.0/8"}}},
		object{"peer_network_range_check": object{"action": "perhaps", "ranges": []any{"10.0.0.0/8"}}},
		object{"peer_network_range_check": object{"action": "deny", "ranges": []any{}}},
		object{"peer_network_range_check": object{"action": "deny", "ranges": []any{"10.0.0.0"}}},
		object{"process_check": object{"processes": []any{}}},
		object{"process_check": object{"processes": []any{object{}}}}}},
	"network":  {"name": {""}},
	"resource": {"name": {"", "resource twice"}, "address": {"", "300.1.2.3", "*.*", "10.0.0.0/33", "-bad-"}, "groups": {[]any{nobody}, nil}},
	"router":   {"peer": {nobody, ""}, "peer_groups": {[]any{}, []any{nobody}}, "metric": {0, -1, 10000}},
	"policy":   {"name": {""}, "rules": {[]any{}, nil}, "source_posture_checks": {[]any{nobody}, []any{}}},
	"rule": {"action": {"", "reject"}, "protocol": {"", "sctp", "all", "tcp"}, "ports": {[]any{"0"}, []any{"65536"}, []any{"http"}, []any{""}, []any{"80", "80"}},
		"port_ranges": {[]any{object{"start": 0, "end": 5}}, []any{object{"start": 9, "end": 5}}, []any{object{"start": 9, "end": 70000}}},
		"sources":     {[]any{}, []any{nobody}, []any{"${group:1}"}}, "destinations": {[]any{}, []any{nobody}, []any{"${group:1}"}},
		"sourceResource":      {object{"id": "${peer:1}", "type": "peer"}, object{"id": nobody, "type": "peer"}},
		"destinationResource": {object{"id": "${peer:1}", "type": "peer"}, object{"id": nobody, "type": "peer"}},
		"authorized_groups":   {object{nobody: []any{"root"}}}, "name": {""}, "id": {nobody}},
	"route": {"network": {"10.0.0.0/33", "", "10.0.0.1", "example"}, "domains": {[]any{}, []any{"-bad-"}, []any{"a.example"}}, "metric": {0, 10000, -1},
		"network_id": {"", "an-identifier-that-is-longer-than-forty-characters"}, "groups": {[]any{}, []any{""}, []any{nobody}},
		"peer": {nobody, "${peer:1}"}, "peer_groups": {[]any{nobody}, []any{}, []any{"${group:1}"}}, "access_control_groups": {[]any{nobody}, []any{""}}},
	"nameserver": {"name": {"", "ns twice", "a-name-that-is-longer-than-forty-characters-of-text"}, "nameservers": {[]any{}, []any{object{"ip": "1.1.1", "ns_type": "udp", "port": 53}},
		[]any{object{"ip": "1.1.1.1", "ns_type": "tcp", "port": 53}}}, "groups": {[]any{}, []any{""}, []any{nobody}}, "primary": {true, false},
		"domains": {[]any{}, []any{"a.example"}, []any{"*.example"}, []any{"-bad-"}}, "search_domains_enabled": {true}},
	"dns-settings": {"disabled_management_groups": {[]any{nobody}, []any{""}, nil}},
	"zone":         {"name": {""}, "domain": {"", "*.example", "-bad-", "netbird.selfhosted", "example"}, "distribution_groups": {[]any{}, []any{nobody}, nil}},
	"record":       {"name": {"", "other.example", "-bad-"}, "type": {"", "MX", "A", "AAAA", "CNAME"}, "content": {"", "10.1.1.1", "2001:db8::1", "target.example", "-bad-"}, "ttl": {-1}},
	"settings": {"peer_login_expiration": {60, 0, 15552001}, "auto_update_version": {"soon", "0.1"}, "network_range": {"127.0.0.0/16", "100.64.0.0/30", "10.0.0.0", "fd00::/64", "224.0.0.0/8"},
		"network_range_v6": {"fe80::/64", "::1/128", "10.0.0.0/8", "fd00::/32", "fd00::/121"}, "dns_domain": {"*.example", "-bad-", "zone.example"},
		"ipv6_enabled_groups": {[]any{nobody}}, "peer_expose_enabled": {true}, "agent_network_only": {true}},
}
