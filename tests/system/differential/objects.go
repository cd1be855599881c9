package differential

import (
	"fmt"
	"strings"
)

// body is a new content for an object of that kind; name is empty for one that does not exist yet.
func (w *world) body(kind, name string) object {
	switch kind {
	case "group":
		return w.group(name)
	case "user":
		if name == "" {
			return w.user()
		}
		return w.changedUser(name)
	case "visitor":
		if name == "" {
			return w.visitor()
		}
		return w.peer()
	case "peer":
		return w.peer()
	case "setup-key":
		if name == "" {
			return w.setupKey()
		}
		return object{"auto_groups": w.groups(0, 2), "revoked": w.chance(30)}
	case "posture-check":
		return w.postureCheck()
	case "network":
		return w.network()
	case "resource":
		return w.resource()
	case "router":
		return w.router()
	case "policy":
		return w.policy()
	case "route":
		return w.route()
	case "nameserver":
		return w.nameserver()
	case "zone":
		return w.changedZone(name)
	case "record":
		return w.record(w.parent[name])
	}
	panic("no body for " + kind)
}

// label is a name that a person might give; seldom one that is taken.
func (w *world) label(kind string) string {
	if w.chance(6) {
		return kind + " twice"
	}
	w.count["label"]++
	return fmt.Sprintf("%s %c%d", kind, 'a'+rune(w.IntN(26)), w.count["label"])
}

func (w *world) description() string {
	return pick(w.dice, []string{"", "", "what it is for", "Ünïcode <&> \"quoted\" \\ / \u2028"})
}

func (w *world) group(name string) object {
	body := object{"name": w.label("group")}
	if old, ok := w.bodies[name]; ok && w.chance(70) {
		body["name"] = old["name"]
	}
	if w.chance(90) {
		body["peers"] = w.refs("peer", 0, 1+len(w.made["peer"])/2)
	}
	if w.on("resource") && w.chance(50) {
		var resources []object
		for _, r := range w.refs("resource", 0, 2) {
			resources = append(resources, object{"id": r, "type": w.typeOf(r)})
		}
		body["resources"] = resources
	}
	return body
}

// typeOf is what a server makes of a resource's address.
func (w *world) typeOf(reference string) string {
	address, _ := w.bodies[strings.TrimSuffix(strings.TrimPrefix(reference, "${"), "}")]["address"].(string)
	switch {
	case strings.ContainsAny(address, "ghijklmnopqrstuvwxyz"):
		return "domain"
	case !strings.Contains(address, "/"), strings.HasSuffix(address, "/32"), strings.HasSuffix(address, "/128"):
		return "host"
	}
	return "subnet"
}

var roles = []string{"user", "user", "admin", "auditor", "network_admin", "billing_admin"}

func (w *world) user() object {
	name := w.label("user")
	body := object{"role": pick(w.dice, roles), "auto_groups": w.refs("group", 0, 3), "is_service_user": w.chance(25), "name": name}
	if body["is_service_user"] == false {
		body["email"] = strings.ReplaceAll(name, " ", ".") + "@rookery.test"
	}
	return body
}

func (w *world) changedUser(name string) object {
	body := object{"role": pick(w.dice, roles), "auto_groups": w.refs("group", 0, 3), "is_blocked": w.chance(25)}
	if name == "user:owner" {
		body["role"], body["is_blocked"] = "owner", false
	}
	return body
}

// visitor is whom a browser gets temporary access to a peer for.
func (w *world) visitor() object {
	return object{"name": w.label("visitor"), "wg_pub_key": w.wireguardKey().PublicKey().String(),
		"rules": some(w.dice, []string{"all", "icmp", "tcp/80", "TCP/22000-22100", "udp/53", "netbird-ssh/22"}, w.between(1, 3))}
}

func (w *world) setupKey() object {
	body := object{"name": w.label("key"), "type": pick(w.dice, []string{"reusable", "reusable", "one-off"}),
		"expires_in": pick(w.dice, []int{0, 3600, 86400}), "auto_groups": w.refs("group", 0, 3), "usage_limit": 0}
	if w.chance(30) {
		body["usage_limit"] = w.between(0, 3)
	}
	if w.chance(20) {
		body["ephemeral"] = w.chance(50)
	}
	if w.chance(50) {
		body["allow_extra_dns_labels"] = w.chance(70)
	}
	return body
}

