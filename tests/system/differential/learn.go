package differential

// What a server chose by itself gets the names that the script has for it.

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"rookery.test/system/harness"
)

// learnNetwork names the overlay's address ranges.
func (s *server) learnNetwork(ctx context.Context) error {
	var accounts []struct {
		Settings struct {
			V4 string `json:"network_range"`
			V6 string `json:"network_range_v6"`
		}
	}
	if err := s.get(ctx, "/api/accounts", &accounts); err != nil {
		return err
	}
	for _, a := range accounts {
		s.names.network(a.Settings.V4, "network 4")
		s.names.network(a.Settings.V6, "network 6")
	}
	return nil
}

// learnPeers names what the server chose for the peers. They are known by their serial numbers, which the script gave them.
func (s *server) learnPeers(ctx context.Context) error {
	var peers []struct {
		ID, IP, IPv6 string
		Serial       string `json:"serial_number"`
		Label        string `json:"dns_label"`
	}
	if err := s.get(ctx, "/api/peers", &peers); err != nil {
		return err
	}
	for _, p := range peers {
		if p.Serial == "" { // of a browser
			p.Serial = strings.Trim(s.names.words[p.ID], "<>")
		}
		s.names.bind(p.Serial, p.ID)
		label, _, _ := strings.Cut(p.Label, ".")
		s.labels[p.Serial] = label
		s.names.address(p.IP, "ip of "+p.Serial, label)
		s.names.address(p.IPv6, "ipv6 of "+p.Serial, label)
	}
	return nil
}

// learnObject gives the object of an answer its name, and its setup key one.
func (s *server) learnObject(name string, a *harness.Answer) {
	var made struct {
		ID, Key, Email, Password string
		InviteToken              string              `json:"invite_token"`
		PlainToken               string              `json:"plain_token"`
		Token                    struct{ ID string } `json:"personal_access_token"`
	}
	if a.Status != 200 || json.Unmarshal(a.Body, &made) != nil || made.ID+made.Token.ID == "" {
		return
	}
	s.names.bind(name, cmp.Or(made.ID, made.Token.ID))
	if strings.HasPrefix(name, "user:") {
		s.names.user(name)
		s.names.ids[name+".email"], s.names.ids[name+".password"] = made.Email, made.Password
	}
	if secret := cmp.Or(made.Key, made.InviteToken, made.PlainToken); secret != "" {
		s.names.ids[name+".secret"] = secret
		s.names.word(secret, name+".secret")
	}
}

// noPorts is what stock has in place of none.
const noPorts = `[{"end":0,"start":0}]`

// learnVisit names the policies of temporary access, which the answer to the request for it does not tell.
func (s *server) learnVisit(ctx context.Context, visitor string) error {
	var policies []map[string]any
	if err := s.get(ctx, "/api/policies", &policies); err != nil {
		return err
	}
	ids := map[string]string{} // by all else
	for _, p := range policies {
		id, _ := p["id"].(string)
		if rule, _ := listOf(p["rules"])[0].(map[string]any); s.names.words[id] == "" {
			delete(p, "id")
			delete(rule, "id")
			if encode(rule["port_ranges"]) == noPorts {
				delete(rule, "port_ranges")
			}
			ids[encode(s.names.value(p))] = id
		}
	}
	for i, text := range sortedKeys(ids) {
		s.names.bind(fmt.Sprintf("policy:%s:%d", strings.TrimPrefix(visitor, "visitor:"), i), ids[text])
	}
	return nil
}

// learnGuest names the user who has come by an invitation.
func (s *server) learnGuest(ctx context.Context, name string) error {
	var users []struct{ ID, Email string }
	if err := s.get(ctx, "/api/users", &users); err != nil {
		return err
	}
	for _, u := range users {
		if s.names.words[u.ID] == "" {
			s.names.bind(name, u.ID)
			s.names.user(name)
			s.names.ids[name+".email"], s.names.ids[name+".password"] = u.Email, guestPassword
		}
	}
	return nil
}
