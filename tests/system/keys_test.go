package system

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

// secret_key and relay_secret are changed in the steps of docs/keys.md, one replica after the other. After each half step every
// management knows its peer, every relay takes the credentials of every management, the API answers, and the server's key and
// those that tokens are signed with are what they were.
func TestKeysAreChanged(t *testing.T) {
	t.Parallel()
	c := own(t)
	s := c.Space(t)
	b := harness.NewBare(t, front(t, c), s.Name+"-peer")
	first := harness.RelayToken(t, b.Login(t, s.Key).GetNetbirdConfig().GetRelay())
	server, err := b.ServerKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	signing := signingKeys(t, c)
	works := func(when string) []byte {
		t.Helper()
		var token []byte
		for _, m := range managements(t, c) {
			at := b.At(t, m)
			login, err := at.TryLogin(t.Context(), "")
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			token = harness.RelayToken(t, login.GetNetbirdConfig().GetRelay())
			if now, err := at.ServerKey(t.Context()); err != nil || now != server {
				t.Errorf("%s: the server's key is another one: %v", when, err)
			}
			for _, name := range c.Names("relay") {
				r, err := harness.TryRelay(c.Proc(t, name).Listen, s.Name, token)
				if err != nil {
					t.Fatalf("%s: %s refuses a credential of %s: %v", when, name, m, err)
				}
				_ = r.WS.Conn.Close()
			}
		}
		c.REST().Want(t, http.StatusOK, "GET", "/api/groups", nil, nil)
		if now := signingKeys(t, c); now != signing {
			t.Errorf("%s: signing keys are %s, and were %s", when, now, signing)
		}
		return token
	}
	old := map[string]string{}
	for _, name := range []string{"secret_key", "relay_secret"} {
		text, err := os.ReadFile(c.Secret(name))
		if err != nil {
			t.Fatal(err)
		}
		old[name] = strings.TrimSpace(string(text))
	}
	fresh := map[string]string{"secret_key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "relay_secret": "the next one"}
	step := func(when string, text func(name string) string) []byte {
		t.Helper()
		for name := range old {
			if err := os.WriteFile(c.Secret(name), []byte(text(name)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var token []byte
		for _, n := range []string{"1", "2"} {
			for _, tier := range []string{"management", "relay", "dashboard-api"} {
				c.Terminate(t, tier+"-"+n)
			}
			c.Restart(t)
			token = works(when + ", replica " + n)
		}
		return token
	}
	step("old, new", func(name string) string { return old[name] + "\n" + fresh[name] })
	step("new, old", func(name string) string { return fresh[name] + "\n" + old[name] })
	if out, ok := c.Command(t, "dashboard-api-1", nil, "reseal"); !ok || !strings.Contains(out, "are sealed under the first key now") || strings.HasPrefix(out, "0 ") {
		t.Fatalf("reseal: %s", out)
	}
	last := step("new", func(name string) string { return fresh[name] })
	if out, ok := c.Command(t, "dashboard-api-1", nil, "reseal"); !ok || !strings.HasPrefix(out, "0 secrets") {
		t.Errorf("reseal again: %s", out)
	}
	relay := c.Proc(t, "relay-1").Listen
	if _, err := harness.TryRelay(relay, s.Name, first); err == nil {
		t.Error("a relay takes a credential of the old secret")
	}
	if _, err := harness.TryRelay(relay, s.Name, last); err != nil {
		t.Error(err)
	}
}

// signingKeys are the ids of the keys that tokens are signed with.
func signingKeys(t *testing.T, c *harness.Cluster) string {
	t.Helper()
	r, err := http.Get(strings.TrimSuffix(c.APIURL, "/api") + "/oauth2/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var set struct {
		Keys []struct{ Kid string }
	}
	if err := json.NewDecoder(r.Body).Decode(&set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("the signing keys: %v %v", set, err)
	}
	var ids []string
	for _, key := range set.Keys {
		ids = append(ids, key.Kid)
	}
	return strings.Join(ids, " ")
}
