package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An `up` that is killed while it restarts one after the other leaves the others to the next one.
func TestInterruptedUpIsFinished(t *testing.T) {
	t.Parallel()
	c := own(t)
	needsProcesses(t, c)
	before := map[string]int{}
	for _, name := range c.Names("") {
		before[name] = c.Proc(t, name).PID
	}
	c.Unsettle(t, "restarting signal-1")
	c.Restart(t)
	for name, pid := range before {
		if service := strings.Contains(name, "-"); service != (c.Proc(t, name).PID != pid) {
			t.Errorf("%s was process %d and is %d; a service, which had to be started anew: %v", name, pid, c.Proc(t, name).PID, service)
		}
	}
	for name := range before {
		before[name] = c.Proc(t, name).PID
	}
	c.Restart(t)
	for name, pid := range before {
		if c.Proc(t, name).PID != pid {
			t.Errorf("%s was restarted although nothing had changed", name)
		}
	}
}

// What compose puts behind POSTGRES is a password to libpq, whatever is in it; behind a URI nothing can be put.
func TestComposeConninfo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := compose(t, dir, "POSTGRES='host=db user=me'; compose_conninfo \"$PASSWORD\"", `PASSWORD=it's a \ "b" $c =`)
	if want := `host=db user=me password='it\'s a \\ "b" $c ='`; err != nil || out != want {
		t.Errorf("%s and not %s: %v", out, want, err)
	}
	env := filepath.Join(dir, ".env")
	for _, postgres := range []string{"postgres://me@db/rookery", "postgresql://me@db/rookery?sslmode=require"} {
		if err := os.WriteFile(env, []byte("DOMAIN=mesh.example.com\nPOSTGRES="+postgres+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := compose(t, dir, "exec 2>&1; compose_open "+env); err == nil || !strings.Contains(out, "is a URI") {
			t.Errorf("%s: %v: %s", postgres, err, out)
		}
	}
}

// compose runs lines of bash as `rookery compose` does, between what stands in for the containers and prints what becomes of them.
func compose(t *testing.T, dir, lines string, env ...string) (string, error) {
	t.Helper()
	const stand = `
set -euo pipefail
DIR=$1 COMPOSE_ENV=$1/.env
. ../../tools/rookery.d/common.sh
. ../../tools/rookery.d/compose.sh
compose_settings() { cat "$DIR/says"; }
compose_names() { printf '%s\n' signal-1 signal-2 redis; }
compose_exists() { true; }
compose_outdated() { false; }
compose_run() { true; }
compose_replace() { [ "$1" != "${DIES_AT:-}" ] || exit 3; printf '%s ' "$1"; }
note() { true; }
`
	cmd := exec.Command("bash", "-c", stand+lines, "bash", dir)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	return string(out), err
}

// So it is with containers, whether it was the settings or a secret that had changed.
func TestInterruptedComposeUpIsFinished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"secret_key", "relay_secret", "postgres", "redis_password"} {
		write("secrets/"+name, "old")
	}
	write("says", "old")
	expect := func(step, lines, want string, dies bool) {
		t.Helper()
		if out, err := compose(t, dir, lines); strings.TrimSpace(out) != want || (err != nil) != dies {
			t.Errorf("%s: it replaced %q and ended with %v", step, out, err)
		}
	}
	expect("the first", "compose_start", "signal-1 signal-2 redis", false)
	expect("nothing new", "compose_start", "", false)
	write("secrets/secret_key", "new")
	expect("a secret, and it dies", "DIES_AT=signal-2; compose_start", "signal-1", true)
	expect("the rest of it", "compose_start", "signal-1 signal-2", false)
	expect("and no more", "compose_start", "", false)
	write("says", "new")
	expect("a setting, and it dies", "DIES_AT=redis; compose_start", "signal-1 signal-2", true)
	expect("the rest of that", "compose_start", "signal-1 signal-2 redis", false)
	expect("and no more of that", "compose_start", "", false)
}
