package harness

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewPAT makes a well-formed personal access token.
func NewPAT(t testing.TB) string {
	t.Helper()
	secret := make([]byte, 30)
	for i := range secret {
		n, err := rand.Int(rand.Reader, big.NewInt(62))
		if err != nil {
			t.Fatal(err)
		}
		secret[i] = base62[n.Int64()]
	}
	sum := make([]byte, 6)
	for i, left := 5, crc32.ChecksumIEEE(secret); i >= 0; i, left = i-1, left/62 {
		sum[i] = base62[left%62]
	}
	return "nbp_" + string(secret) + string(sum)
}

// User is somebody of the account, with a token.
type User struct {
	*REST
	ID string
}

// Person makes a user of that role who is no service user, and hands out a token that it could only have made by itself.
// It goes with the test.
func (c *Cluster) Person(t testing.TB, role string) *User { return c.user(t, role, false) }

// Robot makes a service user of that role, with a token. It goes with the test.
func (c *Cluster) Robot(t testing.TB, role string) *User { return c.user(t, role, true) }

func (c *Cluster) user(t testing.TB, role string, service bool) *User {
	t.Helper()
	name := fmt.Sprintf("%s-%d-%d", role, time.Now().UnixNano(), spaces.Add(1))
	body := map[string]any{"role": role, "auto_groups": []string{}, "is_service_user": service, "name": name}
	if !service {
		body["email"] = name + "@x.test"
	}
	var made struct{ ID string }
	owner := c.REST()
	owner.Want(t, 200, "POST", "/api/users", body, &made)
	t.Cleanup(func() { _, _ = owner.Try(context.Background(), "DELETE", "/api/users/"+made.ID, nil) })
	return &User{NewREST(c.APIURL, c.grant(t, made.ID)), made.ID}
}

// As acts as a user that exists already.
func (c *Cluster) As(t testing.TB, user string) *User {
	t.Helper()
	return &User{NewREST(c.APIURL, c.grant(t, user)), user}
}

// grant gives a user a token, straight in the database.
func (c *Cluster) grant(t testing.TB, user string) string {
	t.Helper()
	token := NewPAT(t)
	hash := sha256.Sum256([]byte(token))
	c.SQL(t, fmt.Sprintf(`INSERT INTO pat (id, account_id, user_id, name, hash, created_by, expires_at)
		SELECT substr(md5(random()::text), 1, 20), account_id, id, 'test', '%s', id, now() + interval '1 day' FROM users WHERE id = '%s'`,
		base64.StdEncoding.EncodeToString(hash[:]), user))
	return token
}

// Written is a fingerprint of everything that is stored, a line for each table, but for what is noted while reading and by the
// processes' own life.
func (c *Cluster) Written(t testing.TB) string {
	t.Helper()
	tables := strings.Fields(c.SQL(t, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND
		table_name NOT IN ('peer_status', 'account_presence', 'edge', 'replica', 'replica_watch', 'secret', 'signing_key', 'schema_migration', 'due', 'rate_bucket') ORDER BY 1`))
	var parts []string
	for _, table := range tables {
		from := table
		switch table {
		case "pat": // when it was used is noted while reading
			from = "(SELECT id, user_id, name, hash FROM pat)"
		case "event": // a run of tests makes it long: every row that comes or goes is seen by this too
			from = "(SELECT count(*), max(id) FROM event)"
		}
		parts = append(parts, fmt.Sprintf("SELECT '%s ' || coalesce(md5(string_agg(x::text, ',' ORDER BY x::text)), '') AS m FROM %s x", table, from))
	}
	return c.SQL(t, "SELECT string_agg(m, E'\n' ORDER BY m) FROM ("+strings.Join(parts, " UNION ALL ")+") y")
}

// WrittenSince names the tables whose fingerprints are others now.
func (c *Cluster) WrittenSince(t testing.TB, before string) string {
	t.Helper()
	was := strings.Split(before, "\n")
	var changed []string
	for _, line := range strings.Split(c.Written(t), "\n") {
		if !slices.Contains(was, line) {
			table, _, _ := strings.Cut(line, " ")
			changed = append(changed, table)
		}
	}
	return strings.Join(changed, ", ")
}
