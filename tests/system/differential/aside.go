package differential

import (
	"fmt"
	"slices"
)

// Besides what its owner makes of it, an account has people who sign in, programs with tokens, and mistakes. What these do comes
// between the acts of the owner, by dice of its own: whatever is added here, a seed has the same objects as before.

// aside is one sort of such acts.
type aside struct {
	kind string
	do   func(*world)
}

func asides() []aside {
	return []aside{
		{"token", (*world).token}, {"token", (*world).token}, {"laptop", (*world).laptop}, {"laptop", (*world).laptop},
		{"invite", (*world).invite}, {"job", (*world).job}, {"unknown", (*world).unknown}, {"unknown", (*world).unknown}, {"formality", (*world).formality},
		{"other", (*world).other}, {"other", (*world).other}, {"other", (*world).other}, {"other", (*world).other},
	}
}

// interject does something aside, now and then.
func (w *world) interject() {
	if w.within || !w.others.chance(20) {
		return
	}
	beside := *w
	beside.dice, beside.within = w.others, true
	if a := pick(beside.dice, asides()); w.on(a.kind) {
		a.do(&beside)
	}
}

// foreign is a new name for an object that the owner does not make.
func (w *world) foreign(kind string) string {
	w.count["foreign"]++
	return fmt.Sprintf("%s:%d", kind, 1000+w.count["foreign"])
}

// token makes a token, mostly for a service user or the owner: others are refused. Or it takes one back.
func (w *world) token() {
	if token, ok := w.one("token"); ok && w.chance(20) {
		w.remove(token)
		return
	}
	user, ok := w.one("user")
	if !ok {
		return
	}
	path := "/api/users/" + ref(user) + "/tokens"
	name := w.name("token")
	w.paths[name] = path + "/" + ref(name)
	w.made["token"] = append(w.made["token"], name)
	w.add(&op{kind: "token", method: "POST", path: path, bind: name,
		body: object{"name": pick(w.dice, []string{"ci", "ci", "backup", ""}), "expires_in": pick(w.dice, []int{1, 30, 365, 365, 0, 366})}})
	w.add(&op{kind: "token", method: "GET", path: path})
}

// guestPassword is that of everybody who takes an invitation.
const guestPassword = "Welcome-to-1"

// persons are the users who can sign in, as far as nobody has blocked them.
func (w *world) persons() []string {
	out := append([]string{"user:owner"}, w.made["guest"]...)
	for _, o := range w.script.ops {
		if body, ok := o.body.(object); ok && o.kind == "user" && o.method == "POST" && body["is_service_user"] == false {
			out = append(out, o.bind)
		}
	}
	return slices.DeleteFunc(out, func(user string) bool { return w.bodies[user]["is_blocked"] == true })
}

// laptop is a peer that somebody brings by signing in. Later it comes back, or leaves.
func (w *world) laptop() {
	if laptop, ok := w.one("laptop"); ok && w.chance(30) {
		w.add(&op{kind: "laptop", act: pick(w.dice, []act{relogin, relogin, tell, logout}), peer: laptop,
			meta: w.changed(w.script.agents[laptop].meta)})
		return
	}
	name := w.name("laptop")
	a := &agent{name: name, key: w.wireguardKey(), meta: w.machine(name)}
	w.script.agents[name] = a
	w.paths[name] = w.collection("peer", "") + "/" + ref(name)
	w.made["laptop"] = append(w.made["laptop"], name)
	o := &op{kind: "laptop", act: register, peer: name, as: pick(w.dice, w.persons()), meta: a.meta}
	w.made["person"] = append(w.made["person"], o.as)
	w.add(o)
	for range w.IntN(3) {
		body := w.peer()
		body["login_expiration_enabled"], body["inactivity_expiration_enabled"] = w.chance(50), w.chance(50)
		w.add(&op{kind: "peer", method: "PUT", path: w.paths[name], body: body})
	}
}

// invite makes an invitation link, or does something with one.
func (w *world) invite() {
	const path = "/api/users/invites"
	if invite, ok := w.one("invite"); ok && w.chance(60) {
		secret := path + "/" + ref(invite+".secret")
		switch w.IntN(3) {
		case 0:
			w.add(&op{kind: "invite", method: "POST", path: w.paths[invite] + "/regenerate", body: object{"expires_in": pick(w.dice, []int{3600, 60, 259200})}})
		case 1:
			w.remove(invite)
		default:
			if w.count["link"]++; w.count["link"] > 2 { // a stranger has five tries at once, and when he has the next is a matter of the clock
				return
			}
			w.add(&op{kind: "invite", method: "GET", path: secret})
			guest := w.foreign("user")
			w.made["guest"] = append(w.made["guest"], guest)
			w.add(&op{kind: "guest", method: "POST", path: secret + "/accept", bind: guest,
				body: object{"password": pick(w.dice, []string{guestPassword, guestPassword, "short", "no-capital-1", ""})}})
		}
		w.add(&op{kind: "invite", method: "GET", path: path})
		return
	}
	name := w.name("invite")
	w.paths[name] = path + "/" + ref(name)
	w.made["invite"] = append(w.made["invite"], name)
	w.add(&op{kind: "invite", method: "POST", path: path, bind: name, body: object{"name": pick(w.dice, []string{"Eve", "Eve", ""}),
		"email": fmt.Sprintf("eve%d@rookery.test", w.between(1, 3)), "role": pick(w.dice, roles), "auto_groups": w.refs("group", 0, 2),
		"expires_in": pick(w.dice, []int{3600, 259200, 259200, 60})}})
	w.add(&op{kind: "invite", method: "GET", path: path})
}

