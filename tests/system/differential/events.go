package differential

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// eventLimit is how long a server may take to write down what was done: stock does it while other things go on.
const eventLimit = 5 * time.Second

// compareEvents compares the audit trails, until they are the same or the time is over.
func (a *account) compareEvents() error {
	const path = "/api/events"
	for deadline := time.Now().Add(eventLimit); ; {
		stock, ours, err := together(a, func(s *server) (map[string][]any, error) { return s.events(a.ctx, path) })
		if err != nil {
			return err
		}
		codes := maps.Clone(ours)
		maps.Copy(codes, stock)
		var found []*difference
		for _, code := range sortedKeys(codes) {
			compareSets("GET "+path, code, stock[code], ours[code], &found)
		}
		found = slices.DeleteFunc(found, a.tookBack)
		if time.Now().After(deadline) || !slices.ContainsFunc(found, func(d *difference) bool { d.account = a; return d.wanted() == nil }) {
			a.counts.answers++
			a.note(nil, found)
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// tookBack tells whether an event speaks of an object with which one server alone did something, which was undone.
func (a *account) tookBack(d *difference) bool {
	whole, ok := d.Stock.(object)
	if !ok {
		whole, _ = d.Ours.(object)
	}
	what, _, _ := strings.Cut(fmt.Sprint(d.Field, whole["id"]), " by ") // whoever did it
	if meta, ok := whole["meta"].(object); ok {
		what += fmt.Sprint(meta["name"])
	}
	return slices.ContainsFunc(a.undone, func(name string) bool { return strings.Contains(what, name) })
}

// events are the events so far, by their code. What an event speaks of is called as it was called when the event was first seen.
// In place of its id it has one that the same event has elsewhere: who did what to whom, and which time it was.
func (s *server) events(ctx context.Context, path string) (map[string][]any, error) {
	var all []object
	if err := s.get(ctx, path, &all); err != nil {
		return nil, err
	}
	byCode, times := map[string][]any{}, map[string]int{}
	for _, e := range slices.Backward(all) { // the oldest first
		number := e["id"].(string)
		told := s.told[number]
		if told == nil {
			delete(e, "id")
			delete(e, "timestamp")
			told = s.names.value(e).(object)
			s.told[number] = told
		}
		meta := told["meta"].(object)
		with := cmp.Or(meta["group_id"], meta["resource_id"], any(""))
		old, _ := meta["old_ip"].(string)
		if meta["new_network_range_v6"] != nil || strings.HasPrefix(old, "<ipv6 ") {
			with = "IPv6" // beside the IPv4 one: stock writes the two ranges in any order, and nothing of a peer's address
		}
		what := fmt.Sprintf("%v %v by %v", told["target_id"], with, told["initiator_id"])
		code := told["activity_code"].(string)
		if code == "policy.delete" { // those that go with a peer speak of the peer, and come in any order
			what += fmt.Sprint(" ", meta["name"])
		}
		if strings.HasPrefix(code, "resource.group.") { // of which stock writes no more than some
			what += fmt.Sprint(" ", encode(meta))
		}
		times[code+what]++
		told["id"] = fmt.Sprintf("%s, %d", what, times[code+what])
		byCode[code] = append(byCode[code], told)
	}
	return byCode, nil
}
