package helm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// schemas are those of one release of Kubernetes, and of the resources that others define: "apps/v1 Deployment" to what
// an object must be. Unknown fields are refused, as by kubectl --validate=strict.
type schemas struct {
	release string
	kinds   map[string]*jsonschema.Schema
}

func (s schemas) check(m manifest) error {
	kind := fmt.Sprintf("%v %v", m.object["apiVersion"], m.kind)
	schema := s.kinds[kind]
	if schema == nil {
		return fmt.Errorf("%s: there is no schema of %s", s.release, kind)
	}
	// Through JSON, whose numbers the validator knows.
	text, err := json.Marshal(m.object)
	if err != nil {
		return err
	}
	object, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	if err := schema.Validate(object); err != nil {
		return fmt.Errorf("%s: %w", s.release, err)
	}
	return nil
}

// moduleDir is where the Go module is unpacked; it is fetched the first time.
func moduleDir(module string) (string, error) {
	out, err := exec.Command(goCommand(), "mod", "download", "-json", module).Output()
	var got struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil || got.Error != "" || got.Dir == "" {
		return "", fmt.Errorf("%s cannot be had: %v %s", module, err, got.Error)
	}
	return got.Dir, nil
}

func goCommand() string {
	if command := os.Getenv("GO"); command != "" {
		return command
	}
	return "go"
}

// strict refuses unknown fields wherever a schema says which there are, and knows the two types that OpenAPI calls
// strings although they may be numbers.
func strict(node any) {
	switch n := node.(type) {
	case []any:
		for _, child := range n {
			strict(child)
		}
	case map[string]any:
		for _, child := range n {
			strict(child)
		}
		if _, has := n["properties"].(map[string]any); has && n["additionalProperties"] == nil &&
			n["x-kubernetes-preserve-unknown-fields"] != true {
			n["additionalProperties"] = false
		}
		if n["x-kubernetes-int-or-string"] == true || n["format"] == "int-or-string" {
			delete(n, "anyOf")
			n["type"] = []any{"integer", "string"}
		}
		if n["nullable"] == true {
			if kind, ok := n["type"].(string); ok {
				n["type"] = []any{kind, "null"}
			}
		}
		// Go's patterns and formats are not what Kubernetes means by these.
		delete(n, "format")
	}
}

func readYAML(path string) (map[string]any, error) {
	var out map[string]any
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, &out)
	}
	return out, err
}

// addKubernetes adds all kinds of a release, from the OpenAPI description in its source.
func (s *schemas) addKubernetes(dir string) error {
	api, err := readYAML(filepath.Join(dir, "api/openapi-spec/swagger.json"))
	if err != nil {
		return err
	}
	definitions := api["definitions"].(map[string]any)
	strict(definitions)
	definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = map[string]any{"type": []any{"string", "number"}}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	if err := compiler.AddResource("api.json", map[string]any{"definitions": definitions}); err != nil {
		return err
	}
	for name, definition := range definitions {
		kinds, _ := at(definition, "x-kubernetes-group-version-kind").([]any)
		// Options of deletion and kin belong to every group.
		if len(kinds) != 1 {
			continue
		}
		version := strings.TrimPrefix(fmt.Sprintf("%v/%v", at(kinds[0], "group"), at(kinds[0], "version")), "/")
		schema, err := compiler.Compile("api.json#/definitions/" + name)
		if err != nil {
			return err
		}
		s.kinds[fmt.Sprintf("%s %v", version, at(kinds[0], "kind"))] = schema
	}
	return nil
}

// addDefinition adds what a CustomResourceDefinition defines.
func (s *schemas) addDefinition(path string) error {
	definition, err := readYAML(path)
	if err != nil {
		return err
	}
	for _, version := range at(definition, "spec", "versions").([]any) {
		kind := fmt.Sprintf("%v/%v %v", at(definition, "spec", "group"), at(version, "name"), at(definition, "spec", "names", "kind"))
		text := at(version, "schema", "openAPIV3Schema").(map[string]any)
		// The API server says what metadata is.
		delete(text["properties"].(map[string]any), "metadata")
		strict(text)
		text["properties"].(map[string]any)["metadata"] = map[string]any{"type": "object"}
		compiler := jsonschema.NewCompiler()
		compiler.DefaultDraft(jsonschema.Draft4)
		if err := compiler.AddResource("kind.json", text); err != nil {
			return err
		}
		schema, err := compiler.Compile("kind.json")
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		s.kinds[kind] = schema
	}
	return nil
}

// source is a line of the file `schemas`: a release of Kubernetes, or a module and the CustomResourceDefinitions in it.
type source struct {
	module, dir string
	definitions []string // files
}

var allSources = sync.OnceValues(func() ([]source, error) {
	file, err := os.Open("schemas")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []source
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		dir, err := moduleDir(fields[0])
		if err != nil {
			return nil, err
		}
		s := source{module: fields[0], dir: dir}
		for _, definition := range fields[1:] {
			s.definitions = append(s.definitions, filepath.Join(dir, definition))
		}
		all = append(all, s)
	}
	return all, nil
})

// allSchemas are those of each release of Kubernetes, with all the others.
var allSchemas = sync.OnceValues(func() ([]schemas, error) {
	sources, err := allSources()
	if err != nil {
		return nil, err
	}
	var all []schemas
	for _, from := range sources {
		if len(from.definitions) == 0 {
			s := schemas{release: from.module, kinds: map[string]*jsonschema.Schema{}}
			if err := s.addKubernetes(from.dir); err != nil {
				return nil, fmt.Errorf("%s: %w", s.release, err)
			}
			all = append(all, s)
		}
		for _, definition := range from.definitions {
			for _, s := range all {
				if err := s.addDefinition(definition); err != nil {
					return nil, err
				}
			}
		}
	}
	return all, nil
})

func TestEveryReleaseTakesIt(t *testing.T) {
	all, err := allSchemas()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 3 {
		t.Fatalf("schemas of %d releases", len(all))
	}
	forEachExample(t, func(t *testing.T, _ string, manifests []manifest) {
		for _, m := range manifests {
			for _, s := range all {
				if err := s.check(m); err != nil {
					t.Errorf("%s: %v", m, err)
				}
			}
		}
	})
}

// The check is one: what is wrong is found.
func TestSchemasFindMistakes(t *testing.T) {
	all, err := allSchemas()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: 80}\n",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: two, selector: {}, template: {}}\n",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {}}\n",
		"apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
		"apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a}\nspec: {dnsNames: [a]}\n",
	} {
		m, err := read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.check(m) == nil {
				t.Errorf("%s takes:\n%s", s.release, text)
			}
		}
	}
}
