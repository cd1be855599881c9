package differential

import (
	"fmt"
	"maps"
	"slices"
)

// How an account changes hands, and how it ends. Both have dice of their own: see aside.go.

// handOver makes somebody else the owner, who gives the account back. In between its founder is an admin.
func (w *world) handOver() {
	const founder = "user:owner"
	beside := *w
	beside.dice, beside.within = newDice(w.plan.seed^1<<62), true
	heirs := slices.DeleteFunc(beside.persons(), func(who string) bool { return who == founder || !slices.Contains(w.made["person"], who) })
	if !w.on("user") || !w.on("heir") || len(heirs) == 0 || beside.chance(30) {
		return
	}
	heir := pick(beside.dice, heirs)
	do := func(as, method, who string, body object) {
		o := &op{kind: "user", as: as, method: method, path: w.collection("user", "") + "/" + who}
		if body != nil {
			o.body = body
		}
		beside.add(o)
	}
	become := func(role string, blocked bool) object {
		return object{"role": role, "auto_groups": beside.refs("group", 0, 2), "is_blocked": blocked}
	}
	beside.add(&op{kind: "user", act: enter, as: heir})
	do(heir, "GET", "current", nil) // it is this that the server takes for the sign-in
	beside.add(&op{kind: "user", as: heir, method: "DELETE", path: "/api/accounts/${account}"})
	// Without groups, of which one may be gone: this is not to be refused.
	w.bodies[heir] = object{"role": "owner", "auto_groups": []string{}, "is_blocked": false}
	do("", "PUT", ref(heir), w.bodies[heir])
	for range beside.between(1, 4) {
		switch beside.IntN(6) {
		case 0:
			do("", "PUT", ref(heir), become("admin", false))
		case 1:
			do("", "PUT", ref(heir), become("owner", true))
		case 2:
			do("", "DELETE", ref(heir), nil)
		case 3:
			do("", "PUT", ref(founder), become("user", false))
		case 4:
			do("", "GET", "current", nil)
		default:
			do(heir, "GET", "current", nil)
		}
	}
	w.bodies[founder] = object{"role": "owner", "auto_groups": []string{}, "is_blocked": false}
	do(heir, "PUT", ref(founder), w.bodies[founder])
	w.bodies[heir] = object{"role": "admin", "auto_groups": []string{}, "is_blocked": false}
}

// end has the owner delete the account.
func (w *world) end() {
	if d := newDice(w.plan.seed ^ 1<<61); w.on("account") && d.chance(40) {
		w.script.ops = append(w.script.ops, &op{kind: "account", act: end})
	}
}

// enter has somebody sign in.
func (a *account) enter(o *op) error {
	if !a.stock.has(o) || !a.ours.has(o) {
		return nil
	}
	stock, ours, err := together(a, func(s *server) (any, error) {
		if err := s.signIn(o.as); err != nil {
			return s.failure(err)
		}
		return "done", nil
	})
	if err != nil {
		return err
	}
	a.entered[o.as] = true
	a.counts.answers++
	a.differ("sign-in of "+o.as, o, stock, ours)
	return nil
}

// end deletes the account, and compares what is left for those who had to do with it.
func (a *account) end(o *op) error {
	for _, ask := range []*op{
		{kind: o.kind, method: "DELETE", path: "/api/accounts/${account}"},
		{kind: o.kind, method: "GET", path: "/api/users/current"},
		{kind: o.kind, method: "GET", path: "/api/instance"},
	} {
		if err := a.request(ask); err != nil {
			return err
		}
		a.ended = true
	}
	if err := a.enter(&op{kind: o.kind, act: enter, as: "user:owner"}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(a.agents)) {
		g := a.agents[name]
		for at, call := range map[string]func(*server) (any, error){
			"login": func(s *server) (any, error) { return a.login(s, g, &op{}) },
			"sync":  func(s *server) (any, error) { return s.begin(a.ctx, g) },
		} {
			stock, ours, err := together(a, call)
			if err != nil {
				return fmt.Errorf("%s of %s: %w", at, name, err)
			}
			a.counts.answers++
			a.differ(at+" of "+name+" after the end", o, stock, ours)
		}
	}
	return nil
}
