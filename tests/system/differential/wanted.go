package differential

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// notYet are kinds of objects that Rookery does not have so far.
var notYet = map[string]bool{}

// rule is a difference that we want: exactly which, and the line of docs/differences.md that says why.
type rule struct {
	line     string // its first cell
	explains func(d *difference) bool
}

// rules are all differences that we want. What none of them explains is a failure.
var rules = []rule{
	{"wrong, expired, used-up or revoked setup key", func(d *difference) bool {
		return d.Field == "refused" && d.Stock == "NotFound" && d.Ours == "InvalidArgument"
	}},
	{"a group that names an unknown peer or resource, or a resource of another type", func(d *difference) bool {
		return d.of("group", "PUT", "POST") && d.refusedBy(200, 422, "not found")
	}},
	{"renaming a group to `All`", func(d *difference) bool {
		return d.of("group", "PUT") && d.Op.sent("name") == "All" && d.answers(200, 409)
	}},
	{"deleting a group that is not there", func(d *difference) bool {
		return d.of("group", "DELETE") && d.refusedBy(400, 404, "not found")
	}},
	{"deleting a group that a DNS zone or the authorised groups of an SSH rule name", func(d *difference) bool {
		return d.of("group", "DELETE") && (d.refusedBy(200, 400, "group has been linked to dns zone: ") ||
			d.refusedBy(200, 400, "group has been linked to policy: ") && d.account.authorises(strings.TrimPrefix(d.Op.path, "/api/groups/")))
	}},
	{"an update of a peer with an empty name", func(d *difference) bool {
		return d.of("peer", "PUT") && (d.Op.sent("name") == "" || d.Op.sent("name") == nil) &&
			(d.answers(500, 200) || d.refusedBy(500, 412, "expiration can't be updated"))
	}},
	{"an IPv6 address as the `ip` of a peer", func(d *difference) bool {
		ip, _ := d.Op.sent("ip").(string)
		return d.of("peer", "PUT") && d.Field == "message" && strings.Contains(ip, ":") &&
			startsWith(d.Stock, "update peer ip transaction: ip "+ip+" is not within") && startsWith(d.Ours, "invalid ip address "+ip)
	}},
	{"a refused change of an account's settings", func(d *difference) bool {
		return d.account.onboarded && strings.Contains(d.Field, "onboarding.") && (strings.HasSuffix(d.At, "/api/accounts") || d.of("settings", "PUT"))
	}},
	{"the records of a zone that is not there", func(d *difference) bool {
		return strings.HasSuffix(d.At, "/records") && strings.HasPrefix(d.At, "GET ") && d.refusedBy(200, 404, "not found") &&
			startsWith(d.Stock, "200 []")
	}},
	{"DNS settings sent again unchanged", func(d *difference) bool {
		return d.of("dns-settings", "PUT") && d.answers(404, 200)
	}},
	{"details behind `invalid ip address X:` and the like", func(d *difference) bool {
		return d.Field == "message" && sameUntil(d, `^invalid (ip|ipv6) address [^ ]*: `)
	}},
	{"a setup key that expires in more than 292 years", func(d *difference) bool {
		return d.of("setup-key", "POST") && d.Field == "message" && d.Stock == "expiresin can not be in the past" &&
			d.Ours == "expiresin is too far in the future"
	}},
	{"a setup key with a negative usage limit", func(d *difference) bool {
		return d.of("setup-key", "POST") && startsWith(encode(d.Op.sent("usage_limit")), "-") && d.refusedBy(200, 422, "usage_limit can not be negative")
	}},
	{"the account's domain before its first user has logged in", func(d *difference) bool {
		return (strings.HasSuffix(d.At, "/api/accounts") || d.of("settings", "PUT")) && d.Stock == "" &&
			(lastName(d.Field) == "domain" && d.Ours == "netbird.selfhosted" || lastName(d.Field) == "domain_category" && d.Ours == "private")
	}},
	{"`os` of an accessible peer", func(d *difference) bool {
		return strings.HasSuffix(d.At, "/accessible-peers") && lastName(d.Field) == "os" && startsWith(d.Ours, d.Stock)
	}},
	{"`os` of a peer that says no version of it", func(d *difference) bool {
		return strings.Contains(d.At, "/api/peers") && lastName(d.Field) == "os" && startsWith(d.Ours, "") && d.Stock == d.Ours.(string)+" "
	}},
	{"`connection_ip` of a peer that was never there", func(d *difference) bool {
		return strings.Contains(d.At, "/api/peers") && lastName(d.Field) == "connection_ip" && d.Stock == "<nil>" && d.Ours == ""
	}},
	{"`last_login` of a user, and the event `dashboard.login`", func(d *difference) bool {
		return d.event("dashboard.login") && d.Whole && d.Stock == absent && d.account.entered[eventTarget(d.Ours)] ||
			strings.Contains(d.At, "/api/users") && lastName(d.Field) == "last_login" && d.Stock == "<time>" && d.Ours == never
	}},
	{"`auto_groups` of a new user", func(d *difference) bool {
		return (d.of("user", "POST") || d.of("invite", "POST")) && (d.refusedBy(200, 422, "doesn't exist") || d.refusedBy(200, 422, "can't add all group to the user"))
	}},
	{"temporary access for a key that is none", func(d *difference) bool {
		return d.of("visitor", "POST") && d.refusedBy(200, 422, "invalid wireguard public key")
	}},
	{"temporary access for a peer without a name", func(d *difference) bool {
		return d.of("visitor", "POST") && d.refusedBy(500, 422, "peer name shouldn't be empty")
	}},
	{"the `domains` of a new nameserver group for which none are sent", func(d *difference) bool {
		return d.of("nameserver", "POST") && d.Field == "domains" && d.Op.sent("domains") == nil && encode(d.Stock) == "[]" && d.Ours == nil
	}},
	{"temporary access without rules", func(d *difference) bool {
		return d.of("visitor", "POST") && d.Field == "rules" && d.Stock == nil && encode(d.Ours) == "[]"
	}},
	{"`port_ranges` of temporary access without ports", func(d *difference) bool {
		return strings.Contains(d.At, "/api/policies") && lastName(d.Field) == "port_ranges" && encode(d.Stock) == noPorts && d.Ours == absent ||
			d.Whole && lastName(d.Field) == "FirewallRules" && (ofVisit(d.Stock, "0") && d.Ours == absent || d.Stock == absent && ofVisit(d.Ours, nil))
	}},
	// These two names are made one when peers are learned: see longLabels.
	{"a DNS label that the address makes longer than 63 octets", nil},
	{"a `netbird-ssh` rule without ports", openSSH},
	// Taken out of stock's map: see adjust.
	{"a `netbird-ssh` rule to a route's access group or to a network resource", nil},
	{"a routing peer that also uses a network resource to which several policies lead", strangeSource},
	{"posture checks of a policy whose source is one peer, where it leads to a route's access group", checkedPeer},
	{"the answer to a policy sent again in which the order of lists alone differs, or `[]` is `null`", func(d *difference) bool {
		return d.of("policy", "PUT") && d.account.repeated && d.Field != "status"
	}},
	{"a router that names an unknown peer or group, or has a metric below 0", func(d *difference) bool {
		return d.of("router", "POST", "PUT") && (d.refusedBy(200, 422, "not found") || d.refusedBy(200, 422, "metric"))
	}},
	{"a network resource with an address that is none", func(d *difference) bool {
		return d.of("resource", "POST", "PUT") && d.refusedBy(500, 422, "invalid address")
	}},
	{"`enabled: false` of a new network router", func(d *difference) bool {
		return d.of("router", "POST") && d.Op.sent("enabled") == false && d.Field == "enabled" && d.Stock == true && d.Ours == false
	}},
	{"networks, resources and routers without members of a list", func(d *difference) bool {
		return strings.Contains(d.At, "/api/networks") && (d.Stock == nil && encode(d.Ours) == "[]" ||
			lastName(d.Field) == "peer_groups" && encode(d.Stock) == "[]" && d.Ours == nil) ||
			d.event("network.router.create", "network.router.update", "network.router.delete") && lastName(d.Field) == "peer_groups" &&
				d.Stock == "[]" && d.Ours == "<nil>"
	}},
	{"`resources_count` of a policy's groups", func(d *difference) bool {
		return strings.Contains(d.At, "/api/policies") && lastName(d.Field) == "resources_count" && d.Stock == 0.0
	}},
	{"a posture check without `checks`", func(d *difference) bool {
		return d.of("posture-check", "POST", "PUT") && d.refusedBy(0, 422, "posture checks shouldn't be empty")
	}},
	{"a policy that names an unknown posture check", func(d *difference) bool {
		text, _ := d.Ours.(string)
		named := unknownCheck.FindStringSubmatch(text)
		return d.of("policy", "POST", "PUT") && d.answers(200, 422) && named != nil && (named[1] == nobody || d.account.gone[strings.Trim(named[1], "<>")])
	}},
	{"a peer's name that makes no DNS label", func(d *difference) bool {
		return d.of("peer", "PUT") && d.refusedBy(200, 422, "can't be made a dns label")
	}},
	{"a peer's address that is the network's own", func(d *difference) bool {
		ip, _ := d.Op.sent("ip").(string)
		const words = "is not within the account network range"
		text, _ := d.Ours.(string)
		return d.of("peer", "PUT") && strings.HasSuffix(ip, ".0.0") && (d.refusedBy(200, 422, words) ||
			d.Field == "message" && strings.Contains(text, words)) // stock has come to the next mistake
	}},
	// Mended on stock: see settle.
	{"IPv6 groups that change in the request which has groups of users given on to their peers", nil},
	{"unknown API token", func(d *difference) bool {
		return d.Op != nil && (d.account.ended && d.Op.as == "" || d.account.lapsed(d.Op.as)) && d.refusedBy(404, 401, "token invalid") &&
			startsWith(d.Stock, `404 {"message":"invalid token: pat: `)
	}},
	{"`setup_required` once the account is deleted", func(d *difference) bool {
		return d.account.ended && d.At == "GET /api/instance" && d.Field == "setup_required" && d.Stock == false && d.Ours == true
	}},
	// Taken back: see giveBackAddresses.
	{"a refused change of a peer's addresses", nil},
	{"of several resources that keep a group from going, the one that is named", func(d *difference) bool {
		return d.of("group", "DELETE") && d.Field == "message" && sameUntil(d, `^group has been linked to network resource: `)
	}},
	{"of several routes that refuse a new one, the one that is named", func(d *difference) bool {
		return d.of("route", "POST", "PUT") && d.Field == "message" && sameUntil(d, `^failed to add route with .* - peer `)
	}},
	{"type of a group's resource whose address has changed its kind", func(d *difference) bool {
		return strings.Contains(d.At, "/api/groups") && strings.Contains(d.Field, "resources[") && lastName(d.Field) == "type"
	}},
	{"an `auto_update_version` that is none", func(d *difference) bool {
		return d.of("settings", "PUT") && d.refusedBy(500, 422, "invalid autoupdateversion")
	}},
	{"`auto_update_version` left out of an account's settings", func(d *difference) bool {
		return strings.HasSuffix(d.Field, "peerConfig.autoUpdate.version") && d.Stock == absent && d.Ours == "disabled"
	}},
	{"a wrong update of a setup key that is not there", func(d *difference) bool {
		return d.of("setup-key", "PUT") && d.refusedBy(422, 404, "not found") && strings.Contains(d.Stock.(string), "auto")
	}},
	{"the event `user.join` of an account's first user", func(d *difference) bool {
		return d.event("user.join") && d.Stock == absent && strings.Contains(encode(d.Ours), `"target_id":"<user:owner>"`)
	}},
	{"`user_name` in events about a person", func(d *difference) bool {
		return d.event("user.group.add", "user.group.delete", "personal.access.token.create", "personal.access.token.delete") &&
			lastName(d.Field) == "user_name" && d.Stock == ""
	}},
	{"the events `user.group.add` and `user.group.delete` while groups are not given on to peers", func(d *difference) bool {
		return d.event("user.group.add", "user.group.delete") && d.Stock == absent && d.account.unpropagated
	}},
	{"`name` in the event of a person's end", func(d *difference) bool {
		return d.event("user.delete") && lastName(d.Field) == "name" && d.Stock == absent
	}},
	{"`username` and `email` in events about a service user that is deleted", func(d *difference) bool {
		about := eventAbout.FindStringSubmatch(d.Field)
		return strings.HasSuffix(d.At, "/api/events") && about != nil && d.account.deleted[about[1]] && d.account.serves(about[1]) && d.Stock == absent &&
			(lastName(d.Field) == "username" || lastName(d.Field) == "email" && d.Ours == "")
	}},
	{"the old range in the event of an account's first IPv6 range", func(d *difference) bool {
		return d.event("account.network.range.update") && lastName(d.Field) == "old_network_range_v6" && d.Stock == "invalid Prefix"
	}},
	{"an account's range that is left out again", func(d *difference) bool {
		return d.event("account.network.range.update") && d.Ours == absent &&
			(newRange.MatchString(encode(d.Stock)) || d.account.leftOut && oldRange.MatchString(encode(d.Stock)))
	}},
	{"peers of a blocked user", func(d *difference) bool {
		peer, other := d.Stock, d.Ours
		if lastName(d.Field) == "offlinePeers" {
			peer, other = other, peer
		}
		if lastName(d.Field) == "Routes" { // of those who are offline there are none
			return d.Whole && other == absent && d.account.ofBlocked(peer, "Peer")
		}
		return d.Whole && other == absent && (lastName(d.Field) == "remotePeers" || lastName(d.Field) == "offlinePeers") && d.account.ofBlocked(peer, "wgPubKey")
	}},
	{"groups, tokens of reverse proxies and the end of an account, for whom no role allows anything", func(d *difference) bool {
		if d.At == "GET /api/reverse-proxies/proxy-tokens" {
			return d.refusedBy(500, 403, "user role: billing_admin not found")
		}
		return (strings.Contains(d.At, " /api/groups") || strings.HasPrefix(d.At, "DELETE /api/accounts/")) && d.refusedBy(404, 403, "user role: billing_admin not found")
	}},
	{"a blocked user who asks for the tokens of reverse proxies", func(d *difference) bool {
		return d.At == "GET /api/reverse-proxies/proxy-tokens" && d.refusedBy(500, 403, "user is blocked")
	}},
	{"a person whose role may not delete peers logs one out", func(d *difference) bool {
		refusal, _ := d.Stock.(map[string]any)
		return d.Op != nil && d.Op.act == logout && d.Ours == "done" && refusal["refused"] == "PermissionDenied" && slices.Contains(
			[]any{"permission denied", "failed to validate user permissions: user role: billing_admin not found"}, refusal["text"]) &&
			d.account.brought[d.Op.peer] != ""
	}},
	{"a REST write without the permission for it, with a bad body", func(d *difference) bool {
		return d.Op != nil && d.Op.act == request && d.Op.as != "" && (d.answers(422, 403) || d.answers(400, 403))
	}},
	{"somebody else's peer, for a person who sees only his own", func(d *difference) bool {
		text, _ := d.Stock.(string)
		return strings.HasPrefix(d.At, "GET /api/peers/") && strings.Contains(text, " has no access to peer ") && d.refusedBy(500, 404, "peer not found: ")
	}},
	{"a new address for a peer that is not there", func(d *difference) bool {
		return (d.of("peer", "PUT") || d.of("visitor", "PUT")) && d.Field == "message" && startsWith(d.Ours, "peer not found: ") &&
			d.Stock == "update peer ip transaction: get peer: "+d.Ours.(string)
	}},
	{"inviting somebody who is not there", func(d *difference) bool {
		return d.of("formality", "POST") && d.Field == "message" && startsWith(d.Ours, "user account "+nobody+" doesn't exist") &&
			d.Stock == "user: "+nobody+" not found"
	}},
	{"a token of somebody whom the allow-list of groups keeps out, or who was deleted after it was issued", func(d *difference) bool {
		return d.Op != nil && d.account.deleted[d.Op.as] && d.Field == "status" && startsWith(d.Ours, "401 ") && strings.Contains(d.Ours.(string), "token invalid")
	}},
	{"who has deleted the peers of a person that is deleted", func(d *difference) bool {
		by := func(v any, deleted bool) bool {
			m, _ := v.(map[string]any)
			who, _ := m["initiator_id"].(string)
			user := d.account.brought[eventTarget(v)]
			return v == absent || d.account.deleted[user] && (strings.Trim(who, "<>") == user) == deleted
		}
		return d.event("user.peer.delete") && d.Whole && by(d.Stock, true) && by(d.Ours, false)
	}},
	{"the event of a peer's new IPv6 address", func(d *difference) bool {
		return d.event("peer.ip.update") && d.Stock == absent && strings.Contains(encode(d.Ours), `"old_ip":"<ipv6 of `)
	}},
	{"a blocked user registers a peer", func(d *difference) bool {
		return d.At == "login" && d.Field == "refusal" && d.account.blocked[d.Op.as] && strings.Contains(encode(d.Ours), `"text":"user is blocked"`)
	}},
	{"inviting an existing user (embedded provider)", func(d *difference) bool {
		const words = "can't invite a user with an activated netbird account"
		return d.of("formality", "POST") && (d.refusedBy(500, 412, words) || d.refusedBy(404, 412, words))
	}},
	{"a wrong address for a peer that is not there", func(d *difference) bool {
		return d.Op != nil && d.Op.method == "PUT" && d.Op.sent("ip") != d.Op.sent("ipv6") &&
			(d.refusedBy(422, 404, "peer not found") || d.refusedBy(412, 404, "peer not found"))
	}},
	{"tokens of a user who has none", func(d *difference) bool {
		return strings.HasSuffix(d.At, "/tokens") && d.Field == "" && d.Stock == nil && encode(d.Ours) == "[]"
	}},
	{"changing a group's resources", func(d *difference) bool {
		return d.event("resource.group.add", "resource.group.delete") && d.Stock == absent
	}},
	{"peer inactivity expiration switched on", func(d *difference) bool {
		return d.event("account.peer.inactivity.expiration.enable") && d.Stock == absent
	}},
}

