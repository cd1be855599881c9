package helm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chartutil"
	corev1 "k8s.io/api/core/v1"
)

var programs = []string{"management", "signal", "dashboard-api", "relay", "stun"}

// program is one of the services, as it was built.
func program(t *testing.T, service string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("ROOKERY_BUILD"), "rookery-"+service)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("ROOKERY_BUILD names no directory with the programs: %v", err)
	}
	return path
}

func drainSeconds(c corev1.Container) int64 {
	for _, e := range c.Env {
		if e.Name == "ROOKERY_DRAIN_MS" {
			ms, _ := strconv.ParseInt(e.Value, 10, 64)
			return ms / 1000
		}
	}
	return 0
}

// settingsOf is the settings file that says what the container's environment says. As a file, because a program refuses
// there what it does not know. `root` stands for the container's file system.
func settingsOf(pod *corev1.PodTemplateSpec, c corev1.Container, services map[string]string, root string) string {
	known := map[string]string{}
	if links := pod.Spec.EnableServiceLinks; links == nil || *links {
		known = maps.Clone(services)
	}
	var out strings.Builder
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			switch {
			case e.Name == "POD_INDEX":
				value = "1"
			case e.Name == "ROOKERY_POSTGRES":
				value = "postgresql://user:password@db:5432/mesh"
			default:
				value = "of-the-pod"
			}
		}
		for name, known := range known {
			value = strings.ReplaceAll(value, "$("+name+")", known)
		}
		known[e.Name] = value
		if key, ours := strings.CutPrefix(e.Name, "ROOKERY_"); ours {
			fmt.Fprintf(&out, "%s = %s\n", strings.ToLower(key), strings.ReplaceAll(value, "/etc/rookery/", root+"/etc/rookery/"))
		}
	}
	return out.String()
}

// serviceLinks are the variables that name the Services' addresses to pods that want them.
func serviceLinks(all []manifest, address string) map[string]string {
	links := map[string]string{}
	for _, m := range all {
		if m.kind == "Service" && at(m.object, "spec", "clusterIP") == nil {
			links[strings.ReplaceAll(strings.ToUpper(m.name), "-", "_")+"_SERVICE_HOST"] = address
		}
	}
	return links
}

// fill makes the files that the container's mounts bring, each under the path at which it is mounted.
func fill(t *testing.T, pod *corev1.PodTemplateSpec, c corev1.Container, root string) {
	t.Helper()
	content := map[string][]byte{"": []byte(base64.StdEncoding.EncodeToString(make([]byte, 32)))}
	content[".crt"], content[".key"] = certificate(t)
	for _, mount := range c.VolumeMounts {
		i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			t.Fatalf("%s mounts %s, which is no volume of its pod", c.Name, mount.Name)
		}
		for _, path := range filesOf(pod.Spec.Volumes[i]) {
			path = filepath.Join(root, mount.MountPath, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content[filepath.Ext(path)], 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// certificate is one of nobody, and its key, both PEM.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

func filesOf(v corev1.Volume) []string {
	var items []corev1.KeyToPath
	switch {
	case v.Secret != nil && v.Secret.Items == nil: // of type kubernetes.io/tls
		return []string{"tls.crt", "tls.key"}
	case v.Secret != nil:
		items = v.Secret.Items
	case v.ConfigMap != nil:
		items = v.ConfigMap.Items
	case v.Projected != nil:
		for _, source := range v.Projected.Sources {
			if source.Secret != nil {
				items = append(items, source.Secret.Items...)
			}
		}
	case v.PersistentVolumeClaim != nil:
		return []string{"GeoLite2-City.mmdb"}
	}
	var out []string
	for _, item := range items {
		out = append(out, item.Path)
	}
	return out
}

// The programs themselves accept what the chart sets, and find the files that it names where it mounts them.
func TestProgramsTakeTheirSettings(t *testing.T) {
	forEachExample(t, func(t *testing.T, _ string, all []manifest) {
		checked := 0
		for _, m := range all {
			pod := podOf(t, m)
			if pod == nil {
				continue
			}
			for _, c := range pod.Spec.Containers {
				if !slices.Contains(programs, c.Name) {
					continue
				}
				checked++
				takes(t, m, pod, c, serviceLinks(all, "10.96.0.1"))
			}
		}
		if checked == 0 {
			t.Error("no program was asked")
		}
	})
}

// `helm test` asks Services, whose addresses are of the family that the cluster prefers, wherever the services listen.
func TestTestsAskInEitherFamily(t *testing.T) {
	for _, address := range []string{"10.96.0.7", "fd00::7"} {
		values := chartutil.CoalesceTables(valuesOf(t, `global: {listenAddress: "[::]"}`), example(t, "minimal"))
		all, err := render(t, values)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		for _, m := range all {
			if m.kind == "Pod" {
				pod := podOf(t, m)
				takes(t, m, pod, pod.Spec.Containers[0], serviceLinks(all, address))
				asked++
			}
		}
		if asked != 3 {
			t.Errorf("%d are asked", asked)
		}
	}
}

// takes has the container's program read what the chart sets.
func takes(t *testing.T, m manifest, pod *corev1.PodTemplateSpec, c corev1.Container, links map[string]string) {
	t.Helper()
	root := t.TempDir()
	fill(t, pod, c, root)
	settings := settingsOf(pod, c, links, root)
	file := filepath.Join(root, "settings")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"--config", file, "--check-config"}
	if len(c.Args) > 0 && !strings.HasPrefix(c.Args[0], "-") {
		arguments = append(slices.Clone(c.Args), arguments...) // a command, and what it works on
	}
	command := exec.Command(program(t, c.Name), arguments...)
	command.Env = []string{}
	if said, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: %s\n%s", m, said, settings)
	}
	for _, path := range regexp.MustCompile(regexp.QuoteMeta(root)+`/\S+`).FindAllString(settings, -1) {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s names a file that nothing mounts: %v", m, err)
		}
	}
}

