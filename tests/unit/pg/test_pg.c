/* One connection against a real server: values there and back, errors by class, loss and return. */

#include "tests/support/test.h"

#include "libcommon/pg/migrate.h"
#include "libcommon/pg/pg.h"
#include "libcommon/pg/pg_int.h"
#include "tests/support/pg_fixture.h"

#include <pthread.h>

static void values_come_back_as_they_went(void **state)
{
    static const struct rk_pg_stmt echo = {
        "echo", "SELECT $1::text, $2::bigint, $3::bool, $4::timestamptz, $5::bytea, $6::text[], "
                "$7::text, $8::timestamptz, '{}'::text[]"
    };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const struct rk_str items[] = { RK_STR("a,b"), RK_STR("q\"\\}"), RK_STR(""), RK_STR("NULL"),
                                    RK_STR("\xc3\xa9") };
    const uint8_t bytes[] = { 0, 1, 0xff, 0x5c };
    struct rk_err err = { 0 };
    struct rk_str *got = NULL;
    uint8_t *got_bytes = NULL;
    size_t n = 0, i;

    (void)state;
    assert_int_equal(rk_pg_run(c, &echo, &res, &err, RK_P_C("it's $1 \\"), RK_P_INT(INT64_MIN + 1),
                               RK_P_BOOL(true), RK_P_TIME(1767225600123456),
                               RK_P_BYTEA(rk_strn(bytes, sizeof(bytes))),
                               RK_P_ARRAY(items, RK_COUNT(items)), RK_P_NULL,
                               RK_P_TIME(RK_TIME_UNSET)),
                     0);
    assert_int_equal(rk_pg_rows(res), 1);
    assert_string_equal(rk_pg_str(res, 0, 0).p, "it's $1 \\");
    assert_true(rk_pg_int(res, 0, 1) == INT64_MIN + 1);
    assert_true(rk_pg_bool(res, 0, 2));
    assert_true(rk_pg_time(res, 0, 3) == 1767225600123456);
    rk_pg_bytea(res, 0, 4, &got_bytes, &n);
    assert_int_equal(n, sizeof(bytes));
    assert_memory_equal(got_bytes, bytes, n);
    free(got_bytes);
    rk_pg_array(res, 0, 5, &got, &n);
    assert_int_equal(n, RK_COUNT(items));
    for (i = 0; i < n; i++)
        assert_true(rk_str_eq(got[i], items[i]));
    free(got);
    assert_true(rk_pg_null(res, 0, 6));
    assert_true(rk_pg_time(res, 0, 7) == RK_TIME_UNSET);
    rk_pg_array(res, 0, 8, &got, &n);
    assert_null(got);
    assert_int_equal(n, 0);
}

static void who_plans_once_never_plans_for_a_value(void **state)
{
    static const struct rk_pg_stmt st = { "plan", "SELECT count(*) FROM pg_class WHERE relname = "
                                                  "$1" };
    static const struct rk_pg_stmt plans = {
        "plans", "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement "
                 "LIKE '%FROM pg_class%' AND statement NOT LIKE '%prepared%'"
    };

    (void)state;
    for (int once = 0; once <= 1; once++) {
        rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
        rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
        struct rk_err err = { 0 };

        if (once)
            rk_pg_plan_once(c);
        for (int i = 0; i < 3; i++)
            assert_int_equal(rk_pg_run(c, &st, NULL, &err, RK_P_C("pg_class")), 0);
        assert_int_equal(rk_pg_run0(c, &plans, &res, &err), 0);
        assert_int_equal(rk_pg_rows(res), 1);
        assert_int_equal(rk_pg_int(res, 0, 0), once ? 0 : 3);
        assert_int_equal(rk_pg_int(res, 0, 1), once ? 3 : 0);
    }
}

/* A table of one row is read faster without its index; the plan is still there when it has a
 * million. */