var (
	newRange = regexp.MustCompile(`"new_network_range(_v6)?":"invalid Prefix"`)
	// The range that there was all the time, once more.
	oldRange     = regexp.MustCompile(`"new_network_range_v6":"<network 6>/64","old_network_range_v6":"invalid Prefix"`)
	unknownCheck = regexp.MustCompile(`"posture checks: (\S+) not found"`)
	// What an event is about, as events are called.
	eventAbout = regexp.MustCompile(`^[a-z.]+\[<([^>]+)> `)
)

// event tells whether the difference is in events of these kinds.
func (d *difference) event(codes ...string) bool {
	code, _, _ := strings.Cut(d.Field, "[")
	return strings.HasSuffix(d.At, "/api/events") && slices.Contains(codes, code)
}

// eventTarget is what an event is about, by the script's name for it.
func eventTarget(event any) string {
	m, _ := event.(map[string]any)
	target, _ := m["target_id"].(string)
	return strings.Trim(target, "<>")
}

// of tells whether the difference is in the answer to such a request.
func (d *difference) of(kind string, methods ...string) bool {
	return d.Op != nil && d.Op.act == request && d.Op.kind == kind && slices.Contains(methods, d.Op.method)
}

// sent is a member of the body that was sent, nil without one.
func (o *op) sent(member string) any {
	if o == nil {
		return nil
	}
	body, _ := o.body.(object)
	return body[member]
}

