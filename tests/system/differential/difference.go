package differential

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// difference is one place where the two servers disagree.
type difference struct {
	At    string // what was asked: "POST /api/groups", "map of <peer:3>"
	Op    *op    // the request, when it is about one
	Field string // path inside the answer: NetworkMap.FirewallRules[].Port
	Stock any
	Ours  any
	Whole bool // a whole element of a set, which the other side lacks

	account *account // whose difference it is
	whole   any      // all of stock's answer
}

// absent stands for what one side does not have.
type absentValue struct{}

func (absentValue) MarshalJSON() ([]byte, error) { return []byte(`"(absent)"`), nil }

var absent = absentValue{}

func (d *difference) String() string {
	s := fmt.Sprintf("%s: %s\n      stock %s\n      ours  %s", d.At, d.Field, brief(d.Stock), brief(d.Ours))
	if d.Op != nil {
		s += "\n      sent  " + d.Op.String()
	}
	return s
}

func brief(v any) string {
	text := encode(v)
	if len(text) > 1500 {
		text = text[:1500] + "..."
	}
	return text
}

// encode is canonical: encoding/json sorts the keys of maps.
func encode(v any) string {
	var text strings.Builder
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	if err := to.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(text.String())
}

// which finds what tells one object from another.
var which = regexp.MustCompile(`\[[^\]]+\]|:\d+`)

// class is the same for all differences that are one: the same field of the same question, whichever object it is about.
func (d *difference) class() string { return which.ReplaceAllString(d.At+": "+d.Field, "") }

// ordered are the lists whose order means something, or is to be given back as it was sent. All others are sets.
var ordered = []string{"rules", "ports", "port_ranges", "domains", "nameservers", "NameServers", "locations", "ranges",
	"processes", "sources", "destinations", "peer_groups", "access_control_groups", "auto_groups", "distribution_groups",
	"disabled_management_groups", "ipv6_enabled_groups", "source_posture_checks"}

// identities are the members by which two elements of a set are known to be the same thing, best first.
var identities = []string{allButSources, "id", "ID", "wgPubKey", "Domain", "RouteID", "name", "Name", "destination"}

// allButSources is the identity of a routing peer's rule: everything but whom it lets through.
const allButSources = "sourceRanges"

// identity is nil for a value that has none of that name.
func identity(name string, v any) any {
	m, _ := v.(map[string]any)
	if name != allButSources {
		return m[name]
	}
	if m["RouteID"] == nil {
		return nil
	}
	rest := maps.Clone(m)
	delete(rest, name)
	return rest
}

// compare adds what differs between two values to the list.
func compare(at, field string, stock, ours any, out *[]*difference) {
	switch s := stock.(type) {
	case map[string]any:
		if o, ok := ours.(map[string]any); ok {
			compareObjects(at, field, s, o, out)
			return
		}
	case []any:
		if o, ok := ours.([]any); ok {
			if slices.Contains(ordered, lastName(field)) {
				compareLists(at, field, s, o, out)
			} else {
				compareSets(at, field, s, o, out)
			}
			return
		}
	}
	if encode(stock) != encode(ours) {
		*out = append(*out, &difference{At: at, Field: field, Stock: stock, Ours: ours})
	}
}

func lastName(field string) string {
	field = strings.TrimSuffix(field, "[]")
	return field[strings.LastIndexByte(field, '.')+1:]
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

func compareObjects(at, field string, stock, ours map[string]any, out *[]*difference) {
	keys := slices.Sorted(maps.Keys(stock))
	for key := range ours {
		if _, both := stock[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		s, inStock := stock[key]
		o, inOurs := ours[key]
		if !inStock {
			s = absent
		}
		if !inOurs {
			o = absent
		}
		if !strings.Contains(at, "/api/") { // an empty list is nothing in a map, but not in JSON
			s, o = listLike(s, o), listLike(o, s)
		}
		compare(at, join(field, key), s, o, out)
	}
}

// listLike makes an empty set of what is absent where the other side has a set.
func listLike(v, other any) any {
	if _, isList := other.([]any); isList && v == absent {
		return []any{}
	}
	return v
}

func compareLists(at, field string, stock, ours []any, out *[]*difference) {
	if len(stock) != len(ours) {
		*out = append(*out, &difference{At: at, Field: field, Stock: stock, Ours: ours})
		return
	}
	for i := range stock {
		compare(at, fmt.Sprintf("%s[%d]", field, i), stock[i], ours[i], out)
	}
}

// compareSets leaves aside what both have; of the rest, elements with one identity are compared with each other.
func compareSets(at, field string, stock, ours []any, out *[]*difference) {
	s, o := onlyIn(stock, ours), onlyIn(ours, stock)
	for _, name := range identities {
		s, o = comparePairs(at, field, name, s, o, out)
	}
	for _, v := range s {
		*out = append(*out, &difference{At: at, Field: field + "[]", Stock: v, Ours: absent, Whole: true})
	}
	for _, v := range o {
		*out = append(*out, &difference{At: at, Field: field + "[]", Stock: absent, Ours: v, Whole: true})
	}
}

// comparePairs compares the elements that are alone on their side with an identity, and returns the others.
func comparePairs(at, field, name string, stock, ours []any, out *[]*difference) (s, o []any) {
	byID := func(list []any) map[string][]any {
		found := map[string][]any{}
		for _, v := range list {
			if id := identity(name, v); id != nil {
				found[encode(id)] = append(found[encode(id)], v)
			}
		}
		return found
	}
	inStock, inOurs := byID(stock), byID(ours)
	paired := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(inStock)) {
		if len(inStock[id]) == 1 && len(inOurs[id]) == 1 {
			paired[id] = true
			compare(at, fmt.Sprintf("%s[%s]", field, strings.Trim(id, `"`)), inStock[id][0], inOurs[id][0], out)
		}
	}
	rest := func(list []any) []any {
		return slices.DeleteFunc(slices.Clone(list), func(v any) bool {
			id := identity(name, v)
			return id != nil && paired[encode(id)]
		})
	}
	return rest(stock), rest(ours)
}

// onlyIn are the elements of a that b has not, each once.
func onlyIn(a, b []any) []any {
	have := map[string]bool{}
	for _, v := range b {
		have[setKey(v)] = true
	}
	var out []any
	for _, v := range a {
		if key := setKey(v); !have[key] {
			have[key] = true
			out = append(out, v)
		}
	}
	return out
}

// setKey is equal for two values that compare as equal, whatever the order of the sets inside them.
func setKey(v any) string { return encode(sorted("", v)) }

func sorted(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			out[key] = sorted(key, member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = sorted("", v[i])
		}
		if !slices.Contains(ordered, name) {
			slices.SortFunc(out, func(a, b any) int { return strings.Compare(encode(a), encode(b)) })
		}
		return out
	}
	return v
}