func (w *world) peer() object {
	body := object{"name": pick(w.dice, hostNames), "ssh_enabled": w.chance(50), "login_expiration_enabled": w.chance(4),
		"inactivity_expiration_enabled": w.chance(4)}
	if w.ranged && w.chance(20) {
		body["ip"] = fmt.Sprintf("100.200.%d.%d", w.between(0, 2), w.between(1, 20))
	}
	if other, ok := w.one("peer"); ok && w.chance(5) {
		body["ip"] = ref("ip of " + other)
	}
	if w.chance(10) {
		body["ipv6"] = fmt.Sprintf("fd12:3456:789a:1::%d", w.between(1, 4))
	}
	if w.chance(10) {
		body["approval_required"] = false
	}
	return body
}

func (w *world) postureCheck() object {
	checks := object{}
	action := func() string { return pick(w.dice, []string{"allow", "deny"}) }
	if w.chance(45) {
		checks["nb_version_check"] = object{"min_version": pick(w.dice, []string{"0.60.0", "0.59.0", "0.77.1", "0.28", "1.0.0", "0.60.0-rc1", "0.77.1-beta.2"})}
	}
	if w.chance(35) {
		checks["os_version_check"] = w.osVersionCheck()
	}
	if w.chance(35) {
		checks["peer_network_range_check"] = object{"action": action(), "ranges": some(w.dice, []string{"192.168.0.0/16",
			"192.168.7.0/24", "10.0.0.0/8", "10.99.0.0/24", "172.16.0.0/12", "fe80::/10", "2001:db8::/32", "0.0.0.0/0", "10.99.0.1/32"}, w.between(1, 3))}
	}
	if w.chance(25) || len(checks) == 0 {
		var processes []object
		for range w.between(1, 2) {
			process := object{}
			for key, path := range map[string]int{"linux_path": w.IntN(2), "mac_path": 2, "windows_path": 3} {
				process[key] = processPaths[path]
			}
			for _, key := range some(w.dice, []string{"linux_path", "mac_path", "windows_path"}, w.IntN(3)) {
				delete(process, key)
			}
			processes = append(processes, process)
		}
		checks["process_check"] = object{"processes": processes}
	}
	return object{"name": w.label("posture"), "description": w.description(), "checks": checks}
}

func (w *world) osVersionCheck() object {
	check := object{}
	for _, system := range some(w.dice, []string{"android", "ios", "darwin", "linux", "windows"}, w.between(1, 5)) {
		switch system {
		case "linux":
			check[system] = object{"min_kernel_version": pick(w.dice, []string{"6.0.0", "5.15", "4.0", "7"})}
		case "windows":
			check[system] = object{"min_kernel_version": pick(w.dice, []string{"10.0.22000", "10.0", "11"})}
		default:
			check[system] = object{"min_version": pick(w.dice, []string{"14", "13.6.1", "10", "17.4"})}
		}
	}
	return check
}

func (w *world) network() object {
	body := object{"name": w.label("network")}
	if w.chance(60) {
		body["description"] = w.description()
	}
	return body
}

var resourceAddresses = []string{"10.10.0.0/16", "10.10.1.5", "10.10.1.5/32", "192.168.100.0/24", "db.internal.example", "*.internal.example",
	"0.0.0.0/0", "2001:db8:5::/64", "2001:db8:5::1", "api.example.org", "10.20.30.40/24", "172.20.0.9"}

func (w *world) resource() object {
	body := object{"name": w.label("resource"), "address": pick(w.dice, resourceAddresses), "enabled": w.chance(88)}
	if w.chance(60) {
		body["description"] = w.description()
	}
	if w.chance(85) {
		body["groups"] = w.refs("group", 0, 2)
	}
	return body
}

func (w *world) router() object {
	body := object{"metric": pick(w.dice, []int{1, 100, 9999}), "masquerade": w.chance(60), "enabled": w.chance(90)}
	w.advertiser(body)
	return body
}

// advertiser names who routes: a peer or groups.
func (w *world) advertiser(body object) {
	if peer, ok := w.one("peer"); ok && w.chance(60) {
		body["peer"] = ref(peer)
		return
	}
	body["peer_groups"] = w.groups(1, 2)
}

var portTexts = []string{"22", "80", "443", "22022", "53", "8080", "65535", "1"}

