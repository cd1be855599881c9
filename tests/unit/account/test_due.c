/* Deadlines against a real server: who has one, when it moves, and that it is met once. */

#include "tests/support/test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "libcommon/account/peer/due.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/account/peer/replica.h"
#include "tests/support/account_pg.h"

#define LIFE_S 60

/* e1..e5 are ephemeral, u1..u5 are ann's, k1..k5 came by a key; nobody is connected. Both
 * expirations are on: a login lasts an hour, absence may last ten minutes. */
static int fresh(void **state)
{
    (void)state;
    pg_must(pg,
            "DELETE FROM account; DELETE FROM replica; DELETE FROM replica_watch;"
            "INSERT INTO replica_watch (since, beat) VALUES (now() - interval '1 hour', now());"
            "INSERT INTO account (id, created_by, network_id, net4, settings, onboarding) VALUES "
            "('acc', 'ann', 'n', '100.64.0.0/10', '{\"peer_login_expiration_enabled\": true, "
            "\"peer_login_expiration\": 3600, \"peer_inactivity_expiration_enabled\": true, "
            "\"peer_inactivity_expiration\": 600}', '{}');"
            "INSERT INTO users (id, account_id, role) VALUES ('ann', 'acc', 'owner');"
            "INSERT INTO peer (id, account_id, key, ip, dns_label, name, ephemeral, user_id, "
            "login_expiration_enabled, inactivity_expiration_enabled, last_login) "
            "SELECT l || n, 'acc', l || n, inet '100.64.0.0' + n + ascii(l) * 10, l || n, l || n, "
            "l = 'e', CASE l WHEN 'u' THEN 'ann' ELSE '' END, l = 'u', l = 'u', now() "
            "FROM generate_series(1, 5) n, unnest('{e,k,u}'::text[]) l;"
            "INSERT INTO peer_status (peer_id) SELECT id FROM peer");
    return 0;
}

static int64_t ask(const char *sql)
{
    return pg_ask(&fx, sql);
}

static void presence(const char *peer, int64_t session, bool connected)
{
    struct rk_peer_presence row = { .connected = connected, .session = session, .replica = "r" };
    struct rk_err err = { 0 };

    snprintf(row.peer_id, sizeof(row.peer_id), "%s", peer);
    assert_int_equal(rk_peer_store_presence(pg, &row, 1, LIFE_S, NULL, &err), 0);
}

struct tally {
    atomic_int n[RK_DUE_KINDS];
    _Atomic int64_t latest_us;
};

static void count(void *arg, enum rk_due_kind kind, int64_t late_us)
{
    struct tally *t = arg;

    atomic_fetch_add(&t->n[kind], 1);
    if (late_us > atomic_load(&t->latest_us))
        atomic_store(&t->latest_us, late_us);
}

/* One look; returns the milliseconds to the next. */
static int64_t look(struct rk_pg *on, struct tally *t, size_t *out_bells)
{
    const struct rk_due_params params = {
        .ephemeral_s = LIFE_S, .default_domain = "d.test", .on_acted = count, .arg = t
    };
    struct rk_due_report report;
    struct rk_err err = { 0 };

    if (rk_due_act(on, &params, &report, &err) < 0)
        fail_msg("%s", err.msg);
    if (out_bells)
        *out_bells = report.bells_n;
    free(report.bells);
    return report.next_ms;
}