// settingsOfHelp are the keys that --help lists.
func settingsOfHelp(t *testing.T, service string) []string {
	t.Helper()
	out, err := exec.Command(program(t, service), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, match := range regexp.MustCompile(`(?m)^  ([a-z_]+) \(ROOKERY_`).FindAllStringSubmatch(string(out), -1) {
		keys = append(keys, match[1])
	}
	return keys
}

// What the chart itself sets, from other values; and what makes no sense behind a proxy in a pod.
var ownSettings = regexp.MustCompile(`^(listen|admin_listen|instance|drain_ms|trusted_proxies|tls_(cert|key)_file|postgres.*|redis.*|` +
	`secret_key.*|relay_secret.*|dns_domain|signal_url|relay_urls|stun_urls|public_url|exposed_url|geo_database|management_url|region|region_at|` +
	`oidc_(embedded|issuer|discovery_url|audience|pkce_client_id|device_client_id|allow_private_issuers|ca_file))$`)

// Every other setting of a program can be given, and none that it does not have.
func TestTheSchemaKnowsEverySetting(t *testing.T) {
	var schema any
	text, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for service, path := range map[string][]string{
		"management":    {"properties", "management"},
		"signal":        {"properties", "signal"},
		"dashboard-api": {"properties", "dashboardApi"},
		"relay":         {"$defs", "relay"},
		"stun":          {"$defs", "stun"},
	} {
		given := at(schema, append(path, "properties", "settings", "properties")...).(map[string]any)
		oidc := at(schema, "properties", "oidc", "properties", "settings", "properties").(map[string]any)
		for _, key := range settingsOfHelp(t, service) {
			short, isOidc := strings.CutPrefix(key, "oidc_")
			switch {
			case ownSettings.MatchString(key):
			case isOidc && oidc[short] != nil:
			case given[key] != nil:
				delete(given, key)
			default:
				t.Errorf("%s has a setting %s, which the chart's schema does not know", service, key)
			}
		}
		for key := range given {
			t.Errorf("the chart's schema has %s of %s, which is no setting", key, service)
		}
	}
	known := settingsOfHelp(t, "management")
	for key := range at(schema, "properties", "oidc", "properties", "settings", "properties").(map[string]any) {
		if !slices.Contains(known, "oidc_"+key) {
			t.Errorf("the chart's schema has oidc.settings.%s, which is no setting", key)
		}
	}
}
