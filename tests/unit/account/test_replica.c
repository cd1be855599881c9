/* Replicas that live, that die, and that were only away, against a real server. */

#include "tests/support/test.h"

#include "libcommon/account/peer/due.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/account/peer/replica.h"
#include "libcommon/base/clock.h"
#include "tests/support/account_pg.h"

#define PEERS 6000

/* Peers p1, p2, ... that nobody is connected with. */
static int fresh(void **state)
{
    (void)state;
    pg_must(pg,
            "DELETE FROM account; DELETE FROM replica; DELETE FROM replica_watch;"
            "INSERT INTO replica_watch (since, beat) VALUES (now() - interval '1 hour', now());"
            "INSERT INTO account (id, created_by, network_id, net4, settings, onboarding) VALUES "
            "('acc', 'o', 'n', '100.64.0.0/10', '{}', '{}');"
            "INSERT INTO peer (id, account_id, key, ip, dns_label, name) SELECT 'p' || n, 'acc', "
            "'k' || n, inet '100.64.0.0' + n, 'p' || n, 'p' || n FROM generate_series(1, 6000) n;"
            "INSERT INTO peer_status (peer_id, last_seen) SELECT id, '2020-01-01' FROM peer");
    return 0;
}

static void connect_as(const char *replica, const char *peer, int64_t session, bool connected)
{
    struct rk_peer_presence row = { .connected = connected, .session = session };
    struct rk_err err = { 0 };

    snprintf(row.peer_id, sizeof(row.peer_id), "%s", peer);
    snprintf(row.replica, sizeof(row.replica), "%s", replica);
    assert_int_equal(rk_peer_store_presence(pg, &row, 1, RK_EPHEMERAL_LIFE_S, NULL, &err), 0);
}

static bool beat(const char *name)
{
    struct rk_err err = { 0 };
    struct rk_replica_beat b = { 0 };

    assert_int_equal(rk_replica_beat(pg, name, 20, &b, &err), 0);
    return b.lived;
}

static int64_t sweep(void)
{
    struct rk_err err = { 0 };
    int64_t n = -1;

    assert_int_equal(rk_replica_sweep(pg, 20, RK_EPHEMERAL_LIFE_S, &n, &err), 0);
    return n;
}

#define AGE(name, seconds)                                                                         \
    pg_must(pg,                                                                                    \
            "UPDATE replica SET beat = now() - interval '" #seconds " s' WHERE name = '" name "'")

static void a_beat_says_whether_the_last_one_was_in_time(void **state)
{
    (void)state;
    assert_false(beat("a"));
    assert_true(beat("a"));
    AGE("a", 19);
    assert_true(beat("a"));
    AGE("a", 21);
    assert_false(beat("a"));
    assert_true(beat("a"));
}

static void a_beat_tells_the_databases_clock(void **state)
{
    static const char now[] = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    struct rk_err err = { 0 };
    struct rk_replica_beat b;
    int64_t before = pg_ask(&fx, now), at;

    (void)state;
    assert_int_equal(rk_replica_beat(pg, "clock", 20, &b, &err), 0);
    at = (int64_t)(rk_mono_ns() / 1000) + b.ahead_us;
    assert_true(at >= before);
    assert_true(at <= pg_ask(&fx, now));
}

static void peers_of_a_dead_replica_are_no_longer_connected(void **state)
{
    (void)state;
    beat("alive");
    beat("dead");
    connect_as("alive", "p1", 1, true);
    connect_as("dead", "p2", 1, true);
    connect_as("dead", "p3", 1, true);
    connect_as("alive", "p3", 2, true); /* it went elsewhere in time */
    connect_as("unheard of", "p4", 1, true);
    pg_must(pg, "UPDATE peer_status SET last_seen = '2020-01-01'");
    AGE("dead", 19);
    assert_int_equal(sweep(), 1); /* p4 */
    AGE("dead", 21);
    assert_int_equal(sweep(), 1); /* p2 */
    assert_int_equal(sweep(), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer_status WHERE connected AND peer_id IN "
                                 "('p1', 'p3')"),
                     2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer_status WHERE connected"), 2);
    assert_int_equal(pg_ask(&fx,
                            "SELECT count(*) FROM peer_status WHERE peer_id = 'p2' AND last_seen > "
                            "now() - interval '1 minute' AND last_seen < now() - interval '20 s'"),
                     1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM replica WHERE name = 'dead'"), 1);
    AGE("dead", 41);
    assert_int_equal(sweep(), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM replica WHERE name = 'dead'"), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM replica WHERE name = 'alive'"), 1);
}

static void a_replica_that_was_only_away_says_it_again(void **state)
{
    (void)state;
    beat("slow");
    connect_as("slow", "p1", 7, true);
    connect_as("slow", "p2", 7, true);
    AGE("slow", 30);
    assert_int_equal(sweep(), 2);
    connect_as("other", "p2", 8, true);
    assert_false(beat("slow"));
    connect_as("slow", "p1", 7, true);
    connect_as("slow", "p2", 7, true); /* has a newer stream by now */
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer_status WHERE connected AND replica = 'slow'"), 1);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer_status WHERE connected AND replica = 'other'"), 1);
    /* The end of the session that was said twice is its end. */
    connect_as("slow", "p1", 7, false);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer_status WHERE connected"), 1);
}

