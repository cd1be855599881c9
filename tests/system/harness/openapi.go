package harness

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// OpenAPI checks answers against an OpenAPI description: types, required members, nulls, enumerations, and that no member
// is there which the description does not name.
type OpenAPI struct {
	root map[string]any
}

// ReadOpenAPI reads a description from a file.
func ReadOpenAPI(file string) (*OpenAPI, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	o := &OpenAPI{}
	return o, json.Unmarshal(text, &o.root)
}

// Operations lists "METHOD /path" of everything described.
func (o *OpenAPI) Operations() []string {
	var out []string
	paths, _ := o.root["paths"].(map[string]any)
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method := range methods {
			if slices.Contains([]string{"get", "post", "put", "delete"}, method) {
				out = append(out, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Operation is what the description says of one method of one path.
type Operation struct {
	Name, Method, Path string   // "GET /api/groups", its parts
	Permissions        []string // "groups read"; nil when nothing is said
	Public             bool
	Body               map[string]any // schema of the request, nil without one
	node               map[string]any
}

// Described lists everything described, in the order of names.
func (o *OpenAPI) Described() []Operation {
	var out []Operation
	for _, name := range o.Operations() {
		method, path, _ := strings.Cut(name, " ")
		node := o.follow(o.get(o.root, "paths", path, strings.ToLower(method)))
		op := Operation{Name: name, Method: method, Path: path, node: node}
		if list, ok := node["x-permissions"].([]any); ok {
			op.Permissions = []string{}
			for _, p := range list {
				op.Permissions = append(op.Permissions, p.(string))
			}
		}
		security, said := node["security"].([]any)
		op.Public = said && len(security) == 0
		if schema := o.get(node, "requestBody", "content", "application/json", "schema"); schema != nil {
			op.Body = o.flat(schema)
		}
		out = append(out, op)
	}
	return out
}

// Enum is a member of a value whose description lists what it may be.
type Enum struct {
	At     []any // names and indexes that lead to it
	Values []any
}

// Enums finds them among the members that the value has.
func (o *OpenAPI) Enums(schema any, value any) []Enum { return o.enums(schema, value, nil) }

func (o *OpenAPI) enums(node, value any, at []any) []Enum {
	schema := o.flat(node)
	var found []Enum
	if allowed, ok := schema["enum"].([]any); ok {
		found = append(found, Enum{slices.Clone(at), allowed})
	}
	switch v := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if inner, ok := properties[name]; ok {
				found = append(found, o.enums(inner, v[name], append(slices.Clone(at), name))...)
			}
		}
	case []any:
		for i, element := range v {
			found = append(found, o.enums(schema["items"], element, append(slices.Clone(at), i))...)
		}
	}
	return found
}

func (o *OpenAPI) follow(node any) map[string]any {
	for {
		m, _ := node.(map[string]any)
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		node = o.root
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			inner, _ := node.(map[string]any)
			node = inner[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		}
		if node == nil {
			return nil
		}
	}
}

// Check compares an answer with what is described for the operation, a method and a path with {names}, and its status.
func (o *OpenAPI) Check(method, path string, answer *Answer) error {
	item := o.follow(o.get(o.root, "paths", path))
	operation := o.follow(item[strings.ToLower(method)])
	if operation == nil {
		return fmt.Errorf("%s %s is not described", method, path)
	}
	responses, _ := operation["responses"].(map[string]any)
	response := o.follow(responses[strconv.Itoa(answer.Status)])
	if response == nil {
		response = o.follow(responses["default"])
	}
	if response == nil {
		return fmt.Errorf("status %d of %s %s is not described", answer.Status, method, path)
	}
	schema := o.get(response, "content", "application/json", "schema")
	if schema == nil {
		return nil
	}
	var value any
	if err := json.Unmarshal(answer.Body, &value); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if err := o.value(schema, value, ""); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func (o *OpenAPI) get(node any, names ...string) any {
	for _, name := range names {
		node = o.follow(node)[name]
	}
	return node
}

// flat merges allOf.
func (o *OpenAPI) flat(node any) map[string]any {
	schema := o.follow(node)
	parts, ok := schema["allOf"].([]any)
	if !ok {
		return schema
	}
	properties, required := map[string]any{}, []any{}
	merge := func(s map[string]any) {
		if p, ok := s["properties"].(map[string]any); ok {
			for k, v := range p {
				properties[k] = v
			}
		}
		if r, ok := s["required"].([]any); ok {
			required = append(required, r...)
		}
	}
	merge(schema)
	for _, part := range parts {
		merge(o.flat(part))
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "nullable": schema["nullable"]}
}

func nullable(schema map[string]any) bool {
	if yes, _ := schema["nullable"].(bool); yes {
		return true
	}
	kinds, _ := schema["type"].([]any)
	return slices.Contains(kinds, any("null"))
}

// anything is a schema that says nothing of the value.
func anything(schema map[string]any) bool {
	for _, word := range []string{"type", "properties", "oneOf", "anyOf", "enum"} {
		if schema[word] != nil {
			return false
		}
	}
	return true
}

func (o *OpenAPI) value(node, value any, at string) error {
	schema := o.flat(node)
	if schema == nil {
		return fmt.Errorf("%s: schema not found", at)
	}
	if anything(schema) {
		return nil
	}
	if value == nil {
		if nullable(schema) {
			return nil
		}
		return fmt.Errorf("%s is null", at)
	}
	for _, word := range []string{"oneOf", "anyOf"} {
		if choices, ok := schema[word].([]any); ok {
			var first error
			for _, choice := range choices {
				err := o.value(choice, value, at)
				if err == nil {
					return nil
				}
				if first == nil {
					first = err
				}
			}
			return first
		}
	}
	if allowed, ok := schema["enum"].([]any); ok && !slices.Contains(allowed, value) {
		return fmt.Errorf("%s is %v, none of %v", at, value, allowed)
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok {
		for _, k := range kinds {
			if k != "null" {
				kind, _ = k.(string)
			}
		}
	}
	if kind == "" && schema["properties"] != nil {
		kind = "object"
	}
	switch v := value.(type) {
	case map[string]any:
		return o.object(schema, kind, v, at)
	case []any:
		if kind != "array" {
			return fmt.Errorf("%s is a list instead of %s", at, kind)
		}
		for i, element := range v {
			if err := o.value(schema["items"], element, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case string:
		return text(schema, kind, v, at)
	case bool:
		if kind != "boolean" {
			return fmt.Errorf("%s is a boolean instead of %s", at, kind)
		}
	case float64:
		if kind != "number" && (kind != "integer" || v != math.Trunc(v)) {
			return fmt.Errorf("%s is %v instead of %s", at, v, kind)
		}
	}
	return nil
}

func (o *OpenAPI) object(schema map[string]any, kind string, v map[string]any, at string) error {
	if kind != "object" {
		return fmt.Errorf("%s is an object instead of %s", at, kind)
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			return fmt.Errorf("%s.%s is missing", at, name)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	others, open := schema["additionalProperties"]
	for name, member := range v {
		inner, ok := properties[name]
		if !ok {
			if open && others != false {
				if described, ok := others.(map[string]any); ok && len(described) > 0 {
					if err := o.value(described, member, at+"."+name); err != nil {
						return err
					}
				}
				continue
			}
			if properties == nil {
				continue
			}
			return fmt.Errorf("%s.%s is not described", at, name)
		}
		if err := o.value(inner, member, at+"."+name); err != nil {
			return err
		}
	}
	return nil
}

func text(schema map[string]any, kind, v, at string) error {
	if kind != "string" {
		return fmt.Errorf("%s is the text %q instead of %s", at, v, kind)
	}
	if schema["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339Nano, v); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	if pattern, ok := schema["pattern"].(string); ok {
		if re, err := regexp.Compile(pattern); err == nil && !re.MatchString(v) {
			return fmt.Errorf("%s is %q, not like %s", at, v, pattern)
		}
	}
	return nil
}
