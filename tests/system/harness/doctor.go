package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Finding is a line of rookery-doctor.
type Finding struct {
	Check, Subject, Status, Detail string
	ToDo                           string `json:"to_do"`
}

// Doctor runs rookery-doctor on a cluster with further options and environment, and returns what it found and its exit
// status. The program lies beside that of management.
func (c *Cluster) Doctor(t testing.TB, env []string, options ...string) ([]Finding, int) {
	t.Helper()
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.Proc(t, c.Names("management")[0]).PID))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--json", "--config", filepath.Join(c.dir, "d", "conf", "management-1.conf"), "--ca", c.CAFile}
	for _, p := range c.Processes {
		if strings.Contains(p.Name, "-") {
			args = append(args, "--admin", "http://"+p.Admin)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(exe), "rookery-doctor"), append(args, options...)...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var report struct{ Checks []Finding }
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("rookery-doctor: %v\n%s%s", err, &out, &errs)
	}
	return report.Checks, cmd.ProcessState.ExitCode()
}
