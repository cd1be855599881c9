package differential

import (
	"fmt"
	"slices"
	"strings"
)

// plan says what accounts to make.
type plan struct {
	seed         uint64
	fewest, most int             // peers
	off          map[string]bool // kinds of objects to leave out
}

// world is an account while its script is written.
type world struct {
	dice
	plan   plan
	script *script
	made   map[string][]string // names by kind, while they exist
	count  map[string]int
	bodies map[string]object // what was last sent for an object
	paths  map[string]string // where an object is
	parent map[string]string // the network of a resource or router, the zone of a record
	ranged bool              // the overlay's range is known
	others dice              // for what is done aside
	within bool              // something is done aside
}

// kinds are all kinds of objects, in the order in which they refer to each other.
var kinds = []string{"settings", "group", "user", "setup-key", "peer", "visitor", "posture-check", "network", "resource", "router", "policy", "route",
	"nameserver", "dns-settings", "zone", "record"}

// collections are where objects of a kind are; those of a network or zone are below it.
var collections = map[string]string{"group": "/api/groups", "user": "/api/users", "setup-key": "/api/setup-keys", "policy": "/api/policies",
	"posture-check": "/api/posture-checks", "network": "/api/networks", "resource": "/resources", "router": "/routers",
	"peer": "/api/peers", "route": "/api/routes", "nameserver": "/api/dns/nameservers", "zone": "/api/dns/zones", "record": "/records"}

// parents are the kinds of those that an object is below.
var parents = map[string]string{"resource": "network", "router": "network", "record": "zone", "visitor": "peer"}

// write makes the script of one account.
func write(p plan) *script {
	w := &world{dice: newDice(p.seed), others: newDice(p.seed ^ 1<<63), plan: p, script: &script{agents: map[string]*agent{}}, made: map[string][]string{},
		count: map[string]int{}, bodies: map[string]object{}, paths: map[string]string{}, parent: map[string]string{}}
	w.found()
	w.people()
	w.furnish()
	w.handOver()
	w.look()
	for range 2 {
		for range w.between(4, 10) {
			w.change()
		}
		w.look()
	}
	w.end()
	return w.script
}

// on tells whether a kind takes part.
func (w *world) on(kind string) bool { return !w.plan.off[kind] }

func (w *world) add(o *op) {
	w.script.ops = append(w.script.ops, o)
	w.interject()
}

func (w *world) look() { w.add(&op{act: look}) }

// name is a new name, in the order of creation.
func (w *world) name(kind string) string {
	w.count[kind]++
	return fmt.Sprintf("%s:%d", kind, w.count[kind])
}

// create asks for a new object below a collection, and remembers it.
func (w *world) create(kind, parent string, body object) {
	if !w.on(kind) {
		return
	}
	if w.chance(12) {
		w.wrong(kind, "POST", w.collection(kind, parent), body, nil)
	}
	name := w.name(kind)
	w.paths[name] = w.collection(kind, parent) + "/" + ref(name)
	w.bodies[name] = body
	w.parent[name] = parent
	w.made[kind] = append(w.made[kind], name)
	w.add(&op{kind: kind, method: "POST", path: w.collection(kind, parent), body: body, bind: name})
	if kind == "visitor" {
		w.paths[name] = "/api/peers/" + ref(name)
	}
	if kind == "router" && body["enabled"] == false {
		w.add(&op{kind: kind, method: "PUT", path: w.paths[name], body: body}) // stock heeds it now
	}
}

func (w *world) collection(kind, parent string) string {
	if kind == "visitor" {
		return w.paths[parent] + "/temporary-access"
	}
	if parent != "" {
		return w.paths[parent] + collections[kind]
	}
	return collections[kind]
}

func (w *world) update(name string, body object) {
	kind, _, _ := strings.Cut(name, ":")
	if !w.on(kind) {
		return
	}
	if w.chance(12) {
		w.wrong(kind, "PUT", w.paths[name], body, w.bodies[name])
	}
	o := &op{kind: kind, method: "PUT", path: w.paths[name], body: body}
	if before := w.bodies[name]; before != nil {
		o.before = before
	}
	w.bodies[name] = body
	w.add(o)
}

