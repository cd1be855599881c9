package differential

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/netbirdio/netbird/shared/management/proto"
)

// A script is everything that happens to an account, in order. It holds no id of either server: objects have names, and a
// request speaks of one as ${group:3}. It is a function of the seed, and what is left out of it does not change the rest.
type script struct {
	agents map[string]*agent
	ops    []*op
}

// op is one act, done to both servers.
type op struct {
	kind string // of object: what switches and shrinking go by
	act  act

	method, path string
	body         any
	bind         string // the name that the object in the answer gets
	as           string // who does it, if not the owner: the name of a user or a token
	before       any    // what an update replaces, when that is known

	peer   string
	key    string // name of the setup key
	labels []string
	meta   *proto.PeerSystemMeta // what the agent says from now on
}

type act int

const (
	request  act = iota // over REST
	register            // a new agent logs in with a setup key
	relogin             // an agent comes back, perhaps changed
	tell                // an agent tells over its connection that it has changed
	logout              // an agent leaves for good
	work                // an agent does a job
	enter               // somebody signs in
	end                 // the owner deletes the account
	look                // compare everything
)

func (o *op) String() string {
	switch o.act {
	case request:
		s := o.method + " " + o.path
		if o.body != nil {
			s += " " + encode(o.body)
		}
		if o.as != "" {
			s = o.as + ": " + s
		}
		return s
	case register:
		return fmt.Sprintf("%s registers with %s%s, labels %v: %s", o.peer, o.key, o.as, o.labels, machineText(o.meta))
	case relogin:
		return fmt.Sprintf("%s comes back as %s", o.peer, machineText(o.meta))
	case tell:
		return fmt.Sprintf("%s tells that it is %s", o.peer, machineText(o.meta))
	case logout:
		return o.peer + " logs out"
	case work:
		return o.peer + " works: " + encode(o.body)
	case enter:
		return o.as + " signs in"
	case end:
		return "the account ends"
	case look:
		return "look"
	}
	return "?"
}

func machineText(m *proto.PeerSystemMeta) string { return strings.ReplaceAll(m.String(), "  ", " ") }

// ref is how a request speaks of an object.
func ref(name string) string { return "${" + name + "}" }

// object is a JSON object.
type object = map[string]any

// clone copies a body, so that it can be changed.
func clone(body object) object { return asJSON(body).(object) }

// asJSON is a value as it comes out of JSON.
func asJSON(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}
