package harness

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Upstream is an OpenID Connect provider of somebody else, which does as the test says: it signs in whoever comes as Person
// without asking, and lies where it is told to. The levers may be changed while it runs, under Change.
type Upstream struct {
	URL, ClientID, Secret string
	server                *httptest.Server

	mu    sync.Mutex
	keys  []*upstreamKey
	codes map[string]upstreamCode
	asked map[string]int
	Levers
}

// Levers are what a test may change about an Upstream.
type Levers struct {
	Person    map[string]any                                           // what it says of who signs in; sub is a member
	Userinfo  map[string]any                                           // nil: the same as Person
	Document  func(document map[string]any)                            // changes the discovery document
	Lie       func(header, claims map[string]any)                      // changes the ID token before it is signed
	Sign      func(header, claims map[string]any) string               // makes the ID token in place of it
	Answer    func(answer map[string]any)                              // changes the token endpoint's answer
	Return    func(query url.Values)                                   // changes what the browser brings back
	Intercept func(w http.ResponseWriter, r *http.Request) (done bool) // sees every request first
	Thin      bool                                                     // the ID token has no claims about the person
	FormPost  bool                                                     // the browser brings the answer in a form
}

type upstreamKey struct {
	*rsa.PrivateKey
	ID string
}

type upstreamCode struct{ redirect, nonce, challenge string }

// NewUpstream starts one on loopback, without TLS.
func NewUpstream(t testing.TB, name string) *Upstream {
	t.Helper()
	u := newUpstream(t, name)
	u.server = httptest.NewServer(u)
	u.URL = u.server.URL
	t.Cleanup(u.server.Close)
	return u
}

func newUpstream(t testing.TB, name string) *Upstream {
	t.Helper()
	u := &Upstream{ClientID: name + "-client", Secret: name + " secret: 100% +&=", codes: map[string]upstreamCode{}, asked: map[string]int{}}
	u.Person = map[string]any{"sub": name + "-person", "email": name + "@people.test", "email_verified": true, "name": "Person of " + name}
	u.Rotate(t)
	return u
}

// Change changes the levers.
func (u *Upstream) Change(change func(l *Levers)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&u.Levers)
}

func (u *Upstream) levers() Levers {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.Levers
}

// Rotate makes a new key, which signs from now on and alone is published.
func (u *Upstream) Rotate(t testing.TB) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.keys = []*upstreamKey{{key, randomText()}}
}

// Asked tells how many requests there were for a path.
func (u *Upstream) Asked(path string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked[path]
}

// Close ends it before the test does: nothing listens any more.
func (u *Upstream) Close() { u.server.Close() }

// Key is the one that signs now.
func (u *Upstream) Key() *rsa.PrivateKey {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.keys[0].PrivateKey
}

func randomText() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func b64Decode(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	u.asked[r.URL.Path]++
	u.mu.Unlock()
	l := u.levers()
	if l.Intercept != nil && l.Intercept(w, r) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		u.document(w, l)
	case "/authorize":
		u.authorize(w, r, l)
	case "/token":
		u.token(w, r, l)
	case "/keys":
		u.jwks(w)
	case "/userinfo":
		said := l.Userinfo
		if said == nil {
			said = l.Person
		}
		if r.Header.Get("Authorization") != "Bearer access-"+u.ClientID {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answerJSON(w, http.StatusOK, said)
	default:
		http.NotFound(w, r)
	}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (u *Upstream) document(w http.ResponseWriter, l Levers) {
	d := map[string]any{"issuer": u.URL, "authorization_endpoint": u.URL + "/authorize", "token_endpoint": u.URL + "/token",
		"jwks_uri": u.URL + "/keys", "userinfo_endpoint": u.URL + "/userinfo", "end_session_endpoint": u.URL + "/end",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post"},
		"authorization_response_iss_parameter_supported": true}
	if l.Document != nil {
		l.Document(d)
	}
	answerJSON(w, http.StatusOK, d)
}

func (u *Upstream) jwks(w http.ResponseWriter) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var keys []any
	for _, k := range u.keys {
		keys = append(keys, map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.ID, "n": b64(k.N.Bytes()),
			"e": b64(big.NewInt(int64(k.E)).Bytes())})
	}
	answerJSON(w, http.StatusOK, map[string]any{"keys": keys})
}

// authorize sends the browser back at once.
func (u *Upstream) authorize(w http.ResponseWriter, r *http.Request, l Levers) {
	q := r.URL.Query()
	if q.Get("client_id") != u.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "not a request of ours", http.StatusBadRequest)
		return
	}
	code := randomText()
	u.mu.Lock()
	u.codes[code] = upstreamCode{q.Get("redirect_uri"), q.Get("nonce"), q.Get("code_challenge")}
	u.mu.Unlock()
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {u.URL}}
	if l.Return != nil {
		l.Return(back)
	}
	if l.FormPost {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<form method=post action=%q>", q.Get("redirect_uri"))
		for name := range back {
			fmt.Fprintf(w, "<input name=%q value=%q>", name, back.Get(name))
		}
		return
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// client is whether the request is authenticated as the client, by whichever way.
func (u *Upstream) client(r *http.Request) bool {
	id, secret, basic := r.BasicAuth()
	if !basic {
		return r.PostForm.Get("client_id") == u.ClientID && r.PostForm.Get("client_secret") == u.Secret
	}
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	return err1 == nil && err2 == nil && id == u.ClientID && secret == u.Secret
}

func (u *Upstream) token(w http.ResponseWriter, r *http.Request, l Levers) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
		return
	}
	if !u.client(r) {
		answerJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	u.mu.Lock()
	code, ok := u.codes[r.PostForm.Get("code")]
	delete(u.codes, r.PostForm.Get("code"))
	u.mu.Unlock()
	hash := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || code.redirect != r.PostForm.Get("redirect_uri") || code.challenge != b64(hash[:]) {
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	answer := map[string]any{"token_type": "Bearer", "access_token": "access-" + u.ClientID, "expires_in": 300, "id_token": u.IDToken(code.nonce, l)}
	if l.Answer != nil {
		l.Answer(answer)
	}
	answerJSON(w, http.StatusOK, answer)
}

// IDToken is one as it would be handed out now.
func (u *Upstream) IDToken(nonce string, l Levers) string {
	u.mu.Lock()
	key := u.keys[0]
	u.mu.Unlock()
	now := time.Now().Unix()
	header := map[string]any{"alg": "RS256", "typ": "JWT", "kid": key.ID}
	claims := map[string]any{"iss": u.URL, "aud": u.ClientID, "iat": now, "exp": now + 300, "nonce": nonce}
	for name, value := range l.Person {
		if !l.Thin || name == "sub" {
			claims[name] = value
		}
	}
	if l.Lie != nil {
		l.Lie(header, claims)
	}
	if l.Sign != nil {
		return l.Sign(header, claims)
	}
	return SignRS256(key.PrivateKey, header, claims)
}

// Unsigned is header and claims of a token, as they are signed.
func Unsigned(header, claims map[string]any) string {
	h, err1 := json.Marshal(header)
	c, err2 := json.Marshal(claims)
	if err1 != nil || err2 != nil {
		panic("not JSON")
	}
	return b64(h) + "." + b64(c)
}

// SignRS256 makes a token.
func SignRS256(key *rsa.PrivateKey, header, claims map[string]any) string {
	text := Unsigned(header, claims)
	hash := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(sig)
}
