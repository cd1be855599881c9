package system

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// The master of Redis dies: three Sentinels make the replica the master, and within 3 s of that a change is prompt again on
// both replicas of management, and a message finds its way from one replica of signal to the other. The sweep is no help.
func TestFailureRedisMasterUnderSentinels(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	s := c.Space(t)
	redis := harness.NewRedises(t, nil)
	settings := redis.Settings()
	signals := []*harness.Sibling{c.Sibling(t, "signal-1", settings), c.Sibling(t, "signal-2", settings)}
	rest := harness.NewREST("http://"+c.Sibling(t, "dashboard-api-1", settings).Listen, c.Token)
	settings["sweep_ms"] = "600000"
	var streams []*harness.Stream
	for i, m := range []*harness.Sibling{c.Sibling(t, "management-1", settings), c.Sibling(t, "management-2", settings)} {
		b := harness.NewBare(t, m.Listen, fmt.Sprintf("peer-%d", i))
		b.Login(t, s.Key)
		streams = append(streams, b.Sync(t))
	}
	policy := s.Allow(t, s.Group, s.Group, "tcp", true, "7999")
	told := *s
	told.REST = rest // its changes are told in the Redis in question
	from, to := harness.NewSignal(t, signals[0].Listen), harness.NewSignal(t, signals[1].Listen)
	from.Connect(t)
	inbox := to.Connect(t)

	port := 8000
	change := func() error {
		port++
		told.SetPolicy(t, policy, harness.Rule(s.Group, s.Group, "tcp", true, strconv.Itoa(port)))
		deadline := time.Now().Add(500 * time.Millisecond)
		for i, stream := range streams {
			for has := false; !has; {
				m, err := stream.TryNext(time.Until(deadline))
				if err != nil {
					return fmt.Errorf("management %d: %w", i, err)
				}
				has = hasPort(m.GetNetworkMap(), strconv.Itoa(port)) == nil
			}
		}
		return nil
	}
	offer := func() error {
		port++
		from.Send(t, from.Message(to.ID(), []byte(strconv.Itoa(port))))
		return inbox.Comes(strconv.Itoa(port), 500*time.Millisecond)
	}
	harness.Eventually(t, 10*time.Second, "changes are prompt", change)
	harness.Eventually(t, 10*time.Second, "offers arrive", offer)

	moves := redis.Moves(t)
	redis.Servers[0].Kill(t)
	died := time.Now()
	var moved time.Time
	select {
	case moved = <-moves:
	case <-time.After(20 * time.Second):
		t.Fatal("the Sentinels have made no master")
	}
	if err := harness.Within(time.Until(moved.Add(3*time.Second)), change); err != nil {
		t.Errorf("no promptness %v after the promotion: %v", time.Since(moved), err)
	}
	changed := time.Now()
	if err := harness.Within(time.Until(moved.Add(3*time.Second)), offer); err != nil {
		t.Errorf("no offer arrives %v after the promotion: %v", time.Since(moved), err)
	}
	t.Logf("promotion %v after the death, a change prompt %v and an offer across %v after that",
		moved.Sub(died).Round(time.Millisecond), changed.Sub(moved).Round(time.Millisecond), time.Since(moved).Round(time.Millisecond))
}
