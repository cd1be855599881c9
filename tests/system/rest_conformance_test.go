package system

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

// set puts a value at a place inside a body.
func set(body any, at []any, value any) {
	for _, step := range at[:len(at)-1] {
		switch s := step.(type) {
		case string:
			body = body.(object)[s]
		case int:
			body = body.([]any)[s]
		}
	}
	switch s := at[len(at)-1].(type) {
	case string:
		body.(object)[s] = value
	case int:
		body.([]any)[s] = value
	}
}

// adapt makes the rest of a body fit a value of one of its enumerations.
func adapt(w *world, operation string, body object, at []any, value any) {
	last := fmt.Sprint(at[len(at)-1])
	switch {
	case strings.Contains(operation, "/api/policies") && last == "protocol" && value != "tcp" && value != "udp":
		delete(body["rules"].([]any)[0].(object), "ports")
	case strings.Contains(operation, "/api/setup-keys") && last == "type" && value == "one-off":
		body["usage_limit"] = 1
	case strings.HasSuffix(operation, "/records") && value == "AAAA", strings.HasSuffix(operation, "/{recordId}") && value == "AAAA":
		body["content"] = "2001:db8::1"
	case strings.Contains(operation, "/records") && value == "CNAME":
		body["content"] = "other.test"
	case strings.Contains(operation, "/api/groups") && last == "type":
		delete(body, "resources") // what a resource is follows from its address
	}
}

// stated is what a good request is answered with.
func stated(operation string) int {
	if status, ok := otherwise[operation]; ok {
		return status
	}
	return 200
}

// undo deletes what a POST has made.
func (w *world) undo(t *testing.T, op harness.Operation, a *harness.Answer) {
	if op.Method != "POST" || a.Status != 200 {
		return
	}
	if strings.HasSuffix(op.Path, "/scim-idp") {
		var made struct{ ID int64 }
		a.JSON(t, &made)
		w.Want(t, 200, "DELETE", fmt.Sprintf("%s/%d", op.Path, made.ID), nil, nil)
		return
	}
	var made struct {
		ID    string
		Token struct{ ID string } `json:"personal_access_token"`
	}
	a.JSON(t, &made)
	if made.Token.ID != "" {
		made.ID = made.Token.ID
	}
	path := w.path(op.Path) + "/" + made.ID
	if strings.HasSuffix(op.Path, "/temporary-access") {
		path = "/api/peers/" + made.ID
	}
	if strings.HasSuffix(op.Path, "/jobs") || strings.HasSuffix(op.Path, "/regenerate") {
		return // jobs stay, and fail when nobody answers
	}
	w.Want(t, 200, "DELETE", path, nil, nil)
}

