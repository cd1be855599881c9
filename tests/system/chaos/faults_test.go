package chaos

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"rookery.test/system/harness"
)

// fault breaks something, says what, and returns what mends it. Of each area there is one at a time.
type fault struct {
	area string
	do   func(t *testing.T, w *world, r *rand.Rand) (what string, mend func())
}

var tiers = []string{"management", "signal", "relay", "stun", "dashboard-api"}

func nothing() {}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

var faults = []fault{
	{"services", func(t *testing.T, w *world, r *rand.Rand) (string, func()) {
		var killed []string
		for range 1 + r.IntN(3) {
			name := pick(r, w.services())
			w.kill(t, name)
			killed = append(killed, name)
		}
		return "kill -9 " + strings.Join(killed, " "), nothing
	}},
	{"services", func(t *testing.T, w *world, r *rand.Rand) (string, func()) { // of one tier all at once
		tier := pick(r, tiers)
		for _, name := range w.services(tier) {
			w.kill(t, name)
		}
		return "kill -9 all of " + tier, nothing
	}},
	{"services", func(t *testing.T, w *world, r *rand.Rand) (string, func()) {
		name := pick(r, w.services())
		w.signal(t, name, syscall.SIGSTOP)
		return "freeze " + name, func() { w.signal(t, name, syscall.SIGCONT) }
	}},
	{"services", func(t *testing.T, w *world, r *rand.Rand) (string, func()) {
		tier := pick(r, tiers)
		var steps [][]string
		for _, name := range w.services(tier) {
			steps = append(steps, []string{name})
		}
		w.roll(t, steps...)
		return "restart " + tier + " one by one", nothing
	}},
	{"services", otherCertificate},
	{"services", otherRelaySecret},
	{"services", outOfDescriptors},
	{"services", outOfMemory},
	{"services", wrongClock},
	{"agents", func(_ *testing.T, w *world, _ *rand.Rand) (string, func()) {
		w.fleet.Signal(syscall.SIGSTOP)
		return "freeze the agents, who read nothing", func() { w.fleet.Signal(syscall.SIGCONT) }
	}},
	{"agents", func(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
		w.kill(t, "haproxy")
		return "kill -9 haproxy", nothing
	}},
	{"postgres", fullDisk},
	{"postgres", func(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
		w.pg.Primary.Kill(t)
		w.pg.Promote(t)
		return "kill the primary of postgres and promote its standby", func() { w.pg.Rejoin(t) }
	}},
	{"postgres", func(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
		w.pg.Primary.Signal(syscall.SIGSTOP)
		w.pg.Promote(t)
		return "freeze the primary of postgres and promote its standby", func() { w.pg.Rejoin(t) }
	}},
	{"postgres", func(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
		w.pg.Primary.Kill(t)
		return "kill the primary of postgres", func() { w.pg.Primary.Start(t) }
	}},
	{"postgres", func(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
		w.pg.Standby.Kill(t)
		return "kill the standby of postgres", func() { w.pg.Standby.Start(t) }
	}},
	{"postgres", func(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
		w.pg.Primary.Signal(syscall.SIGSTOP)
		return "freeze the primary of postgres", func() { w.pg.Primary.Signal(syscall.SIGCONT) }
	}},
	{"postgres", func(_ *testing.T, w *world, r *rand.Rand) (string, func()) {
		return badPath(r, "postgres", w.pgProxy[w.pg.Primary.Port])
	}},
	{"redis", func(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
		s := w.master(t)
		s.Kill(t)
		return "kill the master of redis", func() { s.Start(t) }
	}},
	{"redis", func(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
		s := w.master(t)
		_ = syscall.Kill(s.PID(), syscall.SIGSTOP)
		return "freeze the master of redis", func() { _ = syscall.Kill(s.PID(), syscall.SIGCONT) }
	}},
	{"redis", func(t *testing.T, w *world, _ *rand.Rand) (string, func()) {
		for _, s := range w.redis.Servers {
			s.Kill(t)
		}
		return "kill all of redis", func() {
			for _, s := range w.redis.Servers {
				s.Start(t)
			}
		}
	}},
	{"redis", func(t *testing.T, w *world, r *rand.Rand) (string, func()) {
		s, m := pick(r, w.redis.Sentinels), w.master(t)
		s.Kill(t)
		m.Kill(t)
		return "kill the master of redis and a sentinel", func() { s.Start(t); m.Start(t) }
	}},
	{"redis", func(t *testing.T, w *world, r *rand.Rand) (string, func()) {
		return badPath(r, "redis", w.redisProxy[w.master(t).At])
	}},
}

func badPath(r *rand.Rand, to string, p *harness.Proxy) (string, func()) {
	if r.IntN(5) == 0 {
		p.Cut()
		return "cut all connections to " + to, nothing
	}
	f := pick(r, harness.ProxyFaults())
	p.Set(f)
	return fmt.Sprintf("the path to %s %v", to, f), func() { p.Set(harness.ProxyPasses) }
}

// master is the server of redis that the Sentinels call so, or the first that lives.
func (w *world) master(t testing.TB) *harness.RedisServer {
	t.Helper()
	for _, sentinel := range w.redis.Sentinels {
		at, err := sentinel.Master()
		for _, s := range w.redis.Servers {
			if err == nil && w.redisProxy[s.At].At == at && s.PID() > 0 {
				return s
			}
		}
	}
	return w.redis.Servers[0]
}