func (w *world) policy() object {
	rule := object{"name": w.label("rule"), "enabled": w.chance(90), "action": pick(w.dice, []string{"accept", "accept", "accept", "drop"}),
		"bidirectional": w.chance(50), "protocol": pick(w.dice, []string{"all", "all", "tcp", "tcp", "udp", "icmp", "netbird-ssh"})}
	if w.chance(40) {
		rule["description"] = w.description()
	}
	w.ports(rule)
	w.ends(rule)
	body := object{"name": w.label("policy"), "enabled": w.chance(90), "rules": []object{rule}}
	if w.chance(50) {
		body["description"] = w.description()
	}
	if w.on("posture-check") && w.chance(35) {
		body["source_posture_checks"] = w.refs("posture-check", 0, 2)
	}
	return body
}

func (w *world) ports(rule object) {
	switch rule["protocol"] {
	case "all", "icmp":
		return
	}
	switch w.IntN(4) {
	case 0:
		var ranges []object
		for range w.between(1, 2) {
			start := pick(w.dice, []int{20, 80, 22000, 1})
			ranges = append(ranges, object{"start": start, "end": start + pick(w.dice, []int{0, 5, 5000})})
		}
		rule["port_ranges"] = ranges
	case 1:
		if w.chance(30) {
			rule["ports"] = []string{}
		}
	default:
		rule["ports"] = some(w.dice, portTexts, w.between(1, 3))
	}
}

func (w *world) ends(rule object) {
	ssh := rule["protocol"] == "netbird-ssh"
	if peer, ok := w.one("peer"); ok && w.chance(12) {
		rule["sourceResource"] = object{"id": ref(peer), "type": "peer"}
	} else {
		rule["sources"] = w.groups(1, 3)
	}
	resource, isResource := w.one("resource")
	peer, isPeer := w.one("peer")
	switch {
	case isResource && w.chance(25):
		rule["destinationResource"] = object{"id": ref(resource), "type": w.typeOf(ref(resource))}
	case isPeer && w.chance(15):
		rule["destinationResource"] = object{"id": ref(peer), "type": "peer"}
	default:
		rule["destinations"] = w.groups(1, 3)
	}
	if sources, ok := rule["sources"].([]string); ok && (ssh && w.chance(70) || w.chance(3)) {
		authorized := object{}
		for _, g := range sources {
			authorized[g] = some(w.dice, []string{"root", "deploy", "ann"}, w.IntN(3))
		}
		rule["authorized_groups"] = authorized
	}
}

var (
	routeNetworks = []string{"10.50.0.0/16", "10.50.0.0/16", "10.60.1.5/24", "192.168.9.0/24", "0.0.0.0/0", "0.0.0.0/0", "2001:db8:9::/48", "::/0", "172.30.0.1/32"}
	routeDomains  = []string{"example.com", "*.example.com", "intern.example", "bücher.example", "Upper.Example.Org"}
)

func (w *world) route() object {
	body := object{"description": w.description(), "network_id": pick(w.dice, []string{"net-a", "net-b", "exit", "ha", w.label("route")}),
		"enabled": w.chance(88), "metric": pick(w.dice, []int{1, 100, 9999}), "masquerade": w.chance(60), "groups": w.groups(1, 2),
		"keep_route": w.chance(40)}
	if w.chance(30) {
		body["domains"] = some(w.dice, routeDomains, w.between(1, 2))
	} else {
		body["network"] = pick(w.dice, routeNetworks)
	}
	w.advertiser(body)
	if w.chance(35) {
		body["access_control_groups"] = w.groups(0, 2)
	}
	if w.chance(40) {
		body["skip_auto_apply"] = w.chance(50)
	}
	return body
}

func (w *world) nameserver() object {
	var servers []object
	for range w.between(1, 3) {
		server := object{"ip": pick(w.dice, []string{"1.1.1.1", "8.8.8.8", "9.9.9.9", "2606:4700:4700::1111"}), "ns_type": "udp",
			"port": pick(w.dice, []int{53, 53, 5353})}
		if peer, ok := w.one("peer"); ok && w.chance(30) {
			server["ip"] = ref("ip of " + peer)
		}
		servers = append(servers, server)
	}
	body := object{"name": w.label("ns"), "description": w.description(), "nameservers": servers, "enabled": w.chance(88),
		"groups": w.groups(1, 3), "primary": w.chance(45), "domains": []string{}, "search_domains_enabled": false}
	if body["primary"] == false {
		body["domains"] = some(w.dice, []string{"corp.example", "example.org", "a.b.example", "münchen.example"}, w.between(1, 2))
		body["search_domains_enabled"] = w.chance(50)
	}
	return body
}

