package system

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"rookery.test/system/harness"
)

const (
	webEmail    = "ada@example.org"
	webPassword = "Correct-horse-1"
)

// webOwner makes the first account of a provider, and needs no wizard for it.
func webOwner(t *testing.T, p *harness.Provider) {
	t.Helper()
	harness.NewREST(p.URL, "").Want(t, 200, "POST", "/api/setup",
		map[string]string{"email": webEmail, "name": "Ada", "password": webPassword}, nil)
}

// Every page in Chromium: by keyboard, at the width of a phone, for screen readers, without JavaScript, in two languages.
func TestWebPages(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	harness.Web(t, "pages.mjs", p.URL)
}

// Several ways to sign in: the one by e-mail stands first, and leads back.
func TestWebChooser(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	p.SQL(t, `INSERT INTO connector (id, account_id, type, name, issuer, client_id, sealed_secret)
		SELECT 'oidc-' || n, id, 'oidc', (ARRAY['Example & Co', '<b>Bold</b>', 'A provider with a name that is long enough to need two lines'])[n],
		'https://id.example', 'c', '' FROM account, generate_series(1, 3) n`)
	harness.Web(t, "chooser.mjs", p.URL, webEmail, webPassword)
}

// The second step: an app, recovery codes, a passkey of the browser's own virtual authenticator.
func TestWebSecondStep(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	harness.Web(t, "second.mjs", p.URL, webEmail, webPassword)
}

// The dashboard's own login library: login, first page, renewal in a hidden frame, logout.
func TestWebDashboardLibrary(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	u, err := url.Parse(p.Others)
	if err != nil {
		t.Fatal(err)
	}
	harness.Web(t, "dashboard.mjs", p.URL, webEmail, webPassword, u.Port())
}

// A browser without Chromium: cookies, and pages as text.
type webBrowser struct {
	*http.Client
	base, from string // whose address the requests come from
}

