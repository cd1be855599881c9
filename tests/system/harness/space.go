package harness

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
)

var spaces atomic.Int64

// Space is a part of the account in which a test is alone: a group, a key that puts peers into it, and a policy by which
// they see one another. Everything goes with the test.
type Space struct {
	*REST
	Cluster *Cluster
	Name    string
	Group   string // id
	Key     string // reusable, unlimited
	KeyID   string
	Policy  string // id
}

// Lonely opens a space without a policy: its peers see nobody.
func (c *Cluster) Lonely(t testing.TB) *Space {
	t.Helper()
	s := &Space{REST: c.REST(), Cluster: c, Name: fmt.Sprintf("space-%d-%d", time.Now().UnixNano(), spaces.Add(1))}
	c.closeDefault(t)
	group, err := s.Groups.Create(t.Context(), api.GroupRequest{Name: s.Name})
	if err != nil {
		t.Fatalf("creating group %s: %v", s.Name, err)
	}
	s.Group = group.Id
	t.Cleanup(func() { s.clear(t) })
	key := s.NewKey(t, api.CreateSetupKeyRequest{Name: s.Name, Type: "reusable"})
	s.Key, s.KeyID = key.Key, key.Id
	return s
}

// Space opens a space whose peers may do everything with one another.
func (c *Cluster) Space(t testing.TB) *Space {
	t.Helper()
	s := c.Lonely(t)
	s.Policy = s.Allow(t, s.Group, s.Group, "all", true)
	return s
}

// closeDefault disables the account's policy of everybody with everybody, which would join all spaces.
func (c *Cluster) closeDefault(t testing.TB) {
	t.Helper()
	r := c.REST()
	policies, err := r.Policies.List(t.Context())
	if err != nil {
		t.Fatalf("listing policies: %v", err)
	}
	for _, p := range policies {
		if p.Name == "Default" && p.Enabled {
			rule := p.Rules[0]
			groups := []string{(*rule.Sources)[0].Id}
			_, err := r.Policies.Update(t.Context(), *p.Id, api.PutApiPoliciesPolicyIdJSONRequestBody{Name: p.Name,
				Enabled: false, Rules: []api.PolicyRuleUpdate{{Name: rule.Name, Enabled: true, Action: "accept",
					Protocol: "all", Bidirectional: true, Sources: &groups, Destinations: &groups}}})
			if err != nil {
				t.Fatalf("disabling the default policy: %v", err)
			}
		}
	}
}

// NewKey creates a setup key; without auto groups it gets the space's group.
func (s *Space) NewKey(t testing.TB, request api.CreateSetupKeyRequest) *api.SetupKeyClear {
	t.Helper()
	if request.AutoGroups == nil {
		request.AutoGroups = []string{s.Group}
	}
	if request.ExpiresIn == 0 {
		request.ExpiresIn = 86400
	}
	key, err := s.SetupKeys.Create(t.Context(), request)
	if err != nil {
		t.Fatalf("creating setup key %s: %v", request.Name, err)
	}
	t.Cleanup(func() { _ = s.SetupKeys.Delete(context.Background(), key.Id) })
	return key
}

// NewGroup creates a group that goes with the test.
func (s *Space) NewGroup(t testing.TB, suffix string) string {
	t.Helper()
	group, err := s.Groups.Create(t.Context(), api.GroupRequest{Name: s.Name + "-" + suffix})
	if err != nil {
		t.Fatalf("creating group %s: %v", suffix, err)
	}
	t.Cleanup(func() { _ = s.Groups.Delete(context.Background(), group.Id) })
	return group.Id
}

// Rule is the rule of a policy from one group to another.
func Rule(from, to, protocol string, bothWays bool, ports ...string) api.PolicyRuleUpdate {
	rule := api.PolicyRuleUpdate{Name: "rule", Enabled: true, Action: "accept", Bidirectional: bothWays,
		Protocol: api.PolicyRuleUpdateProtocol(protocol), Sources: &[]string{from}, Destinations: &[]string{to}}
	if len(ports) > 0 {
		rule.Ports = &ports
	}
	return rule
}

// RuleToResource lets a group reach a network resource.
func RuleToResource(from, resource, kind, protocol string, ports ...string) api.PolicyRuleUpdate {
	rule := Rule(from, "", protocol, false, ports...)
	rule.Destinations = nil
	rule.DestinationResource = &api.Resource{Id: resource, Type: api.ResourceType(kind)}
	return rule
}

// Allow creates a policy and returns its id; it goes with the test.
func (s *Space) Allow(t testing.TB, from, to, protocol string, bothWays bool, ports ...string) string {
	t.Helper()
	return s.AddPolicy(t, Rule(from, to, protocol, bothWays, ports...))
}

// AddPolicy creates a policy of one rule.
func (s *Space) AddPolicy(t testing.TB, rule api.PolicyRuleUpdate) string {
	t.Helper()
	p, err := s.Policies.Create(t.Context(), api.PostApiPoliciesJSONRequestBody{
		Name: fmt.Sprintf("%s-%d", s.Name, spaces.Add(1)), Enabled: true, Rules: []api.PolicyRuleUpdate{rule}})
	if err != nil {
		t.Fatalf("creating a policy: %v", err)
	}
	t.Cleanup(func() { _ = s.Policies.Delete(context.Background(), *p.Id) })
	return *p.Id
}

// SetPolicy replaces the rule of a policy.
func (s *Space) SetPolicy(t testing.TB, id string, rule api.PolicyRuleUpdate) {
	t.Helper()
	_, err := s.Policies.Update(t.Context(), id, api.PutApiPoliciesPolicyIdJSONRequestBody{
		Name: s.Name + "-changed", Enabled: true, Rules: []api.PolicyRuleUpdate{rule}})
	if err != nil {
		t.Fatalf("changing a policy: %v", err)
	}
}

// Members lists the peers of the space's group.
func (s *Space) Members(t testing.TB) []api.PeerMinimum {
	t.Helper()
	group, err := s.Groups.Get(t.Context(), s.Group)
	if err != nil {
		t.Fatalf("reading group %s: %v", s.Name, err)
	}
	return group.Peers
}

// PeerID finds a member by its name.
func (s *Space) PeerID(t testing.TB, name string) string {
	t.Helper()
	for _, p := range s.Members(t) {
		if p.Name == name {
			return p.Id
		}
	}
	t.Fatalf("no peer %s in %s", name, s.Name)
	return ""
}

// clear deletes the peers first: offline ones would stay in maps. The group can go only after key and policies, whose own
// clean-up ran before.
func (s *Space) clear(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	group, err := s.Groups.Get(ctx, s.Group)
	if err != nil {
		t.Logf("clearing %s: %v", s.Name, err)
		return
	}
	for _, p := range group.Peers {
		if err := s.Peers.Delete(ctx, p.Id); err != nil {
			t.Logf("deleting peer %s: %v", p.Name, err)
		}
	}
	if err := s.Groups.Delete(ctx, s.Group); err != nil {
		t.Logf("deleting group %s: %v", s.Name, err)
	}
}
