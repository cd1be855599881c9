package helm

import (
	"encoding/base64"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
)

// cluster is what templates find when they look: the namespaces, and these Secrets.
type cluster struct{ client dynamic.Interface }

func clusterWith(secrets ...manifest) renderer {
	var objects []runtime.Object
	for _, namespace := range []string{"default", "mesh"} {
		objects = append(objects, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}}})
	}
	for _, secret := range secrets {
		objects = append(objects, &unstructured.Unstructured{Object: secret.object})
	}
	c := cluster{fake.NewSimpleDynamicClient(runtime.NewScheme(), objects...)}
	return func(chart *chart.Chart, values chartutil.Values) (map[string]string, error) {
		return engine.RenderWithClientProvider(chart, values, c)
	}
}

func (c cluster) GetClientFor(version, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	gv, err := schema.ParseGroupVersion(version)
	return c.client.Resource(gv.WithResource(strings.ToLower(kind) + "s")), kind != "Namespace", err
}

func secretsOf(all []manifest) []manifest {
	var out []manifest
	for _, m := range all {
		if m.kind == "Secret" {
			out = append(out, m)
		}
	}
	return out
}

func minimalWithOwner(t *testing.T) map[string]any {
	return chartutil.CoalesceTables(valuesOf(t, `bootstrap: {owner: owner@example.com}`), example(t, "minimal"))
}

func TestKeysAreMadeOnceAndKept(t *testing.T) {
	install := chartutil.ReleaseOptions{IsInstall: true, Revision: 1}
	upgrade := chartutil.ReleaseOptions{IsUpgrade: true, Revision: 2}

	first, err := renderIn(t, minimalWithOwner(t), install, clusterWith())
	if err != nil {
		t.Fatal(err)
	}
	made := secretsOf(first)
	if len(made) != 4 { // keys, the owner's password, those of Postgres and Redis
		t.Fatalf("%d Secrets are made: %v", len(made), made)
	}
	for _, secret := range made {
		if at(secret.object, "metadata", "annotations", "helm.sh/resource-policy") != "keep" {
			t.Errorf("%s goes with the release", secret)
		}
	}
	keys := at(made[0].object, "data").(map[string]any)
	for _, name := range []string{"secret_key", "relay_secret"} {
		text, _ := base64.StdEncoding.DecodeString(keys[name].(string))
		if key, err := base64.StdEncoding.DecodeString(string(text)); err != nil || len(key) != 32 {
			t.Errorf("%s is not 32 bytes in base64, but %d: %v", name, len(key), err)
		}
	}
	second, err := renderIn(t, minimalWithOwner(t), upgrade, clusterWith(made...))
	if err != nil {
		t.Fatal(err)
	}
	for i, secret := range secretsOf(second) {
		if string(secret.text) != string(made[i].text) {
			t.Errorf("an upgrade makes %s anew", secret)
		}
	}
	// A second installation, which would otherwise not read what the first one left behind in its database.
	again, err := renderIn(t, minimalWithOwner(t), install, clusterWith(made...))
	if err != nil {
		t.Fatal(err)
	}
	for i, secret := range secretsOf(again) {
		if string(secret.text) != string(made[i].text) {
			t.Errorf("another installation makes %s anew", secret)
		}
	}
}

func TestAnUpgradeWithoutItsKeysIsRefused(t *testing.T) {
	_, err := renderIn(t, example(t, "minimal"), chartutil.ReleaseOptions{IsUpgrade: true, Revision: 2}, clusterWith())
	if err == nil || !strings.Contains(err.Error(), "the Secret mesh-rookery-keys with the keys of this deployment is gone") {
		t.Errorf("Helm says: %v", err)
	}
}

// Argo CD renders anew each time and cannot look: keys of its making would change with every sync.
func TestWithoutAClusterNoKeysAreMade(t *testing.T) {
	all, err := render(t, minimalWithOwner(t))
	if err != nil {
		t.Fatal(err)
	}
	if made := secretsOf(all); len(made) != 0 {
		t.Errorf("made: %v", made)
	}
}

func TestASecretThatIsNamedIsNotMade(t *testing.T) {
	values := chartutil.CoalesceTables(valuesOf(t, `
secrets: {existingSecret: ours}
bootstrap: {owner: owner@example.com, existingSecret: theirs}
`), example(t, "sentinel"))
	all, err := renderIn(t, values, chartutil.ReleaseOptions{IsInstall: true}, clusterWith())
	if err != nil {
		t.Fatal(err)
	}
	if made := secretsOf(all); len(made) != 0 {
		t.Errorf("made: %v", made)
	}
}
