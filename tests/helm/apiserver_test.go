package helm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// apiServer is one with nothing behind it: it takes objects, or says what is wrong with them.
type apiServer struct {
	config *rest.Config
	mapper meta.RESTMapper
	client dynamic.Interface

	mu       sync.Mutex
	warnings []string // since last asked
}

// HandleWarningHeader is told what the server does not like of what it takes.
func (c *apiServer) HandleWarningHeader(_ int, _ string, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warnings = append(c.warnings, text)
}

func (c *apiServer) warned() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.warnings
	c.warnings = nil
	return out
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startAPIServer runs the program that ROOKERY_APISERVER names, which `rookery test helm` has built.
func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	key := filepath.Join(dir, "key.pem")
	if out, err := exec.Command("openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-out", key).CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v: %s", err, out)
	}
	tokens := filepath.Join(dir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte("test,admin,admin,system:masters\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Getenv("ROOKERY_APISERVER"), "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--cert-dir="+dir,
		"--service-account-issuer=https://test.example", "--service-account-key-file="+key, "--service-account-signing-key-file="+key,
		"--service-cluster-ip-range=10.0.0.0/24", "--token-auth-file="+tokens, "--authorization-mode=RBAC",
		// Nobody is there who would make the account of a pod.
		"--disable-admission-plugins=ServiceAccount")
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
		if t.Failed() {
			text := said.String()
			t.Logf("the API server: %s", text[max(0, len(text)-2000):])
		}
	})
	c := &apiServer{}
	c.config = &rest.Config{Host: fmt.Sprintf("https://127.0.0.1:%d", port), BearerToken: "test", WarningHandler: c, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	c.client, err = dynamic.NewForConfig(c.config)
	if err != nil {
		t.Fatal(err)
	}
	c.eventually(t, "ready", func() error { return c.discover().RESTClient().Get().AbsPath("/readyz").Do(t.Context()).Error() })
	return c
}

func (c *apiServer) discover() *discovery.DiscoveryClient {
	return discovery.NewDiscoveryClientForConfigOrDie(c.config)
}

func (c *apiServer) eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("not %s: %v", what, err)
}

// apply is kubectl apply --server-side --validate=strict, of one object, with or without --dry-run=server.
func (c *apiServer) apply(ctx context.Context, object map[string]any, dry ...string) error {
	u := &unstructured.Unstructured{Object: object}
	kind := u.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	var at dynamic.ResourceInterface = c.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		at = c.client.Resource(mapping.Resource).Namespace(u.GetNamespace())
	}
	force := true
	_, err = at.Patch(ctx, u.GetName(), types.ApplyPatchType, text,
		metav1.PatchOptions{FieldManager: "test", Force: &force, DryRun: dry, FieldValidation: metav1.FieldValidationStrict})
	return err
}

// learn asks anew which kinds there are.
func (c *apiServer) learn() error {
	groups, err := restmapper.GetAPIGroupResources(c.discover())
	if err == nil {
		c.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	}
	return err
}

// define adds the kinds of others, and the namespace of the release, where `restricted` is the standard.
func (c *apiServer) define(t *testing.T) {
	t.Helper()
	sources, err := allSources()
	if err == nil {
		err = c.learn()
	}
	if err != nil {
		t.Fatal(err)
	}
	namespace := valuesOf(t, `{apiVersion: v1, kind: Namespace, metadata: {name: mesh, labels: {pod-security.kubernetes.io/warn: restricted}}}`)
	if err := c.apply(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	var kinds []schema.GroupKind
	for _, from := range sources {
		for _, path := range from.definitions {
			definition, err := readYAML(path)
			if err == nil {
				// Labels of some are templates.
				delete(definition["metadata"].(map[string]any), "labels")
				delete(definition, "status")
				err = c.apply(t.Context(), definition)
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			kinds = append(kinds, schema.GroupKind{Group: fmt.Sprint(at(definition, "spec", "group")), Kind: fmt.Sprint(at(definition, "spec", "names", "kind"))})
		}
	}
	c.eventually(t, "defined", func() error {
		if err := c.learn(); err != nil {
			return err
		}
		for _, kind := range kinds {
			if _, err := c.mapper.RESTMapping(kind); err != nil {
				return err
			}
		}
		return nil
	})
	c.warned()
}

// What each example renders to is taken by a real API server, which changes nothing, and warns of nothing: no old API, no pod that
// `restricted` forbids.
func TestAPIServerTakesIt(t *testing.T) {
	if os.Getenv("ROOKERY_APISERVER") == "" {
		t.Fatal("run this through `rookery test helm`, which builds an API server")
	}
	c := startAPIServer(t)
	c.define(t)
	forEachExample(t, func(t *testing.T, name string, all []manifest) {
		for _, m := range all {
			if err := c.apply(t.Context(), m.object, metav1.DryRunAll); err != nil {
				t.Errorf("%s: %v", m, err)
			}
			for _, warning := range c.warned() {
				if name == "edge" && strings.Contains(warning, "hostPort") {
					continue
				}
				t.Errorf("%s: %s", m, warning)
			}
		}
	})
	// And it would say so.
	for _, text := range []string{
		"{apiVersion: v1, kind: Service, metadata: {name: a, namespace: mesh}, spec: {ports: [{port: 80000}]}}",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: mesh}, date: {a: b}}",
		"{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a, namespace: mesh}, spec: {hostnames: [1.2.3.4.]}}",
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: mesh}, spec: {selector: {matchLabels: {a: b}}, template: {}}}",
	} {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		if err := c.apply(t.Context(), object, metav1.DryRunAll); err == nil {
			t.Errorf("taken: %s", text)
		}
	}
	c.warned()
	if err := c.apply(t.Context(), valuesOf(t, `{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: mesh}, spec: {containers: [{name: a, image: a}]}}`),
		metav1.DryRunAll); err != nil || len(c.warned()) == 0 {
		t.Errorf("no word of a pod that is not restricted: %v", err)
	}
}
