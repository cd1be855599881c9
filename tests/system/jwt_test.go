package system

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"rookery.test/system/harness"
)

// Tokens of an identity provider of the test's own, on two replicas each of management and dashboard-api.

// trusting is a pair of replicas of each service that believe one provider.
type trusting struct {
	cluster    *harness.Cluster
	issuer     *harness.Issuer
	api        []*harness.Sibling
	management []*harness.Sibling
	user       *harness.User // somebody who may sign in
	serial     int
}

func trust(t *testing.T, keys ...*harness.SigningKey) *trusting {
	c := cluster(t)
	needsProcesses(t, c)
	w := &trusting{cluster: c, issuer: harness.NewIssuer(t, keys...)}
	w.start(t)
	return w
}

func (w *trusting) start(t *testing.T) {
	for range 2 {
		w.api = append(w.api, w.cluster.Sibling(t, "dashboard-api-1", w.issuer.Settings()))
		w.management = append(w.management, w.cluster.Sibling(t, "management-1", w.issuer.Settings()))
	}
	w.user = w.cluster.Person(t, "admin")
}

func (w *trusting) all() []*harness.Sibling {
	return append(append([]*harness.Sibling{}, w.api...), w.management...)
}

// rest asks that replica of dashboard-api who we are.
func (w *trusting) rest(t testing.TB, n int, token string) *harness.Answer {
	t.Helper()
	return harness.NewREST("http://"+w.api[n].Listen, "").Do(t, "GET", "/api/users/current", nil, "Authorization: Bearer "+token)
}

// login lets a new peer log in with the token at that replica of management; the peer goes with the test.
func (w *trusting) login(t testing.TB, n int, token string) error {
	t.Helper()
	w.serial++
	b := harness.NewBare(t, w.management[n].Listen, fmt.Sprintf("jwt-%d-%d", time.Now().UnixNano(), w.serial))
	_, err := b.Send(t.Context(), &proto.LoginRequest{JwtToken: token, Meta: b.Meta,
		PeerKeys: &proto.PeerKeys{SshPubKey: []byte("ssh-ed25519 AAAAC3Nza"), WgPubKey: []byte(b.PublicKey())}})
	return err
}

func (w *trusting) good(t testing.TB, k *harness.SigningKey) string {
	t.Helper()
	return k.Sign(t, nil, w.issuer.Claims(w.user.ID, nil))
}

// accepted holds the token good on every replica of dashboard-api.
func (w *trusting) accepted(t *testing.T, what, token string) {
	t.Helper()
	for n := range w.api {
		a := w.rest(t, n, token)
		var me struct{ ID string }
		if a.Status != 200 || json.Unmarshal(a.Body, &me) != nil || me.ID != w.user.ID {
			t.Errorf("%s at replica %d: %d %s", what, n+1, a.Status, a.Body)
		}
	}
}

// refused holds the token bad on every replica of both services.
func (w *trusting) refused(t *testing.T, what, token string) {
	t.Helper()
	for n := range w.api {
		if err := w.rest(t, n, token).Error(401, "token invalid"); err != nil {
			t.Errorf("%s at dashboard-api %d: %v", what, n+1, err)
		}
		s, _ := status.FromError(w.login(t, n, token))
		if s.Code() != codes.InvalidArgument || !strings.HasPrefix(s.Message(), "invalid jwt token, err: ") {
			t.Errorf("%s at management %d: %v", what, n+1, s)
		}
	}
}

func TestIdentity06EveryAlgorithm(t *testing.T) {
	var keys []*harness.SigningKey
	for _, a := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		keys = append(keys, harness.NewSigningKey(t, "key of "+a, a))
	}
	w := trust(t, keys...)
	for n, k := range keys {
		w.accepted(t, k.Method.Alg(), w.good(t, k))
		if err := w.login(t, n%2, w.good(t, k)); err != nil {
			t.Errorf("%s: login: %v", k.Method.Alg(), err)
		}
	}
	for _, aud := range []any{harness.Audience, "second", "third", []string{"x", "third"}} {
		w.accepted(t, fmt.Sprint(aud), keys[0].Sign(t, nil, w.issuer.Claims(w.user.ID, map[string]any{"aud": aud})))
	}
	for _, typ := range []any{"JWT", "at+jwt", nil} {
		w.accepted(t, fmt.Sprint("typ ", typ), keys[6].Sign(t, map[string]any{"typ": typ}, w.issuer.Claims(w.user.ID, nil)))
	}
}

