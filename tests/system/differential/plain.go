package differential

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/netbirdio/netbird/shared/management/proto"
)

// plain turns a message into the kind of value that encoding/json makes: maps, lists, strings, numbers as float64. What is not
// set is left out.
func plain(m protoreflect.Message) map[string]any {
	out := map[string]any{}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			members := map[string]any{}
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				members[k.String()] = plainValue(f.MapValue(), v)
				return true
			})
			out[string(f.Name())] = members
		case f.IsList():
			list := make([]any, v.List().Len())
			for i := range list {
				list[i] = plainValue(f, v.List().Get(i))
			}
			out[string(f.Name())] = list
		default:
			out[string(f.Name())] = plainValue(f, v)
		}
		return true
	})
	return out
}

func plainValue(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return plain(v.Message())
	case protoreflect.EnumKind:
		if value := f.Enum().Values().ByNumber(v.Enum()); value != nil {
			return string(value.Name())
		}
		return float64(v.Enum())
	case protoreflect.BytesKind:
		return plainBytes(string(f.Name()), v.Bytes())
	case protoreflect.StringKind:
		return v.String()
	case protoreflect.BoolKind:
		return v.Bool()
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return float64(v.Uint())
	default:
		return float64(v.Int())
	}
}

// roughly is how exactly two deadlines are compared that were set one after the other.
const roughly = 10 * time.Minute

// plainBytes shows bytes as what they stand for.
func plainBytes(field string, b []byte) string {
	switch field {
	case "sourcePrefixes", "address_v6":
		if len(b) == 5 || len(b) == 17 {
			ip, _ := netip.AddrFromSlice(b[:len(b)-1])
			return fmt.Sprintf("%v/%d", ip, b[len(b)-1])
		}
	case "PolicyID", "sshPubKey":
		return string(b)
	}
	return hex.EncodeToString(b)
}

// deployment are the fields that tell where a server is and how it was set up, not what an account holds.
var deployment = []string{"netbirdConfig"}

// plainSync is the part of a response that an account decides. Serial counts the changes a server made, each in its way.
func plainSync(r *proto.SyncResponse) map[string]any {
	return accountPart(plain(r.ProtoReflect()))
}

func accountPart(out map[string]any) map[string]any {
	for _, field := range deployment {
		delete(out, field)
	}
	if m, ok := out["NetworkMap"].(map[string]any); ok {
		delete(m, "Serial")
		plainSSHAuth(m)
	}
	noJWT(out)
	if at, ok := out["sessionExpiresAt"].(map[string]any); ok && at["seconds"] != nil && at["seconds"] != 0.0 {
		out["sessionExpiresAt"] = "in " + time.Until(time.Unix(int64(at["seconds"].(float64)), 0)).Round(roughly).String()
	}
	return out
}

// plainHeld is plainSync of what our REST API says that a peer holds.
func plainHeld(out map[string]any) map[string]any {
	m, _ := out["NetworkMap"].(map[string]any)
	if auth, ok := m["sshAuth"].(map[string]any); ok {
		machine := map[string]any{}
		for _, entry := range listOf(auth["machine_users"]) {
			entry := entry.(map[string]any)
			machine[entry["key"].(string)] = entry["value"]
		}
		auth["machine_users"] = machine
	}
	return accountPart(out)
}

// bareKey is the setKey of a response, from which what is not set cannot be told from what has its default: REST writes out both.
func bareKey(v any) string { return setKey(withoutDefaults(v)) }

func withoutDefaults(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, member := range v {
			switch member := withoutDefaults(member); member {
			case nil, "", 0.0, false, "IN", "ACCEPT", "UNKNOWN": // those of enums
			default:
				if text := encode(member); text != "[]" && text != "{}" {
					out[key] = member
				}
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutDefaults(v[i])
		}
		return out
	}
	return v
}

// plainLogin is the same for the answer to a login.
func plainLogin(r *proto.LoginResponse) map[string]any {
	return accountPart(plain(r.ProtoReflect()))
}

// noJWT removes where tokens for SSH are issued, which is the identity provider's address.
func noJWT(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "jwtConfig")
		for _, member := range v {
			noJWT(member)
		}
	case []any:
		for _, member := range v {
			noJWT(member)
		}
	}
}

// plainSSHAuth puts the users themselves where the message has their places in a list.
func plainSSHAuth(m map[string]any) {
	auth, ok := m["sshAuth"].(map[string]any)
	if !ok {
		return
	}
	users, _ := auth["AuthorizedUsers"].([]any)
	machine, _ := auth["machine_users"].(map[string]any)
	for _, entry := range machine {
		indexes, _ := entry.(map[string]any)["indexes"].([]any)
		for i, index := range indexes {
			if at := int(index.(float64)); at < len(users) {
				indexes[i] = users[at]
			}
		}
	}
}
