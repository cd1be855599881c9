package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// Every flow of the embedded provider, step by step, while replicas die: the setup, signing in with and without each second factor,
// through another provider, a device, an invitation, a new password, renewal and signing out.

// person is somebody on the way through a flow, with a browser and a client (the dashboard, an agent) behind it.
type person struct {
	t               *testing.T
	p               *harness.Provider
	email, password string
	key             string // of the authenticator app
	codes           []string
	passkey         *harness.Passkey
	invite          string
	upstream        *harness.Upstream
	connector       string // by which they sign in; "" = with the password

	l      *harness.Login
	w      *harness.Walk
	client *harness.Walk
	at     *harness.Stop
	tokens harness.Tokens
	device struct {
		Code     string `json:"device_code"`
		Complete string `json:"verification_uri_complete"`
	}
}

type move struct {
	name string
	does func(h *person) error
	lost loss
}

// loss is what it takes when the answer is lost.
type loss int

const (
	reads loss = iota // nothing: it stores nothing, or nothing that is worth the time of a test
	again             // the button is pressed again
	anew              // the flow is begun anew, if need be
)

type flow struct {
	name   string
	before func(h *person)
	steps  []move
	anew   func(h *person) error // when the button was pressed again and that was no use; nil: signing in
}

// is nil when the person stands at a page with that status and these words.
func (h *person) is(status int, words string) error {
	if h.at.Status != status || !strings.Contains(h.at.Body, words) {
		return fmt.Errorf("no %q: %d %v %.500s", words, h.at.Status, h.at.URL, h.at.Body)
	}
	return nil
}

// led is nil when the browser was led to that address, which it has not asked yet.
func (h *person) led(to string) error {
	if h.at.Status != 0 || !strings.HasPrefix(h.at.URL.String(), to) {
		return fmt.Errorf("not led to %s: %d %v %.500s", to, h.at.Status, h.at.URL, h.at.Body)
	}
	return nil
}

func (h *person) base() string { return h.p.URL + "/oauth2" }

// get opens an address; to: where the browser is led from there, which is the next step's.
func (h *person) get(at, to string) error {
	if to == "" {
		h.at = h.w.Get(at)
		return h.is(200, "")
	}
	h.at = h.w.Get(at, to)
	return h.led(to)
}

// goOn asks the address to which the browser was led.
func (h *person) goOn(to string) error { return h.get(h.at.URL.String(), to) }

// press sends the form with these values, once more where there is no place among those whose passwords are looked at.
func (h *person) press(values url.Values, ends ...string) {
	harness.Eventually(h.t, 2*time.Minute, "there is a place", func() error {
		if h.at = h.w.Fill(h.at, values, ends...); h.at.Status == 503 {
			return fmt.Errorf("%.300s", h.at.Body)
		}
		return nil
	})
}

// send fills the form in; to as in get.
func (h *person) send(values url.Values, to string) error {
	if to == "" {
		h.press(values)
		return h.is(200, "")
	}
	h.press(values, to)
	return h.led(to)
}

// ask is the client's: what the endpoint answers goes to out.
func (h *person) ask(path string, form url.Values, out any) error {
	s := h.client.Post(h.base()+path, form)
	if s.Status != 200 {
		return fmt.Errorf("%s: %d %s", path, s.Status, s.Body)
	}
	return json.Unmarshal([]byte(s.Body), out)
}

func (h *person) credentials() url.Values {
	return url.Values{"login": {h.email}, "password": {h.password}}
}

