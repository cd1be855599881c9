package system

import (
	"fmt"
	"strings"
	"testing"

	"rookery.test/system/harness"
)

// What each role may do with each module: R read, C create, U update, D delete.
var matrix = map[string]map[string]string{
	"owner":         {},
	"admin":         {"accounts": "R"},
	"network_admin": {},
	"auditor":       {},
	"user":          {},
	"billing_admin": {},
}

func init() {
	free := strings.Fields("networks groups dns nameservers policies routes pats")
	kept := strings.Fields("events users setup_keys peers identity_providers settings accounts")
	hidden := strings.Fields("remote_jobs services")
	for _, m := range append(append(append([]string{}, free...), kept...), hidden...) {
		matrix["owner"][m] = "RCUD"
		if matrix["admin"][m] == "" {
			matrix["admin"][m] = "RCUD"
		}
		matrix["auditor"][m] = "R"
	}
	for _, m := range free {
		matrix["network_admin"][m] = "RCUD"
	}
	for _, m := range kept {
		matrix["network_admin"][m] = "R"
	}
}

var letters = map[string]string{"read": "R", "create": "C", "update": "U", "delete": "D"}

// Those answer who may not read with less, instead of refusing.
var lessForStrangers = map[string]int{
	"GET /api/users":                           200,
	"GET /api/peers":                           200,
	"GET /api/peers/{peerId}":                  404,
	"GET /api/peers/{peerId}/accessible-peers": 200, // they see no peers at all
}

// Everybody's own: not for service users.
var ownMatters = map[string]bool{"GET /api/users/current": true, "PUT /api/users/{userId}/password": true}

// concrete puts ids that do not exist where a path has names.
func concrete(path string) string {
	for strings.Contains(path, "{") {
		open, end := strings.Index(path, "{"), strings.Index(path, "}")
		path = path[:open] + "nope" + path[end+1:]
	}
	return path
}

// refusal is what the operation has to answer, "" when it must not refuse.
func refusal(operation harness.Operation, role string, service bool) string {
	if ownMatters[operation.Name] {
		if service {
			return "permission denied"
		}
		return ""
	}
	for _, p := range operation.Permissions {
		module, op, _ := strings.Cut(p, " ")
		if strings.Contains(matrix[role][module], letters[op]) || (service && op == "read") {
			continue
		}
		if role == "billing_admin" {
			if strings.HasPrefix(operation.Name, "GET /api/groups") {
				return "user role: billing_admin not found"
			}
			return "failed to validate user permissions: user role: billing_admin not found"
		}
		if _, less := lessForStrangers[operation.Name]; less {
			return ""
		}
		if operation.Name == "DELETE /api/accounts/{accountId}" {
			return "user is not allowed to delete account. only account owner can delete account"
		}
		return "permission denied"
	}
	return ""
}

func operations(t *testing.T) []harness.Operation {
	t.Helper()
	o, err := harness.ReadOpenAPI(description)
	if err != nil {
		t.Fatal(err)
	}
	var found []harness.Operation
	for _, op := range o.Described() {
		if !op.Public && op.Permissions != nil {
			found = append(found, op)
		}
	}
	if len(found) < 60 {
		t.Fatalf("only %d operations with permissions are described", len(found))
	}
	return found
}

func send(t *testing.T, r *harness.REST, op harness.Operation) *harness.Answer {
	t.Helper()
	var body any
	if op.Method == "POST" || op.Method == "PUT" {
		body = map[string]any{}
	}
	return r.Do(t, op.Method, concrete(op.Path), body)
}

// Every role and every operation: refused with the stated words, nothing written; or let through.
func TestRESTRolesAndOperations(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	all := operations(t)
	asked := 0
	for _, service := range []bool{false, true} {
		for _, role := range []string{"owner", "admin", "network_admin", "auditor", "user", "billing_admin"} {
			name, r := role, c.REST()
			switch {
			case service && role == "owner":
				continue // there is no such thing
			case service:
				name, r = "service "+role, c.Robot(t, role).REST
			case role != "owner":
				r = c.Person(t, role).REST
			}
			before := c.Written(t)
			for _, op := range all {
				if want := refusal(op, role, service); want != "" {
					asked++
					if err := send(t, r, op).Error(403, want); err != nil {
						t.Errorf("%s, %s: %v", name, op.Name, err)
					}
				}
			}
			if what := c.WrittenSince(t, before); what != "" {
				t.Errorf("%s: what was refused has written something: %s", name, what)
			}
			for _, op := range all {
				// Letting through is seen by another answer than a refusal. PUT of the DNS settings has no
				// id that could be unknown and needs no member, so it would change them.
				if refusal(op, role, service) != "" || op.Name == "PUT /api/dns/settings" {
					continue
				}
				asked++
				a := send(t, r, op)
				if op.Name == "DELETE /api/accounts/{accountId}" || op.Name == "PUT /api/accounts/{accountId}" {
					// Somebody else's account, as far as the server is concerned, or a body that is none.
					if a.Status != 403 && a.Status != 422 {
						t.Errorf("%s, %s: %d %s", name, op.Name, a.Status, a.Body)
					}
					continue
				}
				if a.Status == 401 || a.Status == 403 || a.Status >= 500 {
					t.Errorf("%s, %s: %d %s", name, op.Name, a.Status, a.Body)
				}
				if want := lessForStrangers[op.Name]; want != 0 && role == "user" && !service && a.Status != want {
					t.Errorf("%s, %s: %d %s instead of %d", name, op.Name, a.Status, a.Body, want)
				}
			}
		}
	}
	t.Logf("%d operations, %d requests", len(all), asked)
}

// Who is blocked or waits is told so, whatever the role.
func TestRESTBlockedAndPendingUsersMayNothing(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	all := operations(t)
	for column, word := range map[string]string{"blocked": "user is blocked", "pending_approval": "user is pending approval"} {
		for _, role := range []string{"admin", "user", "billing_admin"} {
			p := c.Person(t, role)
			c.SQL(t, fmt.Sprintf("UPDATE users SET %s = true WHERE id = '%s'", column, p.ID))
			before := c.Written(t)
			for _, op := range all {
				want := "failed to validate user permissions: " + word
				if ownMatters[op.Name] || strings.HasPrefix(op.Name, "GET /api/groups") {
					want = word
				}
				if err := send(t, p.REST, op).Error(403, want); err != nil {
					t.Errorf("%s %s, %s: %v", column, role, op.Name, err)
				}
			}
			if what := c.WrittenSince(t, before); what != "" {
				t.Errorf("%s %s: something was written: %s", column, role, what)
			}
		}
	}
}

// Without credentials every operation asks for them, with bad ones it says so, and nothing is written.
func TestRESTEveryOperationNeedsCredentials(t *testing.T) {
	c := cluster(t)
	needsProcesses(t, c)
	before := c.Written(t)
	unknown := harness.NewREST(c.APIURL, harness.NewPAT(t))
	for _, op := range operations(t) {
		if err := send(t, anonymous(c), op).Error(401, "no valid authentication provided"); err != nil {
			t.Errorf("%s: %v", op.Name, err)
		}
		if err := send(t, unknown, op).Error(401, "token invalid"); err != nil {
			t.Errorf("%s: %v", op.Name, err)
		}
	}
	if what := c.WrittenSince(t, before); what != "" {
		t.Errorf("something was written: %s", what)
	}
}