/* As if that time had passed for everybody. */
#define PASS(seconds)                                                                              \
    pg_must(pg, "UPDATE due SET at = at - interval '" #seconds " s';"                              \
                "UPDATE peer_status SET last_seen = last_seen - interval '" #seconds " s';"        \
                "UPDATE peer SET last_login = last_login - interval '" #seconds " s'")

static void nothing_is_due_where_nothing_is_written(void **state)
{
    struct tally t = { 0 };
    size_t bells = 9;

    (void)state;
    assert_int_equal(look(pg, &t, &bells), -1);
    assert_int_equal(bells, 0);
}

static void an_ephemeral_peer_that_stays_away_is_deleted_once(void **state)
{
    struct tally t = { 0 };
    int64_t next;
    size_t bells;

    (void)state;
    pg_must(pg, "INSERT INTO policy (id, public_id, account_id, name, enabled) VALUES "
                "('pol', 'x', 'acc', 'for e1', true);"
                "INSERT INTO policy_rule (policy_id, position, id, enabled, action, protocol, "
                "bidirectional, source_resource_id, source_resource_type) VALUES ('pol', 0, 'pol', "
                "true, 'accept', 'all', true, 'e1', 'peer')");
    presence("e1", 1, true);
    presence("k1", 1, true);
    assert_int_equal(ask("SELECT count(*) FROM due"), 0);
    presence("e1", 1, false);
    presence("k1", 1, false); /* has no deadline */
    assert_int_equal(ask("SELECT count(*) FROM due WHERE kind = 'ephemeral' AND object_id = 'e1'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM due"), 1);
    next = look(pg, &t, &bells);
    assert_in_range(next, (LIFE_S - 10) * 1000, LIFE_S * 1000);
    assert_int_equal(bells, 0);
    PASS(60);
    assert_int_equal(look(pg, &t, &bells), -1);
    assert_int_equal(bells, 1);
    assert_int_equal(look(pg, &t, &bells), -1);
    assert_int_equal(bells, 0);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 1);
    assert_true(t.latest_us >= 0);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE id = 'e1'"), 0);
    assert_int_equal(ask("SELECT count(*) FROM peer"), 14);
    assert_int_equal(ask("SELECT count(*) FROM policy"), 0);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code = 'user.peer.delete' AND "
                         "initiator_id = 'sys' AND target_id = 'e1' AND meta->>'fqdn' = "
                         "'e1.d.test'"),
                     1);
    assert_int_equal(ask("SELECT serial FROM account"), 1);
    assert_int_equal(ask("SELECT count(*) FROM account_change WHERE kind IN ('peer', 'policy')"),
                     2);
}

static void a_peer_that_came_back_stays(void **state)
{
    struct tally t = { 0 };

    (void)state;
    presence("e1", 1, true);
    presence("e1", 1, false);
    presence("e1", 2, true);
    PASS(60);
    assert_int_equal(look(pg, &t, NULL), -1);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 0);
    assert_int_equal(ask("SELECT count(*) FROM peer"), 15);
    /* It has all of its life again when it goes. */
    presence("e1", 2, false);
    assert_in_range(look(pg, &t, NULL), (LIFE_S - 10) * 1000, LIFE_S * 1000);
}

static void one_that_was_away_twice_has_its_life_from_the_last_time(void **state)
{
    struct tally t = { 0 };

    (void)state;
    presence("e1", 1, true);
    presence("e1", 1, false);
    PASS(50);
    presence("e1", 2, true);
    presence("e1", 2, false);
    assert_in_range(look(pg, &t, NULL), (LIFE_S - 10) * 1000, LIFE_S * 1000);
    /* A row that comes too early goes along with the deadline. */
    pg_must(pg, "UPDATE due SET at = now() - interval '1 s'");
    assert_in_range(look(pg, &t, NULL), (LIFE_S - 10) * 1000, LIFE_S * 1000);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 0);
}

static void peers_of_a_dead_replica_have_their_deadlines(void **state)
{
    struct rk_err err = { 0 };
    struct tally t = { 0 };
    int64_t n = 0;

    (void)state;
    presence("e1", 1, true);
    presence("u1", 1, true);
    presence("k1", 1, true);
    assert_int_equal(rk_replica_sweep(pg, 20, LIFE_S, &n, &err), 0); /* "r" has never beaten */
    assert_int_equal(n, 3);
    assert_int_equal(ask("SELECT count(*) FROM due"), 3);
    assert_int_equal(ask("SELECT count(*) FROM due WHERE (kind, object_id) IN (('ephemeral', "
                         "'e1'), ('login', 'u1'), ('inactivity', 'u1'))"),
                     3);
    PASS(60);
    (void)look(pg, &t, NULL);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 1);
}