// S1, and S25's part of tokens.
func TestIdentity06HostileTokens(t *testing.T) {
	rsa, ec := harness.NewSigningKey(t, "rsa", "RS256"), harness.NewSigningKey(t, "ec", "ES256")
	mine := harness.NewSigningKey(t, "rsa", "RS256") // the attacker's, under a name that is known
	lure := harness.NewIssuer(t, mine)               // where a header may point
	w := trust(t, rsa, ec)
	w.accepted(t, "a good token", w.good(t, rsa))
	w.refused(t, "a bad one, so that management has looked too", mine.Sign(t, nil, w.issuer.Claims(w.user.ID, nil)))

	now := time.Now().Unix()
	with := func(more map[string]any) string { return rsa.Sign(t, nil, w.issuer.Claims(w.user.ID, more)) }
	der, err := x509.MarshalPKIXPublicKey(rsa.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	hmac := func(key []byte) string {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(w.issuer.Claims(w.user.ID, nil)))
		token.Header["kid"] = "rsa"
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	none := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims(w.issuer.Claims(w.user.ID, nil)))
	none.Header["kid"] = "rsa"
	unsigned, err := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(w.good(t, rsa), ".")
	big := strings.Repeat("x", 20000)
	hostile := map[string]string{
		"alg none":                   unsigned,
		"no signature":               parts[0] + "." + parts[1] + ".",
		"signature of another token": parts[0] + "." + parts[1] + "." + strings.Split(with(nil), ".")[2],
		"HS256 with the PEM":         hmac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 with the DER":         hmac(der),
		"ES256 under the RSA kid":    ec.Sign(t, map[string]any{"kid": "rsa"}, w.issuer.Claims(w.user.ID, nil)),
		"RS256 under the EC kid":     rsa.Sign(t, map[string]any{"kid": "ec"}, w.issuer.Claims(w.user.ID, nil)),
		"no kid":                     rsa.Sign(t, map[string]any{"kid": nil}, w.issuer.Claims(w.user.ID, nil)),
		"empty kid":                  rsa.Sign(t, map[string]any{"kid": ""}, w.issuer.Claims(w.user.ID, nil)),
		"kid a number":               rsa.Sign(t, map[string]any{"kid": 7}, w.issuer.Claims(w.user.ID, nil)),
		"crit":                       rsa.Sign(t, map[string]any{"crit": []string{"exp"}}, w.issuer.Claims(w.user.ID, nil)),
		"jku":                        mine.Sign(t, map[string]any{"jku": lure.URL + "/keys"}, w.issuer.Claims(w.user.ID, nil)),
		"x5u":                        mine.Sign(t, map[string]any{"x5u": lure.URL + "/keys"}, w.issuer.Claims(w.user.ID, nil)),
		"jwk":                        mine.Sign(t, map[string]any{"jwk": mine.JWK()}, w.issuer.Claims(w.user.ID, nil)),
		"wrong iss":                  with(map[string]any{"iss": lure.URL}),
		"iss with a slash":           with(map[string]any{"iss": w.issuer.URL + "/"}),
		"no iss":                     with(map[string]any{"iss": nil}),
		"foreign aud":                with(map[string]any{"aud": "another"}),
		"empty aud":                  with(map[string]any{"aud": []string{}}),
		"no aud":                     with(map[string]any{"aud": nil}),
		"expired":                    with(map[string]any{"exp": now - 1, "iat": now - 600}),
		"no exp":                     with(map[string]any{"exp": nil}),
		"future nbf":                 with(map[string]any{"nbf": now + 120}),
		"future iat":                 with(map[string]any{"iat": now + 120}),
		"no iat":                     with(map[string]any{"iat": nil}),
		"no sub":                     with(map[string]any{"sub": nil}),
		"sub a list":                 with(map[string]any{"sub": []string{w.user.ID}}),
		"over 16 KiB":                with(map[string]any{"pad": big[:13000]}),
		"claims twice":               rewrite(t, rsa, parts[1], `{"iss":"x",`),
		"nonsense":                   "a.b.c",
	}
	before := map[*harness.Issuer]int{}
	for _, i := range []*harness.Issuer{w.issuer, lure} {
		before[i] = i.Asked("")
	}
	for what, token := range hostile {
		w.refused(t, what, token)
	}
	for i, was := range before {
		if is := i.Asked(""); is != was {
			t.Errorf("hostile tokens had %s asked %d times", i.URL, is-was)
		}
	}
	w.accepted(t, "a good token afterwards", w.good(t, rsa))
	for _, s := range w.all() {
		if log := s.Log(); strings.Contains(log, parts[1]) || strings.Contains(log, parts[2]) {
			t.Errorf("%s logs tokens", s.Name)
		}
	}
}

