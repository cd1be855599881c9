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
