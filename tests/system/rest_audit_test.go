package system

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"rookery.test/system/harness"
)

type event struct {
	ID           string
	Timestamp    time.Time
	ActivityCode string `json:"activity_code"`
	InitiatorID  string `json:"initiator_id"`
	TargetID     string `json:"target_id"`
	Meta         map[string]string
	Changes      map[string]struct{ Before, After any }
}

func events(t *testing.T, r *harness.REST, query string) []event {
	t.Helper()
	var list []event
	r.Want(t, 200, "GET", "/api/events/audit?"+query, nil, &list)
	return list
}

func TestRESTTheAuditTrailTellsWhatChanged(t *testing.T) {
	s := cluster(t).Lonely(t)
	id := s.NewGroup(t, "told")
	s.Want(t, 200, "PUT", "/api/groups/"+id, map[string]any{"name": s.Name + "-renamed"}, nil)
	list := events(t, s.REST, "target="+id)
	if len(list) != 2 || list[0].ActivityCode != "group.update" || list[1].ActivityCode != "group.add" {
		t.Fatalf("%+v", list)
	}
	if c := list[0].Changes; len(c) != 1 || c["name"].Before != s.Name+"-told" || c["name"].After != s.Name+"-renamed" {
		t.Errorf("renaming changed %+v", c)
	}
	if c := list[1].Changes["name"]; c.Before != nil || c.After != s.Name+"-told" {
		t.Errorf("making changed %+v", c)
	}
	if list[0].Meta["old_name"] != s.Name+"-told" || list[0].Meta["new_name"] != s.Name+"-renamed" {
		t.Errorf("meta %v", list[0].Meta)
	}
	// In the stock's way the member is not there.
	var plain []map[string]json.RawMessage
	s.Want(t, 200, "GET", "/api/events", nil, &plain)
	if len(plain) == 0 || plain[0]["changes"] != nil {
		t.Errorf("%d events, the first with %s", len(plain), plain[0]["changes"])
	}
}

func TestRESTTheAuditTrailIsFiltered(t *testing.T) {
	s := cluster(t).Lonely(t)
	var me struct{ ID string }
	s.Want(t, 200, "GET", "/api/users/current", nil, &me)
	before := time.Now().UTC().Add(-time.Second)
	a, b := s.NewGroup(t, "filter-a"), s.NewGroup(t, "filter-b")
	s.Want(t, 200, "DELETE", "/api/groups/"+a, nil, nil)
	word := url.QueryEscape(s.Name + "-FILTER")
	count := func(query string) string { return fmt.Sprint(len(events(t, s.REST, query))) }
	at := func(when time.Time) string { return url.QueryEscape(when.Format(time.RFC3339Nano)) }
	for query, want := range map[string]string{
		"q=" + word:                                                "3",
		"q=" + word + "&activity=group.add":                        "2",
		"q=" + word + "&activity=group.add,group.delete":           "3",
		"q=" + word + "&activity=group.update":                     "0",
		"q=" + word + "&kind=group":                                "3",
		"q=" + word + "&kind=peer":                                 "0",
		"q=" + word + "&target=" + b:                               "1",
		"q=" + word + "&initiator=" + url.QueryEscape(me.ID):       "3",
		"q=" + word + "&initiator=nobody":                          "0",
		"q=" + word + "&from=" + at(before):                        "3",
		"q=" + word + "&from=" + at(time.Now().Add(time.Hour)):     "0",
		"q=" + word + "&to=" + at(before):                          "0",
		"q=" + word + "&to=" + at(time.Now().UTC().Add(time.Hour)): "3",
		"q=" + word + "&per_page=2":                                "2",
		"q=" + word + "&page=2&per_page=2":                         "1",
		"q=" + word + "&page=3&per_page=2":                         "0",
	} {
		if got := count(query); got != want {
			t.Errorf("%s: %s events instead of %s", query, got, want)
		}
	}
	var list []event
	answer := s.Want(t, 200, "GET", "/api/events?sort=timestamp&per_page=1&q="+word, nil, &list)
	if len(list) != 1 || list[0].TargetID != a || list[0].ActivityCode != "group.add" || answer.Header.Get("X-Total-Count") != "3" {
		t.Errorf("oldest first: %+v of %s", list, answer.Header.Get("X-Total-Count"))
	}
	for query, message := range map[string]string{
		"activity=nothing.done": "unknown activity code nothing.done",
		"kind=thing":            "unknown kind thing",
		"from=yesterday":        "from must be a time as in 2006-01-02t15:04:05z",
		"to=1":                  "to must be a time as in 2006-01-02t15:04:05z",
		"sort=name":             "events are sorted by timestamp or -timestamp",
		"per_page=0":            "per_page must be a number from 1 to 1000",
	} {
		s.WantError(t, 422, message, "GET", "/api/events/audit?"+query, nil)
	}
}

