package differential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rookery.test/system/harness"
)

// account is one script as it runs against both servers.
type account struct {
	ctx         context.Context
	stock, ours *server
	script      *script
	off         map[string]bool

	agents       map[string]*agent // those that are registered, with what they said last
	moved        bool              // addresses or peers may have changed since they were learned
	onboarded    bool              // a refused change of the settings had that part
	policies     map[string]object // what was last accepted for one, by its name
	blocked      map[string]bool   // people who may do nothing
	deleted      map[string]bool   // people who were, and are no longer
	gone         map[string]bool   // and objects
	brought      map[string]string // by whom a peer was registered, "" with a setup key
	repeated     bool              // the last request asked for a policy as it was
	unpropagated bool              // groups of users are not those of their peers, or were not so once
	undone       []string          // what events call the objects with which one server alone did something
	uses         []use             // who may use network resources, once it has been asked
	settings     object            // those of the last request for them that was accepted
	entered      map[string]bool   // people who have signed in to the dashboard
	leftOut      bool              // the settings have had an IPv6 range, and then none
	ended        bool              // the account is deleted
	apart        error             // why the servers no longer hold it in the same way
	found        []*difference
	counts       counts
}

// counts are what was compared.
type counts struct{ maps, answers, wanted, apart int }

func (c *counts) add(o counts) {
	c.maps += o.maps
	c.answers += o.answers
	c.wanted += o.wanted
	c.apart += o.apart
}

// errApart ends an account that the servers no longer hold in the same way.
var errApart = errors.New("the accounts have come apart")

// apart is errApart after two answers.
func apart(stock, ours *harness.Answer) error {
	return fmt.Errorf("%w: stock %d %s, ours %d %s", errApart, stock.Status, bytes.TrimSpace(stock.Body), ours.Status, bytes.TrimSpace(ours.Body))
}

// run plays the script; an error says that it could not be played.
func (a *account) run() error {
	defer a.stock.cut()
	defer a.ours.cut()
	for _, s := range a.both() {
		if err := s.open(a.ctx); err != nil {
			return err
		}
	}
	a.agents, a.policies, a.blocked = map[string]*agent{}, map[string]object{}, map[string]bool{}
	a.deleted, a.gone, a.brought, a.entered = map[string]bool{}, map[string]bool{}, map[string]string{}, map[string]bool{}
	a.settings = object{"groups_propagation_enabled": true, "ipv6_enabled_groups": []any{ref("group:All")}}
	for i, o := range a.script.ops {
		if err := a.play(o); err != nil {
			if errors.Is(err, errApart) {
				a.counts.apart, a.apart = 1, fmt.Errorf("act %d of %d, %v: %w", i+1, len(a.script.ops), o, err)
				return nil
			}
			return fmt.Errorf("%v: %w", o, err)
		}
	}
	return nil
}

func (a *account) both() []*server { return []*server{a.stock, a.ours} }

func (a *account) play(o *op) error {
	if a.moved && o.act != register || o.act == look {
		if err := a.learn(); err != nil {
			return err
		}
	}
	switch o.act {
	case request:
		return a.request(o)
	case register:
		return a.register(o)
	case relogin:
		return a.relogin(o)
	case tell:
		return a.tell(o)
	case logout:
		return a.logout(o)
	case work:
		return a.work(o)
	case enter:
		return a.enter(o)
	case end:
		return a.end(o)
	case look:
		return a.look()
	}
	return nil
}

func (a *account) learn() error {
	for _, s := range a.both() {
		if err := errors.Join(s.learnPeers(a.ctx), s.learnNetwork(a.ctx)); err != nil {
			return err
		}
	}
	a.moved = false
	return a.longLabels()
}