static void a_small_table_is_not_read_whole(void **state)
{
    static const struct rk_pg_stmt find = { "grows", "EXPLAIN SELECT v FROM grows WHERE k = '7'" };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    rk_auto(rk_pg_result_free) struct rk_pg_result *plan = NULL;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_pg_script(c,
                                  "CREATE TABLE grows (k text PRIMARY KEY, v text);"
                                  "INSERT INTO grows VALUES ('7', 'seven');"
                                  "ANALYZE grows",
                                  &err),
                     0);
    assert_int_equal(rk_pg_run0(c, &find, &plan, &err), 0);
    assert_non_null(strstr(rk_pg_str(plan, 0, 0).p, "Index Scan"));
}

static void a_nul_in_text_is_refused_before_the_server(void **state)
{
    static const struct rk_pg_stmt st = { "nul", "SELECT $1::text" };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");

    (void)state;
    assert_int_equal(rk_pg_run(c, &st, NULL, NULL, RK_P_STR(RK_STR("a\0b"))), RK_INVALID);
    assert_int_equal(rk_pg_run(c, &st, NULL, NULL, RK_P_C("ab")), 0);
}

static void errors_carry_their_class(void **state)
{
    static const struct rk_pg_stmt twice = { "twice", "INSERT INTO one VALUES (1)" };
    static const struct rk_pg_stmt orphan = { "orphan", "INSERT INTO two VALUES (7)" };
    static const struct rk_pg_stmt broken = { "broken", "SELEC 1" };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_pg_script(c,
                                  "CREATE TABLE one (id int CONSTRAINT one_id PRIMARY KEY);"
                                  "CREATE TABLE two (id int REFERENCES one)",
                                  &err),
                     0);
    assert_int_equal(rk_pg_run0(c, &twice, NULL, &err), 0);
    assert_int_equal(rk_pg_run0(c, &twice, NULL, &err), RK_EXISTS);
    assert_string_equal(err.msg, "one_id");
    assert_int_equal(rk_pg_run0(c, &orphan, NULL, &err), RK_NOT_FOUND);
    assert_int_equal(rk_pg_run0(c, &broken, NULL, &err), RK_INTERNAL);
}

static void an_unfinished_transaction_leaves_nothing(void **state)
{
    static const struct rk_pg_stmt count = { "count", "SELECT count(*) FROM kept" };
    static const struct rk_pg_stmt add = { "add", "INSERT INTO kept VALUES (1)" };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_pg_script(c, "CREATE TABLE kept (id int PRIMARY KEY)", &err), 0);
    {
        rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;

        assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
        assert_int_equal(rk_pg_run0(c, &add, NULL, &err), 0);
    }
    {
        rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;

        /* A failed statement spoils the transaction: commit says so instead of doing nothing. */
        assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
        assert_int_equal(rk_pg_run0(c, &add, NULL, &err), 0);
        assert_int_equal(rk_pg_run0(c, &add, NULL, &err), RK_EXISTS);
        assert_int_equal(rk_pg_commit(&tx, &err), RK_INTERNAL);
        assert_null(tx);
    }
    assert_int_equal(rk_pg_run0(c, &count, &res, &err), 0);
    assert_int_equal(rk_pg_int(res, 0, 0), 0);
}

