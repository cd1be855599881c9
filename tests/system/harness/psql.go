package harness

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// psql runs one statement where the conninfo leads and returns what psql prints of its rows.
func psql(conninfo, statement string) (string, error) {
	out, err := exec.Command("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-c", statement).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", statement, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func mustPSQL(t testing.TB, conninfo, statement string) string {
	t.Helper()
	out, err := psql(conninfo, statement)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