// longLabels gives one name to the two labels of a peer whose label is too long for DNS on stock, or as long as may be with the
// tail that stock's address makes, and cut short enough on ours.
func (a *account) longLabels() error {
	const most, kept = 63, 63 - len("-255-255")
	for name, stock := range a.stock.labels {
		ours := a.ours.labels[name]
		if len(stock) < most || len(ours) > most {
			continue
		}
		end, stockEnd := tail.FindStringSubmatch(lastNumbers.FindString(ours)), tail.FindStringSubmatch(lastNumbers.FindString(stock))
		if end != nil && stockEnd != nil && len(ours) >= kept+len(end[2]) && strings.HasPrefix(stock, ours[:len(ours)-len(end[2])]) {
			a.stock.names.word(stock, "long label of "+name)
			a.ours.names.word(ours, "long label of "+name)
			a.counts.wanted++
		}
	}
	return nil
}

// together calls for both servers at once.
func together[T any](a *account, call func(*server) (T, error)) (stock, ours T, err error) {
	var both sync.WaitGroup
	var stockErr, oursErr error
	both.Add(2)
	go func() { defer both.Done(); stock, stockErr = call(a.stock) }()
	go func() { defer both.Done(); ours, oursErr = call(a.ours) }()
	both.Wait()
	if stockErr != nil {
		stockErr = fmt.Errorf("stock: %w", stockErr)
	}
	if oursErr != nil {
		oursErr = fmt.Errorf("ours: %w", oursErr)
	}
	return stock, ours, errors.Join(stockErr, oursErr)
}

// free replaces an address that a script gives to a peer when somebody has got it by chance, from one server alone.
func (a *account) free(o *op) *op {
	wish, _ := o.sent("ip").(string)
	ip, err := netip.ParseAddr(wish)
	if o.kind != "peer" || err != nil {
		return o
	}
	for a.stock.names.words[ip.String()] != a.ours.names.words[ip.String()] {
		ip = ip.Next()
	}
	if ip.String() == wish {
		return o
	}
	other, body := *o, clone(o.body.(object))
	body["ip"] = ip.String()
	other.body = body
	return &other
}

// request sends one REST request to both, and compares the answers.
func (a *account) request(o *op) error {
	o = a.free(o)
	stock, ours, err := together(a, func(s *server) (*harness.Answer, error) { return s.askAs(a.ctx, o.as, o.method, o.path, o.body) })
	if err != nil {
		return err
	}
	if o.bind != "" {
		a.stock.learnObject(o.bind, stock)
		a.ours.learnObject(o.bind, ours)
	}
	a.counts.answers++
	a.repeated = false
	if stock.Status == http.StatusOK && ours.Status == http.StatusOK {
		a.notePolicy(o)
		a.notePerson(o)
		if named := reference.FindAllStringSubmatch(o.path, -1); o.method == "DELETE" && named != nil {
			a.gone[named[len(named)-1][1]] = true
		}
	}
	a.onboarded = a.onboarded || o.kind == "settings" && stock.Status != 200 && o.sent("onboarding") != nil
	if settings, ok := o.sent("settings").(object); ok && ours.Status == 200 {
		a.unpropagated = a.unpropagated || settings["groups_propagation_enabled"] != true
		if err := a.settle(o, asJSON(settings).(object), stock); err != nil {
			return err
		}
	}
	learn := map[string]func(*server) error{
		"visitor": func(s *server) error { return s.learnVisit(a.ctx, o.bind) },
		"guest":   func(s *server) error { return s.learnGuest(a.ctx, o.bind) },
	}[o.kind]
	if learn != nil && o.bind != "" {
		if err := errors.Join(learn(a.stock), learn(a.ours)); err != nil {
			return err
		}
	}
	a.moved = a.moved || o.kind == "settings" || o.kind == "peer" || o.kind == "visitor"
	if (o.kind == "peer" || o.kind == "visitor") && o.method == "PUT" && stock.Status != http.StatusOK && ours.Status != http.StatusOK {
		if err := a.giveBackAddresses(o); err != nil {
			return err
		}
	}
	if a.moved && o.method == "PUT" {
		if err := a.learn(); err != nil { // the answer has what the server chose
			return err
		}
	}
	a.compareAnswers(o.method+" "+o.path, o, stock, ours)
	if (stock.Status == 200) == (ours.Status == 200) || o.method == "GET" {
		return nil
	}
	return a.takeBack(o, stock, ours)
}

