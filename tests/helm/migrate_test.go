package helm

import (
	"reflect"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// Before an upgrade replaces anything, the new image brings the schema up to date, with what dashboard-api will have; an installation,
// for which nothing is there yet, and who does not want it have no such job.
func TestUpgradesMigrateFirst(t *testing.T) {
	upgrade := chartutil.ReleaseOptions{IsUpgrade: true, Revision: 2}
	find := func(release chartutil.ReleaseOptions, values map[string]any) (job, service *manifest) {
		t.Helper()
		all, err := renderIn(t, values, release, engine.Render)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range all {
			switch m.String() {
			case "Job/mesh-rookery-migrate":
				job = &all[i]
			case "Deployment/mesh-rookery-dashboard-api":
				service = &all[i]
			}
		}
		return job, service
	}
	for _, name := range examples(t) {
		job, service := find(upgrade, example(t, name))
		if name == "edge" { // without a control plane
			if job != nil {
				t.Errorf("%s migrates", name)
			}
			continue
		}
		if job == nil || service == nil {
			t.Fatalf("%s: job %v, service %v", name, job, service)
		}
		if hook := at(job.object, "metadata", "annotations", "helm.sh/hook"); hook != "pre-upgrade" {
			t.Errorf("%s: it runs at %v", name, hook)
		}
		if policy := podOf(t, *job).Spec.RestartPolicy; policy != "Never" {
			t.Errorf("%s: restartPolicy %s: when it has failed for good its pod is deleted, and the log with it", name, policy)
		}
		container := podOf(t, *job).Spec.Containers[0]
		if !reflect.DeepEqual(container.Args, []string{"migrate"}) {
			t.Errorf("%s: it does %v", name, container.Args)
		}
		other := podOf(t, *service).Spec.Containers[0]
		if container.Image != other.Image || !reflect.DeepEqual(container.Env, other.Env) || !reflect.DeepEqual(container.VolumeMounts, other.VolumeMounts) {
			t.Errorf("%s: it is not set as dashboard-api is:\n%+v\n%+v", name, container, other)
		}
	}
	if job, _ := find(chartutil.ReleaseOptions{IsInstall: true, Revision: 1}, example(t, "minimal")); job != nil {
		t.Error("an installation migrates before anything is there")
	}
	without := chartutil.CoalesceTables(valuesOf(t, `migrate: {enabled: false}`), example(t, "minimal"))
	if job, _ := find(upgrade, without); job != nil {
		t.Error("migrate.enabled false: it does all the same")
	}
}