static void what_is_queued_travels_with_the_next_answer(void **state)
{
    static const struct rk_pg_stmt add = { "queue_add", "INSERT INTO queued VALUES ($1::int)" };
    static const struct rk_pg_stmt more = { "queue_more",
                                            "INSERT INTO queued VALUES ($1::int) RETURNING id" };
    static const struct rk_pg_stmt count = { "queue_count", "SELECT count(*) FROM queued" };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL, *seen = NULL, *left = NULL;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_pg_script(c, "CREATE TABLE queued (id int PRIMARY KEY)", &err), 0);
    for (int round = 0; round < 2; round++) { /* the second with everything prepared */
        rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;

        assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
        for (int i = 0; i < 100; i++) /* more than one queue holds */
            assert_int_equal(rk_pg_later(c, &add, NULL, &err, RK_P_INT(1000 * round + i)), 0);
        rk_pg_result_free(rk_steal(res));
        rk_pg_result_free(rk_steal(seen));
        assert_int_equal(rk_pg_later(c, &more, &res, &err, RK_P_INT(1000 * round + 500)), 0);
        assert_int_equal(rk_pg_run0(c, &count, &seen, &err), 0);
        assert_int_equal(rk_pg_int(res, 0, 0), 1000 * round + 500);
        assert_int_equal(rk_pg_int(seen, 0, 0), 101 + 102 * round);
        assert_int_equal(rk_pg_later(c, &add, NULL, &err, RK_P_INT(1000 * round + 501)), 0);
        assert_int_equal(rk_pg_commit(&tx, &err), 0);
    }
    /* What a queued statement broke is told by the next one, or by commit; nothing stays. */
    for (int at_commit = 0; at_commit < 2; at_commit++) {
        rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;

        assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
        assert_int_equal(rk_pg_later(c, &add, NULL, &err, RK_P_INT(7000)), 0);
        assert_int_equal(rk_pg_later(c, &add, NULL, &err, RK_P_INT(500)), 0);
        assert_int_equal(rk_pg_later(c, &add, NULL, &err, RK_P_INT(7001)), 0);
        assert_int_equal(at_commit ? rk_pg_commit(&tx, &err) : rk_pg_run0(c, &count, NULL, &err),
                         RK_EXISTS);
        assert_string_equal(err.msg, "queued_pkey");
    }
    {
        rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;

        assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
        assert_int_equal(rk_pg_later(c, &add, NULL, &err, RK_P_INT(7002)), 0);
    }
    {
        struct rk_pg_tx *tx = NULL;
        struct rk_pg_result *unread = NULL;

        /* After a rollback nobody may be there any more to take an answer. */
        assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
        assert_int_equal(rk_pg_later(c, &more, &unread, &err, RK_P_INT(7003)), 0);
        rk_pg_rollback(tx);
        assert_null(unread);
    }
    assert_int_equal(rk_pg_run0(c, &count, &left, &err), 0);
    assert_int_equal(rk_pg_int(left, 0, 0), 2 * 102);
}

struct guard {
    struct rk_pg *c;
    unsigned asked;
    int answer;
};

/* Reads in a transaction of its own, as a whole picture would. */
static int guard(void *arg, struct rk_err *err)
{
    static const struct rk_pg_stmt seen = { "guard_seen", "SELECT count(*) FROM guarded" };
    struct guard *g = arg;
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    g->asked++;
    assert_int_equal(rk_pg_begin(g->c, RK_PG_REPEATABLE_READ_ONLY, &tx, err), 0);
    assert_int_equal(rk_pg_run0(g->c, &seen, &res, err), 0);
    assert_int_equal(rk_pg_int(res, 0, 0), 1); /* what the open transaction has done */
    return g->answer < 0 ? rk_fail(err, g->answer, "not now") : 0;
}

static void a_guard_reads_inside_the_transaction_and_may_end_it(void **state)
{
    static const struct rk_pg_stmt add = { "guard_add", "INSERT INTO guarded VALUES (1)" };
    static const struct rk_pg_stmt take = { "guard_take", "DELETE FROM guarded" };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    struct guard g = { .c = c };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_pg_script(c, "CREATE TABLE guarded (x int)", &err), 0);
    assert_int_equal(rk_pg_ask_guard(c, &err), 0);
    rk_pg_guard(c, guard, &g);
    for (unsigned i = 0; i < 2; i++) {
        struct rk_pg_tx *tx = NULL;

        g.answer = i == 0 ? RK_PRECONDITION : 0;
        assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
        assert_int_equal(rk_pg_run0(c, &add, NULL, &err), 0);
        assert_int_equal(rk_pg_ask_guard(c, &err), g.answer);
        assert_int_equal(g.asked, i + 1);
        if (i == 0) {
            assert_string_equal(err.msg, "not now");
            rk_pg_rollback(tx);
        } else {
            /* The guard's transaction has ended nothing of ours. */
            assert_int_equal(rk_pg_commit(&tx, &err), 0);
        }
    }
    rk_pg_guard(c, NULL, NULL);
    assert_int_equal(rk_pg_ask_guard(c, &err), 0);
    assert_int_equal(g.asked, 2);
    assert_int_equal(rk_pg_run0(c, &take, NULL, &err), 0);
}