// Beyond what a stock client can see.
func TestRESTTheAuditTrailGoesBackToItsBeginning(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	r := c.REST()
	var accounts []struct{ ID string }
	r.Want(t, 200, "GET", "/api/accounts", nil, &accounts)
	c.SQL(t, fmt.Sprintf(`INSERT INTO event (account_id, code, initiator_id, target_id)
		SELECT '%s', 'group.add', 'sys', 'many-' || n FROM generate_series(1, 10050) n`, accounts[0].ID))
	defer c.SQL(t, "DELETE FROM event WHERE target_id LIKE 'many-%'")
	if got := len(events(t, r, "")); got != 10000 {
		t.Errorf("%d events without parameters", got)
	}
	list := events(t, r, "q=many-&page=101&per_page=100")
	if len(list) != 50 || list[49].TargetID != "many-1" {
		t.Errorf("the last page holds %d events", len(list))
	}
}

// Making, changing and deleting an object of any kind says in the trail what it was and what it is.
func TestRESTEveryActTellsWhatItChanged(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	w := newWorld(t, c)
	told := func(what, id string, is func(before, after any) bool) {
		t.Helper()
		for _, e := range events(t, w.REST, "target="+id+"&per_page=5") {
			for _, change := range e.Changes {
				if is(change.Before, change.After) {
					return
				}
			}
		}
		t.Errorf("%s: no event of %s says so", what, id)
	}
	for collection, name := range map[string]string{"/api/groups": "groupId", "/api/policies": "policyId", "/api/posture-checks": "postureCheckId",
		"/api/networks": "networkId", "/api/networks/{networkId}/resources": "resourceId", "/api/networks/{networkId}/routers": "routerId",
		"/api/routes": "routeId", "/api/dns/nameservers": "nsgroupId", "/api/dns/zones": "zoneId",
		"/api/dns/zones/{zoneId}/records": "recordId", "/api/users": "userId", "/api/setup-keys": "keyId"} {
		var made struct{ ID string }
		w.Want(t, 200, "POST", w.path(collection), w.body("POST "+collection), &made)
		told("POST "+collection, made.ID, func(before, after any) bool { return before == nil && after != nil })
		at, body := w.path(collection)+"/"+made.ID, w.body("PUT "+collection+"/{"+name+"}")
		switch name {
		case "keyId":
			body["revoked"] = true
		case "userId":
			body["role"] = "auditor"
		case "zoneId":
			var zone struct{ Domain string }
			w.Want(t, 200, "GET", at, nil, &zone)
			body["domain"] = zone.Domain
		case "groupId":
			delete(body, "resources")
		case "routerId":
			body["metric"] = 7
		}
		w.Want(t, 200, "PUT", at, body, nil)
		told("PUT "+collection, made.ID, func(before, after any) bool { return before != nil && after != nil })
		w.Want(t, 200, "DELETE", at, nil, nil)
		told("DELETE "+collection, made.ID, func(before, after any) bool { return before != nil && after == nil })
	}
}
