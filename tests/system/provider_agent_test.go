package system

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

// The stock netbird program signs its host in by somebody else's certified provider, once with ours between and once without; at
// each request and each call it meets the other of two replicas.

// atConnector is what somebody does who is to sign in with us and is known elsewhere: picks the connector, and signs in there.
func atConnector(t *testing.T, npm *harness.OIDCProvider, w *harness.Walk, chooser *harness.Stop, who string, ends ...string) *harness.Stop {
	t.Helper()
	way := chooser.Link("Over at " + npm.ClientID)
	if way == "" {
		t.Fatalf("the page offers no other provider: %d %v %.600s", chooser.Status, chooser.URL, chooser.Body)
	}
	return npm.SignIn(t, w, w.Get(way, ends...), who, ends...)
}

// keyOf is the id of the key that has signed a token.
func keyOf(t *testing.T, token string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	var head struct{ Kid string }
	if err != nil || json.Unmarshal(text, &head) != nil || head.Kid == "" {
		t.Fatalf("no header: %.60s", token)
	}
	return head.Kid
}

// waits has a host refused because its owner is not let in yet, and then lets the owner in.
func waits(t *testing.T, f *harness.Front, j *joining, user string) {
	t.Helper()
	if err := j.wait(t); err == nil || !strings.Contains(j.said.String(), "pending approval") {
		t.Fatalf("a host of somebody who waits for approval: %v\n%s", err, j.said)
	}
	f.Want(t, 200, "POST", "/api/users/"+user+"/approve", nil, nil)
}

func joins(t *testing.T, j *joining) {
	t.Helper()
	if err := j.wait(t); err != nil {
		t.Fatalf("%v\n%s", err, j.said)
	}
}

func TestProviderAgentThroughAConnector(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	c.SQL(t, "DELETE FROM oauth_limit; DELETE FROM oauth_device")
	f := c.Front(t, nil)
	npm, made := npmConnector(t, f.URL, c.REST())
	who := somebody("elsewhere")
	id := subject(who, made.ID)
	forget(t, c, id)
	t.Setenv("SSL_CERT_FILE", c.CAFile)

	byPKCE := func(d *harness.Daemon, j *joining) {
		t.Helper()
		walk := harness.NewWalk(t).Trust(c.CAFile)
		bring(t, d, atConnector(t, npm, walk, walk.Get(j.at, "http://localhost:5"), who, "http://localhost:5"))
	}
	one := harness.NewHost(t, "elsewhere-desktop", "")
	j := join(t, f.URL, one, desktop...)
	byPKCE(one, j)
	waits(t, f, j, id)
	j = join(t, f.URL, one, desktop...)
	byPKCE(one, j)
	joins(t, j)
	peerOwnedBy(t, c, one.Name, id)

	// The same person at the dashboard, and at a server.
	walk := harness.NewWalk(t).Trust(c.CAFile)
	login := harness.NewLogin(f.URL)
	login.CAFile = c.CAFile
	tokens := login.Redeem(t, atConnector(t, npm, walk, walk.Get(login.URL(nil), login.Redirect), who, login.Redirect))
	key := keyOf(t, tokens.Access)
	two := harness.NewHost(t, "elsewhere-server", "")
	j = join(t, f.URL, two, server...)
	s := walk.Fill(walk.Get(j.at), nil)
	if !strings.Contains(s.Body, `value="approve"`) {
		t.Fatalf("who is signed in is asked at once: %d %v %.400s", s.Status, s.URL, s.Body)
	}

	// While the server waits, both providers' keys become others, and both replicas are new.
	npm.Restart(t)
	rotate(t, f.API(), "rotate-keys")
	t.Cleanup(func() { c.SQLAfter("DELETE FROM signing_key") })
	c.SQL(t, "UPDATE signing_key SET signs_from = signs_from - interval '71 minutes', signs_until = signs_until - interval '71 minutes'")
	f.Restart(t)
	if s = walk.Fill(s, url.Values{"answer": {"approve"}}); s.Status != 200 {
		t.Fatalf("approved: %d %.400s", s.Status, s.Body)
	}
	joins(t, j)
	peerOwnedBy(t, c, two.Name, id)
	for _, what := range []string{"the first", "the second"} { // of the two replicas
		if tokens = login.Again(t, tokens.Refresh); tokens.Error != "" || keyOf(t, tokens.Access) == key {
			t.Fatalf("%s refresh: %q, signed by %s", what, tokens.Error, keyOf(t, tokens.Access))
		}
	}
	if a := f.Do(t, "GET", "/api/users/current", nil, "Authorization: Bearer "+tokens.Access); a.Status != 200 {
		t.Errorf("a token of the new key: %d %s", a.Status, a.Body)
	}

	// A login of the new keys prolongs the desktop's session.
	before := lastLogin(t, c, one.Name)
	j = begin(t, func(ctx context.Context) *exec.Cmd { return one.Command(ctx, "login", "--extend", "--no-browser") }, desktop...)
	byPKCE(one, j)
	joins(t, j)
	if after := lastLogin(t, c, one.Name); !strings.Contains(j.said.String(), "Session extended") || !after.After(before) {
		t.Errorf("the session began at %v, and now at %v: %s", before, after, j.said)
	}

	// They leave the dashboard, here and there; what they have joined stays.
	s = walk.Get(f.URL + "/oauth2/logout?" + url.Values{"id_token_hint": {tokens.ID}, "client_id": {login.Client},
		"post_logout_redirect_uri": {f.URL + "/"}}.Encode())
	if s = npm.SignOut(t, walk, s, f.URL+"/oauth2/logout/callback?"); s.Status != 0 {
		t.Errorf("after logout: %d at %v: %.300s", s.Status, s.URL, s.Body)
	}
	walk.Get(s.URL.String(), f.URL+"/?", f.URL+"/#")
	if again := login.Again(t, tokens.Refresh); again.Error != "invalid_grant" {
		t.Errorf("refresh after the logout: %+v", again)
	}
	if s := walk.Get(login.URL(url.Values{"prompt": {"none"}}), login.Redirect); s.URL.Query().Get("error") != "login_required" {
		t.Errorf("the session still counts: %v", s.URL)
	}
	for _, d := range []*harness.Daemon{one, two} {
		if !d.Status(t).Management.Connected {
			t.Errorf("%s is not connected any more", d.Name)
		}
	}
}

