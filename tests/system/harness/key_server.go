package harness

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// SigningKey signs tokens with one algorithm and, as long as its KeyServer publishes it, can be verified.
type SigningKey struct {
	ID      string
	Method  jwt.SigningMethod
	Private crypto.Signer
}

// NewSigningKey makes a key for an algorithm of RFC 7518: RS256, PS384, ES512, EdDSA and so on.
func NewSigningKey(t testing.TB, id, algorithm string) *SigningKey {
	t.Helper()
	curves := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}
	var private crypto.Signer
	var err error
	switch {
	case algorithm == "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case curves[algorithm] != nil:
		private, err = ecdsa.GenerateKey(curves[algorithm], rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &SigningKey{id, jwt.GetSigningMethod(algorithm), private}
}

// JWK is the public half.
func (k *SigningKey) JWK() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	out := map[string]any{"kid": k.ID, "use": "sig"}
	switch public := k.Private.Public().(type) {
	case *rsa.PublicKey:
		out["kty"], out["n"], out["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		width := (public.Curve.Params().BitSize + 7) / 8
		out["kty"], out["crv"] = "EC", public.Curve.Params().Name
		out["x"], out["y"] = b64(public.X.FillBytes(make([]byte, width))), b64(public.Y.FillBytes(make([]byte, width)))
	case ed25519.PublicKey:
		out["kty"], out["crv"], out["x"] = "OKP", "Ed25519", b64(public)
	}
	return out
}

// Sign makes a token. Members of the header are added to alg, typ and kid; nil takes one away.
func (k *SigningKey) Sign(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(k.Method, jwt.MapClaims(claims))
	token.Header["kid"] = k.ID
	maps.Copy(token.Header, header)
	maps.DeleteFunc(token.Header, func(_ string, v any) bool { return v == nil })
	text, err := token.SignedString(k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// KeyServer is an identity provider as the services see it: a discovery document and a set of keys. What it answers, and
// when, is the test's to say.
type KeyServer struct {
	URL       string
	Documents atomic.Int32 // times asked for the document
	Sets      atomic.Int32 // times asked for the keys
	Others    atomic.Int32 // anything else

	mu      sync.Mutex
	keys    []*SigningKey
	answer  http.HandlerFunc // in place of the keys
	release chan struct{}    // answers wait for it
	waiting int
}

// NewKeyServer starts one on the loopback. It ends with the test.
func NewKeyServer(t testing.TB, keys ...*SigningKey) *KeyServer {
	t.Helper()
	i := &KeyServer{keys: keys}
	server := httptest.NewServer(http.HandlerFunc(i.serve))
	i.URL = server.URL
	t.Cleanup(func() {
		i.Release()
		server.Close()
	})
	return i
}

// Settings make a service believe this provider's tokens for the audience "rookery".
func (i *KeyServer) Settings() map[string]string {
	return map[string]string{"oidc_embedded": "false", "oidc_discovery_url": i.URL + "/.well-known/openid-configuration",
		"oidc_audience": "rookery", "oidc_extra_audiences": "second,third", "oidc_allow_private_issuers": "true"}
}

func (i *KeyServer) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.Documents.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys",
			"authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token"})
	case "/keys":
		i.Sets.Add(1)
		i.mu.Lock()
		release, answer, keys := i.release, i.answer, slices.Clone(i.keys)
		i.waiting++
		i.mu.Unlock()
		if release != nil {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		i.mu.Lock()
		i.waiting--
		i.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		set := []map[string]any{}
		for _, k := range keys {
			set = append(set, k.JWK())
		}
		w.Header().Set("Cache-Control", "max-age=3600")
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": set})
	default:
		i.Others.Add(1)
		http.NotFound(w, r)
	}
}

// Publish replaces the keys.
func (i *KeyServer) Publish(keys ...*SigningKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys, i.answer = keys, nil
}

// Answer gives something else in place of the keys.
func (i *KeyServer) Answer(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

// Hold lets everybody who asks for the keys wait until Release.
func (i *KeyServer) Hold() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.release = make(chan struct{})
}

// Release answers those who wait, and later ones at once.
func (i *KeyServer) Release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.release != nil {
		close(i.release)
	}
	i.release = nil
}

// Waiting waits until that many requests for the keys hang.
func (i *KeyServer) Waiting(t testing.TB, n int) {
	t.Helper()
	Eventually(t, 20*time.Second, fmt.Sprintf("%d requests for the keys", n), func() error {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.waiting != n {
			return fmt.Errorf("%d requests", i.waiting)
		}
		return nil
	})
}

// Claims of a good token of that user, for ten minutes; members of more go over them, nil takes one away. Each is another token.
func (i *KeyServer) Claims(user string, more map[string]any) map[string]any {
	now := time.Now().Unix()
	out := map[string]any{"iss": i.URL, "aud": "rookery", "sub": user, "iat": now, "exp": now + 600, "jti": strings.ToLower(rand.Text())}
	maps.Copy(out, more)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}
