package system

import (
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

// Five hundred simulated agents, while a replica of management is killed under them: nobody ends up with a wrong map, no
// acknowledged change is lost, and no agent would show an error.
func TestSimulatedAgentsSurviveAReplica(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	c.Lonely(t)
	f := c.StartFleet(t, `agents 500
groups 10
join at_once 0
run for 3s churn 20/s change 2/s signal 100/s relay 200/s stun 10/s
burst changes 5
verify at_once 0
leave at_once 0
`)
	f.After(t, "join", time.Minute)
	c.Kill(t, "management-1")
	defer c.Restart(t)
	r, status := f.Wait(t, 2*time.Minute)
	t.Logf("\n%s", f.Output())
	if status != 0 || r.Faults != 0 {
		t.Fatalf("status %d, %d faults", status, r.Faults)
	}
	if len(r.Steps) != 5 {
		t.Fatalf("%d steps", len(r.Steps))
	}
	join, run, burst, verify := r.Steps[0], r.Steps[1], r.Steps[2], r.Steps[3]
	if join.Times["online"].Count != 500 {
		t.Errorf("%d agents have joined", join.Times["online"].Count)
	}
	// Those who were on the replica that is gone came back, and to a map.
	if run.Counts["connections_lost"]+run.Counts["streams_ended"] == 0 || run.Times["back"].Count == 0 {
		t.Errorf("nobody has lost anything: %v", run.Counts)
	}
	if run.Times["change"].Count == 0 || run.Counts["offers_arrived"] == 0 || run.Counts["packets_arrived"] == 0 ||
		run.Counts["stun_answers"] == 0 {
		t.Errorf("not everything was going on: %v", run.Counts)
	}
	if got := burst.Times["change"].Count; got < 200 || got > 5*50 {
		t.Errorf("%d times has a change reached an agent, of 250", got)
	}
	if got := verify.Counts["maps"]; got < 500 || verify.Online != 500 {
		t.Errorf("%d fresh maps, %d agents online", got, verify.Online)
	}
	peers, err := c.REST().Peers.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		if len(p.Name) > 6 && p.Name[:6] == "fleet-" {
			t.Fatalf("%s is still there", p.Name)
		}
	}
}

// Without a balancer, half of the agents are at each replica, and their groups' maps are right.
func TestSimulatedAgentsAreAtEveryReplica(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	c.Lonely(t)
	at := managements(t, c)
	f := c.StartFleet(t, `agents 40
groups 2
planes signal
join
run for 5s change 1/s
verify
leave
`, "--management", "http://"+at[0]+",http://"+at[1])
	f.After(t, "join", time.Minute)
	for _, name := range []string{"management-1", "management-2"} {
		if n := harness.Metric(t, c.Proc(t, name).Admin, "rookery_management_sync_streams"); n < 20 || n >= 40 {
			t.Errorf("%s has %v streams", name, n)
		}
	}
	if r, status := f.Wait(t, time.Minute); status != 0 || r.Faults != 0 {
		t.Errorf("status %d, %d faults\n%s", status, r.Faults, f.Output())
	}
}

// Somebody moves an agent from one of the fleet's groups to another behind its back: maps are then not what the fleet knows
// that they should be, and it says so.
func TestSimulatedAgentsNoticeAWrongMap(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Lonely(t)
	f := c.StartFleet(t, `agents 12
groups 2
planes signal
join
run for 2s
verify within 2s
leave
`)
	f.After(t, "join", time.Minute)
	groups, err := s.Groups.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var first, second api.Group
	for _, g := range groups {
		if len(g.Name) == len("fleet-01234567-0") && g.Name[:6] == "fleet-" {
			if g.Name[len(g.Name)-1] == '0' {
				first = g
			} else {
				second = g
			}
		}
	}
	if len(first.Peers) != 6 || len(second.Peers) != 6 {
		t.Fatalf("groups of %d and %d agents", len(first.Peers), len(second.Peers))
	}
	put := func(g api.Group, peers []api.PeerMinimum) {
		ids := []string{}
		for _, p := range peers {
			ids = append(ids, p.Id)
		}
		if _, err := s.Groups.Update(t.Context(), g.Id, api.PutApiGroupsGroupIdJSONRequestBody{Name: g.Name, Peers: &ids}); err != nil {
			t.Fatal(err)
		}
	}
	put(first, first.Peers[1:])
	put(second, append(second.Peers, first.Peers[0]))
	r, status := f.Wait(t, time.Minute)
	if status != 1 {
		t.Errorf("status %d", status)
	}
	faults := map[string]int{}
	for _, step := range r.Steps {
		for name, n := range step.Faults {
			faults[name] += n
		}
	}
	if faults["map_with_stranger"] == 0 || faults["map_incomplete"] == 0 {
		t.Errorf("the fleet has noticed only %v\n%s", faults, f.Output())
	}
}
