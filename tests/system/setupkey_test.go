package system

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"rookery.test/system/harness"
)

const badKey = "couldn't add peer: setup key is invalid"

func front(t *testing.T, c *harness.Cluster) string { return harness.Endpoint(t, c.ManagementURL) }

// managements are the addresses of two replicas, or the front twice where replicas are not known.
func managements(t *testing.T, c *harness.Cluster) [2]string {
	if len(c.Processes) == 0 {
		return [2]string{front(t, c), front(t, c)}
	}
	return [2]string{c.Proc(t, "management-1").Listen, c.Proc(t, "management-2").Listen}
}

func TestSetupKeyStatuses(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	refused := func(what, key string) {
		t.Helper()
		start := time.Now()
		_, err := harness.NewBare(t, front(t, c), "refused").TryLogin(t.Context(), key)
		if got, _ := status.FromError(err); got.Code() != codes.InvalidArgument || got.Message() != badKey {
			t.Errorf("%s key: status %d %q", what, got.Code(), got.Message())
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s key: refused after %v", what, took)
		}
	}
	refused("unknown", "0f3c6a52-31c5-4f0e-9a57-3f5d5d1c2b11")
	refused("malformed", "not-a-uuid")

	revoked := s.NewKey(t, api.CreateSetupKeyRequest{Name: "revoked", Type: "reusable"})
	if _, err := s.SetupKeys.Update(t.Context(), revoked.Id,
		api.PutApiSetupKeysKeyIdJSONRequestBody{Revoked: true, AutoGroups: []string{s.Group}}); err != nil {
		t.Fatal(err)
	}
	refused("revoked", revoked.Key)

	once := s.NewKey(t, api.CreateSetupKeyRequest{Name: "once", Type: "one-off"})
	harness.NewBare(t, front(t, c), "first").Login(t, once.Key)
	refused("exhausted one-off", once.Key)

	twice := s.NewKey(t, api.CreateSetupKeyRequest{Name: "twice", Type: "reusable", UsageLimit: 2})
	harness.NewBare(t, front(t, c), "first").Login(t, twice.Key)
	harness.NewBare(t, front(t, c), "second").Login(t, twice.Key)
	refused("exhausted limited", twice.Key)

	short := s.NewKey(t, api.CreateSetupKeyRequest{Name: "short", Type: "reusable", ExpiresIn: 1})
	harness.Eventually(t, 5*time.Second, "the key has expired", func() error {
		if k, err := s.SetupKeys.Get(t.Context(), short.Id); err != nil || k.State != "expired" {
			return fmt.Errorf("%v %v", k.State, err)
		}
		return nil
	})
	refused("expired", short.Key)

	if n := len(s.Members(t)); n != 3 {
		t.Errorf("%d peers were created instead of 3", n)
	}
	after, err := s.SetupKeys.Get(t.Context(), twice.Id)
	if err != nil || after.UsedTimes != 2 || after.State != "overused" || after.Valid {
		t.Errorf("limited key after two uses: %+v, %v", after, err)
	}
}

// An agent with a bad key says so at once; answered with another status it would go on for minutes.
func TestSetupKeyAgentFailsAtOnce(t *testing.T) {
	c := cluster(t)
	a := harness.NewAgent(t, "hopeless", "0f3c6a52-31c5-4f0e-9a57-3f5d5d1c2b11", c.ManagementURL, "")
	start := time.Now()
	if err := a.TryUp(10 * time.Second); err == nil {
		a.Down()
		t.Fatal("the agent joined")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the agent gave up only after %v", took)
	}
}

func TestManagement09SetupKeyRaceForTheLastUse(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	at := managements(t, c)
	var sides [2]*harness.Bare
	for i := range sides {
		sides[i] = harness.NewBare(t, at[i], "racer")
	}
	for round := range 200 {
		key, err := s.SetupKeys.Create(t.Context(), api.CreateSetupKeyRequest{
			Name: "race", Type: "one-off", ExpiresIn: 3600, AutoGroups: []string{s.Group}})
		if err != nil {
			t.Fatal(err)
		}
		var errs [2]error
		var both sync.WaitGroup
		start := make(chan struct{})
		for i, side := range sides {
			side.Key = harness.NewKey(t)
			both.Add(1)
			go func() {
				defer both.Done()
				<-start
				_, errs[i] = side.TryLogin(context.Background(), key.Key)
			}()
		}
		close(start)
		both.Wait()
		loser := errs[0]
		if loser == nil {
			loser = errs[1]
		}
		if got, _ := status.FromError(loser); (errs[0] == nil) == (errs[1] == nil) ||
			got.Code() != codes.InvalidArgument || got.Message() != badKey {
			t.Fatalf("round %d: %v and %v", round, errs[0], errs[1])
		}
		if err := s.SetupKeys.Delete(t.Context(), key.Id); err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Members(t) {
			if err := s.Peers.Delete(t.Context(), p.Id); err != nil {
				t.Fatal(err)
			}
		}
	}
}