// Every operation of the description: a good request is answered as stated, with every member of its type; each value of an
// enumeration is taken, another is not.
func TestRESTEveryOperationConforms(t *testing.T) {
	_, o, w := describedWorld(t)
	operations, enums, deletions := 0, 0, []harness.Operation{}
	ask := func(op harness.Operation, body any) *harness.Answer {
		a := w.asker(op).Do(t, op.Method, w.path(op.Path), body, harness.FromElsewhere())
		if err := o.Check(op.Method, op.Path, a); err != nil {
			t.Errorf("%v in %.400s", err, a.Body)
		}
		return a
	}
	for _, op := range o.Described() {
		if op.Permissions == nil && !op.Public {
			continue // ours, with tests of their own
		}
		if op.Method == "DELETE" {
			deletions = append(deletions, op)
			continue
		}
		operations++
		var body any
		if b := w.body(op.Name); b != nil {
			body = b
		} else if op.Body != nil {
			t.Errorf("%s: there is no good body", op.Name)
			continue
		}
		a := ask(op, body)
		if a.Status != stated(op.Name) {
			t.Errorf("%s: %d instead of %d: %s", op.Name, a.Status, stated(op.Name), a.Body)
			continue
		}
		w.undo(t, op, a)
		if op.Body == nil || a.Status != 200 || strings.HasSuffix(op.Path, "/jobs") {
			continue
		}
		for _, enum := range o.Enums(op.Body, clone(body)) {
			enums++
			for _, value := range append(append([]any{}, enum.Values...), "no such value") {
				good := value != "no such value"
				changed := clone(w.body(op.Name)).(object)
				set(changed, enum.At, value)
				if good {
					adapt(w, op.Name, changed, enum.At, value)
				}
				a := ask(op, changed)
				if good && a.Status != 200 {
					t.Errorf("%s with %v %v: %d %s", op.Name, enum.At, value, a.Status, a.Body)
				} else if !good && a.Status != 422 {
					t.Errorf("%s with %v %v: %d instead of 422: %s", op.Name, enum.At, value, a.Status, a.Body)
				}
				w.undo(t, op, a)
			}
		}
	}
	slices.SortStableFunc(deletions, func(a, b harness.Operation) int { // what others name goes last
		return strings.Compare(strings.TrimPrefix(a.Path, "/api/peers/{peerId}"), strings.TrimPrefix(b.Path, "/api/peers/{peerId}"))
	})
	slices.Reverse(deletions)
	for _, op := range deletions {
		if op.Path == "/api/accounts/{accountId}" {
			continue // seen where a server of its own is at hand
		}
		operations++
		path := w.path(op.Path)
		if i := strings.LastIndex(op.Path, "/"); stated(op.Name) == 200 && op.Path != "/api/peers/{peerId}" {
			var made struct {
				ID    string
				Token struct{ ID string } `json:"personal_access_token"`
			}
			w.Want(t, 200, "POST", w.path(op.Path[:i]), w.body("POST "+op.Path[:i]), &made)
			path = w.path(op.Path[:i]) + "/" + made.ID + made.Token.ID
		}
		for _, status := range []int{stated(op.Name), 404} {
			if status == 404 && stated(op.Name) != 200 {
				continue
			}
			a := w.Do(t, "DELETE", path, nil)
			if err := o.Check(op.Method, op.Path, a); err != nil {
				t.Errorf("%v in %.400s", err, a.Body)
			}
			if a.Status != status || (status == 404 && !strings.Contains(string(a.Body), "not found")) {
				t.Errorf("%s: %d %s instead of %d", op.Name, a.Status, a.Body, status)
			}
			if op.Path == "/api/peers/{peerId}" {
				break // the text names the account; it is tested with the peers
			}
		}
	}
	t.Logf("%d operations, %d enumerations", operations, enums)
}

// A tag that is not the object's stops every PUT and every DELETE.
func TestRESTEveryChangeMayDependOnATag(t *testing.T) {
	c, o, w := describedWorld(t)
	before, asked := c.Written(t), 0
	for _, op := range o.Described() {
		if (op.Method != "PUT" && op.Method != "DELETE") || stated(op.Name) != 200 {
			continue
		}
		asked++
		var body any
		if b := w.body(op.Name); b != nil {
			body = b
		}
		if err := w.Do(t, op.Method, w.path(op.Path), body, `If-Match: "stale"`).Error(412, "the object has changed since it was read"); err != nil {
			t.Errorf("%s: %v", op.Name, err)
		}
	}
	if what := c.WrittenSince(t, before); what != "" {
		t.Errorf("something was written: %s", what)
	}
	// And with the right one they go through.
	for _, op := range o.Described() {
		if op.Method != "PUT" || stated(op.Name) != 200 || op.Path == "/api/users/{userId}" || op.Path == "/api/accounts/{accountId}" {
			continue
		}
		tag := w.Want(t, 200, "GET", w.path(op.Path), nil, nil).Header.Get("ETag")
		if a := w.Do(t, "PUT", w.path(op.Path), w.body(op.Name), "If-Match: "+tag); a.Status != 200 {
			t.Errorf("%s with its tag: %d %s", op.Name, a.Status, a.Body)
		}
	}
	t.Logf("%d operations", asked)
}