// lastLogin is when the peer of that name has signed in, which the end of its session follows.
func lastLogin(t *testing.T, c *harness.Cluster, name string) time.Time {
	t.Helper()
	var peers []api.Peer
	c.REST().Want(t, 200, "GET", "/api/peers", nil, &peers)
	for _, p := range peers {
		if strings.HasPrefix(p.DnsLabel, name+".") {
			return p.LastLogin
		}
	}
	t.Fatalf("there is no peer %s", name)
	return time.Time{}
}

func TestProviderAgentOfAnotherProvider(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	npm := c.StartOIDCProvider(t, "http://127.0.0.1:1")
	f := c.Front(t, map[string]string{"oidc_embedded": "false", "oidc_audience": npm.Agent, "oidc_ca_file": c.CAFile,
		"oidc_discovery_url":  npm.URL + "/.well-known/openid-configuration",
		"oidc_pkce_client_id": npm.Agent, "oidc_device_client_id": npm.Agent})
	who := somebody("theirs")
	forget(t, c, who)
	t.Setenv("SSL_CERT_FILE", c.CAFile)

	one := harness.NewHost(t, "theirs-desktop", "")
	byPKCE := func() *joining {
		t.Helper()
		j := join(t, f.URL, one, desktop...)
		walk := harness.NewWalk(t).Trust(c.CAFile)
		bring(t, one, npm.SignIn(t, walk, walk.Get(j.at, "http://localhost:5"), who, "http://localhost:5"))
		return j
	}
	waits(t, f, byPKCE(), who)
	joins(t, byPKCE())
	peerOwnedBy(t, c, one.Name, who)

	// Its keys become others: the next token is the first of them.
	npm.Restart(t)
	two := harness.NewHost(t, "theirs-server", "")
	j := join(t, f.URL, two, server...)
	walk := harness.NewWalk(t).Trust(c.CAFile)
	s := npm.TypeCode(t, walk, walk.Get(j.at))
	if s = npm.SignIn(t, walk, s, who); s.Status != 200 || !strings.Contains(s.Body, "Sign-in Success") {
		t.Fatalf("the code was entered: %d %v %.600s", s.Status, s.URL, s.Body)
	}
	joins(t, j)
	peerOwnedBy(t, c, two.Name, who)

	// The dashboard's session with it goes on by refresh.
	login := harness.NewLogin(npm.URL)
	login.Client, login.Redirect, login.CAFile = npm.Agent, "http://localhost:53000/", c.CAFile
	login.Authorize, login.Token = npm.URL+"/auth", npm.URL+"/token"
	tokens := login.Redeem(t, npm.SignIn(t, walk, walk.Get(login.URL(url.Values{"prompt": {"consent"}}), login.Redirect), who, login.Redirect))
	for range 2 {
		if tokens = login.Again(t, tokens.Refresh); tokens.Error != "" {
			t.Fatalf("refresh: %+v", tokens)
		}
		var me struct{ ID string }
		a := f.Do(t, "GET", "/api/users/current", nil, "Authorization: Bearer "+tokens.Access)
		if a.JSON(t, &me); a.Status != 200 || me.ID != who {
			t.Errorf("they are %d %s", a.Status, a.Body)
		}
	}
	harness.Eventually(t, 5*time.Second, "both hosts are connected", func() error {
		for _, d := range []*harness.Daemon{one, two} {
			if !d.Status(t).Management.Connected {
				return fmt.Errorf("%s is not", d.Name)
			}
		}
		return nil
	})
}