func chosen(password string, more ...string) url.Values {
	form := url.Values{"password": {password}, "password_again": {password}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

func (h *person) redeem() error {
	if err := h.led(h.l.Redirect); err != nil {
		return err
	}
	q := h.at.URL.Query()
	if q.Get("code") == "" || q.Get("state") != h.l.State {
		return fmt.Errorf("no code: %v", h.at.URL)
	}
	return h.ask("/token", redeemForm(h.l, q.Get("code")), &h.tokens)
}

var keyOfApp = regexp.MustCompile(`<p class="key">([A-Z2-7 ]+)<`)
var recoveryCode = regexp.MustCompile(`<li>([^<]+)</li>`)

// totp is the code of the app; half a minute has passed since the last one.
func (h *person) totp() url.Values {
	h.p.SQL(h.t, "UPDATE user_factor SET last_step = 0")
	return url.Values{"totp": {harness.TOTP(h.t, h.key)}}
}

// signIn is what somebody does who begins anew, as often as a page asks for something.
func (h *person) signIn(at string, ends ...string) error {
	h.at = h.w.Get(at, ends...)
	for range 6 {
		switch path := h.at.URL.Path; {
		case h.at.Status == 0:
			return nil
		case h.at.Status != 200:
			return h.is(200, "a page that asks")
		case strings.HasSuffix(path, "/auth/local/login"):
			h.press(h.credentials(), ends...)
		case strings.HasSuffix(path, "/mfa/totp"):
			h.press(h.totp(), ends...)
		case strings.HasSuffix(path, "/device"):
			h.press(nil, ends...)
		case strings.HasSuffix(path, "/device/approve"):
			h.press(url.Values{"answer": {"approve"}}, ends...)
			return h.is(200, "Device connected")
		default:
			return h.is(200, "a page that is known")
		}
	}
	return errors.New("no end of pages")
}

// signInAgain presses "sign in" in the dashboard once more.
func (h *person) signInAgain() error {
	h.l = harness.NewLogin(h.p.URL)
	more := url.Values{}
	if h.connector != "" {
		more.Set("connector_id", h.connector)
	}
	if err := h.signIn(h.l.URL(more), h.l.Redirect); err != nil {
		return err
	}
	return h.redeem()
}

func (h *person) askForDevice() error { return h.ask("/device/code", deviceForm, &h.device) }

func (h *person) pollDevice() error {
	return h.ask("/token", url.Values{"client_id": {"netbird-cli"}, "grant_type": {"urn:ietf:params:oauth:grant-type:device_code"},
		"device_code": {h.device.Code}}, &h.tokens)
}

// approveAgain is `netbird up` once more.
func (h *person) approveAgain() error {
	if err := h.askForDevice(); err != nil {
		return err
	}
	if err := h.signIn(h.device.Complete); err != nil {
		return err
	}
	return h.pollDevice()
}

// The steps of signing in up to the password, which leads to what comes next.
func steps(more ...move) []move {
	return append([]move{
		{"the request", func(h *person) error { return h.get(h.l.URL(nil), h.base()+"/auth/local?") }, reads},
		{"the way to sign in", func(h *person) error { return h.goOn(h.base() + "/auth/local/login") }, reads},
		{"the page", func(h *person) error { return h.goOn("") }, reads},
	}, more...)
}

var (
	passwordAlone = move{"the password", func(h *person) error { return h.send(h.credentials(), h.l.Redirect) }, anew}
	passwordFirst = move{"the password before a second step", func(h *person) error { return h.send(h.credentials(), h.base()+"/mfa/totp") }, anew}
	secondPage    = move{"the page of the second step", func(h *person) error { return h.goOn("") }, again}
	theCode       = move{"the code", (*person).redeem, anew}
)

// link follows the page's link of these words.
func link(words string) func(h *person) error {
	return func(h *person) error { return h.get(h.at.Link(words), "") }
}

func identityFlows() []flow {
	return []flow{
		{"the setup", func(h *person) { h.p.SQL(h.t, "DELETE FROM account") }, slices.Concat([]move{
			{"the wizard", func(h *person) error { return h.get(h.base()+"/setup", "") }, reads},
			{"the account", func(h *person) error { return h.send(chosen(h.password, "name", "Ada", "email", h.email), "") }, anew},
		}, steps(passwordAlone, theCode)), nil},
		{"signing in", nil, steps(passwordAlone, theCode,
			move{"the refresh", func(h *person) error {
				return h.ask("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {h.tokens.Refresh}, "client_id": {h.l.Client}}, &h.tokens)
			}, anew},
			move{"the renewal", func(h *person) error { return h.get(h.l.URL(url.Values{"prompt": {"none"}}), h.l.Redirect) }, again},
			theCode,
			move{"userinfo", func(h *person) error {
				a := harness.NewREST(h.p.URL, "").Do(h.t, "GET", "/oauth2/userinfo", nil, "Authorization: Bearer "+h.tokens.Access)
				if a.Status != 200 {
					return fmt.Errorf("%d %s", a.Status, a.Body)
				}
				return nil
			}, reads},
			move{"the logout", func(h *person) error { return h.get(h.base()+"/logout?id_token_hint="+h.tokens.ID, "") }, again},
		), nil},
		{"a device", func(h *person) { h.p.SQL(h.t, "DELETE FROM oauth_limit; DELETE FROM oauth_device") }, []move{
			{"the device's request", (*person).askForDevice, anew},
			{"the page of codes", func(h *person) error { return h.get(h.device.Complete, "") }, reads},
			{"the user code", func(h *person) error { return h.send(nil, h.base()+"/auth/local/login") }, anew},
			{"the page", func(h *person) error { return h.goOn("") }, reads},
			{"the password for a device", func(h *person) error { return h.send(h.credentials(), h.base()+"/device/approve") }, anew},
			{"the page that asks", func(h *person) error { return h.goOn("") }, reads},
			{"the approval", func(h *person) error { return h.send(url.Values{"answer": {"approve"}}, "") }, anew},
			{"the tokens", (*person).pollDevice, anew},
		}, (*person).approveAgain},
		{"an invitation", (*person).invited, slices.Concat([]move{
			{"the invitation", func(h *person) error { return h.get(h.base()+"/invite?token="+h.invite, "") }, reads},
			{"the invited one's password", func(h *person) error { return h.send(chosen(h.password), "") }, anew},
		}, steps(passwordAlone, theCode)), nil},
		{"a new password", nil, slices.Concat(steps(passwordAlone), []move{
			{"the page of passwords", func(h *person) error { return h.get(h.base()+"/password", "") }, reads},
			{"the new password", func(h *person) error {
				old := h.password
				h.password += "+"
				return h.send(chosen(h.password, "old_password", old), "")
			}, anew},
			{"the session", func(h *person) error { return h.get(h.l.URL(nil), h.l.Redirect) }, reads},
			theCode,
		}), nil},
		{"setting up the app and a passkey", (*person).withoutFactor, steps(passwordFirst, secondPage,
			move{"the app's first code", func(h *person) error {
				if found := keyOfApp.FindStringSubmatch(h.at.Body); found != nil {
					h.key = html.UnescapeString(found[1])
				}
				err := h.send(url.Values{"totp": {harness.TOTP(h.t, h.key)}}, "")
				for _, found := range recoveryCode.FindAllStringSubmatch(h.at.Body, -1) {
					h.codes = append(h.codes, found[1])
				}
				if err == nil && len(h.codes) != 10 {
					err = fmt.Errorf("%d recovery codes", len(h.codes))
				}
				return err
			}, again},
			move{"the codes are kept", func(h *person) error { return h.send(url.Values{"answer": {"ask"}}, "") }, anew},
			move{"the passkey", func(h *person) error {
				h.passkey = harness.NewPasskey(h.t)
				return h.send(h.passkey.Made(h.at), h.l.Redirect)
			}, anew}, theCode), nil},
		{"the app", nil, steps(passwordFirst, secondPage,
			move{"the app's code", func(h *person) error { return h.send(h.totp(), h.l.Redirect) }, anew}, theCode), nil},
		{"a recovery code", nil, steps(passwordFirst, secondPage,
			move{"the page of recovery codes", link("recovery"), reads},
			move{"the recovery code", func(h *person) error {
				code := h.codes[0]
				h.codes = h.codes[1:]
				return h.send(url.Values{"code": {code}}, h.l.Redirect)
			}, anew}, theCode), nil},
		{"a passkey", nil, steps(passwordFirst, secondPage,
			move{"the page of passkeys", link("passkey"), again},
			move{"the signature", func(h *person) error { return h.send(h.passkey.Signed(h.t, h.at), h.l.Redirect) }, anew}, theCode), nil},
		{"another provider", (*person).ofAnotherProvider, []move{
			{"the request", func(h *person) error {
				return h.get(h.l.URL(url.Values{"connector_id": {h.connector}}), h.base()+"/auth/"+h.connector)
			}, reads},
			{"the way there", func(h *person) error { return h.goOn(h.upstream.URL) }, anew},
			{"the way back", func(h *person) error { return h.goOn(h.base() + "/callback") }, reads},
			{"the answer", func(h *person) error { return h.goOn(h.l.Redirect) }, anew},
			theCode,
		}, nil},
	}
}

func (h *person) owner() *harness.REST {
	o := &person{t: h.t, p: h.p, email: webEmail, password: h.password, w: harness.NewWalk(h.t), client: harness.NewWalk(h.t)}
	if err := o.signInAgain(); err != nil {
		h.t.Fatal(err)
	}
	return harness.NewBearer(h.p.URL, o.tokens.Access)
}

func (h *person) invited() {
	h.email = fmt.Sprintf("bob-%s@example.org", h.p.SQL(h.t, "SELECT count(*) FROM users"))
	h.invite = invited(h.t, h.owner(), h.email, nil).InviteToken
}

func (h *person) withoutFactor() {
	h.codes = nil
	h.p.SQL(h.t, "DELETE FROM user_factor; UPDATE account SET settings = jsonb_set(settings, '{local_mfa_enabled}', 'true')")
}

func (h *person) ofAnotherProvider() {
	h.p.SQL(h.t, "UPDATE account SET settings = jsonb_set(settings, '{local_mfa_enabled}', 'false')")
	h.connector = makeProvider(h.t, h.owner(), h.upstream, "oidc").ID
}

// walk goes through a flow; after each step, or with the answer of one, a replica is gone.
func (h *person) walk(f flow, after func(i int), lost int) {
	h.t.Helper()
	h.l, h.w, h.client = harness.NewLogin(h.p.URL), harness.NewWalk(h.t), harness.NewWalk(h.t)
	h.w.Reload = lost >= 0
	for i, s := range f.steps {
		if i == lost {
			h.p.Lose()
		}
		err := s.does(h)
		if i == lost {
			if !h.p.Lost() {
				h.t.Fatalf("%s asks for nothing", s.name)
			}
			if err != nil && s.lost == anew {
				begin := f.anew
				if begin == nil {
					begin = (*person).signInAgain
				}
				if then := begin(h); then != nil {
					h.t.Errorf("anew: %v\nafter: %v", then, err)
				}
				return
			}
		}
		if err != nil {
			h.t.Fatalf("%s: %v", s.name, err)
		}
		after(i)
	}
}

func newPerson(t *testing.T) *person {
	return &person{t: t, p: cluster(t).Provider(t, map[string]string{"oidc_allow_private_issuers": "true"}), email: webEmail, password: webPassword,
		upstream: harness.NewUpstream(t, "killed")}
}

// After each step of each flow the replica that did it is killed: the next step meets the other one and goes on.
func TestEveryFlowGoesOnWhenAReplicaDies(t *testing.T) {
	t.Parallel()
	h := newPerson(t)
	for _, f := range identityFlows() {
		if !t.Run(f.name, func(t *testing.T) {
			h.t, h.email = t, webEmail
			if f.before != nil {
				f.before(h)
			}
			h.walk(f, func(int) { h.p.Renew() }, -1)
		}) {
			return
		}
	}
}

// A replica dies when a step is done and not yet said: the button is pressed again, and where that is too much, the flow is begun anew.
func TestEveryFlowGoesOnWhenAnAnswerIsLost(t *testing.T) {
	t.Parallel()
	h, lost := newPerson(t), map[string]bool{}
	for _, f := range identityFlows() {
		for i, s := range f.steps {
			if s.lost == reads || lost[s.name] {
				continue
			}
			lost[s.name] = true
			if !t.Run(f.name+", "+s.name, func(t *testing.T) {
				h.t, h.email = t, webEmail
				if f.before != nil {
					f.before(h)
				}
				h.walk(f, func(int) {}, i)
			}) {
				return
			}
		}
	}
}
