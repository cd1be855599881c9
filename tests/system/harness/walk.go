package harness

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Walk is a person's browser as far as logging in needs one: it keeps cookies, follows redirects and remembers where it was.
type Walk struct {
	t      testing.TB
	http   *http.Client
	Reload bool // where a gateway says that no answer came, the button is pressed once more
}

// Stop is where a walk has ended: at a page, or at an address that somebody else waits for.
type Stop struct {
	URL    *url.URL
	Status int // 0: an address of somebody else, which was not asked
	Header http.Header
	Body   string
	Trail  []string // every address on the way
}

func NewWalk(t testing.TB) *Walk {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Walk{t: t, http: &http.Client{Jar: jar, Timeout: 40 * time.Second, Transport: &http.Transport{Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Trust has it believe the certificates of that file.
func (w *Walk) Trust(file string) *Walk {
	w.http.Transport = &http.Transport{Proxy: nil, TLSClientConfig: believing(file)}
	return w
}

// Get goes there and on, as redirects lead; not to an address that begins with one of `ends`.
func (w *Walk) Get(at string, ends ...string) *Stop {
	w.t.Helper()
	s, err := w.TryGet(at, ends...)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// TryGet is Get without a verdict.
func (w *Walk) TryGet(at string, ends ...string) (*Stop, error) {
	return w.follow(http.MethodGet, at, nil, ends)
}

// Post sends a form.
func (w *Walk) Post(at string, form url.Values, ends ...string) *Stop {
	w.t.Helper()
	s, err := w.follow(http.MethodPost, at, form, ends)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *Walk) follow(method, at string, form url.Values, ends []string) (*Stop, error) {
	s := &Stop{}
	for range 20 {
		u, err := url.Parse(at)
		if err != nil {
			return nil, err
		}
		if s.URL != nil {
			u = s.URL.ResolveReference(u)
		}
		s.URL, at = u, u.String()
		s.Trail = append(s.Trail, at)
		for _, end := range ends {
			if strings.HasPrefix(at, end) {
				s.Status, s.Header, s.Body = 0, nil, ""
				return s, nil
			}
		}
		next, err := w.step(s, method, at, form)
		if err == nil && s.Status == http.StatusBadGateway && w.Reload {
			next, err = w.step(s, method, at, form)
		}
		if err != nil || next == "" {
			return s, err
		}
		method, form, at = http.MethodGet, nil, next
	}
	return nil, fmt.Errorf("round and round: %v", s.Trail)
}

// step is one request; it returns where that leads.
func (w *Walk) step(s *Stop, method, at string, form url.Values) (string, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, at, body)
	if err != nil {
		return "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	for _, cookie := range resp.Cookies() {
		// Not every Go sends it back, even over loopback: what is walked through is not at its public_url.
		if cookie.Secure && req.URL.Scheme != "https" {
			return "", fmt.Errorf("%s sets the cookie %s for https", at, cookie.Name)
		}
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	s.Status, s.Header, s.Body = resp.StatusCode, resp.Header, string(text)
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return resp.Header.Get("Location"), nil
	}
	return "", nil
}

var link = regexp.MustCompile(`href="([^"]*)"[^>]*>([^<]*)<`)

// Link is the address of the page's link whose text holds these words; "" when there is none.
func (s *Stop) Link(words string) string {
	for _, m := range link.FindAllStringSubmatch(s.Body, -1) {
		if strings.Contains(html.UnescapeString(m[2]), words) {
			at, err := url.Parse(html.UnescapeString(m[1]))
			if err != nil {
				return ""
			}
			return s.URL.ResolveReference(at).String()
		}
	}
	return ""
}

var input = regexp.MustCompile(`<input [^>]*name="([^"]*)" value="([^"]*)"`)

// Field is the value of a field of the page's form.
func (s *Stop) Field(name string) string {
	for _, m := range input.FindAllStringSubmatch(s.Body, -1) {
		if m[1] == name {
			return html.UnescapeString(m[2])
		}
	}
	return ""
}

var tags = regexp.MustCompile(`<(form|input|button) ([^>]*)>`)
var attribute = regexp.MustCompile(`([a-z]+)="([^"]*)"`)

// Fill sends the page's form with these values in it, and what it holds already.
func (w *Walk) Fill(at *Stop, values url.Values, ends ...string) *Stop {
	w.t.Helper()
	s, err := w.TryFill(at, values, ends...)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// TryFill is Fill without a verdict.
func (w *Walk) TryFill(at *Stop, values url.Values, ends ...string) (*Stop, error) {
	action, form := "", url.Values{}
	for _, tag := range tags.FindAllStringSubmatch(at.Body, -1) {
		a := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(tag[2], -1) {
			a[m[1]] = html.UnescapeString(m[2])
		}
		if tag[1] == "form" {
			action = a["action"]
		} else if tag[1] == "input" && a["name"] != "" && a["type"] != "checkbox" {
			form.Set(a["name"], a["value"])
		}
	}
	maps.Copy(form, values)
	target, err := at.URL.Parse(action)
	if err != nil || action == "" {
		return &Stop{URL: at.URL, Status: -1, Body: "no form: " + at.Body}, nil
	}
	return w.follow(http.MethodPost, target.String(), form, ends)
}

// A Login is the dashboard's part: what it asks a provider for, the embedded one at `base` unless it is told otherwise, and what it does with the answer.
type Login struct {
	Base                                     string // of the embedded provider
	Client, Redirect, State, Nonce, Verifier string
	Authorize, Token                         string // the endpoints
	CAFile                                   string // believed of the token endpoint; "" = it has no TLS
}

func NewLogin(base string) *Login {
	return &Login{base, "netbird-dashboard", base + "/nb-auth", randomText(), randomText(), randomText() + randomText(),
		base + "/oauth2/auth", base + "/oauth2/token", ""}
}

// URL begins the login; more are further parameters.
func (l *Login) URL(more url.Values) string {
	hash := sha256.Sum256([]byte(l.Verifier))
	q := url.Values{"client_id": {l.Client}, "redirect_uri": {l.Redirect}, "response_type": {"code"},
		"scope": {"openid profile email groups offline_access"}, "state": {l.State}, "nonce": {l.Nonce},
		"code_challenge": {b64(hash[:])}, "code_challenge_method": {"S256"}}
	for name, values := range more {
		q[name] = values
	}
	return l.Authorize + "?" + q.Encode()
}

// Tokens are what a login brings.
type Tokens struct {
	ID      string `json:"id_token"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string
}

// Redeem turns what the browser brought back into tokens.
func (l *Login) Redeem(t testing.TB, s *Stop) *Tokens {
	t.Helper()
	q := s.URL.Query()
	if s.Status != 0 || q.Get("code") == "" || q.Get("state") != l.State {
		t.Fatalf("no code for the dashboard, but status %d at %v: %.600s\ntrail: %v", s.Status, s.URL, s.Body, s.Trail)
	}
	tokens := l.token(t, url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {l.Redirect},
		"client_id": {l.Client}, "code_verifier": {l.Verifier}})
	if tokens.Error != "" || tokens.Access == "" {
		t.Fatalf("no tokens: %+v", tokens)
	}
	return tokens
}

// Again asks for new tokens; Error tells when there are none.
func (l *Login) Again(t testing.TB, refresh string) *Tokens {
	t.Helper()
	return l.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {l.Client}})
}

func (l *Login) token(t testing.TB, form url.Values) *Tokens {
	t.Helper()
	w := NewWalk(t)
	if l.CAFile != "" {
		w.Trust(l.CAFile)
	}
	s := w.Post(l.Token, form)
	tokens := &Tokens{}
	if err := json.Unmarshal([]byte(s.Body), tokens); err != nil {
		t.Fatalf("the token endpoint answers %d %q", s.Status, s.Body)
	}
	return tokens
}

// Claims are what a token says, not looked at further.
func Claims(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %.40s", token)
	}
	text, err := b64Decode(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
