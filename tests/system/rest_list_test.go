package system

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rookery.test/system/harness"
)

type named struct{ ID, Name string }

func names(list []named) string {
	var out []string
	for _, n := range list {
		out = append(out, n.Name)
	}
	return strings.Join(out, " ")
}

func TestRESTListsArePagedSearchedAndSorted(t *testing.T) {
	s := cluster(t).Lonely(t)
	for _, suffix := range []string{"b10", "B9", "a"} {
		s.NewGroup(t, suffix)
	}
	word := url.QueryEscape(strings.ToUpper(s.Name) + "-")
	before := s.Want(t, 200, "GET", "/api/groups", nil, nil)
	get := func(query string) ([]named, *harness.Answer) {
		t.Helper()
		var list []named
		a := s.Want(t, 200, "GET", "/api/groups?"+query, nil, &list)
		return list, a
	}
	list, a := get("q=" + word + "&sort=name&page=1&per_page=2")
	if got := names(list); got != s.Name+"-a "+s.Name+"-B9" {
		t.Errorf("first page: %s", got)
	}
	if a.Header.Get("X-Total-Count") != "3" {
		t.Errorf("X-Total-Count %q", a.Header.Get("X-Total-Count"))
	}
	next := ""
	for _, link := range strings.Split(a.Header.Get("Link"), ", ") {
		if to, found := strings.CutSuffix(link, `>; rel="next"`); found {
			next = strings.TrimPrefix(to, "<?")
		}
	}
	list, a = get(next)
	if got := names(list); got != s.Name+"-b10" {
		t.Errorf("next page (%q): %s", next, got)
	}
	if strings.Contains(a.Header.Get("Link"), `rel="next"`) {
		t.Errorf("the last page has a next one: %s", a.Header.Get("Link"))
	}
	list, _ = get("q=" + word + "&sort=-name")
	if got := names(list); got != fmt.Sprintf("%[1]s-b10 %[1]s-B9 %[1]s-a", s.Name) {
		t.Errorf("descending: %s", got)
	}
	after := s.Want(t, 200, "GET", "/api/groups?account=x", nil, nil)
	if string(after.Body) != string(before.Body) || after.Header.Get("X-Total-Count") != "" || after.Header.Get("Link") != "" {
		t.Error("a list without these parameters is not what it was")
	}
	for query, message := range map[string]string{
		"page=0":        "page must be a number from 1 to 4294967295",
		"per_page=1001": "per_page must be a number from 1 to 1000",
		"sort=a.b":      "sort must name up to 4 members, separated by commas, each with a minus sign before it to turn its order",
	} {
		s.WantError(t, 422, message, "GET", "/api/groups?"+query, nil)
	}
	// An object is no list.
	s.Want(t, 200, "GET", "/api/groups/"+s.Group+"?page=0", nil, nil)
}

func TestRESTWhatIsReadHasATag(t *testing.T) {
	s := cluster(t).Lonely(t)
	at := "/api/groups/" + s.Group
	first := s.Want(t, 200, "GET", at, nil, nil)
	tag := first.Header.Get("ETag")
	if !strings.HasPrefix(tag, `"`) || first.Header.Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("ETag %q, Cache-Control %q", tag, first.Header.Get("Cache-Control"))
	}
	for _, have := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		a := s.Do(t, "GET", at, nil, "If-None-Match: "+have, "Origin: http://x")
		if a.Status != 304 || len(a.Body) != 0 || a.Header.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d %q, ETag %q", have, a.Status, a.Body, a.Header.Get("ETag"))
		}
		if got := a.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(got, "ETag") || !strings.Contains(got, "X-Total-Count") {
			t.Errorf("exposed: %q", got)
		}
	}
	s.Want(t, 200, "PUT", at, map[string]any{"name": s.Name + "-new"}, nil)
	if a := s.Do(t, "GET", at, nil, "If-None-Match: "+tag); a.Status != 200 || a.Header.Get("ETag") == tag {
		t.Errorf("after a change: %d, ETag %q", a.Status, a.Header.Get("ETag"))
	}
	list := s.Want(t, 200, "GET", "/api/groups?page=1&per_page=1", nil, nil)
	if a := s.Do(t, "GET", "/api/groups?page=1&per_page=1", nil, "If-None-Match: "+list.Header.Get("ETag")); a.Status != 304 {
		t.Errorf("a page: %d", a.Status)
	}
	if a := s.Do(t, "GET", "/api/groups/nope", nil, "If-None-Match: *"); a.Status != 404 || a.Header.Get("ETag") != "" {
		t.Errorf("what is not there: %d, ETag %q", a.Status, a.Header.Get("ETag"))
	}
	if a := s.Want(t, 200, "PUT", at, map[string]any{"name": s.Name}, nil); a.Header.Get("ETag") != "" {
		t.Error("the answer to a write has a tag")
	}
}

