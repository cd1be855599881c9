package system

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What --check-config prints goes into tickets and logs: none of it is a secret, wherever the secret was given.
func TestCheckConfigPrintsNoSecret(t *testing.T) {
	c := cluster(t)
	const secret = "hunter2hunter2hunter2hunter2hunter2hunter2h"

	for _, service := range []string{"management", "dashboard-api", "relay", "signal", "stun"} {
		cmd := exec.Command(fmt.Sprintf("/proc/%d/exe", c.Proc(t, service+"-1").PID), "--check-config")
		cmd.Env = append(os.Environ(), "ROOKERY_POSTGRES=host=127.0.0.1 password="+secret, "ROOKERY_SECRET_KEY="+secret+"=",
			"ROOKERY_RELAY_SECRET="+secret, "ROOKERY_EXPOSED_URL=rel://127.0.0.1:1", "ROOKERY_SIGNAL_URL=http://127.0.0.1:2",
			"ROOKERY_INSTANCE=the-one")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "instance = the-one") {
			t.Errorf("%s: %v: %s", service, err, out)
		}
		if strings.Contains(string(out), secret) {
			t.Errorf("%s prints a secret:\n%s", service, out)
		}
	}
}
