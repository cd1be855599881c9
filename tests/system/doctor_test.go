package system

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rookery.test/system/harness"
)

// amiss are the findings that are not ok, one a line.
func amiss(all []harness.Finding) string {
	var lines []string
	for _, f := range all {
		if f.Status != "ok" {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s. To do: %s", f.Status, f.Check, f.Subject, f.Detail, f.ToDo))
		}
	}
	return strings.Join(lines, "\n")
}

func TestDoctor(t *testing.T) {
	c := own(t)
	front := []string{"--management", c.ManagementURL}

	all, code := c.Doctor(t, nil, front...)
	if text := amiss(all); text != "" || code != 0 {
		t.Fatalf("of a healthy cluster, status %d:\n%s", code, text)
	}
	seen := map[string]int{}
	for _, f := range all {
		seen[f.Check]++
	}
	for check, n := range map[string]int{"postgres": 1, "database": 1, "schema": 1, "secret key": 1, "replicas": 1, "redis": 1,
		"clock": 2, "replica": 10, "convergence": 2, "management": 1, "signal": 1, "relay": 2, "stun": 2, "keys": 1, "builds": 1} {
		if seen[check] != n {
			t.Errorf("%d lines about %s, not %d", seen[check], check, n)
		}
	}

	// A relay that registers is visited, and missed when it has died.
	at := fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))
	relay := c.Sibling(t, "relay-1", map[string]string{"listen": at, "exposed_url": "rel://" + at, "management_url": c.FrontURL})
	counts(t, relay.Admin, "rookery_edge_registered", 1, time.Minute)
	says := func(check, status, subject, detail string) error {
		all, _ := c.Doctor(t, nil, front...)
		for _, f := range all {
			if f.Check == check && f.Status == status && f.Subject == subject && strings.Contains(f.Detail, detail) {
				return nil
			}
		}
		return fmt.Errorf("no %q about %s %s with %q among %v", status, check, subject, detail, all)
	}
	if err := says("relay", "ok", "rel://"+at, "takes our credential"); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(relay.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Minute, "the doctor misses the relay", func() error { return says("registered", "warn", "", "rel://"+at) })
	c.SQL(t, "DELETE FROM edge")

	key := make([]byte, 32)
	_, _ = rand.Read(key)
	schema, err := strconv.Atoi(c.SQL(t, "SELECT max(version) FROM schema_migration"))
	if err != nil {
		t.Fatal(err)
	}
	row := c.SQL(t, "SELECT quote_literal(name) FROM schema_migration ORDER BY version DESC LIMIT 1")
	expired := harness.ExpiredServer(t)
	for _, f := range []struct {
		name                  string
		before, after         func()
		env, options          []string
		check, status, advice string
		code                  int
	}{
		{name: "secret key of another deployment", env: []string{"ROOKERY_SECRET_KEY=" + base64.StdEncoding.EncodeToString(key)},
			check: "secret key", status: "fail", advice: "use the secret_key that this database began with", code: 2},
		{name: "STUN URL that leads nowhere", env: []string{"ROOKERY_STUN_URLS=stun:127.0.0.1:9"},
			check: "stun", status: "fail", advice: "open its UDP port", code: 2},
		{name: "certificate that has expired", options: []string{"--management", expired.URL, "--ca", expired.CAFile},
			check: "certificate", status: "fail", advice: "put a new one into the files", code: 2},
		{name: "replica that has stopped beating",
			before: func() {
				c.SQL(t, "INSERT INTO replica VALUES ('gone/1', clock_timestamp() - interval '25 s')")
			},
			after: func() { c.SQLAfter("DELETE FROM replica WHERE name = 'gone/1'") },
			check: "replicas", status: "warn", advice: "see whether it still runs", code: 1},
		{name: "older schema",
			before: func() { c.SQL(t, fmt.Sprintf("DELETE FROM schema_migration WHERE version = %d", schema)) },
			after: func() {
				c.SQLAfter(fmt.Sprintf("INSERT INTO schema_migration (version, name) VALUES (%d, %s)", schema, row))
			},
			check: "schema", status: "fail", advice: "start a management or dashboard-api of this build", code: 2},
		{name: "no Redis", before: func() { c.Kill(t, "redis") }, check: "redis", status: "fail", advice: "start it", code: 2},
	} {
		t.Run(f.name, func(t *testing.T) {
			if f.before != nil {
				f.before()
			}
			if f.after != nil {
				defer f.after()
			}
			options := f.options
			if options == nil {
				options = front
			}
			all, code := c.Doctor(t, f.env, options...)
			for _, x := range all {
				if x.Check == f.check && x.Status == f.status && strings.Contains(x.ToDo, f.advice) && code == f.code {
					return
				}
			}
			t.Errorf("status %d, no %q about %s that says %q among:\n%s", code, f.status, f.check, f.advice, amiss(all))
		})
	}
}