func TestRESTAChangeMayDependOnATag(t *testing.T) {
	s := cluster(t).Lonely(t)
	const changed = "the object has changed since it was read"
	at := "/api/groups/" + s.Group
	read := s.Want(t, 200, "GET", at, nil, nil)
	tag := read.Header.Get("ETag")
	put := map[string]any{"name": s.Name}
	for _, stale := range []string{`"x"`, "W/" + tag} {
		for _, method := range []string{"PUT", "DELETE"} {
			if err := s.Do(t, method, at, put, "If-Match: "+stale).Error(412, changed); err != nil {
				t.Errorf("%s with %s: %v", method, stale, err)
			}
		}
	}
	if again := s.Want(t, 200, "GET", at, nil, nil); string(again.Body) != string(read.Body) {
		t.Errorf("a refused change changed %s into %s", read.Body, again.Body)
	}
	for _, good := range []string{tag, `"x",` + tag, "*"} {
		if a := s.Do(t, "PUT", at, put, "If-Match: "+good); a.Status != 200 {
			t.Errorf("with %s: %d %s", good, a.Status, a.Body)
		}
	}
	if err := s.Do(t, "PUT", "/api/groups/nope", put, "If-Match: *").Error(404, "group: nope not found"); err != nil {
		t.Error(err)
	}
	gone := s.NewGroup(t, "gone")
	tag = s.Want(t, 200, "GET", "/api/groups/"+gone, nil, nil).Header.Get("ETag")
	if a := s.Do(t, "DELETE", "/api/groups/"+gone, nil, "If-Match: "+tag); a.Status != 200 {
		t.Errorf("deleting: %d %s", a.Status, a.Body)
	}
	// The account has no GET of its own: the list holds it alone.
	var accounts []map[string]json.RawMessage
	list := s.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	id := strings.Trim(string(accounts[0]["id"]), `"`)
	account := map[string]any{"settings": accounts[0]["settings"]}
	for stale, status := range map[string]int{`"x"`: 412, list.Header.Get("ETag"): 200} {
		if a := s.Do(t, "PUT", "/api/accounts/"+id, account, "If-Match: "+stale); a.Status != status {
			t.Errorf("the account with %s: %d %s", stale, a.Status, a.Body)
		}
	}
}

// Many writers on two replicas add a member each, by reading, changing and writing back. None is lost.
func TestRESTNoUpdateIsLostBetweenReplicas(t *testing.T) {
	c := cluster(t)
	s := c.Lonely(t)
	const writers, each = 8, 5
	at := "/api/groups/" + s.Group
	var refused atomic.Int64
	var wait sync.WaitGroup
	s.Want(t, 200, "PUT", at, map[string]any{"name": s.Name + "-0"}, nil)
	for range writers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			r := c.REST()
			for done := 0; done < each; {
				var group struct{ Name string }
				a, err := r.Try(t.Context(), "GET", at, nil)
				if err != nil || json.Unmarshal(a.Body, &group) != nil {
					t.Errorf("%v %v", a, err)
					return
				}
				var n int
				_, _ = fmt.Sscanf(strings.TrimPrefix(group.Name, s.Name), "-%d", &n)
				put := map[string]any{"name": fmt.Sprintf("%s-%d", s.Name, n+1)}
				b, err := r.Try(t.Context(), "PUT", at, put, "If-Match: "+a.Header.Get("ETag"))
				switch {
				case err != nil:
					t.Error(err)
					return
				case b.Status == 200:
					done++
				case b.Status == 412:
					refused.Add(1)
				default:
					t.Errorf("%d %s", b.Status, b.Body)
					return
				}
			}
		}()
	}
	wait.Wait()
	var group struct{ Name string }
	s.Want(t, 200, "GET", at, nil, &group)
	if want := fmt.Sprintf("%s-%d", s.Name, writers*each); group.Name != want {
		t.Errorf("%s instead of %s", group.Name, want)
	}
	t.Logf("%d changes, %d refused", writers*each, refused.Load())
}
