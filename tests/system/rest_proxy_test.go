package system

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

type proxyToken struct {
	ID         string
	Name       string
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsed   *time.Time `json:"last_used"`
	Revoked    bool
	PlainToken string `json:"plain_token"`
}

// Tokens of reverse proxies: shown once, revoked for good.
func TestRESTProxyTokens(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	const at = "/api/reverse-proxies/proxy-tokens"
	var made, forever proxyToken
	if a := s.Want(t, 200, "POST", at, map[string]any{"name": s.Name, "expires_in": 3600}, &made); a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
	}
	if !regexp.MustCompile(`^nbx_[0-9A-Za-z]{36}$`).MatchString(made.PlainToken) || made.Revoked || made.LastUsed != nil ||
		made.ExpiresAt == nil || made.ExpiresAt.Sub(made.CreatedAt) != time.Hour {
		t.Errorf("%+v", made)
	}
	s.Want(t, 200, "POST", at, map[string]any{"name": s.Name + "-for-ever"}, &forever)
	if forever.ExpiresAt != nil {
		t.Errorf("%+v", forever)
	}
	for message, body := range map[string]any{
		"name is required and must be at most 255 characters":  map[string]any{"name": ""},
		"name is required and must be at most 255 characters ": map[string]any{"name": strings.Repeat("x", 256)},
		"expires_in must be non-negative":                      map[string]any{"name": "x", "expires_in": -1},
		"expires_in must be at most 100 years":                 map[string]any{"name": "x", "expires_in": int64(1) << 62},
	} {
		s.WantError(t, 400, strings.TrimSpace(message), "POST", at, body)
	}
	s.WantError(t, 404, "token not found", "DELETE", at+"/nobody", nil)
	for range 2 { // the second time it is revoked already
		s.Want(t, 200, "DELETE", at+"/"+made.ID, nil, nil)
	}
	var list []proxyToken
	a := s.Want(t, 200, "GET", at, nil, &list)
	revoked := 0
	for _, p := range list {
		if p.ID == made.ID && p.Revoked {
			revoked++
		}
	}
	if revoked != 1 || strings.Contains(string(a.Body), "nbx_") {
		t.Errorf("%s", a.Body)
	}
	if got := c.SQL(t, "SELECT count(*) FROM proxy_token WHERE to_json(proxy_token)::text LIKE '%"+made.PlainToken[4:]+"%'"); got != "0" {
		t.Error("the token is stored as it is")
	}
	told := events(t, s.REST, "target="+made.ID)
	if len(told) != 2 || told[0].ActivityCode != "proxy.token.revoke" || told[1].ActivityCode != "proxy.token.create" || told[0].Meta["name"] != s.Name {
		t.Errorf("%+v", told)
	}
	auditor := c.Person(t, "auditor")
	auditor.WantError(t, 403, "permission denied", "POST", at, map[string]any{"name": "x"})
}

// Nobody is sent anywhere by a login that no service has asked for.
func TestRESTProxyCallback(t *testing.T) {
	a := anonymous(cluster(t)).Do(t, "GET", "/api/reverse-proxy/callback?state=https://evil.test/&code=x", nil)
	if a.Status != 400 || strings.TrimSpace(string(a.Body)) != "Invalid state parameter" || a.Header.Get("Location") != "" ||
		!strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %q %v", a.Status, a.Body, a.Header)
	}
}
