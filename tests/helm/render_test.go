// Holds the chart to what its page says: every example renders to what is in golden/, to what Kubernetes of several
// releases takes, to pods of the standard `restricted`, and to settings that the programs themselves accept.
package helm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/yaml"
)

const chartDir = "../../helm/rookery"

// manifest is one object, as it was rendered and as it was read.
type manifest struct {
	kind, name string
	text       []byte
	object     map[string]any
}

func (m manifest) String() string { return m.kind + "/" + m.name }

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// render does what `helm install mesh --namespace mesh` does with these values, where there is no cluster to look into.
func render(t *testing.T, values map[string]any) ([]manifest, error) {
	return renderIn(t, values, chartutil.ReleaseOptions{IsInstall: true, Revision: 1}, engine.Render)
}

type renderer func(*chart.Chart, chartutil.Values) (map[string]string, error)

func renderIn(t *testing.T, values map[string]any, release chartutil.ReleaseOptions, by renderer) ([]manifest, error) {
	t.Helper()
	c := loadChart(t)
	release.Name, release.Namespace = "mesh", "mesh"
	capabilities := chartutil.DefaultCapabilities.Copy()
	all, err := chartutil.ToRenderValues(c, values, release, capabilities)
	if err != nil {
		return nil, err
	}
	files, err := by(c, all)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(files))
	for name := range files {
		if filepath.Ext(name) == ".yaml" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var out []manifest
	for _, name := range names {
		for _, text := range strings.Split("\n"+files[name], "\n---") {
			m, err := read([]byte(text))
			if err != nil {
				return nil, fmt.Errorf("%s renders to no YAML: %w\n%s", name, err, text)
			}
			if m.object != nil {
				out = append(out, m)
			}
		}
	}
	return out, nil
}

func read(text []byte) (manifest, error) {
	var m manifest
	if err := yaml.UnmarshalStrict(text, &m.object); err != nil || m.object == nil {
		return m, err
	}
	m.text = append(bytes.TrimSpace(text), '\n')
	m.kind, _ = m.object["kind"].(string)
	m.name, _ = at(m.object, "metadata", "name").(string)
	return m, nil
}

// at follows a path of keys; nil where it ends early.
func at(object any, path ...string) any {
	for _, key := range path {
		m, ok := object.(map[string]any)
		if !ok {
			return nil
		}
		object = m[key]
	}
	return object
}

func valuesOf(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// example reads one of the chart's example value files.
func example(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chartDir, "examples", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return valuesOf(t, string(text))
}

func examples(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(chartDir, "examples", "*.yaml"))
	if err != nil || len(paths) < 12 {
		t.Fatalf("%d examples: %v", len(paths), err)
	}
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = strings.TrimSuffix(filepath.Base(path), ".yaml")
	}
	return names
}

// mustRender is all that an installation has, and what an upgrade has besides.
func mustRender(t *testing.T, name string) []manifest {
	t.Helper()
	all, err := render(t, example(t, name))
	if err != nil {
		t.Fatal(err)
	}
	upgraded, err := renderIn(t, example(t, name), chartutil.ReleaseOptions{IsUpgrade: true, Revision: 2}, engine.Render)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range upgraded {
		if !slices.ContainsFunc(all, func(o manifest) bool { return o.String() == m.String() }) {
			all = append(all, m)
		}
	}
	return all
}

// forEachExample runs `check` on what each example renders to.
func forEachExample(t *testing.T, check func(t *testing.T, name string, all []manifest)) {
	for _, name := range examples(t) {
		t.Run(name, func(t *testing.T) { check(t, name, mustRender(t, name)) })
	}
}
