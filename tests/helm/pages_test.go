package helm

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/labels"
)

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Who does what docs/helm.md says under "Install" has every image that the chart then asks for, at that name.
func TestInstallPushesEveryImage(t *testing.T) {
	text := page(t, "helm.md")
	find := func(pattern string) []string {
		t.Helper()
		found := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("docs/helm.md has nothing like %s", pattern)
		}
		return found[1:]
	}
	registry := find(`export ROOKERY_IMAGES=(\S+)`)[0]
	built := find(`rookery images --tag (\S+) (.+)`)
	if pushed := find(`for name in (.+); do podman push`)[0]; pushed != built[1] {
		t.Errorf("it builds %s and pushes %s", built[1], pushed)
	}
	var there []string
	for _, name := range strings.Fields(built[1]) {
		there = append(there, registry+"/rookery-"+name+":"+built[0])
	}
	for _, name := range strings.Fields(find(`for name in (.+); do podman tag`)[0]) {
		there = append(there, registry+"/"+name)
	}
	values := chartutil.CoalesceTables(valuesOf(t, "global: {image: {registry: "+registry+"}}"), example(t, "minimal"))
	all, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		pod := podOf(t, m)
		if pod == nil {
			continue
		}
		for _, c := range pod.Spec.Containers {
			if !slices.Contains(there, c.Image) {
				t.Errorf("%s wants %s; pushed are %s", m, c.Image, strings.Join(there, " "))
			}
		}
	}
}

// The selector by which docs/keys.md restarts a release is that of our services, all of them, and of no store.
func TestKeysRestartsTheServices(t *testing.T) {
	found := regexp.MustCompile(`rollout restart deployment,statefulset --selector '([^']+)'`).FindStringSubmatch(page(t, "keys.md"))
	if found == nil {
		t.Fatal("docs/keys.md restarts nothing")
	}
	selector, err := labels.Parse(strings.ReplaceAll(found[1], "RELEASE", "mesh"))
	if err != nil {
		t.Fatal(err)
	}
	restarted := map[string]bool{}
	for _, m := range mustRender(t, "minimal") {
		if m.kind != "Deployment" && m.kind != "StatefulSet" {
			continue
		}
		set := labels.Set{}
		for key, value := range at(m.object, "metadata", "labels").(map[string]any) {
			set[key], _ = value.(string)
		}
		if selector.Matches(set) {
			restarted[set["app.kubernetes.io/component"]] = true
		}
	}
	want := map[string]bool{}
	for _, service := range programs {
		want[service] = true
	}
	if !maps.Equal(restarted, want) {
		t.Errorf("it restarts %v, of %v", restarted, want)
	}
}
