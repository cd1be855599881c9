package system

import (
	"regexp"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

// Two tenants in one deployment with the built-in provider: the second is made by a command, and neither sees
// anything of the other.
func TestTenantsOfTheEmbeddedProviderAreSeparate(t *testing.T) {
	c := own(t, 29400)
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
	api := c.Sibling(t, "dashboard-api-1", several)
	first := harness.NewREST("http://"+api.Listen, c.Token)
	owner := c.SQL(t, "SELECT id FROM users WHERE account_id = '"+told[1]+"' AND role = 'owner'")
	second := harness.NewREST("http://"+api.Listen, c.As(t, owner).Token)

	// The page of a login shows no tenant's connector to strangers, and follows one that is named.
	c.SQL(t, "INSERT INTO connector (id, account_id, type, name, client_id, issuer, sealed_secret) SELECT 'oidc' || row_number() OVER (), id, 'oidc', 'Way ' || id, 'c', 'https://idp.test', '' FROM account")
	ask := "http://" + api.Listen + "/oauth2/auth?client_id=netbird-cli&response_type=code&scope=openid&state=s&code_challenge_method=S256" +
		"&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&redirect_uri=http%3A%2F%2Flocalhost%3A53000%2F"
	if s := harness.NewWalk(t).Get(ask); s.Status != 200 || strings.Contains(s.Body, "Way ") || !strings.Contains(s.Body, "current-password") {
		t.Errorf("a stranger is shown %d at %s: %s", s.Status, s.URL, s.Body)
	}
	named := "http://" + api.Listen + "/oauth2/auth/oidc1?"
	if s := harness.NewWalk(t).Get(ask+"&connector_id=oidc1", named); s.Status != 0 {
		t.Errorf("who names a connector ends at %s", s.URL)
	}

	var mine, theirs []struct{ ID, Name string }
	for _, list := range []string{"users", "groups", "policies", "accounts", "setup-keys", "peers", "networks", "routes"} {
		mine, theirs = nil, nil
		first.Want(t, 200, "GET", "/api/"+list, nil, &mine)
		second.Want(t, 200, "GET", "/api/"+list, nil, &theirs)
		for _, a := range mine {
			for _, b := range theirs {
				if a.ID == b.ID {
					t.Errorf("both tenants have %s %s", list, a.ID)
				}
			}
			if list == "groups" || list == "policies" {
				second.Want(t, 404, "GET", "/api/"+list+"/"+a.ID, nil, nil)
			}
		}
		if (list == "users" || list == "accounts") && len(theirs) != 1 {
			t.Errorf("the new tenant has %d %s", len(theirs), list)
		}
	}
}