func (w *world) dnsSettings() {
	if !w.on("dns-settings") {
		return
	}
	body := object{"disabled_management_groups": w.refs("group", 0, 2)}
	if w.chance(12) {
		w.wrong("dns-settings", "PUT", "/api/dns/settings", body, nil)
	}
	w.add(&op{kind: "dns-settings", method: "PUT", path: "/api/dns/settings", body: body})
}

var zoneDomains = []string{"zone.example", "lab.internal", "x.zone.example", "dev.test", "zwölf.example"}

func (w *world) zone() object {
	body := object{"name": w.label("zone"), "domain": pick(w.dice, zoneDomains), "enable_search_domain": w.chance(50),
		"distribution_groups": w.groups(1, 2)}
	if w.chance(60) {
		body["enabled"] = w.chance(85)
	}
	return body
}

// changedZone keeps the domain, most of the time: it cannot be changed.
func (w *world) changedZone(name string) object {
	body := w.zone()
	if old, ok := w.bodies[name]; ok && w.chance(90) {
		body["domain"] = old["domain"]
	}
	return body
}

func (w *world) record(zone string) object {
	domain, _ := w.bodies[zone]["domain"].(string)
	body := object{"name": pick(w.dice, []string{"", "www.", "db.", "*.", "a.b.", "www."}) + domain, "ttl": pick(w.dice, []int{0, 60, 300, 3600})}
	switch w.IntN(3) {
	case 0:
		body["type"], body["content"] = "A", pick(w.dice, []string{"10.1.1.1", "10.1.1.2", "192.0.2.7"})
	case 1:
		body["type"], body["content"] = "AAAA", pick(w.dice, []string{"2001:db8::1", "2001:db8::2"})
	default:
		body["type"], body["content"] = "CNAME", pick(w.dice, []string{"target.example", "www.example.org", domain})
	}
	return body
}

// The ranges of addresses that scripts set: no server chooses them by itself.
const (
	scriptRange  = "100.200.0.0/16"
	scriptRange6 = "fd12:3456:789a:1::/64"
)

// settings replaces the account's settings.
func (w *world) settings() {
	if !w.on("settings") {
		return
	}
	s := object{"peer_login_expiration_enabled": w.chance(70), "peer_login_expiration": pick(w.dice, []int{3600, 86400, 15552000}),
		"peer_inactivity_expiration_enabled": w.chance(20), "peer_inactivity_expiration": pick(w.dice, []int{600, 3600}),
		"regular_users_view_blocked": w.chance(70), "groups_propagation_enabled": w.chance(70), "jwt_groups_enabled": w.chance(20),
		"jwt_groups_claim_name": pick(w.dice, []string{"", "groups"}), "jwt_allow_groups": []string{}, "routing_peer_dns_resolution_enabled": w.chance(60),
		"lazy_connection_enabled": w.chance(60), "peer_expose_enabled": false, "peer_expose_groups": []string{},
		"auto_update_version": pick(w.dice, []string{"disabled", "latest", "0.77.1", "disabled"}), "auto_update_always": w.chance(30),
		"metrics_push_enabled": w.chance(30), "dns_domain": pick(w.dice, []string{"", "", "mesh.example", "corp.internal"}),
		"ipv6_enabled_groups": w.groups(0, 2)}
	if w.chance(40) {
		s["ipv6_enabled_groups"] = []string{ref("group:All")}
	}
	if w.chance(70) {
		s["network_range"] = scriptRange
		w.ranged = true
	}
	if w.chance(20) {
		s["network_range_v6"] = scriptRange6
	}
	if w.chance(20) {
		s["peer_expose_enabled"], s["peer_expose_groups"] = w.chance(70), w.refs("group", 1, 2)
	}
	if w.chance(20) {
		s["extra"] = object{"peer_approval_enabled": false, "user_approval_required": w.chance(50), "network_traffic_logs_enabled": w.chance(30),
			"network_traffic_logs_groups": w.refs("group", 0, 2), "network_traffic_packet_counter_enabled": w.chance(30)}
	}
	body := object{"settings": s}
	if w.chance(20) {
		body["onboarding"] = object{"signup_form_pending": w.chance(50), "onboarding_flow_pending": w.chance(50)}
	}
	const path = "/api/accounts/${account}"
	if w.chance(12) {
		w.wrong("settings", "PUT", path, body, nil)
	}
	w.add(&op{kind: "settings", method: "PUT", path: path, body: body})
}
