package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

const noGeo = "geo location database is not initialized"
const noGeoLong = noGeo + ". check the self-hosted geo database documentation at https://docs.netbird.io/selfhosted/geo-support"

func TestRESTPostureChecks(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	body := func(checks map[string]any) map[string]any {
		return map[string]any{"name": s.Name, "description": "d", "checks": checks}
	}
	all := map[string]any{
		"nb_version_check":         map[string]any{"min_version": "v0.25"},
		"os_version_check":         map[string]any{"ios": map[string]any{"min_version": "16"}, "linux": map[string]any{"min_kernel_version": "5.4.0-generic"}},
		"peer_network_range_check": map[string]any{"action": "deny", "ranges": []string{"192.0.2.5/24", "2001:DB8::1/32"}},
		"process_check":            map[string]any{"processes": []map[string]any{{"linux_path": "/usr/bin/x"}, {"windows_path": "C:\\x"}}},
	}
	var made struct {
		ID, Name, Description string
		Checks                map[string]any
	}
	check(200, "POST", "/api/posture-checks", body(all)).JSON(t, &made)
	defer s.Do(t, "DELETE", "/api/posture-checks/"+made.ID, nil)
	if made.Name != s.Name || made.Description != "d" || len(made.Checks) != 4 {
		t.Errorf("%+v", made)
	}
	if got := fmt.Sprint(made.Checks["peer_network_range_check"]); got != "map[action:deny ranges:[192.0.2.5/24 2001:db8::1/32]]" {
		t.Errorf("%s", got)
	}
	if got := fmt.Sprint(made.Checks["process_check"]); got !=
		`map[processes:[map[linux_path:/usr/bin/x mac_path: windows_path:] map[linux_path: mac_path: windows_path:C:\x]]]` {
		t.Errorf("%s", got)
	}
	if e := lastEvent(t, s.REST, "posture.check.create"); e.TargetId != made.ID || e.Meta["name"] != s.Name {
		t.Errorf("%+v", e)
	}
	s.WantError(t, 422, "posture checks with name "+strings.ToLower(s.Name)+" already exists", "POST", "/api/posture-checks", body(all))

	type m = map[string]any
	for _, row := range []struct {
		status  int
		message string
		checks  m
	}{
		{422, "posture checks shouldn't be empty", m{}},
		{422, "nbversioncheck minimum version shouldn't be empty", m{"nb_version_check": m{}}},
		{422, "nbversioncheck version: abc is not valid", m{"nb_version_check": m{"min_version": "abc"}}},
		{422, "osversioncheck at least one os version check is required", m{"os_version_check": m{}}},
		{422, "osversioncheck android version: x is not valid", m{"os_version_check": m{"android": m{"min_version": "x"}}}},
		{422, "osversioncheck  windows kernel version: x is not valid", m{"os_version_check": m{"windows": m{"min_kernel_version": "x"}}}},
		{412, noGeoLong, m{"geo_location_check": m{"action": "allow", "locations": []m{{"country_code": "DE"}}}}},
		{422, "invalid network prefix", m{"peer_network_range_check": m{"ranges": []string{"x"}}}},
		{422, "action for peer network range check shouldn't be empty", m{"peer_network_range_check": m{"ranges": []string{"10.0.0.0/8"}}}},
		{422, "peernetworkrangecheck action is not valid", m{"peer_network_range_check": m{"action": "x", "ranges": []string{"10.0.0.0/8"}}}},
		{422, "peernetworkrangecheck network ranges shouldn't be empty", m{"peer_network_range_check": m{"action": "allow"}}},
		{422, "processcheck processes shouldn't be empty", m{"process_check": m{}}},
		{422, "processcheck path shouldn't be empty", m{"process_check": m{"processes": []m{{}}}}},
	} {
		s.WantError(t, row.status, row.message, "POST", "/api/posture-checks", body(row.checks))
		s.WantError(t, row.status, row.message, "PUT", "/api/posture-checks/"+made.ID, body(row.checks))
		s.WantError(t, 404, "posture checks: nope not found", "PUT", "/api/posture-checks/nope", body(row.checks))
	}
	s.WantError(t, 422, "posture checks name shouldn't be empty", "POST", "/api/posture-checks", m{"checks": all})
	s.WantError(t, 422, "posture checks shouldn't be empty", "POST", "/api/posture-checks", m{"name": "x"})
	check(400, "POST", "/api/posture-checks", "null")
	check(400, "POST", "/api/posture-checks", `{"checks":{"process_check":{"processes":["x"]}}}`)
	s.WantError(t, 404, "posture checks: nope not found", "GET", "/api/posture-checks/nope", nil)
	s.WantError(t, 404, "posture checks: nope not found", "PUT", "/api/posture-checks/nope", "{")
	s.WantError(t, 404, "posture checks: nope not found", "DELETE", "/api/posture-checks/nope", nil)

	check(200, "PUT", "/api/posture-checks/{postureCheckId}", body(m{"nb_version_check": m{"min_version": "1"}}), made.ID)
	check(200, "GET", "/api/posture-checks/{postureCheckId}", nil, made.ID)
	check(200, "GET", "/api/posture-checks", nil)

	// A policy that asks for it holds it.
	rule := harness.Rule(s.Group, s.Group, "all", true)
	var policy api.Policy
	want := api.PolicyCreate{Name: s.Name + "-p", Enabled: true, Rules: []api.PolicyRuleUpdate{rule}, SourcePostureChecks: &[]string{made.ID, "nope"}}
	s.WantError(t, 422, "posture checks: nope not found", "POST", "/api/policies", want)
	want.SourcePostureChecks = &[]string{made.ID}
	s.Want(t, 200, "POST", "/api/policies", want, &policy)
	if fmt.Sprint(policy.SourcePostureChecks) != fmt.Sprint([]string{made.ID}) {
		t.Errorf("%v", policy.SourcePostureChecks)
	}
	s.WantError(t, 412, "posture checks have been linked to policy: "+s.Name+"-p", "DELETE", "/api/posture-checks/"+made.ID, nil)
	s.Want(t, 200, "DELETE", "/api/policies/"+*policy.Id, nil, nil)
	check(200, "DELETE", "/api/posture-checks/{postureCheckId}", nil, made.ID)
	if e := lastEvent(t, s.REST, "posture.check.delete"); e.TargetId != made.ID {
		t.Errorf("%+v", e)
	}
}

