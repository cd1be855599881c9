package differential

import (
	"regexp"
	"strings"
)

// use is who may use one network resource on stock: the peers that each of the policies names as its sources. Posture checks,
// which let in fewer, are not looked at.
type use []map[string]bool

// together tells whether a policy lets one peer use a resource, and another policy another peer the same resource.
func (a *account) together(one, other string) bool {
	if a.uses == nil {
		var err error
		if a.uses, err = a.stock.uses(a); err != nil {
			a.stock.t.Error(err)
		}
	}
	one, other = a.stock.names.ids[one], a.stock.names.ids[other]
	for _, use := range a.uses {
		for i, sources := range use {
			for j, others := range use {
				if i != j && sources[one] && others[other] {
					return true
				}
			}
		}
	}
	return false
}

type named struct {
	ID   string
	Type string
}

// uses are those of all enabled resources.
func (s *server) uses(a *account) ([]use, error) {
	var groups []struct {
		ID    string
		Peers []named
	}
	var resources []struct {
		ID      string
		Enabled bool
		Groups  []named
	}
	var policies []struct {
		Enabled bool
		Rules   []struct {
			Sources, Destinations []named
			Source                *named `json:"sourceResource"`
			Destination           *named `json:"destinationResource"`
		}
	}
	for path, list := range map[string]any{"/api/groups": &groups, "/api/networks/resources": &resources, "/api/policies": &policies} {
		if err := s.get(a.ctx, path, list); err != nil {
			return nil, err
		}
	}
	members := map[string][]named{}
	for _, g := range groups {
		members[g.ID] = g.Peers
	}
	all := []use{}
	for _, r := range resources {
		holds := map[string]bool{r.ID: true}
		for _, g := range r.Groups {
			holds[g.ID] = true
		}
		var u use
		for _, p := range policies {
			sources, leads := map[string]bool{}, false
			for _, rule := range p.Rules {
				for _, d := range rule.Destinations {
					leads = leads || holds[d.ID]
				}
				leads = leads || rule.Destination != nil && holds[rule.Destination.ID]
				for _, g := range rule.Sources {
					for _, m := range members[g.ID] {
						sources[m.ID] = true
					}
				}
				if rule.Source != nil {
					sources[rule.Source.ID] = true
				}
			}
			if r.Enabled && p.Enabled && leads {
				u = append(u, sources)
			}
		}
		all = append(all, u)
	}
	return all, nil
}

var ownAddress = regexp.MustCompile(`^<ip(?:v6)? of ([^>]+)>/\d+$`)

// strangeSource explains a source that stock's rules of a routing peer let through, and that this peer has no tunnel with.
func strangeSource(d *difference) bool {
	text, _ := d.Stock.(string)
	source := ownAddress.FindStringSubmatch(text)
	all, isMap := d.whole.(map[string]any)
	if !strings.HasSuffix(d.Field, "].sourceRanges[]") || source == nil || !isMap || d.Ours != absent {
		return false
	}
	peer := strings.TrimPrefix(d.At, "map of ")
	return !tunnelled(all, text) && d.account.together(peer, source[1])
}
