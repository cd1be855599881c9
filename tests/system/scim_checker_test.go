package system

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Somebody else's reading of RFC 7643 and 7644: scim2-tester asks the service what it is, and holds it to that.
func TestSCIMChecker(t *testing.T) {
	c := cluster(t)
	d := newDirectory(t, c, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join("..", "..", "build", "scim", "bin", "python"), filepath.Join("..", "scim", "check.py"),
		c.APIURL+"/api/scim/v2", d.Token).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}
