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

	"sigs.k8s.io/yaml"
)

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

func readYAML(path string) (map[string]any, error) {
	var out map[string]any
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, &out)
	}
	return out, err
}

// strict refuses unknown fields wherever a schema says which there are, as kubectl --validate=strict does.
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
		if _, has := n["properties"].(map[string]any); has && n["additionalProperties"] == nil {
			n["additionalProperties"] = false
		}
	}
}

func put(t *testing.T, dir, name string, schema any) {
	t.Helper()
	text, err := json.Marshal(schema)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, strings.ToLower(name)), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// schemaName is what kubeconform looks for; the core's group is its version there.
const schemaName = "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json"

// putKubernetes writes the OpenAPI description in a release's source: its definitions, and for each kind which of them it is.
func putKubernetes(t *testing.T, dir, source string) {
	t.Helper()
	api, err := readYAML(filepath.Join(source, "api/openapi-spec/swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	definitions := api["definitions"].(map[string]any)
	strict(definitions)
	// OpenAPI calls both strings.
	definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = map[string]any{"type": []any{"string", "number"}}
	definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = map[string]any{"type": []any{"string", "integer"}}
	put(t, dir, "definitions.json", map[string]any{"definitions": definitions})
	for name, definition := range definitions {
		kinds, _ := at(definition, "x-kubernetes-group-version-kind").([]any)
		// Options of deletion and kin belong to every group.
		if len(kinds) != 1 {
			continue
		}
		group, version := at(kinds[0], "group"), at(kinds[0], "version")
		if group == "" {
			group = version
		}
		put(t, dir, fmt.Sprintf("%v-%v-%v.json", at(kinds[0], "kind"), group, version),
			map[string]any{"$ref": "definitions.json#/definitions/" + name})
	}
}

// putDefinition writes what a CustomResourceDefinition defines.
func putDefinition(t *testing.T, dir, path string) {
	t.Helper()
	definition, err := readYAML(path)
	if err != nil {
		t.Fatal(err)
	}
	spec := definition["spec"]
	for _, version := range at(spec, "versions").([]any) {
		schema := at(version, "schema", "openAPIV3Schema")
		strict(schema)
		put(t, dir, fmt.Sprintf("%v-%v-%v.json", at(spec, "names", "kind"), at(spec, "group"), at(version, "name")), schema)
	}
}

// verdict is kubeconform's of one object.
type verdict struct{ Filename, Kind, Name, Status, Msg string }

// kubeconform looks at a directory's files.
func kubeconform(t *testing.T, files string, schemas ...string) []verdict {
	t.Helper()
	args := []string{"tool", "kubeconform", "-strict", "-verbose", "-output", "json"}
	for _, dir := range schemas {
		args = append(args, "-schema-location", filepath.Join(dir, schemaName))
	}
	// It fails where an object does, too.
	out, err := exec.Command(goCommand(), append(args, files)...).Output()
	var said struct{ Resources []verdict }
	if jsonErr := json.Unmarshal(out, &said); jsonErr != nil {
		t.Fatalf("kubeconform: %v: %s", err, out)
	}
	return said.Resources
}

func TestEveryReleaseTakesIt(t *testing.T) {
	sources, err := allSources()
	if err != nil {
		t.Fatal(err)
	}
	releases, others := map[string]string{}, t.TempDir()
	for _, from := range sources {
		for _, path := range from.definitions {
			putDefinition(t, others, path)
		}
		if len(from.definitions) == 0 {
			dir := t.TempDir()
			putKubernetes(t, dir, from.dir)
			releases[from.module] = dir
		}
	}
	if len(releases) < 3 {
		t.Fatalf("schemas of %d releases", len(releases))
	}
	right, objects := t.TempDir(), 0
	forEachExample(t, func(t *testing.T, name string, all []manifest) {
		for _, m := range all {
			put(t, right, fmt.Sprintf("%s-%d.json", name, objects), m.object)
			objects++
		}
	})
	// And it would say so.
	wrong := t.TempDir()
	mistakes := []string{
		"{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {port: 80}}",
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: two, selector: {}, template: {}}}",
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {}}}",
		"{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: a}}",
		"{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: a}, spec: {dnsNames: [a]}}",
		"{apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, metadata: {name: a}, spec: {selector: {}, endpoints: [{prot: http}]}}",
		"{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a}, spec: {hostname: a}}",
	}
	for i, text := range mistakes {
		put(t, wrong, fmt.Sprintf("%d.json", i), valuesOf(t, text))
	}
	for release, dir := range releases {
		t.Run(release, func(t *testing.T) {
			taken := kubeconform(t, right, dir, others)
			if len(taken) != objects {
				t.Errorf("looked at %d of %d objects", len(taken), objects)
			}
			for _, v := range taken {
				if v.Status != "statusValid" {
					t.Errorf("%s: %s/%s: %s", filepath.Base(v.Filename), v.Kind, v.Name, v.Msg)
				}
			}
			refused := kubeconform(t, wrong, dir, others)
			if len(refused) != len(mistakes) {
				t.Errorf("looked at %d of %d mistakes", len(refused), len(mistakes))
			}
			for _, v := range refused {
				if v.Status != "statusInvalid" && !strings.HasPrefix(v.Msg, "could not find schema") {
					t.Errorf("%s: %s: %s: %s", filepath.Base(v.Filename), v.Kind, v.Status, v.Msg)
				}
			}
		})
	}
}
