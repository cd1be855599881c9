package system

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// Acceptance case 19, and S16. The second step: an app, recovery codes, a passkey of the browser's own virtual authenticator.
func TestWebSecondStep(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	harness.Web(t, "second.mjs", p.URL, webEmail, webPassword)
	toldOf(t, p, "user.second.factor.add", "user.recovery.code.use", "user.passkey.add")
}

// toldOf fails the test unless the audit trail has all of these.
func toldOf(t *testing.T, p *harness.Provider, codes ...string) {
	t.Helper()
	for _, code := range codes {
		if p.SQL(t, fmt.Sprintf("SELECT count(*) > 0 FROM event WHERE code = '%s'", code)) != "t" {
			t.Errorf("the audit trail knows nothing of %s", code)
		}
	}
}

// What is done from a shell is in the audit trail as anything else.
func TestOperatorsAreInTheAuditTrail(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	for _, command := range [][]string{{"rotate-keys"}, {"replace-keys"}, {"reset-mfa", webEmail}, {"set-password", webEmail}} {
		cmd := p.All[0].Command(t.Context(), command[0])
		cmd.Args = slices.Insert(cmd.Args, 2, command[1:]...)
		cmd.Stdin = strings.NewReader("Another-horse-1\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", command, err, out)
		}
	}
	toldOf(t, p, "account.signing.key.rotate", "account.signing.key.replace", "user.second.factor.reset", "user.password.reset")
	if n := p.SQL(t, "SELECT count(*) FROM event WHERE initiator_id = 'operator'"); n != "4" {
		t.Errorf("%s events of operators", n)
	}
}

// Acceptance cases 2 and 11. The dashboard's own login library: login, first page, renewal in a hidden frame, logout.
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

// ask goes where the dashboard sends people to sign in.
func (b *webBrowser) ask(t *testing.T, more url.Values) *webPage {
	t.Helper()
	query := url.Values{
		"client_id": {"netbird-dashboard"}, "redirect_uri": {b.base + "/nb-auth"}, "response_type": {"code"},
		"scope": {"openid profile email"}, "state": {"s"}, "code_challenge_method": {"S256"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
	}
	for key, value := range more {
		query[key] = value
	}
	return b.do(t, "GET", "/oauth2/auth?"+query.Encode(), nil)
}

// login opens the page that asks for a password.
func (b *webBrowser) login(t *testing.T, more url.Values) *webPage {
	t.Helper()
	p := b.ask(t, more)
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

// S11. A form counts only with its token, from the browser it was given to, sent by a page of ours.
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

// S12. Who signs in gets a session that nobody knew before: one that somebody has planted in the browser ends, and none comes by an address.
func TestLoginSessionIsNobodysBefore(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	p.SQL(t, "INSERT INTO users (id, account_id, role, name, email, password_hash, issued) "+
		"SELECT 'mallory', account_id, 'user', 'M', 'mallory@example.org', password_hash, 'api' FROM users")
	at, err := url.Parse(p.URL + "/oauth2/")
	if err != nil {
		t.Fatal(err)
	}
	session := func(b *webBrowser) string {
		for _, c := range b.Jar.Cookies(at) {
			if c.Name == "netbird-session" {
				return c.Value
			}
		}
		return ""
	}
	silent := url.Values{"prompt": {"none"}}
	answers := func(b *webBrowser, more url.Values, want string) {
		t.Helper()
		if got := b.ask(t, more); got.status != 303 || !strings.Contains(got.header.Get("Location"), want) {
			t.Errorf("%d %s, want %s", got.status, got.header.Get("Location"), want)
		}
	}
	thief, person := newWebBrowser(t, p.URL, ""), newWebBrowser(t, p.URL, "")
	thief.give(t, thief.login(t, nil), "mallory@example.org", webPassword)
	planted := session(thief)
	answers(thief, silent, "code=")
	person.Jar.SetCookies(at, []*http.Cookie{{Name: "netbird-session", Value: planted, Path: "/oauth2"}})
	if got := person.give(t, person.login(t, url.Values{"prompt": {"login"}}), webEmail, webPassword); got.status != 303 {
		t.Fatalf("%d %s", got.status, got.text)
	}
	own := session(person)
	if planted == "" || own == "" || own == planted {
		t.Errorf("the session was %q and is %q", planted, own)
	}
	answers(person, silent, "code=")
	answers(thief, silent, "error=login_required")
	answers(newWebBrowser(t, p.URL, ""), url.Values{"prompt": {"none"}, "netbird-session": {own}}, "error=login_required")
	// It opens the pages of the provider and nothing else.
	if got := person.do(t, "GET", "/api/users/current", nil, "Cookie: netbird-session="+own); got.status != 401 {
		t.Errorf("REST by a cookie: %d %s", got.status, got.text)
	}
}

// S14, and acceptance case 19. Whatever was wrong: one page, and one hash.
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

// S13. What comes from a request is text on a page and nothing else.
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

// S15. Whoever sends ten thousand passwords, all at once and from everywhere, has few of them looked at.
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
	guessed := guessPasswords(t, p)
	defer guessed.stop()
	b := newWebBrowser(t, p.URL, "203.0.113.200")
	page := b.login(t, nil)
	sentAway := false
	for deadline := time.Now().Add(time.Minute); ; {
		got := b.give(t, page, webEmail, webPassword)
		if got.status == 303 && sentAway {
			break
		}
		if got.status == 303 {
			b = newWebBrowser(t, p.URL, "203.0.113.200") // the other one is known now, and goes first
			page = b.login(t, nil)
			continue
		}
		if got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Fatalf("%d %v %s", got.status, got.header, got.text)
		}
		if strings.Contains(got.text, webPassword) || !strings.Contains(got.text, "Try again in a few seconds.") ||
			!strings.Contains(got.text, `name="password"`) || !strings.Contains(got.text, `value="`+webEmail+`"`) {
			t.Fatalf("the page of who is sent away: %s", got.text)
		}
		guessed.stop() // or it is a lottery
		sentAway = true
		page = got
		if time.Now().After(deadline) {
			t.Fatalf("nobody gets in; sent away: %v", sentAway)
		}
	}
}

