package system

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rookery.test/system/harness"
)

const counters = 12

// counter is a policy whose description counts how often it was changed.
type counter struct {
	name, group, id string
	at              int // as it was acknowledged
}

func (n *counter) policy(at int) map[string]any {
	return map[string]any{"name": n.name, "description": fmt.Sprint(at), "enabled": true, "rules": []map[string]any{{"name": "r", "enabled": true,
		"action": "accept", "protocol": "tcp", "ports": []string{"22"}, "bidirectional": true, "sources": []string{n.group},
		"destinations": []string{n.group}}}}
}

func newCounters(t *testing.T, r *harness.REST) []*counter {
	t.Helper()
	var list []*counter
	var made struct{ ID string }
	r.Want(t, 200, "POST", "/api/groups", map[string]any{"name": "there"}, &made)
	for i := range counters {
		n := &counter{name: fmt.Sprintf("counter-%d", i), group: made.ID}
		r.Want(t, 200, "POST", "/api/policies", n.policy(0), &made)
		n.id = made.ID
		list = append(list, n)
	}
	return list
}

// put asks for a number; nil when it was acknowledged, with that number in the answer.
func (n *counter) put(ctx context.Context, r *harness.REST, to int) error {
	a, err := r.Try(ctx, "PUT", "/api/policies/"+n.id, n.policy(to))
	if err != nil {
		return err
	}
	var now struct{ Description string }
	if a.Status != 200 || json.Unmarshal(a.Body, &now) != nil || now.Description != fmt.Sprint(to) {
		return fmt.Errorf("%d %s", a.Status, a.Body)
	}
	n.at = to
	return nil
}

// told is what the audit trail says of the description from its first change on, as "0>1 1>2 2>3 by <authors>".
func (n *counter) told(t *testing.T, c *harness.Cluster) string {
	t.Helper()
	return c.SQL(t, fmt.Sprintf(`SELECT string_agg((changes->'description'->>'before') || '>' || (changes->'description'->>'after'), ' ' ORDER BY id)
		|| ' by ' || string_agg(DISTINCT initiator_id, ',') FROM event WHERE target_id = '%s' AND code = 'policy.update'`, n.id))
}

func trail(to int, by string) string {
	steps := make([]string, to)
	for i := range steps {
		steps[i] = fmt.Sprintf("%d>%d", i, i+1)
	}
	return strings.Join(steps, " ") + " by " + by
}

// shared fails when there were as many serials as changes of the counters, or when the serial is not that of the last change.
func sharedSerials(t *testing.T, c *harness.Cluster) {
	t.Helper()
	got := c.SQL(t, `SELECT (SELECT count(*) FROM event WHERE code = 'policy.update') || ' ' ||
		(SELECT count(DISTINCT serial) FROM account_change WHERE kind = 'policy') || ' ' ||
		((SELECT max(serial) FROM account_change) = (SELECT serial FROM account))`)
	var changes, serials int
	var last string
	if _, err := fmt.Sscan(got, &changes, &serials, &last); err != nil || last != "true" {
		t.Errorf("changes, serials, whether the last one is the account's: %s", got)
	}
	t.Logf("%d changes, %d serials", changes, serials)
	if serials >= changes {
		t.Errorf("%d changes had %d serials: none shared its commit", changes, serials)
	}
}

// countersAlone are the counters of a cluster that this test alone uses, its first replica of the API, and its owner's id.
func countersAlone(t *testing.T) (*harness.Cluster, *harness.REST, []*counter, string) {
	t.Helper()
	c := own(t)
	needsProcesses(t, c)
	r := harness.NewREST("http://"+c.Proc(t, "dashboard-api-1").Listen, c.Token)
	return c, r, newCounters(t, r), c.SQL(t, "SELECT id FROM users WHERE role = 'owner'")
}

// Changes by one token that come at once share a commit, and each is answered by itself: what some of them are refused for does not
// concern the others.
func TestConcurrentChangesShareACommit(t *testing.T) {
	c, r, all, owner := countersAlone(t)
	refused := []struct {
		status       int
		method, path string
		body         any
		ifMatch      string
	}{
		{404, "PUT", "/api/policies/none", all[0].policy(0), "*"},
		{409, "POST", "/api/groups", map[string]any{"name": "there"}, "*"},
		{412, "PUT", "/api/policies/" + all[0].id, all[0].policy(0), `"stale"`},
		{404, "DELETE", "/api/networks/none", nil, "*"},
		{422, "POST", "/api/groups", map[string]any{"name": ""}, "*"},
	}
	for round := 1; round <= 20; round++ {
		var wait sync.WaitGroup
		for _, n := range all {
			wait.Add(1)
			go func() {
				defer wait.Done()
				if err := n.put(t.Context(), r, round); err != nil {
					t.Errorf("%s: %v", n.name, err)
				}
			}()
		}
		for _, want := range refused {
			wait.Add(1)
			go func() {
				defer wait.Done()
				a, err := r.Try(t.Context(), want.method, want.path, want.body, "If-Match: "+want.ifMatch)
				if err != nil || a.Status != want.status {
					t.Errorf("%s %s: %v, %+v; want %d", want.method, want.path, err, a, want.status)
				}
			}()
		}
		wait.Wait()
	}
	for _, n := range all {
		if got, want := n.told(t, c), trail(20, owner); got != want {
			t.Errorf("%s: the audit trail says %s", n.name, got)
		}
	}
	sharedSerials(t, c)
}

// Postgres and the replica die under changes that share their commits: what was acknowledged stands, nothing stands twice, and every
// change has its event.
func TestFailureKillUnderSharedCommits(t *testing.T) {
	c, r, all, owner := countersAlone(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wait sync.WaitGroup
	var acknowledged, failed atomic.Int64
	for _, n := range all {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for ctx.Err() == nil {
				// The same number again is no change where the lost answer was to one that stands.
				if n.put(t.Context(), r, n.at+1) == nil {
					acknowledged.Add(1)
				} else {
					failed.Add(1)
				}
			}
		}()
	}
	busy := func() {
		t.Helper()
		target := acknowledged.Load() + 200
		harness.Eventually(t, 40*time.Second, "changes are acknowledged", func() error {
			if now := acknowledged.Load(); now < target {
				return fmt.Errorf("%d of %d", now, target)
			}
			return nil
		})
	}
	for _, name := range []string{"postgres", "dashboard-api-1", "postgres", "dashboard-api-1"} {
		busy()
		c.Kill(t, name)
		c.Restart(t)
	}
	busy()
	stop()
	wait.Wait()
	t.Logf("%d acknowledged, %d failed", acknowledged.Load(), failed.Load())
	for _, n := range all {
		if err := n.put(t.Context(), r, n.at+1); err != nil {
			t.Fatalf("%s: %v", n.name, err)
		}
		if got, want := n.told(t, c), trail(n.at, owner); got != want {
			t.Errorf("%s is at %d; the audit trail says %s", n.name, n.at, got)
		}
	}
	sharedSerials(t, c)
}