// job asks a peer to do something. Mostly it listens, or would if it were young enough.
func (w *world) job() {
	peer, ok := w.one("peer")
	if !ok {
		return
	}
	path := w.paths[peer] + "/jobs"
	parameters := object{"bundle_for": w.chance(60), "bundle_for_time": w.between(1, 5), "anonymize": w.chance(50), "log_file_count": w.between(1, 1000)}
	o := &op{kind: "job", method: "POST", path: path, body: object{"workload": object{"type": "bundle", "parameters": parameters}}}
	switch {
	case w.chance(60):
		o.act, o.peer, o.bind = work, peer, w.name("job")
	case w.chance(30):
		o.body.(object)["workload"].(object)["type"] = pick(w.dice, []string{"dance", ""})
	default: // surely wrong: what is right is taken by ours from a peer that does not listen, too
		parameters["bundle_for"] = true
		wrong := map[string][]any{"bundle_for_time": {0, 6, -1, "text"}, "log_file_count": {0, 1001, -1, 1.5}}
		member := pick(w.dice, sortedKeys(wrong))
		parameters[member] = pick(w.dice, wrong[member])
	}
	w.add(o)
	w.add(&op{kind: "job", method: "GET", path: path})
	w.add(&op{kind: "job", method: "GET", path: path + "/" + nobody})
}

// formality does to a user what is for users in another state.
func (w *world) formality() {
	user, ok := w.one("user")
	if !ok {
		return
	}
	path := w.paths[user]
	o := pick(w.dice, []*op{{method: "POST", path: path + "/approve"}, {method: "DELETE", path: path + "/reject"}, {method: "POST", path: path + "/invite"},
		{method: "PUT", path: path + "/password", body: object{"old_password": pick(w.dice, []string{"", "wrong-One-1"}),
			"new_password": pick(w.dice, []string{"", "short", "Another-one-2"})}}})
	o.kind = "formality"
	w.add(o)
}

// unknown asks for what is not there.
func (w *world) unknown() {
	kind := pick(w.dice, sortedKeys(collections))
	o := &op{kind: kind, method: pick(w.dice, []string{"GET", "PUT", "DELETE"}), path: w.somewhere(kind) + "/" + nobody}
	if o.method == "PUT" {
		name, _ := w.one(kind)
		o.body = w.content(kind, name)
	}
	w.add(o)
}

// somewhere is a collection of objects of that kind.
func (w *world) somewhere(kind string) string {
	of := parents[kind]
	parent, ok := w.one(of)
	if of != "" && !ok {
		return collections[of] + "/" + nobody + collections[kind]
	}
	return w.collection(kind, parent)
}

// content is a body for an object of that kind, or for a new one.
func (w *world) content(kind, name string) object {
	if kind == "record" {
		zone, _ := w.one("zone")
		return w.record(zone)
	}
	return w.body(kind, name)
}

// other has somebody else than the owner read or change something.
func (w *world) other() {
	who, ok := w.one("token")
	if person, has := w.one("person"); has && (!ok || w.chance(50)) {
		who, ok = person, true
	}
	if !ok {
		return
	}
	if w.chance(60) {
		for _, l := range some(w.dice, lists, 3) {
			w.add(&op{kind: "other", as: who, method: "GET", path: l.path})
		}
	}
	kind := pick(w.dice, sortedKeys(collections))
	name, has := w.one(kind)
	switch n := w.IntN(10); {
	case n < 3:
		body := w.content(kind, "")
		if kind == "router" {
			body["enabled"] = true // of a new one stock heeds nothing else, and nobody sets it right here
		}
		w.add(&op{kind: kind, as: who, method: "POST", path: w.somewhere(kind), body: body, bind: w.foreign(kind)})
	case !has:
	case n < 6:
		w.add(&op{kind: kind, as: who, method: "GET", path: w.paths[name]})
	case n < 9:
		body := w.content(kind, name)
		if before := w.bodies[name]; before != nil {
			w.add(&op{kind: kind, as: who, method: "PUT", path: w.paths[name], body: body, before: before})
			w.bodies[name] = body
		}
	default:
		w.add(&op{kind: kind, as: who, method: "DELETE", path: w.paths[name]})
	}
}
