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
	"sync"
	"testing"
	"time"
)

// Audience is that of an Issuer's tokens.
const Audience = "team"

// Issuer is somebody else's identity provider: a discovery document, a key set, and tokens that say what a test wants.
type Issuer struct {
	URL string

	server *httptest.Server
	mu     sync.Mutex
	keys   []issuerKey // the last one signs
	held   chan struct{}
	asked  map[string]int
}

type issuerKey struct {
	id  string
	key *rsa.PrivateKey
}

// NewIssuer starts one on loopback; it ends with the test.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{asked: map[string]int{}}
	i.Rotate(t)
	i.server = httptest.NewServer(http.HandlerFunc(i.serve))
	i.URL = i.server.URL
	t.Cleanup(func() {
		i.Release()
		i.server.CloseClientConnections()
		i.server.Close()
	})
	return i
}

// Settings are those of a service that believes this issuer.
func (i *Issuer) Settings() map[string]string {
	return map[string]string{
		"oidc_embedded": "false", "oidc_discovery_url": i.URL + "/.well-known/openid-configuration", "oidc_audience": Audience,
		"oidc_allow_private_issuers": "true", "oidc_pkce_client_id": "agent", "oidc_device_client_id": "agent",
		"oidc_device_audience": Audience, "oidc_cli_audience": "ssh",
	}
}

// Rotate makes a new key, which signs from now on; the old ones stay in the set.
func (i *Issuer) Rotate(t testing.TB) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, issuerKey{fmt.Sprintf("key-%d-%d", len(i.keys), time.Now().UnixNano()), key})
}

// Hold lets every request wait until Release.
func (i *Issuer) Hold() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.held == nil {
		i.held = make(chan struct{})
	}
}

// Release answers what waits.
func (i *Issuer) Release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.held != nil {
		close(i.held)
		i.held = nil
	}
}

// Asked is how often that path was asked for.
func (i *Issuer) Asked(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[path]
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked[r.URL.Path]++
	held, keys := i.held, i.keys
	i.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return
		}
	}
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/authorize",
			"token_endpoint": i.URL + "/token", "device_authorization_endpoint": i.URL + "/device"}
	case "/keys":
		var set []map[string]any
		for _, k := range keys {
			set = append(set, map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.id,
				"n": base64.RawURLEncoding.EncodeToString(k.key.N.Bytes()),
				"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.key.E)).Bytes())})
		}
		answer = map[string]any{"keys": set}
		w.Header().Set("Cache-Control", "max-age=3600")
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// Token is one of that subject, good for ten minutes; claims are added or, when nil, left out.
func (i *Issuer) Token(t testing.TB, subject string, claims map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"iss": i.URL, "sub": subject, "aud": Audience, "iat": now, "exp": now + 600,
		"jti": base64.RawURLEncoding.EncodeToString(id), "name": subject, "email": subject + "@team.test"}
	for name, value := range claims {
		if value == nil {
			delete(body, name)
		} else {
			body[name] = value
		}
	}
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(map[string]any{"alg": "RS256", "typ": "JWT", "kid": key.id}) + "." + part(body)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
