// Package chaos breaks things at random, round after round, under agents and an administrator who go on as if nothing were, and
// looks after each round whether anybody holds a wrong map and whether anything that was acknowledged is lost.
package chaos

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rookery.test/system/harness"
)

const replicas = 3

// world is all that can be broken: three replicas of every service with TLS, Postgres with a synchronous standby and Redis with
// a replica under three Sentinels, each server of both behind a proxy; and the agents.
type world struct {
	*harness.Cluster
	pg         *harness.PostgresPair
	pgProxy    map[int]*harness.Proxy // by the server's port
	redis      *harness.Redises
	redisProxy map[string]*harness.Proxy // by the server's address
	fleet      *harness.Fleet
	machine    machine
	build      string // directory of the programs under test
	tooOld     bool   // the version before, to start with this schema
	begun      time.Time
	dead       []string // services that a fault has ended
	doomed     []string // services that a fault may end
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{pgProxy: map[int]*harness.Proxy{}, redisProxy: map[string]*harness.Proxy{}, begun: time.Now()}
	w.mount(t)
	w.pg = harness.NewPostgresPair(t)
	var ports []string
	for _, p := range []*harness.Postgres{w.pg.Primary, w.pg.Standby} {
		proxy := harness.NewProxy(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)))
		w.pgProxy[p.Port] = proxy
		_, port, _ := net.SplitHostPort(proxy.At)
		ports = append(ports, port)
	}
	w.redis = harness.NewRedises(t, func(address string) string {
		w.redisProxy[address] = harness.NewProxy(t, address)
		return w.redisProxy[address].At
	})
	stores := w.redis.Settings()
	stores["postgres"] = fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%s dbname=rookery user=rookery", strings.Join(ports, ","))
	var c *harness.Cluster
	var err error
	if *before != "" {
		c, err = harness.UpAs(*before, replicas, stores, "--tls")
	} else {
		c, err = harness.UpWith(replicas, stores, "--tls")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Down)
	c.DumpOnFailure(t)
	w.Cluster, w.build = c, c.Build(t)
	return w
}

func (w *world) log(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf("%8.2f  %s", time.Since(w.begun).Seconds(), fmt.Sprintf(format, args...))
	t.Log(line)
	fmt.Fprintln(os.Stderr, line) // while it runs
}

func (w *world) signal(t testing.TB, name string, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(w.Proc(t, name).PID, s); err != nil {
		t.Errorf("%v %s: %v", s, name, err)
	}
}

// services are those of these tiers that live, or all.
func (w *world) services(tiers ...string) []string {
	var all []string
	for _, name := range w.Names("") {
		tier := name[:max(strings.LastIndex(name, "-"), 0)]
		if tier != "" && (len(tiers) == 0 || slices.Contains(tiers, tier)) && !slices.Contains(w.dead, name) {
			all = append(all, name)
		}
	}
	return all
}

// crashed are services that have ended though nobody ended them.
func (w *world) crashed() []string {
	var all []string
	for _, p := range w.Processes {
		if p.PID > 0 && !p.Lives() && !slices.Contains(w.dead, p.Name) && !slices.Contains(w.doomed, p.Name) {
			all = append(all, p.Name)
		}
	}
	return all
}

// restart starts what faults have ended.
func (w *world) restart(t testing.TB) {
	t.Helper()
	for _, name := range w.doomed {
		if !w.Proc(t, name).Lives() {
			w.dead = append(w.dead, name)
		}
	}
	w.doomed = nil
	if len(w.dead) > 0 {
		w.Restart(t)
		w.dead = nil
	}
}

// kill ends a service that lives.
func (w *world) kill(t testing.TB, name string) {
	t.Helper()
	w.Kill(t, name)
	w.dead = append(w.dead, name)
}

// roll restarts services, some at once and the next when they are ready. Where they are not, as without Postgres, the others are
// left alone, and returned; and on a full disk those that were ended stay away until there is room.
func (w *world) roll(t testing.TB, steps ...[]string) [][]string {
	t.Helper()
	for i, step := range steps {
		for _, name := range step {
			if w.machine.full {
				w.Terminate(t, name)
				w.dead = append(w.dead, name)
			} else {
				w.Replace(t, name, w.program(name))
			}
		}
		for _, name := range step {
			if w.machine.full || w.Ready(t, name, 15*time.Second) != nil {
				return steps[i+1:]
			}
		}
	}
	return nil
}

// groups are the names of all groups, and how often each is there. REST must answer within the limit.
func (w *world) groups(t testing.TB, limit time.Duration) map[string]int {
	t.Helper()
	found := map[string]int{}
	harness.Eventually(t, limit, "REST answers", func() error {
		a, err := w.REST().Try(t.Context(), "GET", "/api/groups", nil)
		if err != nil {
			return err
		}
		if a.Status != 200 {
			return fmt.Errorf("status %d: %s", a.Status, a.Body)
		}
		var all []struct{ Name string }
		a.JSON(t, &all)
		for _, g := range all {
			found[g.Name]++
		}
		return nil
	})
	return found
}