// notePolicy remembers what a policy has become.
func (a *account) notePolicy(o *op) {
	body, ok := o.body.(object)
	if o.kind != "policy" || !ok {
		return
	}
	name := o.bind
	if r := reference.FindStringSubmatch(o.path); r != nil {
		name = r[1]
	}
	body = clone(body)
	a.repeated = o.method == "PUT" && a.policies[name] != nil && encode(asSets(a.policies[name])) == encode(asSets(body))
	a.policies[name] = body
}

// notePerson remembers whether somebody is blocked, or gone.
func (a *account) notePerson(o *op) {
	who := reference.FindStringSubmatch(o.path)
	if o.kind != "user" || who == nil {
		return
	}
	if blocked, said := o.sent("is_blocked").(bool); said && o.method == "PUT" {
		a.blocked[who[1]] = blocked
	}
	if o.method == "DELETE" && o.path == "/api/users/"+ref(who[1]) {
		a.deleted[who[1]] = true
	}
}

// asSets is a body without the order of its lists, and without members that say what is said without them.
func asSets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, member := range v {
			if member = asSets(member); member != nil && member != "" && member != false && encode(member) != "[]" {
				out[key] = member
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = asSets(v[i])
		}
		slices.SortFunc(out, func(a, b any) int { return strings.Compare(encode(a), encode(b)) })
		return out
	}
	return v
}

// takeBack undoes what one server alone has done, where it can be undone.
func (a *account) takeBack(o *op, stock, ours *harness.Answer) error {
	method, path := "DELETE", o.path+"/"+ref(o.bind)
	switch {
	case o.method == "PUT" && (o.before != nil || o.kind == "peer" || o.kind == "dns-settings"):
		method, path = "PUT", o.path
	case o.method != "POST" || o.bind == "":
		return apart(stock, ours)
	case o.kind == "visitor":
		path = "/api/peers/" + ref(o.bind)
	}
	for s, answer := range map[*server]*harness.Answer{a.stock: stock, a.ours: ours} {
		if answer.Status != 200 {
			continue
		}
		if method == "DELETE" && o.kind == "group" { // what is in it would keep it, even what is not there
			emptied, err := s.ask(a.ctx, "PUT", path, object{"name": o.sent("name"), "peers": []string{}, "resources": []object{}})
			if err != nil {
				return err
			}
			if emptied.Status != 200 {
				return fmt.Errorf("%w, and cannot be emptied: %d %s", apart(stock, ours), emptied.Status, emptied.Body)
			}
		}
		body := o.before
		if method == "PUT" && o.kind == "group" {
			var err error
			if body, err = a.other(s).group(a.ctx, path); err != nil {
				return err
			}
		}
		if o.kind == "dns-settings" {
			var err error
			if body, err = a.other(s).dnsSettings(a.ctx, path); err != nil {
				return err
			}
		}
		if method == "PUT" && o.kind == "peer" {
			var err error
			if body, err = a.other(s).peer(a.ctx, path); err != nil {
				return err
			}
			if o.sent("ip") != nil {
				body.(object)["ip"] = spareAddress
			}
		}
		undone, err := s.ask(a.ctx, method, path, body)
		if err != nil {
			return err
		}
		a.moved = true
		if undone.Status != 200 {
			return fmt.Errorf("%w, and cannot be undone: %d %s", apart(stock, ours), undone.Status, undone.Body)
		}
		if o.bind != "" {
			delete(s.names.ids, o.bind)
		}
	}
	a.undone = append(a.undone, inEvents(o))
	if ip, _ := o.sent("ip").(string); o.kind == "peer" && strings.HasSuffix(ip, ".0.0") {
		a.undone = append(a.undone, "<network 4>") // some events name a peer by its address
	}
	if o.kind == "visitor" {
		a.undone = append(a.undone, fmt.Sprintf("Temporary access policy for peer %v", o.sent("name")))
	}
	return nil
}

