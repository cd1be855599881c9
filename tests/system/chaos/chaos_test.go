package chaos

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	rounds = flag.Int("rounds", 3, "how many")
	first  = flag.Int("first", 1, "number of the first round")
	seed   = flag.Uint64("seed", 1, "what a round does depends on it and on the round's number alone")
	agents = flag.Int("agents", 40, "simulated agents")
	before = flag.String("before", "", "a tree with the programs of the version before, which are replaced bit by bit")
)

const (
	runFor      = 8 * time.Second  // agents and administrator are busy, things break
	recovery    = 30 * time.Second // everything is mended: how long until REST answers
	verifyLimit = 2 * time.Minute
	perFleet    = 5 // rounds of one run of the fleet
	perRound    = 6 // times it runs and verifies, at most: mending may take several
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("ROOKERY_IN_NETNS") == "" {
		fmt.Fprintln(os.Stderr, "run these tests through `rookery test chaos`: they need a network namespace of their own")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestChaos(t *testing.T) {
	w := newWorld(t)
	if *first == 1 {
		t.Run("PostgresFailover", func(t *testing.T) { failover(t, w) })
	}
	t.Run("Rounds", func(t *testing.T) { random(t, w) })
}

// Rounds of random faults under simulated agents and a busy administrator. After each of them every agent's map is that of a
// fresh compile, and everything that was acknowledged is there.
func random(t *testing.T, w *world) {
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	var writers []*writer
	for i := range 2 {
		wr := newWriter(w.REST(), fmt.Sprintf("chaos-%d", i))
		writers = append(writers, wr)
		writing.Add(1)
		go func() { defer writing.Done(); wr.run(ctx) }()
	}
	defer writing.Wait()
	defer stop()
	for done := 0; done < *rounds && !t.Failed(); done += perFleet {
		play(t, w, writers, *first+done, min(perFleet, *rounds-done))
	}
	for _, wr := range writers {
		w.log(t, "%s: %d writes acknowledged, %d not", wr.name, wr.acked, wr.refused)
	}
}

// play is some rounds with one run of the fleet.
func play(t *testing.T, w *world, writers []*writer, from, n int) {
	scenario := fmt.Sprintf("agents %d\ngroups %d\nalone yes\njoin\n", *agents, max(*agents/10, 1))
	for range n * perRound {
		scenario += fmt.Sprintf("run for %ds churn 1/s change 2/s signal 10/s relay 20/s stun 2/s\nverify within %ds\n",
			runFor/time.Second, verifyLimit/time.Second)
	}
	fleet := w.StartFleet(t, scenario+"leave\n")
	w.fleet = fleet
	fleet.After(t, "join", 3*time.Minute)
	for round := from; round < from+n; round++ {
		w.log(t, "round %d of seed %d", round, *seed)
		begun := time.Now()
		r := rand.New(rand.NewPCG(*seed, uint64(round)))
		w.mix(t, r)
		breakThings(t, w, r)
		if crashed := w.crashed(); len(crashed) > 0 {
			t.Fatalf("round %d: ended by themselves: %v", round, crashed)
		}
		w.restart(t)
		mended := time.Now()
		fleet.Skip()
		var before []map[string]fate
		for _, wr := range writers {
			before = append(before, wr.acknowledged())
		}
		listed := w.groups(t, recovery)
		answered := time.Since(mended)
		for i, wr := range writers {
			for _, wrong := range wr.wrong(before[i], listed) {
				t.Errorf("round %d: %s", round, wrong)
			}
		}
		fleet.After(t, "run", runFor+verifyLimit+time.Minute)
		fleet.After(t, "verify", verifyLimit+time.Minute) // the first that began when all was mended
		w.log(t, "round %d: mended after %.1f s, REST answered %.1f s later, all maps right %.1f s after the mending", round,
			mended.Sub(begun).Seconds(), answered.Seconds(), time.Since(mended).Seconds())
		if strings.Contains(fleet.Output(), "FAULTS") || t.Failed() {
			break
		}
	}
	fleet.Interrupt(t)
	r, _ := fleet.Wait(t, 5*time.Minute)
	if r.Faults != 0 {
		t.Errorf("the fleet says %d faults\n%s", r.Faults, fleet.Output())
		for i, step := range r.Steps {
			if step.FirstFault != "" {
				t.Errorf("step %d, %s: %v, %s", i, step.Step, step.Faults, step.FirstFault)
			}
		}
	}
}

// breakThings breaks one thing in some areas, and mends all of it some seconds later.
func breakThings(t *testing.T, w *world, r *rand.Rand) {
	areas := []string{"services", "postgres", "redis", "agents"}
	r.Shuffle(len(areas), func(i, j int) { areas[i], areas[j] = areas[j], areas[i] })
	var mends []func()
	for _, area := range areas[:1+r.IntN(len(areas))] {
		var possible []fault
		for _, f := range faults {
			if f.area == area {
				possible = append(possible, f)
			}
		}
		f := pick(r, possible)
		time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
		what, mend := f.do(t, w, r)
		w.log(t, "  %s", what)
		mends = append(mends, mend)
	}
	time.Sleep(time.Duration(500+r.IntN(4000)) * time.Millisecond)
	w.empty(t) // nothing else can be mended on a full disk
	for i := len(mends) - 1; i >= 0; i-- {
		mends[i]()
	}
}
