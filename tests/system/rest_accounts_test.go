package system

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"rookery.test/system/harness"
)

type account struct {
	ID         string `json:"id"`
	Settings   map[string]any
	Onboarding map[string]bool
}

func readAccount(t *testing.T, r *harness.REST) account {
	t.Helper()
	var list []account
	r.Want(t, 200, "GET", "/api/accounts", nil, &list)
	if len(list) != 1 {
		t.Fatalf("%d accounts", len(list))
	}
	return list[0]
}

// keepSettings puts the account's settings back when the test ends.
func keepSettings(t *testing.T, r *harness.REST) account {
	t.Helper()
	was := readAccount(t, r)
	t.Cleanup(func() {
		back := with(was.Settings, map[string]any{"network_range_v6": was.Settings["network_range_v6"]})
		// The test's own context has ended by now.
		a, err := r.Try(context.Background(), "PUT", "/api/accounts/"+was.ID, map[string]any{"settings": back, "onboarding": was.Onboarding})
		if err != nil || a.Status != 200 {
			t.Errorf("restoring the settings: %+v %v", a, err)
		}
	})
	return was
}

// What is sent comes back, in the answer and afterwards.
func TestRESTAccountSettingsAreKept(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	was := keepSettings(t, s.REST)
	all := map[string]any{
		"peer_login_expiration_enabled": false, "peer_login_expiration": 7200.0, "peer_inactivity_expiration_enabled": true,
		"peer_inactivity_expiration": 900.0, "regular_users_view_blocked": false, "groups_propagation_enabled": false,
		"jwt_groups_enabled": true, "jwt_groups_claim_name": "roles", "jwt_allow_groups": []any{"b", "a"},
		"routing_peer_dns_resolution_enabled": false, "dns_domain": "Names.example", "peer_expose_enabled": true,
		"peer_expose_groups": []any{s.Group}, "lazy_connection_enabled": false, "auto_update_version": "0.70.1", "auto_update_always": true,
		"metrics_push_enabled": true, "agent_network_only": true, "dashboard_features": map[string]any{"agent_network": true},
		"local_mfa_enabled": true, "ipv6_enabled_groups": []any{},
		"extra": map[string]any{"peer_approval_enabled": false, "user_approval_required": false, "network_traffic_logs_enabled": false,
			"network_traffic_logs_groups": nil, "network_traffic_packet_counter_enabled": false},
	}
	var put account
	check(200, "PUT", "/api/accounts/{accountId}", map[string]any{"settings": with(all, map[string]any{"a_setting_of_tomorrow": 1})}, was.ID).JSON(t, &put)
	got := readAccount(t, s.REST)
	check(200, "GET", "/api/accounts", nil)
	for key, want := range all {
		if !reflect.DeepEqual(put.Settings[key], want) || !reflect.DeepEqual(got.Settings[key], want) {
			t.Errorf("%s: PUT answers %v, GET %v instead of %v", key, put.Settings[key], got.Settings[key], want)
		}
	}
	for _, key := range []string{"network_range", "network_range_v6"} {
		if _, there := put.Settings[key]; there {
			t.Errorf("%s of a PUT without it: %v", key, put.Settings[key])
		}
		if got.Settings[key] != was.Settings[key] {
			t.Errorf("%s moved from %v to %v", key, was.Settings[key], got.Settings[key])
		}
	}
	if put.Settings["embedded_idp_enabled"] != false || got.Settings["embedded_idp_enabled"] != true || fmt.Sprint(got.Onboarding) != fmt.Sprint(was.Onboarding) {
		t.Errorf("PUT %v, GET %v, onboarding %v", put.Settings["embedded_idp_enabled"], got.Settings["embedded_idp_enabled"], got.Onboarding)
	}

	// A PUT replaces: what is left out is off, but for extra.
	check(200, "PUT", "/api/accounts/{accountId}", map[string]any{"settings": map[string]any{"peer_login_expiration": 3600},
		"onboarding": map[string]bool{"signup_form_pending": false, "onboarding_flow_pending": true}}, was.ID)
	got = readAccount(t, s.REST)
	for key, want := range map[string]any{"auto_update_version": "", "lazy_connection_enabled": false, "jwt_allow_groups": []any{}, "peer_expose_groups": nil,
		"ipv6_enabled_groups": nil, "dns_domain": "", "agent_network_only": false} {
		if value, there := got.Settings[key]; !there || !reflect.DeepEqual(value, want) {
			t.Errorf("%s is %v", key, value)
		}
	}
	if _, there := got.Settings["dashboard_features"]; there {
		t.Errorf("dashboard_features %v", got.Settings["dashboard_features"])
	}
	if extra := got.Settings["extra"].(map[string]any); extra["user_approval_required"] != false {
		t.Errorf("extra %v", extra)
	}
	if got.Onboarding["signup_form_pending"] || !got.Onboarding["onboarding_flow_pending"] {
		t.Errorf("onboarding %v", got.Onboarding)
	}
}