static void terminate_all(struct rk_pg *by)
{
    static const struct rk_pg_stmt kill_all = {
        "kill_all", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'victim'"
    };
    static const struct rk_pg_stmt left = {
        "left", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'victim'"
    };
    bool gone = false;

    assert_int_equal(rk_pg_run0(by, &kill_all, NULL, NULL), 0);
    while (!gone) {
        rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

        assert_int_equal(rk_pg_run0(by, &left, &res, NULL), 0);
        gone = rk_pg_int(res, 0, 0) == 0;
    }
}

static void a_killed_connection_is_unavailable_inside_a_transaction_and_recovers(void **state)
{
    static const struct rk_pg_stmt one = { "one", "SELECT 1" };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "victim");
    rk_auto(rk_pg_free) struct rk_pg *killer = rk_pg_new(fx.conninfo, "killer");
    struct rk_err err = { 0 };

    (void)state;
    {
        rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;

        assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
        assert_int_equal(rk_pg_run0(c, &one, NULL, &err), 0);
        terminate_all(killer);
        assert_int_equal(rk_pg_run0(c, &one, NULL, &err), RK_UNAVAILABLE);
        /* No silent reconnect in the middle: the second half alone must not be written. */
        assert_int_equal(rk_pg_run0(c, &one, NULL, &err), RK_UNAVAILABLE);
        assert_int_equal(rk_pg_commit(&tx, &err), RK_UNAVAILABLE);
    }
    assert_int_equal(rk_pg_run0(c, &one, NULL, &err), 0);
    /* Killed while idle: nobody notices, prepared statements included. */
    terminate_all(killer);
    assert_int_equal(rk_pg_run0(c, &one, NULL, &err), 0);
}

static void a_dead_server_costs_nothing_but_the_error_and_comes_back(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    struct rk_err err = { 0 };
    uint64_t began;
    int i, r = -1;

    (void)state;
    assert_int_equal(rk_pg_ping(c, &err), 0);
    fixture_stop_postgres(&fx);
    began = rk_mono_ms();
    for (i = 0; i < 1000; i++)
        assert_int_equal(rk_pg_ping(c, &err), RK_UNAVAILABLE);
    assert_true(rk_mono_ms() - began < 2000);
    assert_true(fixture_start_postgres(&fx));
    began = rk_mono_ms();
    while (r < 0 && rk_mono_ms() - began < 5000) {
        r = rk_pg_ping(c, &err);
        fixture_pause();
    }
    assert_int_equal(r, 0);
}

static void a_frozen_server_is_given_up(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "victim");
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    static const struct rk_pg_stmt pid = { "pid", "SELECT pg_backend_pid()" };
    struct rk_err err = { 0 };
    uint64_t began;
    pid_t backend;

    (void)state;
    assert_int_equal(rk_pg_set_timeout(c, 200, &err), 0);
    assert_int_equal(rk_pg_run0(c, &pid, &res, &err), 0);
    backend = (pid_t)rk_pg_int(res, 0, 0);
    assert_int_equal(kill(backend, SIGSTOP), 0);
    began = rk_mono_ms();
    assert_int_equal(rk_pg_run0(c, &pid, NULL, &err), RK_UNAVAILABLE);
    assert_true(rk_mono_ms() - began < 5000);
    kill(backend, SIGCONT);
    assert_int_equal(rk_pg_ping(c, &err), 0);
}