// giveBackAddresses gives a peer the addresses that it had on stock before a request that was refused: stock stores those that
// come before what it refuses.
func (a *account) giveBackAddresses(o *op) error {
	peer := reference.FindStringSubmatch(o.path)
	if peer == nil || o.sent("ip") == nil && o.sent("ipv6") == nil {
		return nil
	}
	now, err := a.stock.ask(a.ctx, "GET", o.path, nil)
	if err != nil || now.Status != http.StatusOK {
		return err
	}
	var has map[string]any
	if err := json.Unmarshal(now.Body, &has); err != nil {
		return err
	}
	body, err := a.stock.peer(a.ctx, o.path)
	if err != nil {
		return err
	}
	taken := false
	for _, member := range []string{"ip", "ipv6"} {
		is, _ := has[member].(string)
		had := a.stock.names.ids[member+" of "+peer[1]]
		if o.sent(member) != nil && is != "" && had != is { // one that it has lost may have gone before, with its group
			body.(object)[member], taken = had, true
		}
	}
	if !taken {
		return nil
	}
	a.counts.wanted++
	a.undone = append(a.undone, inEvents(o))
	undone, err := a.stock.ask(a.ctx, "PUT", o.path, body)
	if err == nil && undone.Status != http.StatusOK {
		err = fmt.Errorf("%w: its addresses cannot be given back: %d %s", errApart, undone.Status, undone.Body)
	}
	return err
}

// settle has stock give its IPv6 addresses by the settings. Where these change in the request that has groups of users given on
// to their peers, stock goes by who was in the new groups before; and then, if one of the groups that the settings named before
// gets a peer, by those. It stays with that.
func (a *account) settle(o *op, settings object, answer *harness.Answer) error {
	before, groups := a.settings, listOf(settings["ipv6_enabled_groups"])
	old := listOf(before["ipv6_enabled_groups"])
	a.settings = settings
	a.leftOut = a.leftOut || before["network_range_v6"] != nil && settings["network_range_v6"] == nil
	if answer.Status != http.StatusOK || before["groups_propagation_enabled"] == true || settings["groups_propagation_enabled"] != true ||
		encode(asSets(old)) == encode(asSets(groups)) {
		return nil
	}
	wrong, err := a.stock.unsettled(a.ctx, old, groups)
	if err != nil || !wrong {
		return err
	}
	other := []any{ref("group:All")}
	if encode(other) == encode(groups) {
		other = old
	}
	if len(groups) == 0 {
		a.undone = append(a.undone, "account.setting.ipv6.") // it is switched on and off once more
	}
	again := clone(o.body.(object))
	for _, groups := range [][]any{other, groups} {
		again["settings"].(object)["ipv6_enabled_groups"] = groups
		answer, err := a.stock.ask(a.ctx, o.method, o.path, again)
		if err != nil {
			return err
		}
		if answer.Status != http.StatusOK {
			return fmt.Errorf("the settings of stock once more: %d %s", answer.Status, answer.Body)
		}
	}
	a.counts.wanted++
	return nil
}

// unsettled tells whether the peers with an IPv6 address are those of the old groups in place of those of the new ones, or lack
// some that belong to people.
func (s *server) unsettled(ctx context.Context, old, groups []any) (bool, error) {
	var peers []struct {
		ID, IPv6 string
		User     string `json:"user_id"`
	}
	if err := s.get(ctx, "/api/peers", &peers); err != nil {
		return false, err
	}
	byOld, err := s.members(ctx, old)
	if err != nil {
		return false, err
	}
	byNew, err := s.members(ctx, groups)
	if err != nil {
		return false, err
	}
	has, belong := map[string]bool{}, maps.Clone(byNew)
	for _, p := range peers {
		if p.IPv6 != "" {
			has[p.ID] = true
		} else if p.User != "" {
			delete(belong, p.ID)
		}
	}
	return !maps.Equal(has, byNew) && (maps.Equal(has, byOld) || maps.Equal(has, belong)), nil
}

// members are the ids of the peers in groups, to which a script refers and which may be gone.
func (s *server) members(ctx context.Context, groups []any) (map[string]bool, error) {
	var all []struct {
		ID    string
		Peers []struct{ ID string }
	}
	out := map[string]bool{}
	err := s.get(ctx, "/api/groups", &all)
	for _, g := range all {
		if slices.Contains(groups, any(s.names.refer(g.ID))) {
			for _, p := range g.Peers {
				out[p.ID] = true
			}
		}
	}
	return out, err
}

