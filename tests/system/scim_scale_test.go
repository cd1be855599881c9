package system

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// scimUsers are those of the directory; ROOKERY_TEST_SCIM_USERS asks for more: `rookery test scim` has 10,000.
const scimUsers = 1000

// A directory with a group for every ten users is synced through two replicas, whose memory stays bounded; what is looked up by
// is found through an index, and access ends for all of a group at once.
func TestSCIMWholeDirectory(t *testing.T) {
	const size = 50
	users := scimUsers
	if n, err := strconv.Atoi(os.Getenv("ROOKERY_TEST_SCIM_USERS")); err == nil {
		users = n
	}
	groups := users / 10
	c := own(t)
	d := newDirectory(t, c, nil)
	ids, groupIDs := make([]string, users), make([]string, groups)
	var busy atomic.Int64
	began := time.Now()
	lap := func(what string) {
		t.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond))
		began = time.Now()
	}
	each := func(n int, work func(i int) error) {
		t.Helper()
		var wg sync.WaitGroup
		next := make(chan int)
		for range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range next {
					if err := work(i); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		for i := range n {
			next <- i
		}
		close(next)
		wg.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	// A replica that is busy says so, and directories ask again; what was asked may have been done.
	send := func(status int, method, path string, body any) (*harness.Answer, error) {
		for range 30 {
			a, err := d.try(t.Context(), method, path, body)
			if err != nil || a.Status == status {
				return a, err
			}
			if a.Status != 503 {
				return a, fmt.Errorf("%s %s: %d %.300s", method, path, a.Status, a.Body)
			}
			busy.Add(1)
		}
		return nil, fmt.Errorf("%s %s: busy all the time", method, path)
	}
	create := func(kind, key, name string, body object, id *string) error {
		body[key] = name
		a, err := send(201, "POST", "/"+kind, body)
		if a != nil && a.Status == 409 {
			a, err = send(200, "GET", "/"+kind+"?filter="+url.QueryEscape(key+` eq "`+name+`"`), nil)
		}
		if err != nil {
			return err
		}
		var made struct {
			ID        string
			Resources []struct{ ID string }
		}
		a.JSON(t, &made)
		if len(made.Resources) == 1 {
			made.ID = made.Resources[0].ID
		}
		*id = made.ID
		return nil
	}
	rss := func() (sum int64) {
		for _, p := range c.Processes {
			if strings.HasPrefix(p.Name, "dashboard-api-") {
				m, err := harness.Metrics(p.Admin)
				if err != nil {
					t.Fatal(err)
				}
				sum += int64(m["process_resident_memory_bytes"])
			}
		}
		return sum
	}
	before := rss()
	each(users, func(i int) error {
		name := fmt.Sprintf("%s-%d", d.Name, i)
		return create("Users", "userName", name+"@corp.test", object{"externalId": name + "-sub", "displayName": name,
			"emails": []object{{"value": name + "@corp.test", "type": "work", "primary": true}}, "active": true}, &ids[i])
	})
	lap(fmt.Sprintf("%d users made", users))
	each(groups, func(i int) error {
		if err := create("Groups", "displayName", fmt.Sprintf("%s-g%d", d.Name, i), object{}, &groupIDs[i]); err != nil {
			return err
		}
		var list []string
		for k := range size {
			list = append(list, ids[(i*size/5+k)%users])
		}
		_, err := send(204, "PATCH", "/Groups/"+groupIDs[i], patch(object{"op": "add", "path": "members", "value": members(list...)}))
		return err
	})
	lap(fmt.Sprintf("%d groups of %d made", groups, size))
	if n := c.SQL(t, fmt.Sprintf(`SELECT count(*) || ' ' || sum(cardinality(u.auto_groups)) FROM users u JOIN scim_user s ON s.user_id = u.id
		WHERE s.integration_id = %d`, d.ID)); n != fmt.Sprintf("%d %d", users, groups*size) {
		t.Errorf("users and memberships: %s", n)
	}

	everybody := d.make(t, "Groups", object{"displayName": d.Name + "-all"})
	change := func(op object) {
		t.Helper()
		if _, err := send(204, "PATCH", "/Groups/"+everybody, patch(op)); err != nil {
			t.Fatal(err)
		}
	}
	change(object{"op": "replace", "path": "members", "value": members(ids...)})
	lap("one group of all filled")
	change(object{"op": "remove", "path": fmt.Sprintf(`members[value eq "%s"]`, ids[7])})
	lap("one removed")
	var full struct{ Members []struct{ Value string } }
	d.do(t, 200, "GET", "/Groups/"+everybody, nil).JSON(t, &full)
	if len(full.Members) != users-1 {
		t.Errorf("%d members", len(full.Members))
	}
	lap("the group read")

	seen := map[string]bool{}
	for _, kind := range []string{"Users", "Groups"} {
		for start, total := 1, 1; start <= total; {
			var page struct {
				TotalResults, ItemsPerPage int
				Resources                  []struct{ ID string }
			}
			a, err := send(200, "GET", "/"+kind+"?count=200&startIndex="+strconv.Itoa(start), nil)
			if err != nil {
				t.Fatal(err)
			}
			a.JSON(t, &page)
			if page.ItemsPerPage == 0 || page.ItemsPerPage > 200 {
				t.Fatalf("%d of %d on the page at %d", page.ItemsPerPage, page.TotalResults, start)
			}
			for _, r := range page.Resources {
				seen[r.ID] = true
			}
			start, total = start+page.ItemsPerPage, page.TotalResults
		}
	}
	if len(seen) != users+groups+1 {
		t.Errorf("%d resources seen page by page", len(seen))
	}
	lap("all read page by page")

	// Lookups: a scan of the table for any of them would be one each round, whenever they are asked. What was done before shows
	// in the statistics up to ten seconds late (an idle backend's), and a small table is rightly scanned: so the least of a few counts.
	c.SQL(t, "ANALYZE scim_user; ANALYZE scim_group; ANALYZE scim_member")
	sum := func(column string) int {
		n, err := strconv.Atoi(c.SQL(t, "SELECT sum("+column+") FROM pg_stat_user_tables WHERE relname = 'scim_user'"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const rounds = 200 // past the point where plans are made for any value
	lookups := func() (scans int) {
		uses, scans := sum("idx_scan"), sum("seq_scan")
		for i := range rounds {
			name := fmt.Sprintf("%s-%d", d.Name, i)
			for _, path := range []string{
				"/Users?excludedAttributes=groups&filter=" + url.QueryEscape(`userName eq "`+name+`@corp.test"`),
				"/Users?excludedAttributes=groups&filter=" + url.QueryEscape(`externalId eq "`+name+`-sub"`),
				"/Users?excludedAttributes=groups&filter=" + url.QueryEscape(`displayName eq "`+name+`"`),
				"/Users?excludedAttributes=groups&filter=" + url.QueryEscape(`emails[type eq "work"].value eq "`+name+`@corp.test"`),
				"/Users?excludedAttributes=groups&filter=" + url.QueryEscape(`id eq "`+ids[i]+`"`),
				"/Groups?filter=" + url.QueryEscape(fmt.Sprintf(`displayName eq "%s-g%d"`, d.Name, i%groups)),
				"/Groups?filter=" + url.QueryEscape(fmt.Sprintf(`id eq "%s" and members eq "%s"`, everybody, ids[i+100])),
			} {
				var page struct{ TotalResults int }
				d.do(t, 200, "GET", path, nil).JSON(t, &page)
				if page.TotalResults != 1 {
					t.Fatalf("%s: %d", path, page.TotalResults)
				}
			}
		}
		harness.Eventually(t, 20*time.Second, "the lookups are in the statistics", func() error {
			if now := sum("idx_scan"); now < uses+5*rounds {
				return fmt.Errorf("%d uses of an index after %d", now, uses)
			}
			return nil
		})
		return sum("seq_scan") - scans
	}
	scans := lookups()
	for again := 0; again < 3 && scans >= rounds/2; again++ {
		scans = lookups()
	}
	if scans >= rounds/2 {
		t.Errorf("the table of users was scanned %d times by %d lookups of each kind", scans, rounds)
	}
	lap(fmt.Sprintf("%d lookups of each kind, %d scans", rounds, scans))

	// From now on only members of a group have access; then nobody is one.
	for range 30 {
		if a := d.owner.Do(t, "PUT", d.path(""), object{"user_group_prefixes": []string{d.Name + "-all"}}); a.Status == 200 {
			break
		} else if a.Status != 503 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		busy.Add(1)
	}
	lap("a required group set")
	change(object{"op": "remove", "path": "members"})
	lap("everybody cut off")
	if n := c.SQL(t, fmt.Sprintf("SELECT count(*) FROM users u JOIN scim_user s ON s.user_id = u.id WHERE s.integration_id = %d AND u.blocked", d.ID)); n != strconv.Itoa(users) {
		t.Errorf("%s of %d are blocked", n, users)
	}
	t.Logf("%d requests were asked again", busy.Load())
	if grown := rss() - before; grown > 300<<20 && !c.Proc(t, "dashboard-api-1").Sanitized(t) {
		t.Errorf("two replicas have grown by %d MiB", grown>>20)
	} else {
		t.Logf("two replicas have grown by %d MiB", grown>>20)
	}
}