func TestRESTAccountSettingsRefused(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	was := keepSettings(t, s.REST)
	var zone struct{ ID string }
	s.Want(t, 200, "POST", "/api/dns/zones", map[string]any{"name": "z", "domain": "taken.example", "distribution_groups": []string{s.Group}}, &zone)
	defer s.Do(t, "DELETE", "/api/dns/zones/"+zone.ID, nil)
	before, _ := json.Marshal(readAccount(t, s.REST))
	for _, row := range []struct {
		message string
		change  map[string]any
	}{
		{"peer expose requires at least one group", map[string]any{"peer_expose_enabled": true, "peer_expose_groups": []string{}}},
		{"invalid autoupdateversion", map[string]any{"auto_update_version": "newest"}},
		{"agent network only mode requires dashboard_features.agent_network to be enabled", map[string]any{"agent_network_only": true}},
		{"network range must be an ipv4 address", map[string]any{"network_range": "fd00::/64"}},
		{"network range must be an ipv6 address", map[string]any{"network_range_v6": "10.0.0.0/16"}},
		{"loopback address range not allowed", map[string]any{"network_range": "127.0.0.0/16"}},
		{"multicast address range not allowed", map[string]any{"network_range": "224.0.0.0/16"}},
		{"link-local address range not allowed", map[string]any{"network_range_v6": "fe80::/64"}},
		{"network range too small: minimum size is /28 for ipv4", map[string]any{"network_range": "10.0.0.0/29"}},
		{"network range too small: minimum size is /120 for ipv6", map[string]any{"network_range_v6": "2001:db8::/121"}},
		{"network range too large: maximum size is /48 for ipv6", map[string]any{"network_range_v6": "2001:db8::/32"}},
		{"peer login expiration can't be larger than 180 days", map[string]any{"peer_login_expiration": 15552001}},
		{"peer login expiration can't be smaller than one hour", map[string]any{"peer_login_expiration": 3599}},
		{`invalid domain "*.a.b" provided for dns domain`, map[string]any{"dns_domain": "*.a.b"}},
		{"peer dns domain taken.example conflicts with existing custom dns zone", map[string]any{"dns_domain": "taken.example"}},
		{"ipv6 enabled group nope does not exist", map[string]any{"ipv6_enabled_groups": []string{"nope"}}},
	} {
		s.WantError(t, 422, row.message, "PUT", "/api/accounts/"+was.ID, map[string]any{"settings": with(was.Settings, row.change)})
	}
	for _, body := range []string{`{"settings":`, "", "null", `{"settings":{"peer_login_expiration":"1h"}}`, `{"settings":{"peer_login_expiration":3600.5}}`,
		`{"settings":{"extra":[]}}`, `{"settings":{"dashboard_features":{"agent_network":1}}}`, `{"settings":{"jwt_allow_groups":[1]}}`,
		`{"settings":{"peer_login_expiration":3600},"onboarding":[]}`} {
		check(400, "PUT", "/api/accounts/{accountId}", body, was.ID)
	}
	const foreign = "failed to validate user permissions: user is not part of this account"
	s.WantError(t, 403, foreign, "PUT", "/api/accounts/d0000000000000000000", map[string]any{"settings": was.Settings})
	s.WantError(t, 403, foreign, "DELETE", "/api/accounts/d0000000000000000000", nil)
	if after, _ := json.Marshal(readAccount(t, s.REST)); string(after) != string(before) {
		t.Errorf("refused changes changed the account:\n%s\n%s", before, after)
	}
}
