package system

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"rookery.test/system/harness"
)

// tenant is one account of several on a server, as its owner sees it.
type tenant struct {
	*harness.REST
	who, account, group, key, peer string
	plain                          string // the setup key itself
	agent                          *harness.Bare
}

// furnish gives a new account a group, a setup key and, by join, a peer.
func (x *tenant) furnish(t *testing.T, join func()) {
	t.Helper()
	var me struct{ ID, Role string }
	if x.Want(t, 200, "GET", "/api/users/current", nil, &me); me.Role != "owner" {
		t.Errorf("%s is %s", me.ID, me.Role)
	}
	x.who = me.ID
	var accounts, peers []struct{ ID string }
	x.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	x.account = accounts[0].ID
	var made struct{ ID, Key string }
	x.Want(t, 200, "POST", "/api/groups", map[string]any{"name": "private"}, &made)
	x.group = made.ID
	x.Want(t, 200, "POST", "/api/setup-keys", map[string]any{"name": "k", "type": "reusable", "expires_in": 86400,
		"auto_groups": []string{x.group}, "usage_limit": 0}, &made)
	x.key, x.plain = made.ID, made.Key
	join()
	x.Want(t, 200, "GET", "/api/peers", nil, &peers)
	if len(peers) != 1 {
		t.Fatalf("%d peers", len(peers))
	}
	x.peer = peers[0].ID
}

// separate holds that a finds nothing of b, by a list or by any id, and that their peers see nobody.
func separate(t *testing.T, a, b *tenant) {
	t.Helper()
	if a.account == b.account {
		t.Fatal("they share an account")
	}
	for _, q := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/api/groups/" + b.group, nil}, {"DELETE", "/api/groups/" + b.group, nil},
		{"PUT", "/api/groups/" + b.group, map[string]any{"name": "mine", "peers": []string{}}},
		{"GET", "/api/peers/" + b.peer, nil}, {"DELETE", "/api/peers/" + b.peer, nil}, {"GET", "/api/peers/" + b.peer + "/network-map", nil},
		{"GET", "/api/setup-keys/" + b.key, nil}, {"DELETE", "/api/setup-keys/" + b.key, nil},
		{"DELETE", "/api/users/" + b.who, nil}, {"GET", "/api/users/" + b.who + "/tokens", nil},
		{"POST", "/api/users/" + b.who + "/tokens", map[string]any{"name": "t", "expires_in": 1}},
		{"PUT", "/api/users/" + b.who, map[string]any{"role": "user", "auto_groups": []string{}, "is_blocked": true}},
		{"PUT", "/api/accounts/" + b.account, map[string]any{"settings": map[string]any{"peer_login_expiration": 7200}}},
		{"DELETE", "/api/accounts/" + b.account, nil},
	} {
		if x := a.Do(t, q.method, q.path, q.body); x.Status != 404 && x.Status != 403 && x.Status != 400 {
			t.Errorf("%s %s of another account: %d %s", q.method, q.path, x.Status, x.Body)
		}
	}
	// A group of another account is none to put anybody into.
	if x := a.Do(t, "PUT", "/api/groups/"+a.group, map[string]any{"name": "private", "peers": []string{b.peer}}); x.Status != 422 {
		t.Errorf("a peer of another account in a group: %d %s", x.Status, x.Body)
	}
	for _, list := range []string{"users", "groups", "policies", "accounts", "setup-keys", "peers", "networks", "routes"} {
		var mine, theirs []struct{ ID string }
		a.Want(t, 200, "GET", "/api/"+list, nil, &mine)
		b.Want(t, 200, "GET", "/api/"+list, nil, &theirs)
		for _, x := range theirs {
			if slices.Contains(mine, x) {
				t.Errorf("both tenants have %s %s", list, x.ID)
			}
			if list == "groups" || list == "policies" {
				a.Want(t, 404, "GET", "/api/"+list+"/"+x.ID, nil, nil)
			}
		}
		if (list == "users" || list == "accounts") && len(mine) != 1 {
			t.Errorf("one tenant has %d %s", len(mine), list)
		}
	}
	for _, x := range []*tenant{a, b} {
		if m := x.agent.Sync(t).Next(t, 5*time.Second); len(m.GetNetworkMap().GetRemotePeers()) != 0 {
			t.Errorf("%s sees %v", x.who, m.GetNetworkMap().GetRemotePeers())
		}
	}
	b.Want(t, 200, "GET", "/api/groups/"+b.group, nil, nil)
	b.Want(t, 200, "GET", "/api/peers/"+b.peer, nil, nil)
}