// answers tells whether the two statuses are these.
func (d *difference) answers(stock, ours int) bool {
	return d.Field == "status" && startsWith(d.Stock, strconv.Itoa(stock)+" ") && startsWith(d.Ours, strconv.Itoa(ours)+" ")
}

// refusedBy is answers, with words that our message has to have.
func (d *difference) refusedBy(stock, ours int, words string) bool {
	text, _ := d.Ours.(string)
	return d.answers(stock, ours) && strings.Contains(text, words)
}

func startsWith(v, prefix any) bool {
	text, isText := v.(string)
	start, isStart := prefix.(string)
	return isText && isStart && strings.HasPrefix(text, start)
}

// sameUntil tells whether both texts begin with the same match of a pattern.
func sameUntil(d *difference, pattern string) bool {
	p := regexp.MustCompile(pattern)
	stock, _ := d.Stock.(string)
	ours, _ := d.Ours.(string)
	return p.FindString(stock) != "" && p.FindString(stock) == p.FindString(ours)
}

// openSSH explains a rule for every TCP port that stock has, and rules for 22 and 22022 that we have in its place. Only rules
// of a policy that the script has made so are meant.
func openSSH(d *difference) bool {
	if !d.Whole || lastName(d.Field) != "FirewallRules" || d.account == nil {
		return false
	}
	r, here := d.Stock.(map[string]any)
	if !here {
		r, _ = d.Ours.(map[string]any)
	}
	policy, _ := r["PolicyID"].(string)
	rule := d.account.rule(policy)
	ports, ranges := listOf(rule["ports"]), listOf(rule["port_ranges"])
	if r["Protocol"] != "TCP" || rule["protocol"] != "netbird-ssh" || len(ports)+len(ranges) > 0 {
		return false
	}
	if here {
		return r["Port"] == nil && encode(r["PortInfo"]) == `{"range":{}}`
	}
	return r["Port"] == "22" || r["Port"] == "22022"
}