func (w *world) remove(name string) {
	kind, _, _ := strings.Cut(name, ":")
	if !w.on(kind) {
		return
	}
	w.add(&op{kind: kind, method: "DELETE", path: w.paths[name]})
	if w.chance(10) {
		w.add(&op{kind: kind, method: "DELETE", path: w.paths[name]})
		w.add(&op{kind: kind, method: "GET", path: w.paths[name]})
	}
	// Whether it has gone depends on who refers to it: it stays known, and is an unknown id where it has.
	if w.chance(70) {
		w.made[kind] = slices.DeleteFunc(w.made[kind], func(n string) bool { return n == name })
	}
}

// one is the name of an object of that kind; false when there is none.
func (w *world) one(kind string) (string, bool) {
	if !w.on(kind) || len(w.made[kind]) == 0 {
		return "", false
	}
	return pick(w.dice, w.made[kind]), true
}

// refs refer to at least `low` and at most `high` objects of a kind, as far as there are so many.
func (w *world) refs(kind string, low, high int) []string {
	if !w.on(kind) {
		return []string{}
	}
	names := some(w.dice, w.made[kind], w.between(low, high))
	for i, name := range names {
		names[i] = ref(name)
	}
	return names
}

// groups refer to groups, sometimes to All.
func (w *world) groups(low, high int) []string {
	out := w.refs("group", low, high)
	if w.chance(8) || len(out) < low {
		out = append(out, ref("group:All"))
	}
	return out
}

// found sets up the account itself: settings, groups, keys.
func (w *world) found() {
	if w.chance(60) {
		w.settings()
	}
	for range w.between(3, 9) {
		w.create("group", "", object{"name": w.label("group")})
	}
	w.users()
	for range w.between(1, 3) {
		w.create("setup-key", "", w.setupKey())
	}
	// One that surely works for everybody.
	w.add(&op{kind: "setup-key", method: "POST", path: "/api/setup-keys", bind: "setup-key:all", body: object{"name": "all",
		"type": "reusable", "expires_in": 0, "auto_groups": []string{}, "usage_limit": 0, "allow_extra_dns_labels": true}})
}

// users are whom rules for SSH let in by their groups.
func (w *world) users() {
	if !w.on("user") {
		return
	}
	const owner = "user:owner"
	w.made["user"] = append(w.made["user"], owner)
	w.paths[owner] = "/api/users/" + ref(owner)
	for range w.between(0, 3) {
		w.create("user", "", w.user())
	}
	if w.chance(60) {
		w.update(owner, w.changedUser(owner))
	}
}

// people registers the peers, most of them with the key that works.
func (w *world) people() {
	for range w.between(w.plan.fewest, w.plan.most) {
		w.newcomer()
	}
}

func (w *world) newcomer() {
	name := w.name("peer")
	a := &agent{name: name, key: w.wireguardKey(), meta: w.machine(name)}
	w.script.agents[name] = a
	w.made["peer"] = append(w.made["peer"], name)
	w.paths[name] = "/api/peers/" + ref(name)
	o := &op{kind: "peer", act: register, peer: name, key: "setup-key:all", meta: a.meta}
	if key, ok := w.one("setup-key"); ok && w.chance(30) {
		// Refused with an exhausted or revoked key; then the key that works is tried.
		o.key = key
		if w.chance(30) {
			o.labels = some(w.dice, []string{"api", "www", "shared", "*.wild", "Bad_Label"}, w.between(1, 2))
		}
	}
	w.add(o)
	if o.key != "setup-key:all" {
		again := *o
		again.key = "setup-key:all"
		w.add(&again)
	}
}

