package harness

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

const envChild = "ROOKERY_TEST_CHILD"

// InChild runs the calling test once more in a process of its own with more environment, against the same cluster: what an
// agent reads from the environment it reads once a process. Without a cluster the child starts its own.
// True in that process; false, when it is through, in the caller.
func InChild(t *testing.T, c *Cluster, env ...string) bool {
	t.Helper()
	if os.Getenv(envChild) == t.Name() {
		return true
	}
	var pattern []string
	for _, part := range strings.Split(t.Name(), "/") {
		pattern = append(pattern, "^"+part+"$")
	}
	cmd := exec.Command(os.Args[0], "-test.run", strings.Join(pattern, "/"), "-test.v", "-test.timeout", "10m")
	cmd.Env = append(os.Environ(), envChild+"="+t.Name())
	if c != nil {
		cmd.Env = append(cmd.Env, EnvStatus+"="+c.SaveStatus(t))
	} else {
		port, err := nextBasePort()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, envBasePort+"="+strconv.Itoa(port))
	}
	cmd.Env = append(cmd.Env, env...)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ran := false
	var output []string
	for line := range Lines(pipe) {
		ran = ran || strings.Contains(line, "--- PASS: "+t.Name())
		output = append(output, "    | "+line)
	}
	err = cmd.Wait()
	if err != nil || !ran || testing.Verbose() {
		t.Logf("child process:\n%s", strings.Join(output, "\n"))
	}
	if err != nil {
		t.Fatalf("child process: %v", err)
	}
	if !ran {
		t.Fatal("the child process did not run the test")
	}
	return false
}