func TestRESTLocationsWithoutDatabase(t *testing.T) {
	r := cluster(t).REST()
	check := described(t, r)
	check(412, "GET", "/api/locations/countries", nil)
	r.WantError(t, 412, noGeo, "GET", "/api/locations/countries", nil)
	r.WantError(t, 412, noGeoLong, "GET", "/api/locations/countries/DE/cities", nil)
	for _, code := range []string{"DEU", "D", "D1", "%20%20"} {
		r.WantError(t, 422, "invalid country code", "GET", "/api/locations/countries/"+code+"/cities", nil)
	}
}

// The database may come, change, break and go while the server runs.
func TestRESTLocationsFollowTheFile(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	file := filepath.Join(t.TempDir(), "city.mmdb")
	api := c.Sibling(t, "dashboard-api-1", map[string]string{"geo_database": file})
	r := harness.NewREST("http://"+api.Listen, c.Token)
	check := described(t, r)
	r.WantError(t, 412, noGeo, "GET", "/api/locations/countries", nil)
	countries := func(want string) {
		t.Helper()
		harness.Eventually(t, 20*time.Second, want, func() error {
			if got := strings.TrimSpace(string(r.Do(t, "GET", "/api/locations/countries", nil).Body)); got != want {
				return fmt.Errorf("%s", got)
			}
			return nil
		})
	}
	germany := harness.Place{Prefix: "192.0.2.0/25", Code: "DE", Country: "Germany", City: "Berlin", ID: 2950159}
	aachen := harness.Place{Prefix: "192.0.2.128/25", Code: "DE", Country: "Germany", City: "Aachen", ID: 3247449}
	austria := harness.Place{Prefix: "2001:db8::/32", Code: "AT", Country: "Austria", City: "", ID: 1}
	harness.WriteCities(t, file, 1, germany, aachen)
	countries(`[{"country_code":"DE","country_name":"Germany"}]`)
	a := check(200, "GET", "/api/locations/countries/{country}/cities", nil, "DE")
	if got := strings.TrimSpace(string(a.Body)); got != `[{"geoname_id":3247449,"city_name":"Aachen"},{"geoname_id":2950159,"city_name":"Berlin"}]` {
		t.Errorf("%s", got)
	}
	check(200, "GET", "/api/locations/countries", nil)
	if lower := check(200, "GET", "/api/locations/countries/{country}/cities", nil, "de"); string(lower.Body) != string(a.Body) {
		t.Errorf("de: %s", lower.Body)
	}
	if none := check(200, "GET", "/api/locations/countries/{country}/cities", nil, "FR"); strings.TrimSpace(string(none.Body)) != "[]" {
		t.Errorf("FR: %s", none.Body)
	}

	// With a database posture checks may look at places; whether there is such a city is not asked.
	geo := func(action string, locations ...map[string]any) map[string]any {
		return map[string]any{"name": "geo-" + api.Name, "checks": map[string]any{"geo_location_check": map[string]any{"action": action, "locations": locations}}}
	}
	place := map[string]any{"country_code": "FR", "city_name": "Nowhere"}
	for message, body := range map[string]map[string]any{
		"geolocationcheck action shouldn't be empty":                                  geo("", place),
		"geolocationcheck action is not valid":                                        geo("block", place),
		"geolocationcheck locations shouldn't be empty":                               geo("allow"),
		"geolocationcheck country code shouldn't be empty":                            geo("allow", map[string]any{"city_name": "x"}),
		"geolocationcheck country code must be 2 letters (iso 3166-1 alpha-2 format)": geo("allow", map[string]any{"country_code": "FRA"}),
	} {
		r.WantError(t, 422, message, "POST", "/api/posture-checks", body)
	}
	var made struct {
		ID     string
		Checks map[string]any
	}
	check(200, "POST", "/api/posture-checks", geo("deny", place, map[string]any{"country_code": "DE"})).JSON(t, &made)
	defer c.REST().Do(t, "DELETE", "/api/posture-checks/"+made.ID, nil)
	if got := fmt.Sprint(made.Checks); got != "map[geo_location_check:map[action:deny locations:[map[city_name:Nowhere country_code:FR] map[city_name: country_code:DE]]]]" {
		t.Errorf("%s", got)
	}

	// A broken file changes nothing and is told; the next good one is taken.
	if err := os.WriteFile(file, []byte("<html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 20*time.Second, "a warning", func() error {
		if !strings.Contains(api.Log(), "geo database: "+file) {
			return fmt.Errorf("%s", api.Log())
		}
		return nil
	})
	countries(`[{"country_code":"DE","country_name":"Germany"}]`)
	harness.WriteCities(t, file, 2, austria, germany)
	countries(`[{"country_code":"AT","country_name":"Austria"},{"country_code":"DE","country_name":"Germany"}]`)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 20*time.Second, "another warning", func() error {
		if !strings.Contains(api.Log(), "No such file") {
			return fmt.Errorf("%s", api.Log())
		}
		return nil
	})
	countries(`[{"country_code":"AT","country_name":"Austria"},{"country_code":"DE","country_name":"Germany"}]`)
}
