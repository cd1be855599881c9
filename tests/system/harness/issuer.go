package harness

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Audience is that of an Issuer's tokens.
const Audience = "team"

// Issuer is somebody else's identity provider as the services see it: a discovery document, a set of keys, and tokens that say
// what a test wants. What it answers, and when, is the test's to say.
type Issuer struct {
	URL string

	mu      sync.Mutex
	keys    []*SigningKey    // the last one signs
	answer  http.HandlerFunc // in place of the keys
	held    chan struct{}    // every request waits for it
	waiting map[string]int   // requests without an answer yet, by path
	asked   map[string]int
}

// NewIssuer starts one on loopback; it ends with the test. Without keys it makes one itself.
func NewIssuer(t testing.TB, keys ...*SigningKey) *Issuer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return NewIssuerAt(t, "http", l, keys...)
}

// NewIssuerAt is NewIssuer where somebody listens already.
func NewIssuerAt(t testing.TB, scheme string, l net.Listener, keys ...*SigningKey) *Issuer {
	t.Helper()
	i := &Issuer{keys: keys, waiting: map[string]int{}, asked: map[string]int{}}
	if len(keys) == 0 {
		i.Rotate(t)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(i.serve)}}
	server.Start()
	i.URL = scheme + "://" + l.Addr().String()
	t.Cleanup(func() {
		i.Release()
		server.CloseClientConnections()
		server.Close()
	})
	return i
}

// Settings are those of a service that believes this issuer.
func (i *Issuer) Settings() map[string]string {
	return map[string]string{
		"oidc_embedded": "false", "oidc_discovery_url": i.URL + "/.well-known/openid-configuration", "oidc_audience": Audience,
		"oidc_extra_audiences": "second,third", "oidc_allow_private_issuers": "true", "oidc_pkce_client_id": "agent",
		"oidc_device_client_id": "agent", "oidc_device_audience": Audience, "oidc_cli_audience": "ssh",
	}
}

// Rotate makes a new key, which signs from now on; the old ones stay in the set.
func (i *Issuer) Rotate(t testing.TB) {
	t.Helper()
	key := NewSigningKey(t, strings.ToLower(rand.Text()), "RS256")
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(slices.Clone(i.keys), key)
}

// Publish replaces the keys.
func (i *Issuer) Publish(keys ...*SigningKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys, i.answer = keys, nil
}

// Answer gives something else in place of the keys.
func (i *Issuer) Answer(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

// Hold lets every request wait until Release.
func (i *Issuer) Hold() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.held == nil {
		i.held = make(chan struct{})
	}
}

// Release answers what waits, and later requests at once.
func (i *Issuer) Release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.held != nil {
		close(i.held)
		i.held = nil
	}
}

// Asked is how often that path was asked for; "" means all paths.
func (i *Issuer) Asked(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if path != "" {
		return i.asked[path]
	}
	all := 0
	for _, n := range i.asked {
		all += n
	}
	return all
}

// Waiting waits until that many requests for the keys hang.
func (i *Issuer) Waiting(t testing.TB, n int) {
	t.Helper()
	Eventually(t, 20*time.Second, fmt.Sprintf("%d requests for the keys", n), func() error {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.waiting["/keys"] != n {
			return fmt.Errorf("%d requests", i.waiting["/keys"])
		}
		return nil
	})
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked[r.URL.Path]++
	i.waiting[r.URL.Path]++
	held, keys, answer := i.held, i.keys, i.answer
	i.mu.Unlock()
	gone := false
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			gone = true
		}
	}
	i.mu.Lock()
	i.waiting[r.URL.Path]--
	i.mu.Unlock()
	if gone {
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys",
			"authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token",
			"device_authorization_endpoint": i.URL + "/device"})
	case "/keys":
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
		http.NotFound(w, r)
	}
}

// Claims of a good token of that user, for ten minutes; members of more go over them, nil takes one away. Each is another token.
func (i *Issuer) Claims(user string, more map[string]any) map[string]any {
	now := time.Now().Unix()
	out := map[string]any{"iss": i.URL, "aud": Audience, "sub": user, "iat": now, "exp": now + 600, "jti": strings.ToLower(rand.Text()),
		"name": user, "email": user + "@team.test"}
	maps.Copy(out, more)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

// Token is one with those claims, signed with the newest key.
func (i *Issuer) Token(t testing.TB, user string, more map[string]any) string {
	t.Helper()
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	return key.Sign(t, nil, i.Claims(user, more))
}
