package helm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/pmezard/go-difflib/difflib"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// What an example renders to, object by object; of one that minimal.yaml has too, the lines in which it differs from that.
// `ROOKERY_GOLDEN=write` writes the files anew: read the difference before you commit it.
func TestGolden(t *testing.T) {
	plain := map[string]string{}
	for _, m := range mustRender(t, "minimal") {
		plain[m.String()] = withoutLabels(m)
	}
	forEachExample(t, func(t *testing.T, name string, all []manifest) {
		var got bytes.Buffer
		for _, m := range all {
			text := withoutLabels(m)
			before, known := plain[m.String()]
			switch {
			case name == "minimal" || !known:
				fmt.Fprintf(&got, "--- %s\n%s", m, text)
			case before != text:
				fmt.Fprintf(&got, "--- %s, not as in minimal\n%s", m, difference(t, before, text))
			}
		}
		path := filepath.Join("golden", name+".txt")
		if os.Getenv("ROOKERY_GOLDEN") == "write" {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if line, ours, theirs := firstDifference(got.Bytes(), want); line > 0 {
			t.Errorf("line %d of %s is\n  %s\nand not\n  %s\nROOKERY_GOLDEN=write ./rookery test helm writes it anew", line, path, ours, theirs)
		}
	})
}

// withoutLabels leaves out what all objects have alike; TestObjectsAreLabelled looks at that.
func withoutLabels(m manifest) string {
	return sameLabels.ReplaceAllString(string(m.text), "")
}

var sameLabels = regexp.MustCompile(`(?m)^ +(helm\.sh/chart|app\.kubernetes\.io/(managed-by|version|name|instance)): .*\n`)

func TestObjectsAreLabelled(t *testing.T) {
	forEachExample(t, func(t *testing.T, _ string, all []manifest) {
		for _, m := range all {
			labels := at(m.object, "metadata", "labels")
			if at(labels, "app.kubernetes.io/instance") != "mesh" || at(labels, "app.kubernetes.io/name") != "rookery" {
				t.Errorf("%s has the labels %v", m, labels)
			}
			if at(m.object, "metadata", "namespace") != "mesh" {
				t.Errorf("%s is not in the release's namespace", m)
			}
		}
	})
}

func difference(t *testing.T, before, after string) string {
	t.Helper()
	diff, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(before), B: difflib.SplitLines(after), Context: 1})
	if err != nil {
		t.Fatal(err)
	}
	// Line numbers would change with every line above.
	return regexp.MustCompile(`(?m)^@@ .* @@$`).ReplaceAllString(diff, "@@")
}

func firstDifference(a, b []byte) (line int, ours, theirs []byte) {
	left, right := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := 0; i < len(left) || i < len(right); i++ {
		ours, theirs = nil, nil
		if i < len(left) {
			ours = left[i]
		}
		if i < len(right) {
			theirs = right[i]
		}
		if !bytes.Equal(ours, theirs) {
			return i + 1, ours, theirs
		}
	}
	return 0, nil, nil
}

// What helm lint --strict does, with each example's values.
func TestLint(t *testing.T) {
	for _, name := range examples(t) {
		for _, m := range lint.AllWithKubeVersion(chartDir, example(t, name), "mesh", nil).Messages {
			if m.Severity >= support.WarningSev {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}
