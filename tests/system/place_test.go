package system

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc/metadata"
	"rookery.test/system/harness"
)

// An agent that moves from a city that a posture check allows to one that it does not loses its peer, and gets it back on its return.
func TestPlacesDecideWhoIsASource(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	file := filepath.Join(t.TempDir(), "city.mmdb")
	const berlin, wien = "192.0.2.7", "198.51.100.9"
	harness.WriteCities(t, file, 1, harness.Place{Prefix: "192.0.2.0/24", Code: "DE", Country: "Germany", City: "Berlin", ID: 2950159},
		harness.Place{Prefix: "198.51.100.0/24", Code: "AT", Country: "Austria", City: "Wien", ID: 2761369})
	m := c.Sibling(t, "management-1", map[string]string{"geo_database": file, "trusted_proxies": "127.0.0.0/8"})
	rest := harness.NewREST("http://"+c.Sibling(t, "dashboard-api-1", map[string]string{"geo_database": file}).Listen, c.Token)
	s := c.Lonely(t)
	targets := s.NewGroup(t, "targets")
	key := s.NewKey(t, api.CreateSetupKeyRequest{Name: "targets", Type: "reusable", AutoGroups: []string{targets}})
	var check struct{ ID string }
	harness.Eventually(t, harness.CallLimit, "the posture check", func() error {
		a := rest.Do(t, "POST", "/api/posture-checks", map[string]any{"name": s.Name, "checks": map[string]any{
			"geo_location_check": map[string]any{"action": "allow", "locations": []map[string]any{{"country_code": "DE", "city_name": "Berlin"}}}}})
		if a.Status != 200 {
			return fmt.Errorf("%s", a.Body)
		}
		a.JSON(t, &check)
		return nil
	})
	t.Cleanup(func() { _, _ = rest.Try(context.Background(), "DELETE", "/api/posture-checks/"+check.ID, nil) })
	s.Want(t, 200, "PUT", "/api/policies/"+s.Allow(t, s.Group, targets, "all", true), api.PolicyUpdate{Name: s.Name, Enabled: true,
		Rules: []api.PolicyRuleUpdate{harness.Rule(s.Group, targets, "all", true)}, SourcePostureChecks: &[]string{check.ID}}, nil)

	from := func(ip string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", ip)
	}
	target := harness.NewBare(t, front(t, c), s.Name+"-target")
	target.Login(t, key.Key)
	theirs := target.Sync(t)
	theirs.Next(t, harness.CallLimit)
	mover := harness.NewBare(t, m.Listen, s.Name+"-mover")
	if _, err := mover.TryLogin(from(berlin), s.Key); err != nil {
		t.Fatal(err)
	}
	id := s.PeerID(t, s.Name+"-mover")
	sees := func(want bool) func(*proto.SyncResponse) bool {
		return func(m *proto.SyncResponse) bool {
			if m.GetNetworkMap() == nil {
				return false
			}
			for _, p := range m.GetNetworkMap().GetRemotePeers() {
				if p.GetWgPubKey() == mover.PublicKey() {
					return want
				}
			}
			return !want
		}
	}
	theirs.Until(t, harness.CallLimit, "the mover from where it registered", sees(true))
	seen := true
	move := func(ip, country, city string, allowed bool) {
		t.Helper()
		stream, err := mover.TrySync(from(ip))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Cut()
		mine := stream.Next(t, harness.CallLimit)
		for len(mine.GetNetworkMap().GetRemotePeers()) > 0 != allowed {
			mine = stream.Next(t, harness.CallLimit)
		}
		if allowed != seen {
			theirs.Until(t, harness.CallLimit, fmt.Sprintf("the mover from %s: %v", ip, allowed), sees(allowed))
			seen = allowed
		}
		// Who is connected from where is written in batches.
		harness.Eventually(t, harness.CallLimit, "the place of the mover", func() error {
			if p, err := s.Peers.Get(t.Context(), id); err != nil || p.CountryCode != country || p.CityName != city || p.ConnectionIp != ip {
				return fmt.Errorf("%+v %v", p, err)
			}
			return nil
		})
	}
	move(wien, "AT", "Wien", false)
	move(berlin, "DE", "Berlin", true)
	move(wien, "AT", "Wien", false)
	move("203.0.113.1", "", "", false)
	move(berlin, "DE", "Berlin", true)
}