// Two tenants of a provider of somebody else: whoever signs in first for a domain of their own has an account of their own.
func TestTenantsAreSeparate(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.SSO(t, harness.NewIssuer(t), map[string]string{"oidc_single_account": "false"})
	var tenants [2]*tenant
	for n := range tenants {
		who := somebody("tenant")
		x := &tenant{REST: s.REST(s.Issuer.Token(t, who, nil))}
		t.Cleanup(func() {
			if a, err := x.Try(context.Background(), "DELETE", "/api/accounts/"+x.account, nil); err != nil || a.Status != 200 {
				t.Errorf("deleting the account of %s: %v %v", who, a, err)
			}
		})
		x.furnish(t, func() {
			x.agent = s.Bare(t, somebody("tenant"))
			if _, err := x.agent.TokenLogin(t.Context(), s.Issuer.Token(t, who, nil)); err != nil {
				t.Fatal(err)
			}
		})
		if x.who != who {
			t.Errorf("%s is %s", who, x.who)
		}
		tenants[n] = x
	}
	a, b := tenants[0], tenants[1]
	separate(t, a, b)
	// A token of the one does not open the peer of the other.
	_, err := b.agent.TokenLogin(t.Context(), s.Issuer.Token(t, a.who, nil))
	harness.WantStatus(t, err, codes.PermissionDenied, "peer is already registered by a different User or a Setup Key")
}

// Two tenants in one deployment with the built-in provider: the second is made by a command, and neither sees
// anything of the other.
func TestTenantsOfTheEmbeddedProviderAreSeparate(t *testing.T) {
	c := own(t)
	several := map[string]string{"oidc_single_account": "false"}

	for _, refused := range []struct {
		settings map[string]string
		words    []string
		says     string
	}{
		{nil, []string{"add-account", "two@tenant.test"}, "oidc_single_account is true"},
		{several, []string{"add-account"}, "rookery-dashboard-api add-account E-MAIL --config FILE"},
		{several, []string{"add-account", "nobody"}, "expected an e-mail address"},
	} {
		if out, ok := c.Command(t, "dashboard-api-1", refused.settings, refused.words...); ok || !strings.Contains(out, refused.says) {
			t.Errorf("%v: %v %q", refused.words, ok, out)
		}
	}
	out, ok := c.Command(t, "dashboard-api-1", several, "add-account", "two@tenant.test")
	told := regexp.MustCompile(`Account (\S+)\. Its owner signs in as two@tenant\.test with the password (\S{16})`).FindStringSubmatch(out)
	if !ok || told == nil {
		t.Fatalf("add-account: %v %q", ok, out)
	}
	if out, ok := c.Command(t, "dashboard-api-1", several, "add-account", "two@tenant.test"); ok || !strings.Contains(out, "user with this email already exists") {
		t.Errorf("the same address again: %v %q", ok, out)
	}
	api := c.DashboardAPI(t, 2, several)
	owner := c.SQL(t, "SELECT id FROM users WHERE account_id = '"+told[1]+"' AND role = 'owner'")

	// The page of a login shows no tenant's connector to strangers, and follows one that is named.
	c.SQL(t, "INSERT INTO connector (id, account_id, type, name, client_id, issuer, sealed_secret) SELECT 'oidc' || row_number() OVER (), id, 'oidc', 'Way ' || id, 'c', 'https://idp.test', '' FROM account")
	ask := api.URL + "/oauth2/auth?client_id=netbird-cli&response_type=code&scope=openid&state=s&code_challenge_method=S256" +
		"&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&redirect_uri=http%3A%2F%2Flocalhost%3A53000%2F"
	if s := harness.NewWalk(t).Get(ask); s.Status != 200 || strings.Contains(s.Body, "Way ") || !strings.Contains(s.Body, "current-password") ||
		strings.Contains(s.Body, "Choose another login method") {
		t.Errorf("a stranger is shown %d at %s: %s", s.Status, s.URL, s.Body)
	}
	named := api.URL + "/oauth2/auth/oidc1?"
	if s := harness.NewWalk(t).Get(ask+"&connector_id=oidc1", named); s.Status != 0 {
		t.Errorf("who names a connector ends at %s", s.URL)
	}

	var tenants [2]*tenant
	for n, token := range []string{c.Token, c.As(t, owner).Token} {
		x := &tenant{REST: harness.NewREST(api.URL, token)}
		x.furnish(t, func() {
			x.agent = harness.NewBare(t, front(t, c), somebody("tenant"))
			x.agent.Login(t, x.plain)
		})
		tenants[n] = x
	}
	separate(t, tenants[0], tenants[1])
	separate(t, tenants[1], tenants[0])
}