// inEvents is what events call the object of a request.
func inEvents(o *op) string {
	switch {
	case o.bind != "":
		return "<" + o.bind + ">"
	case o.kind == "dns-settings":
		return "dns.setting."
	case o.kind == "peer": // its address as well
		return reference.FindStringSubmatch(o.path)[1] + ">"
	}
	named := reference.FindAllStringSubmatch(o.path, -1)
	return "<" + named[len(named)-1][1] + ">"
}

// other is the server that s is compared with.
func (a *account) other(s *server) *server {
	if s == a.stock {
		return a.ours
	}
	return a.stock
}

// spareAddress is one that no script gives to a peer.
const spareAddress = "100.200.250.250"

// peer is a request for what a peer is here.
func (s *server) peer(ctx context.Context, path string) (any, error) {
	var p object
	if err := s.get(ctx, path, &p); err != nil {
		return nil, err
	}
	return object{"name": p["name"], "ssh_enabled": p["ssh_enabled"], "login_expiration_enabled": p["login_expiration_enabled"],
		"inactivity_expiration_enabled": p["inactivity_expiration_enabled"]}, nil
}

// dnsSettings is a request for what they are here.
func (s *server) dnsSettings(ctx context.Context, path string) (any, error) {
	var now struct {
		Disabled []string `json:"disabled_management_groups"`
	}
	if err := s.get(ctx, path, &now); err != nil {
		return nil, err
	}
	groups := []string{}
	for _, id := range now.Disabled {
		groups = append(groups, s.names.refer(id))
	}
	return object{"disabled_management_groups": groups}, nil
}

// group is a request for what a group holds here: not all of it came with requests for the group.
func (s *server) group(ctx context.Context, path string) (any, error) {
	var g struct {
		Name             string
		Peers, Resources []map[string]string
	}
	if err := s.get(ctx, path, &g); err != nil {
		return nil, err
	}
	peers, resources := []string{}, []object{}
	for _, p := range g.Peers {
		peers = append(peers, s.names.refer(p["id"]))
	}
	for _, r := range g.Resources {
		resources = append(resources, object{"id": s.names.refer(r["id"]), "type": r["type"]})
	}
	return object{"name": g.Name, "peers": peers, "resources": resources}, nil
}

// compareAnswers compares two answers to one question.
func (a *account) compareAnswers(at string, o *op, stock, ours *harness.Answer) {
	var found []*difference
	if stock.Status != ours.Status {
		found = append(found, &difference{At: at, Field: "status", Stock: float64(stock.Status), Ours: float64(ours.Status)})
		found[0].Stock = fmt.Sprintf("%d %s", stock.Status, a.stock.names.text(string(bytes.TrimSpace(stock.Body))))
		found[0].Ours = fmt.Sprintf("%d %s", ours.Status, a.ours.names.text(string(bytes.TrimSpace(ours.Body))))
	} else {
		compare(at, "", a.stock.body(stock), a.ours.body(ours), &found)
	}
	a.note(o, found)
}

// body is the translated body of an answer.
func (s *server) body(a *harness.Answer) any {
	var v any
	if err := json.Unmarshal(a.Body, &v); err != nil {
		return s.names.text(string(a.Body))
	}
	v = s.names.value(v)
	withoutPresence(v)
	return v
}

// withoutPresence removes what depends on when a stream was noticed.
func withoutPresence(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "connected")
		delete(v, "last_seen")
		if v["expiration_date"] != nil { // of a token
			delete(v, "last_used")
		}
		if v["password"] != nil { // of a new user
			v["password"] = "<password>"
		}
		for _, member := range v {
			withoutPresence(member)
		}
	case []any:
		for _, member := range v {
			withoutPresence(member)
		}
	}
}

// login is a call to Login as a value that can be compared.
func (a *account) login(s *server, g *agent, o *op) (any, error) {
	answer, err := s.enrol(a.ctx, g, o)
	if err != nil {
		return s.failure(err)
	}
	return plainLogin(answer), nil
}

