package system

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"

	"rookery.test/system/harness"
)

// Acceptance cases 3 and 4: the stock netbird program signs its host in at the embedded provider, behind haproxy and two
// replicas, as people do on a desktop (PKCE) and on a server (device code).

// joining is a netbird command while it waits for somebody to sign in at `at`.
type joining struct {
	cmd  *exec.Cmd
	at   string
	said *strings.Builder
	done chan error
}

// Where the agent sees what kind of machine it is on.
var desktop, server = []string{"XDG_CURRENT_DESKTOP=GNOME", "DESKTOP_SESSION=gnome"}, []string{"XDG_CURRENT_DESKTOP=", "DESKTOP_SESSION="}

// join is `netbird up`.
func join(t *testing.T, management string, d *harness.Daemon, env ...string) *joining {
	t.Helper()
	return begin(t, func(ctx context.Context) *exec.Cmd {
		return d.Command(ctx, "up", "--management-url", management, "--hostname", d.Name, "--no-browser")
	}, env...)
}

func begin(t *testing.T, command func(ctx context.Context) *exec.Cmd, env ...string) *joining {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	j := &joining{cmd: command(ctx), said: &strings.Builder{}, done: make(chan error, 1)}
	j.cmd.Env = append(j.cmd.Env, env...)
	out, err := j.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	j.cmd.Stderr = j.cmd.Stdout
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		address := regexp.MustCompile(`https?://\S+/(oauth2/|auth\?|device\?)\S+`)
		for line := range harness.Lines(out) {
			fmt.Fprintln(j.said, line)
			if at := address.FindString(line); at != "" {
				select {
				case found <- at:
				default:
				}
			}
		}
	}()
	go func() {
		<-ended
		j.done <- j.cmd.Wait()
	}()
	select {
	case j.at = <-found:
	case err := <-j.done:
		t.Fatalf("netbird ended without a word of signing in: %v\n%s", err, j.said)
	case <-time.After(time.Minute):
		t.Fatal("netbird says nothing of signing in")
	}
	return j
}

func (j *joining) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-j.done:
		return err
	case <-time.After(90 * time.Second):
		return errors.New("netbird does not end")
	}
}

// ownedPeer is the peer of that name, which must be the owner's.
func ownedPeer(t *testing.T, c *harness.Cluster, name string) {
	t.Helper()
	var me struct{ ID string }
	c.REST().Want(t, 200, "GET", "/api/users/current", nil, &me)
	peerOwnedBy(t, c, name, me.ID)
}

// peerOwnedBy is the peer of that name, which must be that user's. It goes with the test.
func peerOwnedBy(t *testing.T, c *harness.Cluster, name, user string) {
	t.Helper()
	var peers []api.Peer
	c.REST().Want(t, 200, "GET", "/api/peers", nil, &peers)
	for _, p := range peers {
		if !strings.HasPrefix(p.DnsLabel, name+".") {
			continue
		}
		t.Cleanup(func() { _, _ = c.REST().Try(context.Background(), "DELETE", "/api/peers/"+p.Id, nil) })
		if p.UserId != user || !p.LoginExpirationEnabled {
			t.Errorf("%s is %s's, not %s's; its login expires: %v", name, p.UserId, user, p.LoginExpirationEnabled)
		}
		return
	}
	t.Errorf("there is no peer %s among %d", name, len(peers))
}

func ssoHost(t *testing.T, name string) (*harness.Cluster, *harness.Daemon) {
	t.Helper()
	c := cluster(t)
	needsProcesses(t, c)
	c.SQL(t, "DELETE FROM oauth_limit; DELETE FROM oauth_device")
	return c, harness.NewHost(t, name, "", "SSL_CERT_FILE="+c.CAFile)
}

// bring is what the browser on the agent's host does with what it has got from the provider.
func bring(t *testing.T, d *harness.Daemon, back *harness.Stop) {
	t.Helper()
	if back.Status != 0 || back.URL.Query().Get("code") == "" {
		t.Fatalf("nothing for the agent: %d %v %.400s", back.Status, back.URL, back.Body)
	}
	back.URL.Host = strings.Replace(back.URL.Host, "localhost", d.Host, 1)
	if s := harness.NewWalk(t).Get(back.URL.String()); s.Status != http.StatusOK {
		t.Fatalf("the agent answers its callback with %d %.300s", s.Status, s.Body)
	}
}

func TestCase03AgentByPKCE(t *testing.T) {
	c, d := ssoHost(t, "sso-desktop")
	j := join(t, c.ManagementURL, d, desktop...)
	at, err := url.Parse(j.at)
	if err != nil || !strings.HasSuffix(at.Path, "/oauth2/auth") || at.Query().Get("prompt") != "login" {
		t.Fatalf("the agent sends the browser to %s", j.at)
	}
	back := signIn(c, harness.NewWalk(t).Trust(c.CAFile), j.at, "http://localhost:5")
	bring(t, d, back)
	if err := j.wait(t); err != nil {
		t.Fatalf("%v\n%s", err, j.said)
	}
	ownedPeer(t, c, d.Name)
	if unused := c.SQL(t, "SELECT count(*) FROM oauth_code WHERE client_id = 'netbird-cli' AND used_at IS NOT NULL AND grant_id IS NOT NULL"); unused == "0" {
		t.Error("no code of the agent was redeemed")
	}
}

func TestCase04AgentByDeviceCode(t *testing.T) {
	t.Parallel()
	c, d := ssoHost(t, "sso-server")
	answer := func(j *joining, how string) {
		t.Helper()
		at, err := url.Parse(j.at)
		if err != nil || !strings.HasSuffix(at.Path, "/oauth2/device") {
			t.Fatalf("the agent sends the browser to %s", j.at)
		}
		walk := harness.NewWalk(t).Trust(c.CAFile)
		s := walk.Fill(walk.Get(j.at), nil)
		if strings.Contains(s.URL.Path, "/login") {
			s = walk.Fill(s, ownersPassword(c))
		}
		// Two polls find nothing.
		harness.Eventually(t, 20*time.Second, "the agent has polled twice", func() error {
			if n := c.SQL(t, "SELECT count(*) FROM oauth_device WHERE polled_at > created_at + interval '9 seconds'"); n != "1" {
				return fmt.Errorf("%s devices have", n)
			}
			return nil
		})
		if s = walk.Fill(s, url.Values{"answer": {how}}); s.Status != 200 {
			t.Fatalf("%s: %d %v %.300s", how, s.Status, s.URL, s.Body)
		}
	}
	j := join(t, c.ManagementURL, d, server...)
	answer(j, "deny")
	if err := j.wait(t); err == nil || !strings.Contains(j.said.String(), "denied") {
		t.Errorf("denied: %v\n%s", err, j.said)
	}
	c.SQL(t, "DELETE FROM oauth_device")
	j = join(t, c.ManagementURL, d, server...)
	answer(j, "approve")
	if err := j.wait(t); err != nil {
		t.Fatalf("%v\n%s", err, j.said)
	}
	ownedPeer(t, c, d.Name)
}
