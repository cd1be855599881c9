package helm

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// podOf is the pod that an object makes, or nil.
func podOf(t *testing.T, m manifest) *corev1.PodTemplateSpec {
	t.Helper()
	template := at(m.object, "spec", "template")
	if m.kind == "Pod" {
		template = m.object
	}
	if template == nil {
		return nil
	}
	text, err := json.Marshal(template)
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.PodTemplateSpec
	if err := json.Unmarshal(text, &pod); err != nil {
		t.Fatalf("%s: %v", m, err)
	}
	return &pod
}

func violations(t *testing.T, pod *corev1.PodTemplateSpec) []string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	latest := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(latest, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			out = append(out, result.ForbiddenReason+": "+result.ForbiddenDetail)
		}
	}
	return out
}

// Every pod may run where the pod security standard `restricted` is enforced, but for host ports, which it forbids.
func TestPodsAreRestricted(t *testing.T) {
	forEachExample(t, func(t *testing.T, name string, all []manifest) {
		pods := 0
		for _, m := range all {
			pod := podOf(t, m)
			if pod == nil {
				continue
			}
			pods++
			for _, violation := range violations(t, pod) {
				if name == "edge" && strings.HasPrefix(violation, "hostPort") {
					continue
				}
				t.Errorf("%s: %s", m, violation)
			}
			if pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
				t.Errorf("%s gets a token of the API server, which it does not need", m)
			}
			for _, c := range pod.Spec.Containers {
				if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
					t.Errorf("%s: %s may write to its root file system", m, c.Name)
				}
			}
		}
		if pods == 0 {
			t.Error("no pod was looked at")
		}
	})
}

// STUN that answers in the kernel gets what that takes, where it does, and nothing else does.
func TestStunMayLoadAProgramForXdp(t *testing.T) {
	values := chartutil.CoalesceTables(valuesOf(t, `regions: [{name: eu, stun: {settings: {xdp: eth0, xdp_mode: generic}}}, {name: us}]`),
		example(t, "restricted"))
	all, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	given := 0
	for _, m := range all {
		pod := podOf(t, m)
		if pod == nil {
			continue
		}
		if m.name != "mesh-rookery-stun-eu" {
			for _, violation := range violations(t, pod) {
				t.Errorf("%s: %s", m, violation)
			}
			continue
		}
		c := pod.Spec.Containers[0]
		rights, err := json.Marshal(c.SecurityContext)
		if err != nil {
			t.Fatal(err)
		}
		const want = `{"capabilities":{"add":["BPF","NET_ADMIN","PERFMON"],"drop":["ALL"]},"runAsUser":0,"runAsNonRoot":false,` +
			`"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false}`
		if string(rights) != want {
			t.Errorf("%s may %s and not %s", m, rights, want)
		}
		takes(t, m, pod, c, serviceLinks(all, "10.96.0.1"))
		given++
	}
	if given != 1 {
		t.Errorf("%d pods may load programs, and not the one that is to", given)
	}
}

// What Kubernetes gives a pod that does not say how long it may take to stop.
const defaultGraceSeconds = 30

// What a pod may take to stop is enough for the sleep before SIGTERM and the drain behind it.
func TestStoppingIsGivenTheTimeItTakes(t *testing.T) {
	drain := []string{"management", "signal", "relay", "stun", "dashboard-api"}
	forEachExample(t, func(t *testing.T, name string, all []manifest) {
		looked := 0
		for _, m := range all {
			pod := podOf(t, m)
			if pod == nil || m.kind == "Job" || m.kind == "Pod" { // these end when they have done what they are for
				continue
			}
			given := int64(defaultGraceSeconds)
			if said := pod.Spec.TerminationGracePeriodSeconds; said != nil {
				given = *said
			}
			for _, c := range pod.Spec.Containers {
				needed := drainSeconds(c)
				if !slices.Contains(drain, c.Name) {
					continue
				}
				looked++
				if needed == 0 {
					t.Errorf("%s does not drain", m)
				}
				if c.Lifecycle == nil || c.Lifecycle.PreStop.Sleep.Seconds == 0 {
					t.Errorf("%s stops while proxies still send it agents", m)
				} else {
					needed += c.Lifecycle.PreStop.Sleep.Seconds
				}
				if given <= needed {
					t.Errorf("%s is killed after %d s, but may take %d", m, given, needed)
				}
			}
		}
		want := len(drain)
		if name == "edge" {
			want = 2 // a relay and STUN, which belong to another place
		}
		if looked < want {
			t.Errorf("%d pods were looked at, and not %d", looked, want)
		}
	})
}
