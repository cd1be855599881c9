package system

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

// `netbird ssh` of the stock program between two hosts, with its login at the embedded provider: a rule admits the right user, as
// the right user of the machine, and nobody else. Any two requests of it meet different replicas.
func TestDaemonSSHAdmitsTheRightUser(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	c.SQL(t, "DELETE FROM oauth_limit; DELETE FROM oauth_device")
	f := c.Front(t, nil)
	npm, made := npmConnector(t, f.URL, f.REST)
	t.Setenv("SSL_CERT_FILE", c.CAFile)
	space := c.Lonely(t)
	groups := []string{space.Group}

	may, mayNot := somebody("may"), somebody("may-not")
	for _, who := range []string{may, mayNot} {
		walk, login := harness.NewWalk(t).Trust(c.CAFile), harness.NewLogin(f.URL)
		login.CAFile = c.CAFile
		tokens := login.Redeem(t, atConnector(t, npm, walk, walk.Get(login.URL(nil), login.Redirect), who, login.Redirect))
		forget(t, c, subject(who, made.ID))
		_ = f.Do(t, "GET", "/api/users/current", nil, "Authorization: Bearer "+tokens.Access)
		f.Want(t, 200, "POST", "/api/users/"+subject(who, made.ID)+"/approve", nil, nil)
	}
	f.Want(t, 200, "PUT", "/api/users/"+subject(may, made.ID), map[string]any{"role": "user", "auto_groups": groups, "is_blocked": false}, nil)

	// Without root a host has no other users to become.
	local := &user.User{Username: "deploy", Uid: "4242"}
	to := harness.NewHost(t, "ssh-server", "")
	if os.Getuid() == 0 {
		to.AddUser(t, local.Username, 4242)
	} else {
		var err error
		if local, err = user.Current(); err != nil {
			t.Fatal(err)
		}
	}
	space.AddPolicy(t, api.PolicyRuleUpdate{Name: "ssh", Enabled: true, Action: "accept", Protocol: "netbird-ssh", Bidirectional: false,
		Sources: &groups, Destinations: &groups, AuthorizedGroups: &map[string][]string{space.Group: {local.Username}}})
	to.UpAt(t, f.URL, space.Key, "--allow-server-ssh")
	from := harness.NewHost(t, "ssh-client", "")
	from.UpAt(t, f.URL, space.Key)
	address := to.Address(t)
	harness.Eventually(t, 30*time.Second, "the server's SSH answers with its banner", func() error {
		banner, err := from.Ask(address+":22", "SSH-2.0-test")
		if err == nil && !strings.Contains(banner, "NetBird-JWT-Required") {
			err = fmt.Errorf("it says %q", banner)
		}
		return err
	})
	ssh := func(as string, env []string) *joining {
		t.Helper()
		return begin(t, func(ctx context.Context) *exec.Cmd {
			return from.SSH(ctx, "--no-browser", as+"@"+address, "id", "-u", "&&", "hostname")
		}, env...)
	}

	// By device code.
	j := ssh(local.Username, server)
	walk := harness.NewWalk(t).Trust(c.CAFile)
	s := atConnector(t, npm, walk, walk.Fill(walk.Get(j.at), nil), may)
	if s = walk.Fill(s, url.Values{"answer": {"approve"}}); s.Status != 200 {
		t.Fatalf("approved: %d %v %.300s", s.Status, s.URL, s.Body)
	}
	if err := j.wait(t); err != nil || !strings.Contains(j.said.String(), "\n"+local.Uid+"\n") {
		t.Errorf("who may: %v\n%s", err, j.said)
	}
	// By PKCE.
	for _, try := range []struct {
		what, who, as string
		good          bool
	}{
		{"who may", may, local.Username, true},
		{"who may not", mayNot, local.Username, false},
		{"a user of the machine that is not theirs", may, "daemon", false},
	} {
		j := ssh(try.as, desktop)
		walk := harness.NewWalk(t).Trust(c.CAFile)
		bring(t, from, atConnector(t, npm, walk, walk.Get(j.at, "http://localhost:5"), try.who, "http://localhost:5"))
		err := j.wait(t)
		got := strings.Contains(j.said.String(), "\n"+local.Uid+"\n")
		if try.good != (err == nil) || try.good != got || (!try.good && !strings.Contains(j.said.String(), "unable to authenticate")) {
			t.Errorf("%s, by PKCE: %v\n%s", try.what, err, j.said)
		}
	}
}