static void a_long_statement_is_cut_by_the_server(void **state)
{
    static const struct rk_pg_stmt slow = { "slow", "SELECT pg_sleep(30)" };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_pg_set_timeout(c, 100, &err), 0);
    assert_int_equal(rk_pg_run0(c, &slow, NULL, &err), RK_UNAVAILABLE);
    assert_int_equal(rk_pg_ping(c, &err), 0);
}

/* === Migrations === */

static const struct rk_migration rows[] = {
    { 1, "one", "CREATE TABLE m1 (id int); INSERT INTO m1 VALUES (1)" },
    { 2, "two", "CREATE TABLE m2 (id int)" },
    { 3, "three", "INSERT INTO m2 SELECT id FROM m1" },
};

static void *migrate(void *arg)
{
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "migrate");
    int *applied = arg;

    *applied = -1;
    if (rk_pg_migrate(c, rows, RK_COUNT(rows), 2, applied, NULL) < 0)
        *applied = -1;
    return NULL;
}

static void many_starters_migrate_once(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    pthread_t t[8];
    int applied[8], sum = 0, i;
    struct rk_err err = { 0 };

    (void)state;
    for (i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&t[i], NULL, migrate, &applied[i]), 0);
    for (i = 0; i < 8; i++) {
        pthread_join(t[i], NULL);
        assert_true(applied[i] >= 0);
        sum += applied[i];
    }
    assert_int_equal(sum, 3);
    assert_int_equal(rk_pg_migrate(c, rows, 1, 1, NULL, &err), RK_PRECONDITION);
    assert_non_null(strstr(err.msg, "version 3"));
}

/* After the one before. */
static void a_newer_schema_serves_programs_as_old_as_it_says(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    struct rk_err err = { 0 };
    struct rk_schema now;
    int applied = -1;

    (void)state;
    assert_int_equal(rk_pg_migrate(c, rows, 2, 2, &applied, &err), 0);
    assert_int_equal(applied, 0);
    assert_int_equal(rk_pg_schema(c, &now, &err), 0);
    assert_int_equal(now.version, 3);
    assert_int_equal(now.serves, 2);
    /* One that does not say, as it was before there was a way to. */
    assert_int_equal(rk_pg_script(c, "ALTER TABLE schema_migration DROP COLUMN serves", &err), 0);
    assert_int_equal(rk_pg_migrate(c, rows, 2, 2, NULL, &err), RK_PRECONDITION);
    assert_int_equal(rk_pg_migrate(c, rows, 3, 2, &applied, &err), 0);
    assert_int_equal(applied, 0);
}

static void a_broken_migration_leaves_the_schema_at_the_last_good_one(void **state)
{
    static const struct rk_migration bad[] = {
        { 1, "one", "" },
        { 2, "two", "" },
        { 3, "three", "" },
        { 4, "four", "CREATE TABLE half (id int); SELECT nonsense" },
    };
    static const struct rk_pg_stmt half = { "half", "SELECT to_regclass('half') IS NULL" };
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    (void)state;
    assert_int_equal(rk_pg_migrate(c, bad, 4, 4, NULL, NULL), RK_INTERNAL);
    assert_int_equal(rk_pg_run0(c, &half, &res, NULL), 0);
    assert_true(rk_pg_bool(res, 0, 0));
}

/* What a request reads of its own change. */
struct asked {
    struct rk_pg *c;
    const struct rk_pg_stmt *fails; /* asked too, NULL: nothing */
    struct rk_pg_result *a, *b;
};

static const struct rk_pg_stmt count_behind = { "count_behind",
                                                "SELECT count(*) + 0 * $1::int FROM behind" };
static const struct rk_pg_stmt fails_behind = { "fails_behind", "SELECT 1 / $1::int" };
static const struct rk_pg_stmt add_behind = { "add_behind", "INSERT INTO behind VALUES ($1)" };

