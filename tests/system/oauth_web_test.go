package system

import (
	"testing"

	"rookery.test/system/harness"
)

// Acceptance case 8: npm openid-client, every request to the other replica.
func TestCase08OpenIDClient(t *testing.T) {
	p := cluster(t).Provider(t, nil)
	webOwner(t, p)
	harness.Web(t, "relying_party.mjs", p.URL, webEmail, webPassword)
}