// rule is that of a policy as the script has made it, by the policy's name as answers have it.
func (a *account) rule(policy string) object {
	rules := listOf(a.policies[strings.Trim(policy, "<>")]["rules"])
	if len(rules) == 0 {
		return nil
	}
	return rules[0].(object)
}

// lapsed tells whether a token is deleted, or its user.
func (a *account) lapsed(token string) bool {
	return strings.HasPrefix(token, "token:") && (a.gone[token] || slices.ContainsFunc(a.script.ops, func(o *op) bool {
		return o.bind == token && a.deleted[reference.FindStringSubmatch(o.path)[1]]
	}))
}

// serves tells whether a user is one for programs, as the script has made it.
func (a *account) serves(user string) bool {
	return slices.ContainsFunc(a.script.ops, func(o *op) bool { return o.bind == user && o.sent("is_service_user") == true })
}

// authorises tells whether a policy names a group for SSH alone, which stock does not look at.
func (a *account) authorises(group string) bool {
	for name := range a.policies {
		authorised, _ := a.rule(name)["authorized_groups"].(object)
		if _, there := authorised[group]; there {
			return true
		}
	}
	return false
}

// ofBlocked tells whether a peer of a map, or one that a route leads through, was brought by somebody who is blocked now.
func (a *account) ofBlocked(peer any, member string) bool {
	m, _ := peer.(map[string]any)
	key, _ := m[member].(string)
	return a.blocked[a.brought[strings.TrimSuffix(strings.TrimPrefix(key, "<key of "), ">")]]
}

