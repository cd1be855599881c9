package system

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// The master of Redis dies: three Sentinels make the replica the master, and within 3 s of that a change is prompt again on
// both replicas of management, and a message finds its way from one replica of signal to the other. The sweep is no help.
func TestFailureRedisMasterUnderSentinels(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	redis := harness.NewRedises(t, nil)
	change, offer := promptness(t, c, redis.Settings())
	moves := redis.Moves(t)
	redis.Servers[0].Kill(t)
	died := time.Now()
	var moved time.Time
	select {
	case moved = <-moves:
	case <-time.After(20 * time.Second):
		t.Fatal("the Sentinels have made no master")
	}
	promptAgain(t, died, moved, change, offer)
}

// The master of the slot that signal's keys have dies, and its replica takes its place: promptness is back as under Sentinels.
// Then the slot goes to another master, which all follow, although whoever had it goes on.
func TestFailureRedisClusterSlotGoesElsewhere(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	redis := harness.NewRedisCluster(t)
	change, offer := promptness(t, c, redis.Settings())
	first := redis.Master(t)
	first.Kill(t)
	died := time.Now()
	second := first
	harness.Eventually(t, 20*time.Second, "a replica is the master", func() error {
		if second = redis.Master(t); second == nil || second == first {
			return errors.New("not yet")
		}
		return nil
	})
	promptAgain(t, died, time.Now(), change, offer)
	third := redis.MoveSlot(t, second)
	for what, prompt := range map[string]func() error{"a change": change, "an offer": offer} {
		if err := harness.Within(3*time.Second, prompt); err != nil {
			t.Errorf("%s, after the slot went from %s to %s: %v", what, second.At, third.At, err)
		}
	}
	// rookery-doctor finds its way like the services.
	var env []string
	for key, value := range redis.Settings() {
		env = append(env, "ROOKERY_"+strings.ToUpper(key)+"="+value)
	}
	findings, _ := c.Doctor(t, env, "--management", c.ManagementURL)
	seen := 0
	for _, f := range findings {
		if f.Check != "redis" && f.Check != "clock" {
			continue
		}
		if f.Status != "ok" {
			t.Errorf("%s is %s: %s. To do: %s", f.Check, f.Status, f.Detail, f.ToDo)
		}
		if strings.Contains(f.Detail, "`redis_cluster`") {
			seen++
		}
	}
	if seen != 1 {
		t.Errorf("%d lines about the Cluster: %+v", seen, findings)
	}
	// What is asked of keys is asked of whoever has them.
	harness.Eventually(t, 5*time.Second, "entries are there", func() error {
		if n, err := third.Ask("cluster", "countkeysinslot", harness.RedisSlot); err != nil || n != "3" {
			return fmt.Errorf("%s keys: %w", n, err)
		}
		return nil
	})
}

// promptness starts two replicas of management and of signal, and says whether a change is prompt on both of these, and whether
// a message comes from one of those to the other. The sweep is no help.
func promptness(t *testing.T, c *harness.Cluster, settings map[string]string) (change, offer func() error) {
	t.Helper()
	s := c.Space(t)
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
	change = func() error {
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
	offer = func() error {
		port++
		from.Send(t, from.Message(to.ID(), []byte(strconv.Itoa(port))))
		return inbox.Comes(strconv.Itoa(port), 500*time.Millisecond)
	}
	harness.Eventually(t, 10*time.Second, "changes are prompt", change)
	harness.Eventually(t, 10*time.Second, "offers arrive", offer)
	return change, offer
}

func promptAgain(t *testing.T, died, moved time.Time, change, offer func() error) {
	t.Helper()
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