// failure is a refusal as a value; any other error stays one.
func (s *server) failure(err error) (any, error) {
	if !refused(err) {
		return nil, err
	}
	text := status.Convert(err)
	return map[string]any{"refused": text.Code().String(), "text": s.names.text(text.Message())}, nil
}

func refused(err error) bool {
	switch status.Code(unwrap(err)) {
	case codes.PermissionDenied, codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.Unauthenticated, codes.Internal,
		codes.AlreadyExists:
		return true
	}
	return false
}

// unwrap finds the status inside an error.
func unwrap(err error) error {
	for ; err != nil; err = errors.Unwrap(err) {
		if _, ok := status.FromError(err); ok {
			return err
		}
	}
	return nil
}

func isRefusal(v any) bool {
	m, ok := v.(map[string]any)
	return ok && m["refused"] != nil
}

// has tells whether there is what an agent is to register with.
func (s *server) has(o *op) bool {
	return s.names.ids[o.key+".secret"]+s.names.ids[o.as+".password"] != ""
}

func (a *account) register(o *op) error {
	if a.agents[o.peer] != nil {
		return nil
	}
	if !a.stock.has(o) || !a.ours.has(o) {
		return nil
	}
	g := &agent{name: o.peer, key: a.script.agents[o.peer].key, meta: o.meta}
	stock, ours, err := together(a, func(s *server) (any, error) { return a.login(s, g, o) })
	if err != nil {
		return err
	}
	a.moved = true
	a.counts.answers++
	for _, s := range a.both() {
		s.names.word(g.key.PublicKey().String(), "key of "+g.name)
	}
	if isRefusal(stock) != isRefusal(ours) {
		a.note(o, []*difference{{At: "login", Field: "refusal", Stock: stock, Ours: ours}})
		return fmt.Errorf("%w: stock %v, ours %v", errApart, brief(stock), brief(ours))
	}
	if isRefusal(stock) {
		a.differ("login of "+o.peer, o, stock, ours)
		return nil
	}
	a.agents[o.peer], a.brought[o.peer] = g, o.as
	if err := a.learn(); err != nil {
		return err
	}
	a.differ("login of "+o.peer, o, a.stock.names.value(stock), a.ours.names.value(ours))
	return nil
}

func (a *account) differ(at string, o *op, stock, ours any) {
	var found []*difference
	compare(at, "", stock, ours, &found)
	for _, d := range found {
		d.whole = stock
	}
	a.note(o, found)
}

// note keeps the differences that no rule explains.
func (a *account) note(o *op, found []*difference) {
	for _, d := range found {
		d.Op, d.account = o, a
		if r := d.wanted(); r != nil {
			a.counts.wanted++
		} else {
			a.found = append(a.found, d)
		}
	}
}

// behind bounds how long a replica of ours may answer a known peer as if the last change had not been.
const behind = 2 * time.Second

// unlike tells whether there is an unwanted difference between two answers to a login.
func (a *account) unlike(o *op, stock, ours any) bool {
	var found []*difference
	compare("login of "+o.peer, "", a.stock.names.value(stock), a.ours.names.value(ours), &found)
	return slices.ContainsFunc(found, func(d *difference) bool {
		d.Op, d.account = o, a
		return d.wanted() == nil
	})
}

func (a *account) relogin(o *op) error {
	g := a.agents[o.peer]
	if g == nil {
		return nil
	}
	for _, s := range a.both() {
		s.hangUp(o.peer)
	}
	g.meta = o.meta
	stock, ours, err := together(a, func(s *server) (any, error) { return a.login(s, g, o) })
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(behind); a.unlike(o, stock, ours) && time.Now().Before(deadline); {
		if ours, err = a.login(a.ours, g, o); err != nil {
			return err
		}
	}
	a.moved = true
	a.counts.answers++
	a.differ("login of "+o.peer, o, a.stock.names.value(stock), a.ours.names.value(ours))
	// As an agent does, and before others look: it is this that stores what the machine says of itself.
	_, _, err = together(a, func(s *server) (any, error) { return s.begin(a.ctx, g) })
	return err
}

