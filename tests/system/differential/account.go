package differential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

	agents    map[string]*agent // those that are registered, with what they said last
	moved     bool              // addresses or peers may have changed since they were learned
	onboarded bool              // a refused change of the settings had that part
	openSSH   map[string]bool   // policies for netbird-ssh without ports, by their names
	found     []*difference
	counts    counts
}

// counts are what was compared.
type counts struct{ maps, answers, wanted int }

func (c *counts) add(o counts) {
	c.maps += o.maps
	c.answers += o.answers
	c.wanted += o.wanted
}

// errApart ends an account that the servers no longer hold in the same way.
var errApart = errors.New("the accounts have come apart")

// run plays the script; an error says that it could not be played.
func (a *account) run() error {
	defer a.stock.cut()
	defer a.ours.cut()
	for _, s := range a.both() {
		if err := s.open(a.ctx); err != nil {
			return err
		}
	}
	a.agents, a.openSSH = map[string]*agent{}, map[string]bool{}
	for _, o := range a.script.ops {
		if err := a.play(o); err != nil {
			if errors.Is(err, errApart) {
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
	case logout:
		return a.logout(o)
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

// longLabels gives one name to the two labels of a peer whose label is too long for DNS on stock, and just short enough on ours.
func (a *account) longLabels() error {
	const most, kept = 63, 63 - len("-255-255")
	for name, stock := range a.stock.labels {
		ours := a.ours.labels[name]
		if len(stock) <= most || len(ours) > most {
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

// request sends one REST request to both, and compares the answers.
func (a *account) request(o *op) error {
	stock, ours, err := together(a, func(s *server) (*harness.Answer, error) { return s.ask(a.ctx, o.method, o.path, o.body) })
	if err != nil {
		return err
	}
	if o.bind != "" {
		a.stock.learnObject(o.bind, stock)
		a.ours.learnObject(o.bind, ours)
	}
	a.counts.answers++
	a.noteSSH(o, stock.Status)
	a.onboarded = a.onboarded || o.kind == "settings" && stock.Status != 200 && o.sent("onboarding") != nil
	a.moved = a.moved || o.kind == "settings" || o.kind == "peer"
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

// noteSSH remembers which policies allow SSH and name no port.
func (a *account) noteSSH(o *op, status int) {
	body, ok := o.body.(object)
	if o.kind != "policy" || status != 200 || !ok {
		return
	}
	name := o.bind
	if r := reference.FindStringSubmatch(o.path); r != nil {
		name = r[1]
	}
	rule := sorted("", asJSON(body)).(object)["rules"].([]any)[0].(object)
	ports, _ := rule["ports"].([]any)
	ranges, _ := rule["port_ranges"].([]any)
	a.openSSH[name] = rule["protocol"] == "netbird-ssh" && len(ports)+len(ranges) == 0
}

// learnObject gives the object of an answer its name, and its setup key one.
func (s *server) learnObject(name string, a *harness.Answer) {
	var made struct{ ID, Key string }
	if a.Status != 200 || json.Unmarshal(a.Body, &made) != nil || made.ID == "" {
		return
	}
	s.names.bind(name, made.ID)
	if made.Key != "" {
		s.names.ids[name+".secret"] = made.Key
		s.names.word(made.Key, name+".secret")
	}
}

// takeBack undoes what one server alone has done, where it can be undone.
func (a *account) takeBack(o *op, stock, ours *harness.Answer) error {
	method, path := "DELETE", o.path+"/"+ref(o.bind)
	if o.method == "PUT" && o.before != nil {
		method, path = "PUT", o.path
	} else if o.method != "POST" || o.bind == "" {
		return errApart
	}
	for s, answer := range map[*server]*harness.Answer{a.stock: stock, a.ours: ours} {
		if answer.Status != 200 {
			continue
		}
		body := o.before
		if method == "PUT" && o.kind == "group" {
			var err error
			if body, err = a.other(s).group(a.ctx, path); err != nil {
				return err
			}
		}
		undone, err := s.ask(a.ctx, method, path, body)
		if err != nil {
			return err
		}
		if undone.Status != 200 {
			return errApart
		}
		if o.bind != "" {
			delete(s.names.ids, o.bind)
		}
	}
	return nil
}

// other is the server that s is compared with.
func (a *account) other(s *server) *server {
	if s == a.stock {
		return a.ours
	}
	return a.stock
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
	answer, err := s.bare(g).TryLogin(a.ctx, s.names.ids[o.key+".secret"], o.labels...)
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

func (a *account) register(o *op) error {
	if a.agents[o.peer] != nil {
		return nil
	}
	if a.stock.names.ids[o.key+".secret"] == "" || a.ours.names.ids[o.key+".secret"] == "" {
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
		return errApart
	}
	if isRefusal(stock) {
		a.differ("login of "+o.peer, o, stock, ours)
		return nil
	}
	a.agents[o.peer] = g
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
	a.moved = true
	a.counts.answers++
	a.differ("login of "+o.peer, o, a.stock.names.value(stock), a.ours.names.value(ours))
	// As an agent does, and before others look: it is this that stores what the machine says of itself.
	_, _, err = together(a, func(s *server) (any, error) { return s.begin(a.ctx, g) })
	return err
}

func (a *account) logout(o *op) error {
	g := a.agents[o.peer]
	if g == nil {
		return nil
	}
	stock, ours, err := together(a, func(s *server) (any, error) {
		if err := s.bare(g).Logout(a.ctx); err != nil {
			return s.failure(err)
		}
		return "done", nil
	})
	if err != nil {
		return err
	}
	a.moved = true
	a.counts.answers++
	a.differ("logout of "+o.peer, o, stock, ours)
	return nil
}

// look compares everything that can be asked for, and the map of every peer.
func (a *account) look() error {
	if err := a.compareLists(); err != nil {
		return err
	}
	return a.compareMaps()
}

// lists are the lists of an account. {} stands for the id of each element of the list above.
var lists = []struct{ kind, path string }{
	{"settings", "/api/accounts"}, {"group", "/api/groups"}, {"peer", "/api/peers"}, {"setup-key", "/api/setup-keys"},
	{"policy", "/api/policies"}, {"posture-check", "/api/posture-checks"}, {"network", "/api/networks"},
	{"resource", "/api/networks/resources"}, {"router", "/api/networks/routers"}, {"route", "/api/routes"},
	{"nameserver", "/api/dns/nameservers"}, {"dns-settings", "/api/dns/settings"}, {"zone", "/api/dns/zones"},
}

// below are the lists that an object has of its own.
var below = map[string][]struct{ kind, path string }{
	"peer":    {{"peer", "/accessible-peers"}},
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
		if a.ours.names.ids[name] == "" || a.off[kind] || collections[kind] == "" && kind != "peer" || strings.HasSuffix(name, ".secret") {
			continue
		}
		path := collections[kind]
		if kind == "peer" {
			path = "/api/peers"
		}
		if !strings.HasPrefix(path, "/api") {
			continue // is in its parent's list
		}
		path += "/" + ref(name)
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
	stock, ours any // of a new stream
	pushed      any // by us, over the stream that was open; nil when there was none
	adjusted    int // differences that we want, taken out of stock's
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
			a.differ("pushed "+at, nil, s.ours, s.pushed)
		}
		a.counts.maps++
		a.counts.wanted += s.adjusted
		if isRefusal(s.stock) && isRefusal(s.ours) {
			delete(a.agents, s.agent.name) // deleted
		}
	}
	return nil
}

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
		want, deadline := setKey(s.stock), time.Now().Add(pushLimit)
		for {
			s.pushed = a.ours.names.value(plainSync(open.newest))
			if setKey(s.pushed) == want || !open.follow(time.Until(deadline)) {
				break
			}
		}
	}
	s.ours, s.err = a.ours.begin(a.ctx, s.agent)
}
