package differential

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// names translates what each server chose by itself (ids, addresses, secrets, times) to what the script calls it, so that two
// answers can be compared word by word; and the script's names to ids.
type names struct {
	ids   map[string]string // name -> id
	words map[string]string // id, address, key, label -> name
}

func newNames() *names {
	return &names{ids: map[string]string{}, words: map[string]string{}}
}

// bind gives an id a name; an object that is created again takes the name over.
func (n *names) bind(name, id string) {
	n.ids[name] = id
	n.words[id] = "<" + name + ">"
}

// word names something that is no id: an address, a label, a key.
func (n *names) word(text, name string) {
	if text != "" {
		n.words[text] = "<" + name + ">"
	}
}

// user names what maps and messages have in place of a user's id.
func (n *names) user(name string) {
	n.word(strings.ToLower(n.ids[name]), name)
	hash, err := blake2b.New(16, nil)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(hash, n.ids[name])
	n.word(hex.EncodeToString(hash.Sum(nil)), name)
}

// address names an address of the overlay, and the tail that the peer's DNS label has when it is made of that address; others may
// have the same from an address of another range.
func (n *names) address(text, name, label string) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return
	}
	n.word(ip.String(), name)
	n.ids[name] = ip.String()
	if !ip.Is4() {
		return
	}
	octets := ip.As4()
	if tail := fmt.Sprintf("-%d-%d", octets[2], octets[3]); strings.HasSuffix(label, tail) {
		n.word(tail, name+" tail")
	}
}

// network names the first address of a range.
func (n *names) network(text, name string) {
	if p, err := netip.ParsePrefix(text); err == nil {
		n.word(p.Masked().Addr().String(), name)
	}
}

// reference is how a script's request speaks of an object: ${group:3}.
var reference = regexp.MustCompile(`\$\{([^}]+)\}`)

// nobody is an id that no server has given to anything.
const nobody = "vvvvvvvvvvvvvvvvvvvv"

// fill replaces the references in a request. What was never created gets an id that nothing has.
func (n *names) fill(text string) string {
	return reference.ReplaceAllStringFunc(text, func(r string) string {
		if id, ok := n.ids[r[2:len(r)-1]]; ok {
			return id
		}
		return nobody
	})
}

// token finds the parts of a text that a server may have chosen.
var token = regexp.MustCompile(`\b[a-z0-9][a-z0-9-]{60,}\b` + // a very long DNS label
	`|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*(Z|[+-]\d\d:\d\d)` + // a time
	`|\b[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b` + // a UUID
	`|\b[0-9A-F]{5}\*\*\*\*` + // a masked setup key
	`|\bnb[ip]_[0-9A-Za-z]+` + // a token, that of an invitation too
	`|[A-Za-z0-9+/]{43}=` + // a WireGuard key
	`|\b[0-9a-f]{32}\b` + // the hash of a user's id
	`|\b[0-9a-v]{20}\b` + // an id
	`|\bfd[0-9a-f]{2}:[0-9a-f:]+` + // an address of the overlay
	`|\b\d{1,3}(\.\d{1,3}){3}\b` +
	`|\b[Cc]i[A-Za-z0-9+/]{40,}=*` + // a user of the built-in identity provider
	`|(-\d{1,3}){2,}\b`) // the tail of a DNS label

// tail splits the numbers that a DNS label ends with: a host's name may have some of its own.
var lastNumbers = regexp.MustCompile(`(-\d{1,3}){2,}$`)

var tail = regexp.MustCompile(`^(.*?)(-\d{1,3}-\d{1,3})$`)

const never = "0001-01-01T00:00:00Z"

// text translates one string.
func (n *names) text(s string) string {
	return token.ReplaceAllStringFunc(s, func(word string) string {
		if name, ok := n.words[word]; ok {
			return name
		}
		switch {
		case strings.HasPrefix(word, "-"):
			if m := tail.FindStringSubmatch(word); m != nil && n.words[m[2]] != "" {
				return m[1] + n.words[m[2]]
			}
		case strings.HasPrefix(word, "fd"):
			if ip, err := netip.ParseAddr(word); err == nil {
				if name, ok := n.words[ip.String()]; ok {
					return name
				}
			}
		case strings.Contains(word, "T") && strings.Contains(word, ":"):
			if word != never {
				return "<time>"
			}
		case strings.HasSuffix(word, "****"):
			return "<masked key>"
		case strings.HasPrefix(word, "nb"):
			return "<token>"
		case len(word) == 36 && strings.Count(word, "-") == 4:
			return "<uuid>"
		}
		return word
	})
}

// refer is the reference for an id; an unknown one stays as it is.
func (n *names) refer(id string) string {
	if name := n.words[id]; name != "" {
		return "${" + strings.Trim(name, "<>") + "}"
	}
	return id
}

// value translates every string of a JSON value, the keys of objects too.
func (n *names) value(v any) any {
	switch v := v.(type) {
	case string:
		return n.text(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = n.value(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			out[n.text(key)] = n.value(member)
		}
		return out
	}
	return v
}