static void a_router_stays_until_its_network_has_another(void **state)
{
    struct tally t = { 0 };

    (void)state;
    pg_must(pg, "INSERT INTO network (id, public_id, account_id, name) VALUES ('net', 'x', 'acc', "
                "'n'); INSERT INTO network_router (id, public_id, account_id, network_id, peer_id, "
                "metric, masquerade, enabled) VALUES ('rt', 'y', 'acc', 'net', 'e1', 1, true, "
                "true)");
    presence("e1", 1, true);
    presence("e1", 1, false);
    PASS(60);
    assert_in_range(look(pg, &t, NULL), (LIFE_S - 10) * 1000, LIFE_S * 1000);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 0);
    pg_must(pg, "DELETE FROM network_router; UPDATE due SET at = now()");
    assert_int_equal(look(pg, &t, NULL), -1);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 1);
}

static void follow_account(void)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    struct rk_err err = { 0 };

    assert_int_equal(rk_change_begin(pg, "acc", &ch, &err), 0);
    assert_int_equal(rk_due_follow_account(ch, &err), 0);
    assert_int_equal(rk_change_commit(&ch, NULL, &err), 0);
}

#define SETTING(json) pg_must(pg, "UPDATE account SET settings = settings || '" json "'")

static void logins_expire_together_and_once(void **state)
{
    struct tally t = { 0 };
    size_t bells;

    (void)state;
    SETTING("{\"peer_inactivity_expiration_enabled\": false}");
    presence("u1", 1, true);
    follow_account();
    assert_int_equal(ask("SELECT count(*) FROM due WHERE kind = 'login'"), 5);
    assert_int_equal(ask("SELECT count(*) FROM due"), 5);
    assert_in_range(look(pg, &t, NULL), 3590 * 1000, 3600 * 1000);
    PASS(3600);
    pg_must(pg, "UPDATE peer SET last_login = now() WHERE id = 'u5'"); /* logged in again */
    assert_in_range(look(pg, &t, &bells), 3590 * 1000, 3600 * 1000);
    assert_int_equal(bells, 1);
    assert_int_equal(t.n[RK_DUE_LOGIN], 4);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE login_expired"), 4);
    assert_int_equal(ask("SELECT count(*) FROM peer_status WHERE connected"), 0);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code = 'peer.login.expire' AND "
                         "initiator_id = 'ann' AND meta->>'reason' <> ''"),
                     4);
    assert_int_equal(ask("SELECT serial FROM account"), 1);
    assert_int_equal(ask("SELECT count(*) FROM due"), 1);
    /* Flagged peers have no deadlines. */
    follow_account();
    assert_int_equal(ask("SELECT count(*) FROM due"), 1);
}

static void a_setting_that_goes_takes_the_deadline_along(void **state)
{
    struct tally t = { 0 };

    (void)state;
    follow_account();
    assert_int_equal(ask("SELECT count(*) FROM due"), 10);
    SETTING("{\"peer_login_expiration_enabled\": false}");
    pg_must(pg, "UPDATE peer SET inactivity_expiration_enabled = false WHERE id <> 'u1'");
    PASS(7200);
    assert_int_equal(look(pg, &t, NULL), -1);
    assert_int_equal(t.n[RK_DUE_LOGIN], 0);
    assert_int_equal(t.n[RK_DUE_INACTIVITY], 1);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE login_expired AND id = 'u1'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE login_expired"), 1);
}

static void a_shorter_setting_is_due_at_once(void **state)
{
    struct tally t = { 0 };

    (void)state;
    follow_account();
    pg_must(pg, "UPDATE peer SET last_login = now() - interval '90 s'");
    SETTING("{\"peer_login_expiration\": 80, \"peer_inactivity_expiration_enabled\": false}");
    follow_account();
    assert_int_equal(ask("SELECT count(*) FROM due WHERE kind = 'login' AND at < now() - interval "
                         "'5 s'"),
                     0); /* lateness counts from the change */
    (void)look(pg, &t, NULL);
    assert_int_equal(t.n[RK_DUE_LOGIN], 5);
}

