package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netbirdio/netbird/shared/management/http/api"
	"rookery.test/system/harness"
)

// The schema of the next release, which adds to every table: this release's programs that run go on, others of it start, and all
// of them do what they do. One that says it is not for them is refused.
func TestOlderPrograms(t *testing.T) {
	t.Parallel()
	c := own(t)
	s := c.Space(t)
	works := func(when, management string, rest *harness.REST) {
		t.Helper()
		b := harness.NewBare(t, management, s.Name+"-"+when)
		b.Login(t, s.Key)
		stream := b.Sync(t)
		first := stream.Next(t, harness.CallLimit).GetNetworkMap().GetSerial()
		var group api.Group
		rest.Want(t, 200, "POST", "/api/groups", api.GroupRequest{Name: s.Name + "-" + when, Peers: &[]string{s.PeerID(t, b.Meta.Hostname)}}, &group)
		s.Allow(t, group.Id, group.Id, "tcp", true)
		other := harness.NewBare(t, management, s.Name+"-other-"+when)
		other.Login(t, s.Key)
		if m := stream.Next(t, harness.CallLimit).GetNetworkMap(); m.GetSerial() <= first {
			t.Errorf("%s: serial %d after %d", when, m.GetSerial(), first)
		}
	}
	running := c.REST()
	works("before", front(t, c), running)
	c.SQL(t, `DO $$ DECLARE t text; BEGIN
		FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
			EXECUTE format('ALTER TABLE %I ADD COLUMN of_the_next_release text NOT NULL DEFAULT ''new''', t);
		END LOOP; END $$`)
	c.SQL(t, `INSERT INTO schema_migration (version, name, serves) SELECT max(version) + 1, 'of the next release', max(version) FROM schema_migration`)
	works("running", front(t, c), running)
	m := c.Sibling(t, "management-1", nil)
	works("started", m.Listen, harness.NewREST("http://"+c.Sibling(t, "dashboard-api-1", nil).Listen, c.Token))
	for _, command := range []string{"edges", "migrate"} {
		if out, ok := c.Command(t, "dashboard-api-1", nil, command); !ok {
			t.Errorf("%s: %s", command, out)
		}
	}
	c.SQL(t, `UPDATE schema_migration SET serves = version WHERE name = 'of the next release'`)
	known := c.SQL(t, `SELECT max(version) - 1 FROM schema_migration`)
	out, ok := c.Command(t, "dashboard-api-1", nil, "migrate")
	if want := fmt.Sprintf("this one knows %s: run a newer one", strings.TrimSpace(known)); ok || !strings.Contains(out, want) {
		t.Errorf("a schema that is not for it: %v %s", ok, out)
	}
}

// The schema is made before there is any replica, and once.
func TestMigrateAlone(t *testing.T) {
	c := cluster(t)
	c.AdminSQL(t, "CREATE DATABASE afresh OWNER rookery")
	t.Cleanup(func() { c.SQLAfter("DROP DATABASE afresh") })
	settings := map[string]string{"postgres": strings.ReplaceAll(c.Postgres, "dbname=rookery", "dbname=afresh")}
	for range 2 {
		if out, ok := c.Command(t, "dashboard-api-1", settings, "migrate"); !ok {
			t.Fatalf("migrate: %s", out)
		}
	}
	afresh := *c
	afresh.Postgres = settings["postgres"]
	const versions = "SELECT count(*), max(version) FROM schema_migration"
	if got, want := afresh.SQL(t, versions), c.SQL(t, versions); got != want {
		t.Errorf("migrations: %s, and with replicas: %s", got, want)
	}
}