// One address has four places. Who comes from it as the fifth keeps the page as well.
func TestLoginOfAnAddressThatCrowdsKeepsItsPage(t *testing.T) {
	p := cluster(t).Provider(t, map[string]string{"password_workers": "1"})
	webOwner(t, p)
	harness.Eventually(t, time.Minute, "somebody is sent away", func() error {
		from := fmt.Sprintf("203.0.113.%d", webAddress.Add(1)%256)
		var pages [12]*webPage
		var wg sync.WaitGroup
		for i := range pages {
			b := newWebBrowser(t, p.URL, from)
			page := b.login(t, nil)
			wg.Go(func() { pages[i] = b.give(t, page, fmt.Sprintf("u%d@example.org", i), "Wrong-1") })
		}
		wg.Wait()
		away := 0
		for i, got := range pages {
			if got.status == 401 {
				continue
			}
			away++
			if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.text, `name="password"`) ||
				!strings.Contains(got.text, fmt.Sprintf(`value="u%d@example.org"`, i)) {
				t.Fatalf("%d %v %s", got.status, got.header, got.text)
			}
		}
		if away == 0 {
			return fmt.Errorf("all %d found a place", len(pages))
		}
		return nil
	})
}

var webAddress atomic.Int64

// While strangers take all the places where passwords are hashed, what can be refused without a hash is, and who needs one is told
// to come again and has lost nothing.
func TestPasswordsThatAreChosenWaitTheirTurn(t *testing.T) {
	p := cluster(t).Provider(t, map[string]string{"password_workers": "1"})
	do := func(status int, path string, body, out any) *harness.Answer {
		t.Helper()
		a := harness.NewREST(p.URL, "").Do(t, "POST", path, body, fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", webAddress.Add(1)%256))
		if status != 0 && a.Status != status {
			t.Fatalf("%s: %d %s", path, a.Status, a.Body)
		}
		if out != nil {
			if err := json.Unmarshal(a.Body, out); err != nil {
				t.Fatal(err)
			}
		}
		return a
	}
	setup := map[string]any{"email": webEmail, "name": "Ada", "password": webPassword, "create_pat": true}
	var owner struct {
		Token string `json:"personal_access_token"`
	}
	do(200, "/api/setup", setup, &owner)
	invites := 0
	invite := func() string {
		t.Helper()
		var made struct {
			Token string `json:"invite_token"`
		}
		invites++
		harness.NewREST(p.URL, owner.Token).Want(t, 200, "POST", "/api/users/invites", map[string]any{"email": fmt.Sprintf("grace%d@example.org", invites),
			"name": "Grace", "role": "user", "auto_groups": []string{}}, &made)
		return made.Token
	}
	accept := func(token string) string { return "/api/users/invites/" + token + "/accept" }
	chosen := map[string]any{"password": webPassword}

	guessed := guessPasswords(t, p)
	defer guessed.stop()
	full := func() {
		for before := guessed.sentAway.Load(); guessed.sentAway.Load() < before+20; {
			time.Sleep(time.Millisecond)
		}
	}
	token := invite()
	for range 5 {
		full()
		do(412, "/api/setup", setup, nil)
		do(422, accept(token), map[string]any{"password": "weak"}, nil)
		do(422, accept("nbi_of-nobody"), chosen, nil)
	}
	sentAway := func(what string, try func(token string) (int, string)) string {
		t.Helper()
		for range 20 { // now and then somebody finds a place
			token := invite()
			full()
			status, says := try(token)
			if status == 503 {
				return token
			}
			if status != 200 {
				t.Fatalf("%s: %d %s", what, status, says)
			}
		}
		t.Fatalf("%s: never sent away", what)
		return ""
	}
	token = sentAway("REST", func(token string) (int, string) {
		a := do(0, accept(token), chosen, nil)
		if a.Status == 503 && (a.Header.Get("Retry-After") == "" || !strings.Contains(string(a.Body), `"code":503`)) {
			t.Errorf("%v %s", a.Header, a.Body)
		}
		return a.Status, string(a.Body)
	})
	var b *webBrowser
	var page *webPage
	choose := func() {
		page = b.do(t, "POST", "/oauth2/invite", url.Values{"csrf": {page.one(t, webCSRF)}, "token": {page.one(t, webInvite)},
			"password": {webPassword}, "password_again": {webPassword}})
	}
	sentAway("the page", func(token string) (int, string) {
		b = newWebBrowser(t, p.URL, fmt.Sprintf("198.51.100.%d", webAddress.Add(1)%256))
		page = b.do(t, "GET", "/oauth2/invite?token="+token, nil)
		choose()
		return page.status, page.text
	})
	if page.header.Get("Retry-After") == "" || !strings.Contains(page.text, "Try again in a few seconds.") {
		t.Errorf("%v %s", page.header, page.text)
	}
	guessed.stop()
	do(200, accept(token), chosen, nil)
	if choose(); page.status != 200 {
		t.Errorf("pressed again: %d %s", page.status, page.text)
	}
}

var webInvite = regexp.MustCompile(`name="token" value="([^"]+)"`)

// Where somebody has signed in before, they sign in while the queue is full of strangers' guesses, and while their own address is
// being guessed at.
func TestLoginOfAFamiliarBrowserGoesFirst(t *testing.T) {
	p := cluster(t).Provider(t, map[string]string{"password_workers": "1"})
	webOwner(t, p)
	b := newWebBrowser(t, p.URL, "198.51.100.1")
	if got := b.give(t, b.login(t, nil), webEmail, webPassword); got.status != 303 {
		t.Fatalf("%d %s", got.status, got.text)
	}
	p.SQL(t, "INSERT INTO password_guess (name, tries, free_at, expires_at) VALUES ('password ' || encode(sha256('"+webEmail+"'), 'hex'), 9, 'infinity', 'infinity')")
	guessed := guessPasswords(t, p)
	defer guessed.stop()
	for i := range 6 {
		before := guessed.sentAway.Load()
		for guessed.sentAway.Load() < before+20 { // nobody else finds a place
			time.Sleep(time.Millisecond)
		}
		page := b.login(t, url.Values{"prompt": {"login"}})
		start := time.Now()
		got := b.give(t, page, strings.ToUpper(webEmail), webPassword)
		if got.status != 303 || !strings.Contains(got.header.Get("Location"), "code=") {
			t.Fatalf("login %d, after %v: %d %s", i, time.Since(start), got.status, got.text)
		}
	}
	// To anybody else's address this browser is a stranger's.
	if got := b.give(t, b.login(t, url.Values{"prompt": {"login"}}), "grace@example.org", webPassword); got.status != 503 && got.status != 401 {
		t.Errorf("another's address: %d", got.status)
	}
}

// guesses are passwords that strangers try, more than can be looked at. They are stopped before the test ends.
type guesses struct {
	sentAway atomic.Int64
	over     chan struct{}
	wg       sync.WaitGroup
	once     sync.Once
}

func (g *guesses) stop() {
	g.once.Do(func() { close(g.over) })
	g.wg.Wait()
}

func guessPasswords(t *testing.T, p *harness.Provider) *guesses {
	t.Helper()
	g := &guesses{over: make(chan struct{})}
	for i := range 48 {
		b := newWebBrowser(t, p.URL, fmt.Sprintf("203.0.113.%d", i))
		page := b.login(t, nil)
		g.wg.Add(1)
		go func() {
			defer g.wg.Done()
			for n := 0; ; n++ {
				select {
				case <-g.over:
					return
				default:
				}
				got := b.give(t, page, fmt.Sprintf("u%d-%d@example.org", i, n), "Wrong-1")
				if got.status == 503 {
					g.sentAway.Add(1)
				} else if got.status != 401 {
					t.Errorf("%d %s", got.status, got.text)
					return
				}
			}
		}()
	}
	return g
}

// S28.
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