// ofVisit tells whether a rule is one of temporary access without ports, which has that port.
func ofVisit(v, port any) bool {
	r, _ := v.(map[string]any)
	policy, _ := r["PolicyID"].(string)
	return strings.Count(policy, ":") == 2 && (r["Protocol"] == "ALL" || r["Protocol"] == "ICMP") && r["Port"] == port && r["PortInfo"] == nil
}

var policyOf = regexp.MustCompile(`"PolicyID":"(<policy:[^"]+>)"`)

// checkedPeer explains a routing peer's rule that comes of a policy with posture checks whose source is one peer: whether stock
// looks at them there depends on other policies. We do for what is accepted, and do not for what is dropped.
func checkedPeer(d *difference) bool {
	m := policyOf.FindStringSubmatch(d.Field + encode(d.Stock) + encode(d.Ours))
	if m == nil || !strings.HasPrefix(d.Field, "NetworkMap.routesFirewallRules[") {
		return false
	}
	policy := d.account.policies[strings.Trim(m[1], "<>")]
	rule := d.account.rule(m[1])
	source, _ := rule["sourceResource"].(map[string]any)
	if source["type"] != "peer" || len(listOf(policy["source_posture_checks"])) == 0 {
		return false
	}
	more, less := d.Stock, d.Ours
	if rule["action"] == "drop" {
		more, less = d.Ours, d.Stock
	}
	peer := strings.Trim(source["id"].(string), "${}")
	others := func(v any) bool { return v != "<ip of "+peer+">/32" && v != "<ipv6 of "+peer+">/128" }
	if strings.HasSuffix(d.Field, "].sourceRanges[]") {
		return !others(more) && less == absent
	}
	sources := func(v any) []any { m, _ := v.(map[string]any); return listOf(m["sourceRanges"]) }
	return d.Whole && len(sources(less)) == 0 && !slices.ContainsFunc(sources(more), others)
}