// rewrite signs claims as another text says them: what is put before them makes members stand twice.
func rewrite(t *testing.T, k *harness.SigningKey, claims, begin string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	signed := enc([]byte(`{"alg":"`+k.Method.Alg()+`","kid":"`+k.ID+`"}`)) + "." + enc(append([]byte(begin), text[1:]...))
	sig, err := k.Method.Sign(signed, k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + enc(sig)
}

func TestIdentity07Rotation(t *testing.T) {
	one, two := harness.NewSigningKey(t, "one", "RS256"), harness.NewSigningKey(t, "two", "ES256")
	w := trust(t, one)
	w.accepted(t, "the first key", w.good(t, one))
	replicas := len(w.all())
	harness.Eventually(t, 10*time.Second, "every replica has asked once", func() error {
		if n := w.issuer.Asked("/keys"); n != replicas {
			return fmt.Errorf("asked %d times", n)
		}
		return nil
	})

	w.issuer.Publish(two)
	w.accepted(t, "the new key", w.good(t, two))
	if n := w.issuer.Asked("/keys") - replicas; n != len(w.api) {
		t.Errorf("the first tokens of a new key cost %d fetches instead of one a replica", n)
	}
	w.accepted(t, "the new key", w.good(t, two))
	for n := range w.management {
		if err := w.login(t, n, w.good(t, two)); err != nil {
			t.Errorf("login with the new key: %v", err)
		}
	}
	if n := w.issuer.Asked("/keys"); n != 2*replicas {
		t.Errorf("asked %d times instead of twice a replica", n)
	}
	w.refused(t, "the withdrawn key", w.good(t, one))

	var wg sync.WaitGroup
	for n := range 100 {
		token := two.Sign(t, map[string]any{"kid": fmt.Sprintf("random %d", n)}, w.issuer.Claims(w.user.ID, nil))
		wg.Go(func() {
			if err := w.rest(t, n%2, token).Error(401, "token invalid"); err != nil {
				t.Errorf("kid %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	if n := w.issuer.Asked("/keys") - 2*replicas; n > len(w.api) {
		t.Errorf("a hundred kids cost %d fetches, more than one a replica", n)
	}
}

// fine holds that those without an identity provider notice nothing.
func (w *trusting) fine(t *testing.T) {
	t.Helper()
	for n := range w.api {
		for _, s := range []*harness.Sibling{w.api[n], w.management[n]} {
			if code, err := harness.Ready(s.Admin); err != nil || code != 200 {
				t.Errorf("/readyz of %s: %d %v", s.Name, code, err)
			}
		}
		harness.NewREST("http://"+w.api[n].Listen, w.cluster.Token).Want(t, 200, "GET", "/api/users/current", nil, nil)
		w.serial++
		b := harness.NewBare(t, w.management[n].Listen, fmt.Sprintf("plain-%d-%d", time.Now().UnixNano(), w.serial))
		b.Login(t, w.cluster.SetupKey)
	}
}

// notes are what /readyz says is amiss with signing in.
func notes(t testing.TB, s *harness.Sibling) string {
	t.Helper()
	resp, err := http.Get("http://" + s.Admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Notes struct {
			SignIn string `json:"sign_in"`
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return answer.Notes.SignIn
}

// noted holds that such a note appears, or none for "", at some replicas; none named are all.
func (w *trusting) noted(t *testing.T, want string, at ...*harness.Sibling) {
	t.Helper()
	if len(at) == 0 {
		at = w.all()
	}
	for _, s := range at {
		harness.Eventually(t, 10*time.Second, "a note of "+s.Name, func() error {
			if got := notes(t, s); (want == "") != (got == "") || !strings.Contains(got, want) {
				return fmt.Errorf("%q", got)
			}
			return nil
		})
	}
}

func TestIdentityProviderIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	needsProcesses(t, c)
	k := harness.NewSigningKey(t, "k", "ES256")
	w := &trusting{cluster: c, issuer: harness.NewIssuer(t, k)}
	w.issuer.Answer(func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "SECRET-OF-THE-PROVIDER", 503) })
	w.start(t)
	w.noted(t, "nobody can sign in")
	w.fine(t)
	token := w.good(t, k)
	for n := range w.api {
		if a := w.rest(t, n, token); a.Status == 200 || strings.Contains(string(a.Body), "SECRET") {
			t.Errorf("accepted without keys: %d %s", a.Status, a.Body)
		}
		if err := w.login(t, n, token); status.Code(err) != codes.Unavailable {
			t.Errorf("login without keys: %v", err)
		}
	}
	w.issuer.Publish(k)
	// They ask again by themselves, after half a minute at most.
	w.noted(t, "")
	w.accepted(t, "a token once the provider is there", token)
	for _, s := range w.all() {
		if strings.Contains(s.Log(), "SECRET") {
			t.Errorf("%s logs what the provider sent", s.Name)
		}
	}
}

func TestIdentityProviderIsSlow(t *testing.T) {
	one, two := harness.NewSigningKey(t, "one", "ES256"), harness.NewSigningKey(t, "two", "ES256")
	w := trust(t, one)
	w.accepted(t, "the first key", w.good(t, one))
	w.noted(t, "")
	w.issuer.Publish(two)
	w.issuer.Hold()

	// Many wait for the new key on each replica, more than there are threads.
	var wg sync.WaitGroup
	answers := make([]*harness.Answer, 60)
	for n := range answers {
		token := w.good(t, two)
		wg.Go(func() { answers[n] = w.rest(t, n%2, token) })
	}
	w.issuer.Waiting(t, len(w.api))
	// The request to the provider hangs, for less than the 10 s it is given; everybody else is served.
	w.accepted(t, "a known key meanwhile", w.good(t, one))
	w.fine(t)
	w.issuer.Waiting(t, len(w.api))
	w.issuer.Release()
	wg.Wait()
	for n, a := range answers {
		if a.Status != 200 {
			t.Errorf("who waited got %d %s", a.Status, answers[n].Body)
		}
	}
}

func TestIdentityProviderNeverAnswers(t *testing.T) {
	t.Parallel()
	one, two := harness.NewSigningKey(t, "one", "ES256"), harness.NewSigningKey(t, "two", "ES256")
	w := trust(t, one)
	w.accepted(t, "the first key", w.good(t, one))
	w.noted(t, "")
	w.issuer.Hold()
	token := w.good(t, two)
	begin := time.Now()
	var wg sync.WaitGroup
	for n := range w.api {
		wg.Go(func() {
			if err := w.rest(t, n, token).Error(401, "token invalid"); err != nil {
				t.Errorf("dashboard-api %d: %v", n+1, err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begin); took < 9*time.Second || took > 18*time.Second {
		t.Errorf("a provider that never answers was given %v", took)
	}
	w.noted(t, "no answer within 10 s", w.api...)
	w.accepted(t, "the known key", w.good(t, one))
	w.fine(t)
}

func TestIdentityProviderTalksNonsense(t *testing.T) {
	t.Parallel()
	one, two := harness.NewSigningKey(t, "one", "ES256"), harness.NewSigningKey(t, "two", "ES256")
	w := trust(t, one)
	w.accepted(t, "the first key", w.good(t, one))
	w.noted(t, "")
	lure := harness.NewIssuer(t, two)
	jwk, err := json.Marshal(two.JWK())
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, text) }
	}
	kinds := []http.HandlerFunc{
		write("<html>SECRET-OF-THE-PROVIDER</html>"),
		write(`{"keys":[` + strings.Repeat(string(jwk)+",", 100) + string(jwk) + `]}`), // over a hundred
		write(`{"keys":[` + string(jwk) + `],"pad":"` + strings.Repeat("x", 1<<20) + `"}`),
		write(`{"keys":[]}`),
		write(`{"keys":[` + string(jwk) + `],"keys":[]}`),
		func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, `{"keys":[`+string(jwk)+`]}`, 500) },
		func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, lure.URL+"/keys", http.StatusFound)
		},
		func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(rw, `{"keys":[`)
			panic(http.ErrAbortHandler)
		},
	}
	var told atomic.Int32
	w.issuer.Answer(func(rw http.ResponseWriter, r *http.Request) { kinds[int(told.Add(1)-1)%len(kinds)](rw, r) })
	w.refused(t, "a key among nonsense", w.good(t, two))
	// Once a fetch has failed it is tried again by the clock, so every kind of nonsense has its turn.
	harness.Eventually(t, time.Minute, "every replica has heard a lot", func() error {
		if n := told.Load(); n < int32(2*len(kinds)) {
			return fmt.Errorf("told %d times", n)
		}
		return nil
	})
	w.accepted(t, "the known key", w.good(t, one))
	w.refused(t, "a key among nonsense", w.good(t, two))
	w.fine(t)
	if lure.Asked("/keys") != 0 {
		t.Errorf("a redirect was followed")
	}
	w.noted(t, "cannot be had")
	w.issuer.Publish(one, two)
	harness.Eventually(t, 45*time.Second, "sense again", func() error {
		for n := range w.api {
			if a, err := harness.NewREST("http://"+w.api[n].Listen, "").Try(context.Background(), "GET", "/api/users/current", nil,
				"Authorization: Bearer "+w.good(t, two)); err != nil || a.Status != 200 {
				return fmt.Errorf("replica %d: %v %v", n+1, a, err)
			}
		}
		return nil
	})
	for _, s := range w.all() {
		if strings.Contains(s.Log(), "SECRET") {
			t.Errorf("%s logs what the provider sent", s.Name)
		}
	}
}