static void ask_behind(void *arg)
{
    struct asked *asked = arg;

    assert_int_equal(rk_pg_later(asked->c, &count_behind, &asked->a, NULL, RK_P_INT(0)), 0);
    if (asked->fails)
        assert_int_equal(rk_pg_later(asked->c, asked->fails, &asked->b, NULL, RK_P_INT(0)), 0);
}

/* Adds a row; how many round trips that was. */
static unsigned add_row(struct rk_pg *c, int64_t id)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    struct rk_err err = { 0 };
    unsigned was = rk_pg_trips(c);

    assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
    assert_int_equal(rk_pg_later(c, &add_behind, NULL, &err, RK_P_INT(id)), 0);
    assert_int_equal(rk_pg_commit(&tx, &err), 0);
    return rk_pg_trips(c) - was;
}

static void what_is_asked_behind_a_commit_comes_with_it(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    struct asked asked = { .c = c };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_pg_script(c, "CREATE TABLE behind (id int PRIMARY KEY)", &err), 0);
    (void)add_row(c, 1);
    rk_pg_then(c, ask_behind, &asked);
    assert_int_equal(add_row(c, 2), 1);
    assert_null(asked.a); /* not prepared: the caller asks, and it is from then on */
    assert_int_equal(rk_pg_run(c, &count_behind, NULL, &err, RK_P_INT(0)), 0);
    assert_int_equal(add_row(c, 3), 1);
    assert_int_equal(rk_pg_int(asked.a, 0, 0), 3);
    rk_pg_result_free(rk_steal(asked.a));
    /* One that fails takes nothing back, and the connection goes on. */
    assert_int_equal(rk_pg_run(c, &fails_behind, NULL, &err, RK_P_INT(1)), 0);
    asked.fails = &fails_behind;
    assert_int_equal(add_row(c, 4), 1);
    assert_int_equal(rk_pg_int(asked.a, 0, 0), 4);
    assert_null(asked.b);
    rk_pg_result_free(asked.a);
    rk_pg_then(c, NULL, NULL);
    assert_int_equal(add_row(c, 5), 1);
}

static void a_change_that_fails_asks_nothing(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *c = rk_pg_new(fx.conninfo, "test");
    struct asked asked = { .c = c };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_pg_run(c, &count_behind, NULL, &err, RK_P_INT(0)), 0);
    rk_pg_then(c, ask_behind, &asked);
    {
        rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;

        assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
        assert_int_equal(rk_pg_later(c, &add_behind, NULL, &err, RK_P_INT(1)), 0);
        assert_int_equal(rk_pg_commit(&tx, &err), RK_EXISTS);
    }
    assert_null(asked.a);
    assert_int_equal(rk_pg_run(c, &count_behind, NULL, &err, RK_P_INT(0)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back_as_they_went),
        cmocka_unit_test(what_is_asked_behind_a_commit_comes_with_it),
        cmocka_unit_test(a_change_that_fails_asks_nothing),
        cmocka_unit_test(who_plans_once_never_plans_for_a_value),
        cmocka_unit_test(a_small_table_is_not_read_whole),
        cmocka_unit_test(a_nul_in_text_is_refused_before_the_server),
        cmocka_unit_test(errors_carry_their_class),
        cmocka_unit_test(an_unfinished_transaction_leaves_nothing),
        cmocka_unit_test(what_is_queued_travels_with_the_next_answer),
        cmocka_unit_test(a_guard_reads_inside_the_transaction_and_may_end_it),
        cmocka_unit_test(a_killed_connection_is_unavailable_inside_a_transaction_and_recovers),
        cmocka_unit_test(a_dead_server_costs_nothing_but_the_error_and_comes_back),
        cmocka_unit_test(a_frozen_server_is_given_up),
        cmocka_unit_test(a_long_statement_is_cut_by_the_server),
        cmocka_unit_test(many_starters_migrate_once),
        cmocka_unit_test(a_newer_schema_serves_programs_as_old_as_it_says),
        cmocka_unit_test(a_broken_migration_leaves_the_schema_at_the_last_good_one),
    };

    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