/* Nobody has beaten for `silent` seconds, before that without a gap for an hour. */
#define SILENCE(silent)                                                                            \
    pg_must(pg, "UPDATE replica SET beat = now() - interval '" #silent " s';"                      \
                "UPDATE replica_watch SET since = now() - interval '1 hour', "                     \
                "beat = now() - interval '" #silent " s'")
/* As if it had been so for that long. */
#define TIME_GOES_BY(seconds)                                                                      \
    pg_must(pg, "UPDATE replica SET beat = beat - interval '" #seconds " s';"                      \
                "UPDATE replica_watch SET since = since - interval '" #seconds " s', "             \
                "beat = beat - interval '" #seconds " s'")

static void one_that_has_just_started_judges_by_what_others_have_seen(void **state)
{
    (void)state;
    beat("a");
    beat("dead");
    connect_as("dead", "p1", 1, true);
    TIME_GOES_BY(7);
    beat("b"); /* a is dead by now, too */
    TIME_GOES_BY(7);
    beat("c");
    assert_int_equal(sweep(), 0);
    TIME_GOES_BY(7);
    assert_false(beat("d"));
    assert_int_equal(sweep(), 1);
}

static void who_could_not_beat_gets_the_time_to(void **state)
{
    (void)state;
    beat("a");
    beat("slow");
    beat("dead");
    connect_as("slow", "p1", 1, true);
    connect_as("dead", "p2", 1, true);
    SILENCE(60); /* Postgres was away */
    assert_int_equal(sweep(), 0);
    beat("a");
    assert_int_equal(sweep(), 0);
    TIME_GOES_BY(9);
    beat("a");
    assert_int_equal(sweep(), 0);
    beat("slow");
    TIME_GOES_BY(9);
    beat("a");
    assert_int_equal(sweep(), 0);
    TIME_GOES_BY(3);
    assert_int_equal(sweep(), 1);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer_status WHERE connected AND replica = 'slow'"), 1);
}

static void a_silence_of_all_is_noticed_before_anybody_has_beaten_again(void **state)
{
    (void)state;
    beat("a");
    connect_as("a", "p1", 1, true);
    SILENCE(21); /* everybody slept between beat and sweep */
    assert_int_equal(sweep(), 0);
    SILENCE(9);
    AGE("a", 21);
    assert_int_equal(sweep(), 1);
}

static void a_clock_that_was_set_back_puts_it_off(void **state)
{
    (void)state;
    beat("dead");
    connect_as("dead", "p1", 1, true);
    AGE("dead", 21);
    pg_must(pg, "UPDATE replica_watch SET since = now() + interval '50 minutes', "
                "beat = now() + interval '1 hour'");
    beat("a");
    assert_int_equal(sweep(), 0);
    TIME_GOES_BY(9);
    beat("a");
    TIME_GOES_BY(9);
    beat("a");
    TIME_GOES_BY(3);
    assert_int_equal(sweep(), 1);
}

static void beats_that_come_nearly_together_are_noted_once(void **state)
{
    int64_t was;

    (void)state;
    pg_must(pg, "DELETE FROM replica_watch");
    beat("a");
    was = pg_ask(&fx, "SELECT xmin::text FROM replica_watch");
    beat("b");
    assert_int_equal(pg_ask(&fx, "SELECT xmin::text FROM replica_watch"), was);
    TIME_GOES_BY(2);
    beat("b");
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM replica_watch WHERE beat > now() - interval '1 s' AND "
                    "since < now() - interval '1 s'"),
        1);
}

static void many_peers_are_swept_in_batches_and_past_locked_rows(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *other = rk_pg_new(fx.conninfo, "other");
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    const struct rk_pg_stmt lock = { "lock", "SELECT 1 FROM peer_status WHERE peer_id IN ('p1', "
                                             "'p2') FOR UPDATE" };
    struct rk_err err = { 0 };

    (void)state;
    pg_must(pg, "UPDATE peer_status SET connected = true, replica = 'dead'");
    assert_int_equal(rk_pg_begin(other, RK_PG_READ_COMMITTED, &tx, &err), 0);
    assert_int_equal(rk_pg_run0(other, &lock, NULL, &err), 0);
    assert_int_equal(sweep(), PEERS - 2); /* more than one batch */
    assert_int_equal(sweep(), 0);
    rk_pg_rollback(rk_steal(tx));
    assert_int_equal(sweep(), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_beat_says_whether_the_last_one_was_in_time, fresh),
        cmocka_unit_test_setup(a_beat_tells_the_databases_clock, fresh),
        cmocka_unit_test_setup(peers_of_a_dead_replica_are_no_longer_connected, fresh),
        cmocka_unit_test_setup(a_replica_that_was_only_away_says_it_again, fresh),
        cmocka_unit_test_setup(one_that_has_just_started_judges_by_what_others_have_seen, fresh),
        cmocka_unit_test_setup(who_could_not_beat_gets_the_time_to, fresh),
        cmocka_unit_test_setup(a_silence_of_all_is_noticed_before_anybody_has_beaten_again, fresh),
        cmocka_unit_test_setup(a_clock_that_was_set_back_puts_it_off, fresh),
        cmocka_unit_test_setup(beats_that_come_nearly_together_are_noted_once, fresh),
        cmocka_unit_test_setup(many_peers_are_swept_in_batches_and_past_locked_rows, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