// tunnelled tells whether the peer with an address is one of those that a map connects to.
func tunnelled(sync map[string]any, address string) bool {
	m, _ := sync["NetworkMap"].(map[string]any)
	return slices.ContainsFunc(slices.Concat(listOf(m["remotePeers"]), listOf(m["offlinePeers"])), func(p any) bool {
		return slices.Contains(listOf(p.(map[string]any)["allowedIps"]), any(address))
	})
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

// adjust takes rules for SSH out of what stock lets through to routes and resources: no agent knows what to do with them.
// It returns how many there were.
func adjust(sync any) int {
	m, _ := sync.(map[string]any)["NetworkMap"].(map[string]any)
	all, ok := m["routesFirewallRules"].([]any)
	if !ok {
		return 0
	}
	kept := slices.DeleteFunc(slices.Clone(all), func(r any) bool { return r.(map[string]any)["protocol"] == "NETBIRD_SSH" })
	m["routesFirewallRules"] = kept
	if len(kept) == 0 {
		delete(m, "routesFirewallRules")
		m["routesFirewallRulesIsEmpty"] = true
	}
	return len(all) - len(kept)
}

// wanted is the rule that explains a difference, nil when none does.
func (d *difference) wanted() *rule {
	if strings.HasPrefix(d.At, pushed) {
		return nil // both are ours
	}
	for i := range rules {
		if rules[i].explains != nil && rules[i].explains(d) {
			return &rules[i]
		}
	}
	return nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