static void one_flag_for_two_reasons(void **state)
{
    struct tally t = { 0 };

    (void)state;
    follow_account();
    PASS(7200);
    assert_int_equal(look(pg, &t, NULL), -1);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code = 'peer.login.expire'"), 5);
}

static void rows_of_peers_that_went_otherwise_go(void **state)
{
    const struct rk_actor actor = { .account_id = "acc", .default_domain = "d.test" };
    struct tally t = { 0 };
    struct rk_bell bell;
    struct rk_err err = { 0 };
    size_t bells;

    (void)state;
    follow_account();
    assert_int_equal(rk_peer_delete(pg, &actor, "u1", &bell, &err), 0);
    assert_int_equal(ask("SELECT count(*) FROM due WHERE object_id = 'u1'"), 0);
    pg_must(pg, "DELETE FROM due; INSERT INTO due VALUES ('login', 'nobody', 'acc', now())");
    assert_int_equal(look(pg, &t, &bells), -1);
    assert_int_equal(bells, 0);
}

/* Whoever writes a peer's status, or changes the account, goes first; the others' rows are done. */
static void what_others_hold_is_left_for_a_moment(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *other = rk_pg_new(fx.conninfo, "other");
    const struct rk_pg_stmt status = {
        "hold_status", "SELECT 1 FROM peer_status WHERE peer_id = 'e1' FOR UPDATE"
    };
    const struct rk_pg_stmt account = { "hold_account", "SELECT 1 FROM account FOR NO KEY UPDATE" };
    struct rk_pg_tx *tx = NULL;
    struct tally t = { 0 };
    struct rk_err err = { 0 };
    int64_t next;

    (void)state;
    for (int i = 1; i <= 3; i++) {
        char id[16];

        snprintf(id, sizeof(id), "e%d", i);
        presence(id, 1, true);
        presence(id, 1, false);
    }
    PASS(60);
    assert_int_equal(rk_pg_begin(other, RK_PG_READ_COMMITTED, &tx, &err), 0);
    assert_int_equal(rk_pg_run0(other, &status, NULL, &err), 0);
    next = look(pg, &t, NULL);
    assert_in_range(next, 1, 100);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 2);
    rk_pg_rollback(tx);

    pg_must(pg, "UPDATE due SET at = now()");
    assert_int_equal(rk_pg_begin(other, RK_PG_READ_COMMITTED, &tx, &err), 0);
    assert_int_equal(rk_pg_run0(other, &account, NULL, &err), 0);
    next = look(pg, &t, NULL);
    assert_in_range(next, 1, 100);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 2);
    rk_pg_rollback(tx);
    assert_int_equal(look(pg, &t, NULL), -1);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 3);
}

struct racer {
    pthread_t thread;
    struct tally *tally;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    rk_auto(rk_pg_free) struct rk_pg *own = rk_pg_new(fx.conninfo, "racer");

    while (look(own, r->tally, NULL) >= 0)
        fixture_pause();
    return NULL;
}

static void several_replicas_do_everything_once(void **state)
{
    struct tally t = { 0 };
    struct racer racers[4];

    (void)state;
    pg_must(pg, "INSERT INTO peer (id, account_id, key, ip, dns_label, name, ephemeral) SELECT "
                "'x' || n, 'acc', 'x' || n, inet '100.65.0.0' + n, 'x' || n, 'x' || n, true FROM "
                "generate_series(1, 3000) n;"
                "INSERT INTO peer_status (peer_id, last_seen) SELECT id, now() - interval '1 hour' "
                "FROM peer WHERE id LIKE 'x%';"
                "INSERT INTO due SELECT 'ephemeral', id, 'acc', now() FROM peer WHERE id LIKE "
                "'x%'");
    for (size_t i = 0; i < RK_COUNT(racers); i++) {
        racers[i].tally = &t;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < RK_COUNT(racers); i++)
        pthread_join(racers[i].thread, NULL);
    assert_int_equal(t.n[RK_DUE_EPHEMERAL], 3000);
    assert_int_equal(ask("SELECT count(*) FROM peer"), 15);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code = 'user.peer.delete'"), 3000);
    assert_int_equal(ask("SELECT count(DISTINCT target_id) FROM event"), 3000);
}

