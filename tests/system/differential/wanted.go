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
	{"an update of a peer with an empty name", func(d *difference) bool {
		return d.of("peer", "PUT") && (d.Op.sent("name") == "" || d.Op.sent("name") == nil) && d.answers(500, 200)
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
		return strings.HasSuffix(d.At, "/api/accounts") && (lastName(d.Field) == "domain" && d.Ours == "netbird.selfhosted" ||
			lastName(d.Field) == "domain_category" && d.Ours == "private") && d.Stock == "" ||
			d.of("settings", "PUT") && (d.Field == "domain" || d.Field == "domain_category") && d.Stock == ""
	}},
	{"`os` of an accessible peer", func(d *difference) bool {
		return strings.HasSuffix(d.At, "/accessible-peers") && lastName(d.Field) == "os" && startsWith(d.Ours, d.Stock)
	}},
	// These two names are made one when peers are learned: see longLabels.
	{"a DNS label that the address makes longer than 63 octets", nil},
	{"a `netbird-ssh` rule without ports", openSSH},
	// Taken out of stock's map: see adjust.
	{"a `netbird-ssh` rule to a route's access group or to a network resource", nil},
	{"a routing peer that also uses a network resource to which several policies lead", strangeSource},
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
			lastName(d.Field) == "peer_groups" && encode(d.Stock) == "[]" && d.Ours == nil)
	}},
	{"`resources_count` of a policy's groups", func(d *difference) bool {
		return strings.Contains(d.At, "/api/policies") && lastName(d.Field) == "resources_count" && d.Stock == 0.0
	}},
	{"a posture check without `checks`", func(d *difference) bool {
		return d.of("posture-check", "POST", "PUT") && d.refusedBy(0, 422, "posture checks shouldn't be empty")
	}},
	{"a policy that names an unknown posture check", func(d *difference) bool {
		return d.of("policy", "POST", "PUT") && d.refusedBy(200, 422, "posture checks: "+nobody+" not found")
	}},
	{"a peer's name that makes no DNS label", func(d *difference) bool {
		return d.of("peer", "PUT") && d.refusedBy(200, 422, "can't be made a dns label")
	}},
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
	{"a wrong update of a setup key that is not there", func(d *difference) bool {
		return d.of("setup-key", "PUT") && d.refusedBy(422, 404, "not found") && strings.Contains(d.Stock.(string), "auto")
	}},
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
	if r["Protocol"] != "TCP" || !d.account.openSSH[strings.Trim(policy, "<>")] {
		return false
	}
	if here {
		return r["Port"] == nil && encode(r["PortInfo"]) == `{"range":{}}`
	}
	return r["Port"] == "22" || r["Port"] == "22022"
}

// strangeSource explains a source that stock's rules of a routing peer let through, and that this peer has no tunnel with.
func strangeSource(d *difference) bool {
	source, isText := d.Stock.(string)
	all, isMap := d.whole.(map[string]any)
	if !strings.HasSuffix(d.Field, "].sourceRanges[]") || !isText || !isMap || d.Ours != absent {
		return false
	}
	m, _ := all["NetworkMap"].(map[string]any)
	usesResource := slices.ContainsFunc(listOf(m["Routes"]), func(r any) bool {
		id, _ := r.(map[string]any)["ID"].(string)
		return strings.HasPrefix(id, "<resource:")
	})
	connected := slices.ContainsFunc(slices.Concat(listOf(m["remotePeers"]), listOf(m["offlinePeers"])), func(p any) bool {
		return slices.Contains(listOf(p.(map[string]any)["allowedIps"]), any(source))
	})
	return usesResource && !connected
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
	for i := range rules {
		if rules[i].explains != nil && rules[i].explains(d) {
			return &rules[i]
		}
	}
	return nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
