package system

import (
	"slices"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

func TestLinesAreReadHoweverLongTheyAre(t *testing.T) {
	want := []string{"one", strings.Repeat("x", 100<<10), "", "the end has no newline"}
	if got := slices.Collect(harness.Lines(strings.NewReader(strings.Join(want, "\n")))); !slices.Equal(got, want) {
		t.Errorf("%d lines became %d", len(want), len(got))
	}
	for range harness.Lines(strings.NewReader("")) {
		t.Error("nothing has a line")
	}
}