static void a_job_that_nobody_answers_fails(void **state)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    struct tally t = { 0 };
    struct rk_err err = { 0 };

    (void)state;
    pg_must(pg, "INSERT INTO peer_job (id, account_id, peer_id, status, triggered_by, workload) "
                "VALUES ('j1', 'acc', 'k1', 'pending', 'ann', '{}'), ('j2', 'acc', 'k2', "
                "'succeeded', 'ann', '{}')");
    assert_int_equal(rk_change_begin(pg, "acc", &ch, &err), 0);
    assert_int_equal(rk_due_put(ch, RK_DUE_JOB, "j1", 30, &err), 0);
    assert_int_equal(rk_due_put(ch, RK_DUE_JOB, "j2", 30, &err), 0);
    assert_int_equal(rk_change_commit(&ch, NULL, &err), 0);
    assert_in_range(look(pg, &t, NULL), 20 * 1000, 30 * 1000);
    PASS(30);
    assert_int_equal(look(pg, &t, NULL), -1);
    assert_int_equal(t.n[RK_DUE_JOB], 1);
    assert_int_equal(ask("SELECT count(*) FROM peer_job WHERE id = 'j1' AND status = 'failed' AND "
                         "failed_reason <> '' AND completed_at IS NOT NULL"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM peer_job WHERE status = 'succeeded'"), 1);
}

static void a_blocked_users_peers_are_flagged(void **state)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    struct rk_err err = { 0 };
    uint64_t serial = 0;

    (void)state;
    follow_account();
    assert_int_equal(rk_change_begin(pg, "acc", &ch, &err), 0);
    assert_int_equal(rk_peer_expire_user(ch, "ann", "d.test", "blocked owner account", &err), 0);
    assert_int_equal(rk_change_commit(&ch, &serial, &err), 0);
    assert_int_equal(serial, 1);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE login_expired"), 5);
    assert_int_equal(ask("SELECT count(*) FROM due"), 0);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE meta->>'reason' = 'blocked owner "
                         "account'"),
                     5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_due_where_nothing_is_written, fresh),
        cmocka_unit_test_setup(an_ephemeral_peer_that_stays_away_is_deleted_once, fresh),
        cmocka_unit_test_setup(a_peer_that_came_back_stays, fresh),
        cmocka_unit_test_setup(one_that_was_away_twice_has_its_life_from_the_last_time, fresh),
        cmocka_unit_test_setup(peers_of_a_dead_replica_have_their_deadlines, fresh),
        cmocka_unit_test_setup(a_router_stays_until_its_network_has_another, fresh),
        cmocka_unit_test_setup(logins_expire_together_and_once, fresh),
        cmocka_unit_test_setup(a_setting_that_goes_takes_the_deadline_along, fresh),
        cmocka_unit_test_setup(a_shorter_setting_is_due_at_once, fresh),
        cmocka_unit_test_setup(one_flag_for_two_reasons, fresh),
        cmocka_unit_test_setup(rows_of_peers_that_went_otherwise_go, fresh),
        cmocka_unit_test_setup(what_others_hold_is_left_for_a_moment, fresh),
        cmocka_unit_test_setup(several_replicas_do_everything_once, fresh),
        cmocka_unit_test_setup(a_job_that_nobody_answers_fails, fresh),
        cmocka_unit_test_setup(a_blocked_users_peers_are_flagged, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