// calls makes both servers hear one call of an agent, and compares what comes of it.
func (a *account) calls(o *op, what string, call func(s *server) error) (stock, ours any, err error) {
	stock, ours, err = together(a, func(s *server) (any, error) {
		if err := call(s); err != nil {
			return s.failure(err)
		}
		return "done", nil
	})
	if err == nil {
		a.moved = true
		a.counts.answers++
		a.differ(what, o, stock, ours)
	}
	return stock, ours, err
}

// tell is what an agent does without logging in again.
func (a *account) tell(o *op) error {
	g := a.agents[o.peer]
	if g == nil {
		return nil
	}
	g.meta = o.meta
	_, _, err := a.calls(o, "what "+o.peer+" tells", func(s *server) error { return s.bare(g).SyncMeta(a.ctx) })
	return err
}

func (a *account) logout(o *op) error {
	g := a.agents[o.peer]
	if g == nil {
		return nil
	}
	stock, ours, err := a.calls(o, "logout of "+o.peer, func(s *server) error { return s.bare(g).Logout(a.ctx) })
	if err != nil {
		return err
	}
	if isRefusal(stock) == isRefusal(ours) {
		return nil
	}
	for s, answer := range map[*server]any{a.stock: stock, a.ours: ours} {
		if !isRefusal(answer) {
			continue
		}
		gone, err := s.ask(a.ctx, "DELETE", "/api/peers/"+ref(o.peer), nil)
		if err != nil {
			return err
		}
		if gone.Status != http.StatusOK {
			return fmt.Errorf("%w: the peer stays on one: %d %s", errApart, gone.Status, gone.Body)
		}
	}
	a.undone = append(a.undone, "<"+o.peer+">")
	return nil
}

// look compares everything that can be asked for, and the map of every peer.
func (a *account) look() error {
	a.uses = nil
	for _, compare := range []func() error{a.compareLists, a.compareEvents, a.compareMaps} {
		if err := compare(); err != nil {
			return err
		}
	}
	return nil
}

// lists are the lists of an account.
var lists = []struct{ kind, path string }{
	{"settings", "/api/accounts"}, {"group", "/api/groups"}, {"group", "/api/groups?name=All"}, {"group", "/api/groups?name=none"},
	{"user", "/api/users"}, {"user", "/api/users?service_user=true"}, {"user", "/api/users/current"},
	{"peer", "/api/peers"}, {"peer", "/api/peers?name=node"}, {"setup-key", "/api/setup-keys"},
	{"policy", "/api/policies"}, {"posture-check", "/api/posture-checks"}, {"network", "/api/networks"},
	{"resource", "/api/networks/resources"}, {"router", "/api/networks/routers"}, {"route", "/api/routes"},
	{"nameserver", "/api/dns/nameservers"}, {"dns-settings", "/api/dns/settings"}, {"zone", "/api/dns/zones"},
	{"invite", "/api/users/invites"}, {"instance", "/api/instance"}, {"place", "/api/locations/countries"},
	{"place", "/api/locations/countries/DE/cities"}, {"identity-provider", "/api/identity-providers"}, {"proxy", "/api/events/proxy"},
	{"proxy", "/api/reverse-proxies/services"}, {"proxy", "/api/reverse-proxies/domains"}, {"proxy", "/api/reverse-proxies/clusters"},
	{"proxy", "/api/reverse-proxies/proxy-tokens"}, {"ingress", "/api/ingress/peers"},
}

// below are the lists that an object has of its own.
var below = map[string][]struct{ kind, path string }{
	"peer":    {{"peer", "/accessible-peers"}},
	"laptop":  {{"peer", "/accessible-peers"}},
	"network": {{"resource", "/resources"}, {"router", "/routers"}},
	"zone":    {{"record", "/records"}},
}

