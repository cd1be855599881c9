package system

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"github.com/netbirdio/netbird/shared/management/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rookery.test/system/harness"
)

// What is asked while Postgres dies, is away and comes back is answered rightly or with "try again": status 14 by
// management, 503 by REST. Nothing else, and no map that a failed read made.
func TestOutagePostgresIsRetryableEverywhere(t *testing.T) {
	c := own(t)
	needsProcesses(t, c)
	s := c.Space(t)
	at := managements(t, c)
	known := harness.NewBare(t, at[0], "known")
	known.Login(t, s.Key)
	watcher := harness.NewBare(t, at[1], "watcher")
	watcher.Login(t, s.Key)
	stream := watcher.Sync(t)
	stream.Until(t, 5*time.Second, "a map with the known peer", func(m *proto.SyncResponse) bool {
		return len(m.GetNetworkMap().GetRemotePeers()) == 1
	})

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var busy sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	note := func(what string) {
		mu.Lock()
		seen[what]++
		mu.Unlock()
	}
	call := func(name string, b *harness.Bare, do func() error) {
		err := do()
		code, _ := status.FromError(err)
		if ctx.Err() != nil {
			return
		}
		switch code.Code() {
		case codes.OK, codes.Unavailable:
			note(fmt.Sprintf("%s %d", name, code.Code()))
		default:
			t.Errorf("%s: status %d %q", name, code.Code(), code.Message())
		}
	}
	// Every connection is to one replica: the proxy's own answers are not asked for here.
	for i, entry := range at {
		busy.Add(3)
		go func() {
			defer busy.Done()
			for n := 0; ctx.Err() == nil; n++ {
				b := harness.NewBare(t, entry, fmt.Sprintf("new-%d-%d", i, n))
				call("login of an unknown peer", b, func() error { _, err := b.TryLogin(ctx, s.Key); return err })
				_ = b.Conn.Close()
			}
		}()
		go func() {
			defer busy.Done()
			b := known.At(t, entry)
			for ctx.Err() == nil {
				call("login of a known peer", b, func() error { _, err := b.TryLogin(ctx, ""); return err })
			}
		}()
		go func() {
			defer busy.Done()
			b := known.At(t, entry)
			for n := 0; ctx.Err() == nil; n++ {
				b.Meta = harness.Meta("known")
				b.Meta.KernelVersion = fmt.Sprint(n)
				call("metadata", b, func() error { return b.SyncMeta(ctx) })
			}
		}()
	}
	rest := []struct {
		method, path string
		body         any
	}{
		{"GET", "/api/instance", nil}, {"GET", "/api/accounts", nil}, {"GET", "/api/users", nil}, {"GET", "/api/users/current", nil},
		{"GET", "/api/setup-keys", nil}, {"GET", "/api/groups", nil}, {"GET", "/api/groups/" + s.Group, nil},
		{"GET", "/api/policies", nil}, {"GET", "/api/policies/" + s.Policy, nil}, {"GET", "/api/peers", nil},
		{"GET", "/api/peers/" + s.PeerID(t, "known"), nil}, {"GET", "/api/peers/" + s.PeerID(t, "known") + "/accessible-peers", nil},
		{"GET", "/api/events/audit", nil},
		{"PUT", "/api/setup-keys/" + s.KeyID, map[string]any{"revoked": false, "auto_groups": []string{s.Group}}},
		{"PUT", "/api/policies/" + s.Policy, api.PutApiPoliciesPolicyIdJSONRequestBody{Name: s.Name, Enabled: true,
			Rules: []api.PolicyRuleUpdate{harness.Rule(s.Group, s.Group, "all", true)}}},
	}
	for _, r := range rest {
		busy.Add(1)
		go func() {
			defer busy.Done()
			for ctx.Err() == nil {
				a, err := s.Try(ctx, r.method, r.path, r.body)
				switch {
				case ctx.Err() != nil:
				case err != nil:
					t.Errorf("%s %s: %v", r.method, r.path, err)
				case a.Status == 200 || a.Status == 503:
					note(fmt.Sprintf("%s %s %d", r.method, r.path, a.Status))
				default:
					t.Errorf("%s %s: status %d: %s", r.method, r.path, a.Status, a.Body)
				}
				time.Sleep(20 * time.Millisecond) // a client's pace
			}
		}()
	}
	all := func(limit time.Duration, suffixes ...string) {
		t.Helper()
		harness.Eventually(t, limit, fmt.Sprint("every call answered ", suffixes), func() error {
			mu.Lock()
			defer mu.Unlock()
			for i, r := range rest {
				if seen[fmt.Sprintf("%s %s %s", r.method, r.path, suffixes[1])] == 0 {
					return fmt.Errorf("not yet: route %d, %s %s: %v", i, r.method, r.path, seen)
				}
			}
			for _, name := range []string{"login of an unknown peer", "metadata"} {
				if seen[name+" "+suffixes[0]] == 0 {
					return fmt.Errorf("not yet: %s: %v", name, seen)
				}
			}
			return nil
		})
	}
	all(15*time.Second, "0", "200")
	c.Kill(t, "postgres")
	all(20*time.Second, "14", "503")
	mu.Lock()
	clear(seen)
	mu.Unlock()
	c.Restart(t)
	all(30*time.Second, "0", "200")
	stop()
	busy.Wait()
	// The watcher saw the newcomers come and nobody go.
	most := 0
	for {
		m, err := stream.TryNext(1500 * time.Millisecond)
		if err != nil {
			break
		}
		if n := len(m.GetNetworkMap().GetRemotePeers()); n < most {
			t.Errorf("a map with %d peers after one with %d", n, most)
		} else {
			most = n
		}
	}
	if n := len(s.Members(t)) - 1; n != most {
		t.Errorf("the last map has %d peers, the account %d", most, n)
	}
}