func newWebBrowser(t *testing.T, base, from string) *webBrowser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &webBrowser{base: base, from: from, Client: &http.Client{
		Jar:       jar,
		Timeout:   20 * time.Second,
		Transport: &http.Transport{Proxy: nil},
		CheckRedirect: func(q *http.Request, _ []*http.Request) error {
			if !strings.HasPrefix(q.URL.Path, "/oauth2/") {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}
}

type webPage struct {
	status int
	header http.Header
	text   string
	url    *url.URL
}

func (b *webBrowser) do(t *testing.T, method, at string, form url.Values, headers ...string) *webPage {
	t.Helper()
	if strings.HasPrefix(at, "/") {
		at = b.base + at
	}
	q, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.from != "" {
		q.Header.Set("X-Forwarded-For", b.from)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		q.Header.Set(name, value)
	}
	answer, err := b.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var text strings.Builder
	buffer := make([]byte, 32<<10)
	for {
		n, err := answer.Body.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	return &webPage{answer.StatusCode, answer.Header, text.String(), answer.Request.URL}
}

// login opens the page that asks for a password.
func (b *webBrowser) login(t *testing.T, more url.Values) *webPage {
	t.Helper()
	query := url.Values{
		"client_id": {"netbird-dashboard"}, "redirect_uri": {b.base + "/nb-auth"}, "response_type": {"code"},
		"scope": {"openid profile email"}, "state": {"s"}, "code_challenge_method": {"S256"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
	}
	for key, value := range more {
		query[key] = value
	}
	p := b.do(t, "GET", "/oauth2/auth?"+query.Encode(), nil)
	if p.status != 200 || !strings.Contains(p.text, `name="password"`) {
		t.Fatalf("no login page: %d %s", p.status, p.text)
	}
	return p
}

var (
	webCSRF   = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
	webAction = regexp.MustCompile(`action="([^"]+)"`)
)

func (p *webPage) one(t *testing.T, what *regexp.Regexp) string {
	t.Helper()
	found := what.FindStringSubmatch(p.text)
	if found == nil {
		t.Fatalf("no %v in %s", what, p.text)
	}
	return found[1]
}

func (b *webBrowser) give(t *testing.T, page *webPage, email, password string, headers ...string) *webPage {
	t.Helper()
	return b.do(t, "POST", page.one(t, webAction), url.Values{
		"csrf": {page.one(t, webCSRF)}, "login": {email}, "password": {password},
	}, headers...)
}

// What is the same about two pages but for what belongs to the login alone.
func (p *webPage) plain() string {
	text := webCSRF.ReplaceAllString(p.text, "")
	text = webAction.ReplaceAllString(text, "")
	return fmt.Sprint(p.status, regexp.MustCompile(`value="[^"]*@[^"]*"`).ReplaceAllString(text, ""))
}

// A form counts only with its token, from the browser it was given to, sent by a page of ours.
func TestLoginFormsAreOurs(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	mine, other := newWebBrowser(t, p.URL, ""), newWebBrowser(t, p.URL, "")
	page, elsewhere := mine.login(t, nil), other.login(t, nil)
	action := page.one(t, webAction)
	right := url.Values{"csrf": {page.one(t, webCSRF)}, "login": {webEmail}, "password": {webPassword}}

	refuse := func(what string, b *webBrowser, form url.Values, headers ...string) {
		t.Helper()
		got := b.do(t, "POST", action, form, headers...)
		if got.status != 403 && got.status != 400 || strings.Contains(got.url.String(), "code=") {
			t.Errorf("%s: %d", what, got.status)
		}
		if got.header.Get("Content-Security-Policy") == "" || !strings.Contains(got.text, "<!doctype html>") {
			t.Errorf("%s: no page of ours", what)
		}
	}
	without := url.Values{"login": {webEmail}, "password": {webPassword}}
	refuse("without a token", mine, without)
	refuse("with another login's token", mine, url.Values{"csrf": {elsewhere.one(t, webCSRF)}, "login": {webEmail}, "password": {webPassword}})
	refuse("from another browser", other, right)
	refuse("from another site", mine, right, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example")
	refuse("from a sibling", mine, right, "Sec-Fetch-Site: same-site")
	refuse("from another origin", mine, right, "Origin: https://evil.example")
	refuse("as JSON", mine, right, "Content-Type: application/json")
	refuse("with a field twice", mine, url.Values{"csrf": right["csrf"], "login": {webEmail, "x"}, "password": {webPassword}})
	refuse("larger than any", mine, url.Values{"csrf": right["csrf"], "login": {strings.Repeat("x", 70000)}})

	got := mine.do(t, "POST", action, right, "Sec-Fetch-Site: same-origin", "Origin: null")
	if got.status != 303 || !strings.Contains(got.header.Get("Location"), "code=") {
		t.Fatalf("the right form: %d %s", got.status, got.text)
	}
	// The login has ended: its form is worth nothing more.
	refuse("a second time", mine, right)
}

// Whatever was wrong: one page, and one hash.
func TestLoginTellsNobodyApart(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	p.SQL(t, "INSERT INTO users (id, account_id, role, name, email, password_hash, issued, blocked) "+
		"SELECT 'blocked', account_id, 'user', 'B', 'blocked@example.org', password_hash, 'api', true FROM users")
	pages, hashes := map[string]string{}, map[string]float64{}
	for i, email := range []string{webEmail, "nobody@example.org", "blocked@example.org"} {
		b := newWebBrowser(t, p.URL, fmt.Sprintf("198.51.100.%d", i+1))
		page := b.login(t, nil)
		before := p.Metric(t, "rookery_api_password_hashes_total")
		var all []string
		for n := range 8 {
			if n == 5 {
				p.SQL(t, "UPDATE password_guess SET free_at = 'infinity' WHERE tries = 5 AND name LIKE 'password %'")
			}
			page = b.give(t, page, email, "Wrong-1")
			all = append(all, page.plain())
		}
		pages[email] = strings.Join(all, "\n")
		hashes[email] = p.Metric(t, "rookery_api_password_hashes_total") - before
	}
	for email := range pages {
		if pages[email] != pages[webEmail] || hashes[email] != 5 {
			t.Errorf("%s: %v hashes, the same page %v", email, hashes[email], pages[email] == pages[webEmail])
		}
	}
	// Even the right password waits, and reads the same.
	b := newWebBrowser(t, p.URL, "198.51.100.9")
	got := b.give(t, b.login(t, nil), webEmail, webPassword)
	if first, _, _ := strings.Cut(pages[webEmail], "\n"); got.plain() != first && !strings.HasPrefix(pages[webEmail], got.plain()) {
		t.Errorf("a locked account reads otherwise: %s", got.text)
	}
	// It is no lock for good, and nobody else waits.
	p.SQL(t, "UPDATE password_guess SET free_at = now()")
	got = b.give(t, b.login(t, nil), webEmail, webPassword)
	if got.status != 303 {
		t.Errorf("after the pause: %d", got.status)
	}
}

// What comes from a request is text on a page and nothing else.
func TestLoginPagesHoldNoMarkupOfOthers(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	b := newWebBrowser(t, p.URL, "")
	evil := `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	page := b.login(t, url.Values{"login_hint": {evil}})
	again := b.give(t, page, evil, "Wrong-1")
	for _, text := range []string{page.text, again.text} {
		if strings.Contains(text, "<script>alert") || strings.Contains(text, "<img src=x") || !strings.Contains(text, "&lt;script&gt;") {
			t.Errorf("not escaped: %s", text)
		}
	}
	for _, path := range []string{
		"/oauth2/auth?client_id=" + url.QueryEscape(evil), "/oauth2/device?user_code=" + url.QueryEscape(evil),
		"/oauth2/invite?token=" + url.QueryEscape(evil), "/oauth2/auth/local/login?login=" + url.QueryEscape(evil),
		"/oauth2/static/" + url.PathEscape(evil), "/oauth2/mfa/totp?login=" + url.QueryEscape(evil),
	} {
		got := b.do(t, "GET", path, nil)
		if strings.Contains(got.text, "<script>alert") || strings.Contains(got.text, "<img src=x") {
			t.Errorf("%s: not escaped: %s", path, got.text)
		}
		if got.header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: no policy", path)
		}
	}
}

// Whoever sends ten thousand passwords, all at once and from everywhere, has few of them looked at.
func TestLoginGuessesAreBounded(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	before := p.Metric(t, "rookery_api_password_hashes_total")
	start := time.Now()
	const browsers, each = 40, 250
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for i := range browsers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			b := newWebBrowser(t, p.URL, fmt.Sprintf("203.0.113.%d", i))
			page := b.login(t, nil)
			for range each {
				got := b.give(t, page, webEmail, "Wrong-1")
				mu.Lock()
				statuses[got.status]++
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	// 5 at once, then one after 1, 2, 4... seconds.
	allowed, pause := 5.0, time.Second
	for spent := pause; spent < time.Since(start)+time.Second; spent += pause {
		allowed++
		pause *= 2
	}
	hashed := p.Metric(t, "rookery_api_password_hashes_total") - before
	if hashed > allowed {
		t.Errorf("%v passwords looked at in %v, want at most %v", hashed, time.Since(start), allowed)
	}
	for status := range statuses {
		if status != 401 && status != 503 {
			t.Errorf("answers: %v", statuses)
		}
	}
	// From one address, of whoever it may be: 30.
	before = p.Metric(t, "rookery_api_password_hashes_total")
	b := newWebBrowser(t, p.URL, "203.0.113.200")
	page := b.login(t, nil)
	for i := range 60 {
		b.give(t, page, fmt.Sprintf("u%d@example.org", i), "Wrong-1")
	}
	if hashed := p.Metric(t, "rookery_api_password_hashes_total") - before; hashed != 30 {
		t.Errorf("%v passwords looked at from one address, want 30", hashed)
	}
	t.Logf("%v in %v: answers %v", browsers*each, time.Since(start), statuses)
}

// More passwords than can be looked at: who is sent away keeps the page and what was typed, and gets in by pressing again.
func TestLoginThatMustWaitKeepsItsPage(t *testing.T) {
	p := cluster(t).Provider(t, map[string]string{"password_workers": "1"})
	webOwner(t, p)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 48 {
		b := newWebBrowser(t, p.URL, fmt.Sprintf("203.0.113.%d", i))
		page := b.login(t, nil)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					if got := b.give(t, page, fmt.Sprintf("u%d-%d@example.org", i, n), "Wrong-1"); got.status != 401 && got.status != 503 {
						t.Errorf("%d %s", got.status, got.text)
						return
					}
				}
			}
		}()
	}
	b := newWebBrowser(t, p.URL, "203.0.113.200")
	page := b.login(t, nil)
	sentAway := false
	for deadline := time.Now().Add(time.Minute); ; {
		got := b.give(t, page, webEmail, webPassword)
		if got.status == 303 && sentAway {
			break
		}
		if got.status == 303 {
			page = b.login(t, url.Values{"prompt": {"login"}})
			continue
		}
		if got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Fatalf("%d %v %s", got.status, got.header, got.text)
		}
		// Who has had to wait for too long in the queue gets a page of its own.
		if strings.Contains(got.text, `name="password"`) {
			if !strings.Contains(got.text, `value="`+webEmail+`"`) || strings.Contains(got.text, webPassword) || !strings.Contains(got.text, "Try again in a few seconds.") {
				t.Fatalf("the page of who is sent away: %s", got.text)
			}
			if !sentAway {
				close(stop) // or it is a lottery
			}
			sentAway = true
			page = got
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody gets in; sent away: %v", sentAway)
		}
	}
	wg.Wait()
}

func TestLoginCookiesAreSecureOverTLS(t *testing.T) {
	p := cluster(t).Provider(t, map[string]string{"public_url": "https://localhost", "oauth_dashboard_redirect_urls": "", "oauth_dashboard_logout_urls": ""})
	query := url.Values{
		"client_id": {"netbird-dashboard"}, "redirect_uri": {"https://localhost/nb-auth"}, "response_type": {"code"},
		"scope": {"openid"}, "state": {"s"}, "code_challenge_method": {"S256"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
	}
	q, err := http.NewRequestWithContext(t.Context(), "GET", p.URL+"/oauth2/auth?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Transport{Proxy: nil}).RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if len(answer.Cookies()) == 0 {
		t.Fatalf("no cookie: %d", answer.StatusCode)
	}
	for _, c := range answer.Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/oauth2" || c.Domain != "" {
			text, _ := json.Marshal(c)
			t.Errorf("%s", text)
		}
	}
}
