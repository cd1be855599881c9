package system

import (
	"fmt"
	"testing"

	"github.com/netbirdio/netbird/shared/management/http/api"
)

// What is sent comes back: ends, checks, users and ports, in the order sent.
func TestRESTPoliciesEcho(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	check := described(t, s.REST)
	other := s.NewGroup(t, "other")
	var posture struct{ Id string }
	s.Want(t, 200, "POST", "/api/posture-checks", map[string]any{"name": s.Name, "checks": map[string]any{
		"nb_version_check": map[string]string{"min_version": "0.1.0"}}}, &posture)
	defer s.Do(t, "DELETE", "/api/posture-checks/"+posture.Id, nil)
	policy := func(rule map[string]any, checks ...string) map[string]any {
		base := map[string]any{"name": "r", "enabled": true, "action": "drop", "bidirectional": false, "protocol": "tcp"}
		for k, v := range rule {
			base[k] = v
		}
		return map[string]any{"name": s.Name, "enabled": true, "rules": []any{base}, "source_posture_checks": append([]string{}, checks...)}
	}
	var got map[string]any
	rule := func() map[string]any { return got["rules"].([]any)[0].(map[string]any) }
	check(200, "POST", "/api/policies", policy(map[string]any{"sourceResource": map[string]string{"id": "p", "type": "peer"},
		"destinationResource": map[string]string{"id": "d", "type": "domain"},
		"port_ranges":         []any{map[string]int{"start": 9, "end": 10}, map[string]int{"start": 1, "end": 65535}}}, posture.Id)).JSON(t, &got)
	id := got["id"].(string)
	defer s.Do(t, "DELETE", "/api/policies/"+id, nil)
	if r := rule(); r["sources"] != nil || r["destinations"] != nil || fmt.Sprint(r["sourceResource"]) != "map[id:p type:peer]" ||
		fmt.Sprint(r["destinationResource"]) != "map[id:d type:domain]" || r["action"] != "drop" || r["bidirectional"] != false ||
		fmt.Sprint(r["port_ranges"]) != "[map[end:10 start:9] map[end:65535 start:1]]" || r["ports"] != nil || r["id"] != id {
		t.Errorf("%v", r)
	}
	if fmt.Sprint(got["source_posture_checks"]) != "["+posture.Id+"]" {
		t.Errorf("posture checks %v", got["source_posture_checks"])
	}
	between := map[string]any{"sources": []string{other}, "destinations": []string{other}}
	s.WantError(t, 422, "posture checks: nope not found", "POST", "/api/policies", policy(between, posture.Id, "nope"))
	s.WantError(t, 422, "posture checks: nope not found", "PUT", "/api/policies/"+id, policy(between, "nope"))
	s.WantError(t, 412, "posture checks have been linked to policy: "+s.Name, "DELETE", "/api/posture-checks/"+posture.Id, nil)

	ssh := map[string]any{"protocol": "netbird-ssh", "sources": []string{other, s.Group, other}, "destinations": []string{s.Group, "nope"},
		"authorized_groups": map[string]any{other: []string{"root", "ada"}, s.Group: []string{}}}
	check(200, "PUT", "/api/policies/{policyId}", policy(ssh), id).JSON(t, &got)
	r := rule()
	sources := r["sources"].([]any)
	if len(sources) != 2 || sources[0].(map[string]any)["id"] != other || sources[1].(map[string]any)["id"] != s.Group || r["ports"] != nil {
		t.Errorf("%v", r)
	}
	if fmt.Sprint(r["authorized_groups"]) != fmt.Sprint(map[string]any{other: []any{"root", "ada"}, s.Group: []any{}}) {
		t.Errorf("authorized_groups %v", r["authorized_groups"])
	}
	if got["source_posture_checks"] == nil {
		// sent as an empty list, which is not the same as not at all
		t.Error("source_posture_checks is null")
	}
	s.WantError(t, 400, "group has been linked to policy: "+s.Name, "DELETE", "/api/groups/"+other, nil)
	event := lastEvent(t, s.REST, "policy.update")
	check(200, "PUT", "/api/policies/{policyId}", policy(ssh), id)
	if again := lastEvent(t, s.REST, "policy.update"); again.Id != event.Id {
		t.Errorf("a change that changes nothing leaves an event: %+v", again)
	}
	ssh["authorized_groups"] = map[string]any{other: []string{"root"}}
	s.WantError(t, 422, "authorized group for netbird-ssh protocol should be specified for each source group", "PUT", "/api/policies/"+id, policy(ssh))
	rest := policy(map[string]any{"id": "nope", "sources": []string{s.Group}, "destinations": []string{s.Group}})
	s.WantError(t, 422, "invalid rule id: nope", "PUT", "/api/policies/"+id, rest)
	s.WantError(t, 404, "policy: nope not found", "PUT", "/api/policies/nope", rest)
	two := policy(map[string]any{"sources": []string{s.Group}, "destinations": []string{other}})
	two["rules"] = append(two["rules"].([]any), two["rules"].([]any)[0])
	var both api.Policy
	check(200, "PUT", "/api/policies/{policyId}", two, id).JSON(t, &both)
	if len(both.Rules) != 2 || *both.Rules[0].Id == *both.Rules[1].Id {
		t.Errorf("%+v", both)
	}
	check(200, "DELETE", "/api/policies/{policyId}", nil, id)
	s.WantError(t, 404, "policy: "+id+" not found", "DELETE", "/api/policies/"+id, nil)
	if e := lastEvent(t, s.REST, "policy.delete"); e.TargetId != id || e.Meta["name"] != s.Name {
		t.Errorf("%+v", e)
	}
}
