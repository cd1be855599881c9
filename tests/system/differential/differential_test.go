// Package differential compares Rookery with the stock server: the same random account over REST and the same agents over gRPC
// for both, and everything that can be asked for afterwards.
package differential

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rookery.test/system/harness"
)

var (
	flagAccounts = flag.Int("accounts", 6, "how many accounts")
	flagSeed     = flag.Uint64("seed", 1, "seed of the first account; the next has the next")
	flagPeers    = flag.String("peers", "5-12", "fewest and most peers of an account, as A-B")
	flagOff      = flag.String("without", "", "kinds of objects to leave out, with commas")
	flagShrink   = flag.Bool("shrink", true, "make the script of an account that differs as short as it can be")
)

func TestMain(m *testing.M) {
	if os.Getenv("ROOKERY_IN_NETNS") == "" {
		fmt.Fprintln(os.Stderr, "run this through tests/system/differential/run: it needs a network namespace of its own")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func plans(t *testing.T) []plan {
	p := plan{seed: *flagSeed, off: map[string]bool{}}
	if n, err := fmt.Sscanf(*flagPeers, "%d-%d", &p.fewest, &p.most); n != 2 || p.fewest < 1 || p.most < p.fewest || p.most > 1000 {
		t.Fatalf("-peers %q: fewest and most have to be given as A-B: %v", *flagPeers, err)
	}
	for _, kind := range strings.Split(*flagOff, ",") {
		p.off[kind] = true
	}
	for kind := range notYet {
		p.off[kind] = true
	}
	all := make([]plan, *flagAccounts)
	for i := range all {
		all[i] = p
		all[i].seed += uint64(i)
	}
	return all
}

// The stock server and ours hold the same random accounts, and say the same about them to everybody.
func TestAccountsAreTheSame(t *testing.T) {
	cluster, err := harness.Up()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Down)
	cluster.DumpOnFailure(t)
	bench := &bench{t: t, cluster: cluster, writes: "http://" + cluster.Proc(t, "dashboard-api-1").Listen}
	var total counts
	failed, sorts, early := 0, map[string][]uint64{}, ""
	start := time.Now()
	for _, p := range plans(t) {
		report := bench.judge(t.Context(), p)
		total.add(report.counts)
		if report.apart != nil {
			early += fmt.Sprintf("\nthe account of seed %d ends early: %v", p.seed, report.apart)
		}
		if report.bad() {
			failed++
			for _, d := range report.found {
				if seeds := sorts[d.class()]; len(seeds) == 0 || seeds[len(seeds)-1] != p.seed {
					sorts[d.class()] = append(seeds, p.seed)
				}
			}
			t.Errorf("%v", report)
			if err := report.keep(); err != nil {
				t.Error(err)
			}
		}
	}
	summary := fmt.Sprintf("%d accounts, %d maps and %d answers compared, %d differences that we want, %d accounts that differ, %d that end early; %.0f s",
		*flagAccounts, total.maps, total.answers, total.wanted, failed, total.apart, time.Since(start).Seconds())
	for _, class := range sortedKeys(sorts) {
		summary += fmt.Sprintf("\n%s: seeds %v", class, sorts[class])
	}
	summary += early
	t.Log(summary)
	if dir := os.Getenv(harness.EnvLogs); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "differential.txt"), []byte(summary+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// bench runs scripts, each on a new stock server and in a new account of ours.
type bench struct {
	t       testing.TB
	cluster *harness.Cluster
	writes  string // the URL of one replica of the REST API
}

// report is what came of one account.
type report struct {
	plan   plan
	counts counts
	found  []*difference // those we do not want
	apart  error         // why it ends early
	short  *script       // that still differs
	err    error
}

func (r *report) bad() bool { return r.err != nil || len(r.found) > 0 }

// maxShown bounds how many sorts of differences are printed of one account.
const maxShown = 40

func (r *report) String() string {
	s := fmt.Sprintf("account of seed %d, %d to %d peers, without %v:", r.plan.seed, r.plan.fewest, r.plan.most, sortedKeys(r.plan.off))
	if r.err != nil {
		s += fmt.Sprintf("\n  %v", r.err)
	}
	count, order := map[string]int{}, []*difference{}
	for _, d := range r.found {
		if count[d.class()]++; count[d.class()] == 1 {
			order = append(order, d)
		}
	}
	for i, d := range order {
		if i == maxShown {
			s += fmt.Sprintf("\n  and %d more", len(order)-i)
			break
		}
		s += fmt.Sprintf("\n  %v", d)
		if n := count[d.class()]; n > 1 {
			s += fmt.Sprintf("\n      and %d more of this sort", n-1)
		}
	}
	if r.short != nil {
		s += fmt.Sprintf("\n  of %d acts these are enough:", len(r.short.ops))
		for _, o := range r.short.ops {
			s += "\n    " + o.String()
		}
	}
	return s
}

// keep writes the whole script and all differences where the logs are.
func (r *report) keep() error {
	dir := os.Getenv(harness.EnvLogs)
	if dir == "" {
		return nil
	}
	var text strings.Builder
	for _, o := range write(r.plan).ops {
		fmt.Fprintln(&text, o)
	}
	for _, d := range r.found {
		fmt.Fprintln(&text, d)
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("account-%d.txt", r.plan.seed)), []byte(text.String()), 0o644)
}

var addressTail = regexp.MustCompile(`<ip of [^>]+ tail>`)

// drawn tells whether a peer's name has more to it on stock because the address that stock drew for it first was taken. That is
// rare, and as random as the draw: who plays the account again will not see it.
func (r *report) drawn() bool {
	return slices.ContainsFunc(r.found, func(d *difference) bool {
		stock, _ := d.Stock.(string)
		ours, _ := d.Ours.(string)
		return strings.HasPrefix(d.At, "login of ") && stock != ours && addressTail.ReplaceAllString(stock, "") == ours
	})
}

// judge plays the account of a plan, and where it differs looks for a shorter script that does as well.
func (b *bench) judge(ctx context.Context, p plan) *report {
	s := write(p)
	r := b.play(ctx, s, p)
	if r.drawn() {
		r = b.play(ctx, s, p)
	}
	if r.err == nil && len(r.found) > 0 && *flagShrink {
		r.short = b.shrink(ctx, s, p, r.found[0])
	}
	return r
}

// play runs one script.
func (b *bench) play(ctx context.Context, s *script, p plan) *report {
	a := &account{ctx: ctx, script: s, off: p.off}
	err := b.host(ctx, a)
	return &report{plan: p, counts: a.counts, found: a.found, apart: a.apart, err: err}
}

// host runs the script of an account on a new stock server and in a new account of ours.
func (b *bench) host(ctx context.Context, a *account) error {
	process, err := startStock(ctx)
	if err != nil {
		return err
	}
	defer process.stop()
	a.stock, err = newServer(b.t, "stock", process.url(), strings.TrimPrefix(process.url(), "http://"))
	if err != nil {
		return err
	}
	defer a.stock.conn.Close()
	_, management, _ := strings.Cut(b.cluster.ManagementURL, "://")
	a.ours, err = newServer(b.t, "ours", b.cluster.APIURL, management)
	if err != nil {
		return err
	}
	defer a.ours.conn.Close()
	a.ours.writes = b.writes
	a.ours.provider, a.ours.ca = b.provider()
	if err := b.empty(ctx); err != nil {
		return err
	}
	err = a.run()
	if a.ours.rest != nil && a.ours.rest.Token != "" {
		b.cluster.Token = a.ours.rest.Token // the next one is to delete this account
	}
	return err
}

// provider is the URL of our own identity provider, and the certificate to believe there.
func (b *bench) provider() (url, ca string) {
	return strings.TrimSuffix(b.cluster.Issuer, "/oauth2"), b.cluster.CAFile
}

// empty deletes the account that is there, if its script has not, so that the next can be set up.
func (b *bench) empty(ctx context.Context) error {
	// All accounts' people have one address, and stock, which is new each time, has heard from none of them.
	b.cluster.SQL(b.t, "DELETE FROM password_guess; DELETE FROM oauth_limit; DELETE FROM rate_bucket")
	rest := b.cluster.REST()
	var instance struct {
		Bare bool `json:"setup_required"`
	}
	if a, err := rest.Try(ctx, "GET", "/api/instance", nil); err != nil || json.Unmarshal(a.Body, &instance) == nil && instance.Bare {
		return err
	}
	var accounts []struct{ ID string }
	a, err := rest.Try(ctx, "GET", "/api/accounts", nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.Body, &accounts); err != nil || len(accounts) != 1 {
		return fmt.Errorf("the account before: status %d: %s", a.Status, a.Body)
	}
	a, err = rest.Try(ctx, "DELETE", "/api/accounts/"+accounts[0].ID, nil)
	if err == nil && a.Status != 200 {
		err = fmt.Errorf("deleting the account before: status %d: %s", a.Status, a.Body)
	}
	return err
}

// Every difference that we want is told to users.
func TestWantedDifferencesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if !strings.Contains(string(text), "\n| "+r.line+" |") {
			t.Errorf("docs/differences.md has no line %q", r.line)
		}
	}
}