// furnish creates the objects.
func (w *world) furnish() {
	for range w.between(0, 4) {
		w.create("posture-check", "", w.postureCheck())
	}
	for range w.between(0, 3) {
		w.newNetwork()
	}
	// Members and resources come into the groups in both ways: with the group, and with the object.
	for _, name := range slices.Clone(w.made["group"]) {
		w.update(name, w.group(name))
	}
	if w.on("policy") {
		w.defaultPolicy()
	}
	for range w.between(1, 8) {
		w.create("policy", "", w.policy())
	}
	for range w.between(0, 6) {
		w.create("route", "", w.route())
	}
	for range w.between(0, 3) {
		w.create("nameserver", "", w.nameserver())
	}
	if w.chance(50) {
		w.dnsSettings()
	}
	for range w.between(0, 3) {
		w.newZone()
	}
	for _, name := range some(w.dice, w.made["peer"], w.between(0, 4)) {
		w.update(name, w.peer())
	}
	if peer, ok := w.one("peer"); ok && w.chance(25) {
		w.create("visitor", peer, w.visitor())
	}
}

// defaultPolicy decides what becomes of the rule that joins all with all, and would hide most others.
func (w *world) defaultPolicy() {
	const path = "/api/policies/${policy:Default}"
	switch w.IntN(4) {
	case 0:
	case 1:
		body := w.policy()
		w.add(&op{kind: "policy", method: "PUT", path: path, body: body})
	default:
		w.add(&op{kind: "policy", method: "DELETE", path: path})
	}
}

func (w *world) newNetwork() {
	w.create("network", "", w.network())
	if !w.on("network") {
		return
	}
	network := w.made["network"][len(w.made["network"])-1]
	for range w.between(0, 3) {
		w.create("resource", network, w.resource())
	}
	for range w.between(0, 2) {
		w.create("router", network, w.router())
	}
}

func (w *world) newZone() {
	w.create("zone", "", w.zone())
	if !w.on("zone") {
		return
	}
	zone := w.made["zone"][len(w.made["zone"])-1]
	for range w.between(0, 4) {
		w.create("record", zone, w.record(zone))
	}
}

// change makes one random change to the account as it stands.
func (w *world) change() {
	kind := pick(w.dice, kinds)
	switch {
	case !w.on(kind):
	case kind == "settings":
		w.settings()
	case kind == "dns-settings":
		w.dnsSettings()
	case kind == "peer":
		w.changePeer()
	case kind == "policy" && w.chance(15):
		w.repeatPolicy()
	case kind == "group" && w.chance(4):
		w.add(&op{kind: kind, method: "PUT", path: "/api/groups/" + ref("group:All"), body: w.group("")})
	case w.chance(30):
		w.createOne(kind)
	case w.chance(35):
		if name, ok := w.one(kind); ok {
			w.remove(name)
		}
	default:
		if name, ok := w.one(kind); ok {
			w.update(name, w.body(kind, name))
		}
	}
}

// repeatPolicy asks for a policy as it is, with its lists in another order.
func (w *world) repeatPolicy() {
	name, ok := w.one("policy")
	if !ok {
		return
	}
	body := clone(w.bodies[name])
	rule := body["rules"].([]any)[0].(object)
	for _, list := range []string{"sources", "destinations", "ports", "port_ranges"} {
		if of, ok := rule[list].([]any); ok {
			rule[list] = some(w.dice, of, len(of))
		}
	}
	w.update(name, body)
}

func (w *world) createOne(kind string) {
	parent, body := "", object(nil)
	if of, has := parents[kind]; has {
		name, ok := w.one(of)
		if !ok {
			return
		}
		parent = name
	}
	if kind == "record" {
		body = w.record(parent)
	} else {
		body = w.body(kind, "")
	}
	w.create(kind, parent, body)
}

func (w *world) changePeer() {
	name, ok := w.one("peer")
	switch n := w.IntN(10); {
	case !ok || n < 2:
		w.newcomer()
	case n < 3:
		w.made["peer"] = slices.DeleteFunc(w.made["peer"], func(p string) bool { return p == name })
		w.add(&op{kind: "peer", act: logout, peer: name})
	case n < 4:
		w.remove(name)
	case n < 7:
		a := w.script.agents[name]
		act := pick(w.dice, []act{relogin, relogin, tell})
		w.add(&op{kind: "peer", act: act, peer: name, meta: w.changed(a.meta)})
	default:
		w.update(name, w.peer())
	}
}