func (a *account) compareLists() error {
	for _, l := range lists {
		if a.off[l.kind] {
			continue
		}
		if err := a.compareGet(l.path); err != nil {
			return err
		}
	}
	// Objects one by one, those that both have.
	for _, name := range slices.Sorted(maps.Keys(a.stock.names.ids)) {
		kind, _, _ := strings.Cut(name, ":")
		path := a.path(name)
		if a.ours.names.ids[name] == "" || a.off[kind] || path == "" {
			continue
		}
		if err := a.compareGet(path); err != nil {
			return err
		}
		for _, l := range below[kind] {
			if !a.off[l.kind] {
				if err := a.compareGet(path + l.path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// path is where an object can be asked for, empty for what has no such place.
func (a *account) path(name string) string {
	kind, _, _ := strings.Cut(name, ":")
	for _, o := range a.script.ops {
		if o.bind == name && kind != "visitor" && kind != "user" && kind != "invite" {
			return o.path + "/" + ref(name)
		}
	}
	switch {
	case strings.HasSuffix(name, ".secret") || kind == "user":
		return ""
	case kind == "peer" || kind == "laptop" || kind == "visitor":
		return "/api/peers/" + ref(name)
	case collections[kind] != "":
		return collections[kind] + "/" + ref(name)
	}
	return ""
}

func (a *account) compareGet(path string) error {
	stock, ours, err := together(a, func(s *server) (*harness.Answer, error) { return s.ask(a.ctx, "GET", path, nil) })
	if err != nil {
		return err
	}
	a.counts.answers++
	a.compareAnswers("GET "+path, nil, stock, ours)
	return nil
}

// sight is what one agent sees on both servers.
type sight struct {
	agent       *agent
	stock, ours any   // of a new stream
	pushed      any   // by us, over the stream that was open; nil when there was none
	silent      error // why that is not the newest
	adjusted    int   // differences that we want, taken out of stock's
	err         error
}

// atOnce bounds how many agents sync at the same time.
const atOnce = 6

func (a *account) compareMaps() error {
	names := slices.Sorted(maps.Keys(a.agents))
	sights := make([]*sight, len(names))
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, name := range names {
		sights[i] = &sight{agent: a.agents[name]}
		all.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; all.Done() }()
			a.see(sights[i])
		}()
	}
	all.Wait()
	for _, s := range sights {
		if s.err != nil {
			return fmt.Errorf("sync of %s: %w", s.agent.name, s.err)
		}
		at := "map of " + s.agent.name
		before := len(a.found)
		a.differ(at, nil, s.stock, s.ours)
		if s.pushed != nil && len(a.found) == before {
			a.differ(pushed+at, nil, s.ours, s.pushed)
			if s.silent != nil {
				a.found = append(a.found, &difference{At: pushed + at, Field: "stream", Stock: "goes on", Ours: s.silent.Error()})
			}
		}
		a.counts.maps++
		a.counts.wanted += s.adjusted
		if isRefusal(s.stock) && isRefusal(s.ours) {
			delete(a.agents, s.agent.name) // deleted
		}
	}
	return nil
}

// pushed is how a difference is called that is not between the servers, but between two maps of ours: of a new stream and of one
// that was open.
const pushed = "pushed "

// pushLimit is how long our servers may take until an agent has the newest map.
const pushLimit = 20 * time.Second

// see gets the maps of one agent: stock's of a new stream, ours of the open one and of a new one.
func (a *account) see(s *sight) {
	s.stock, s.err = a.stock.begin(a.ctx, s.agent)
	if s.err != nil {
		return
	}
	s.adjusted = adjust(s.stock)
	if open := a.ours.line(s.agent.name); open != nil && !isRefusal(s.stock) {
		var holds map[string]any // by our own account; what stock says may be different, and wanted so
		if s.err = a.ours.get(a.ctx, "/api/peers/"+ref(s.agent.name)+"/network-map", &holds); s.err != nil {
			return
		}
		want, deadline := bareKey(plainHeld(holds)), time.Now().Add(pushLimit)
		for s.silent == nil && bareKey(plainSync(open.newest)) != want {
			s.silent = open.follow(time.Until(deadline))
		}
		s.pushed = a.ours.names.value(plainSync(open.newest))
	}
	s.ours, s.err = a.ours.begin(a.ctx, s.agent)
}
