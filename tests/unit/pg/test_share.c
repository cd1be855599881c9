/* Several changes in one commit, against a real server. */

#include "tests/support/test.h"

#include "libcommon/pg/pg_int.h"
#include "tests/support/pg_ask.h"

static const struct rk_pg_stmt add = { "share_add", "INSERT INTO shared VALUES ($1::int)" };
static const struct rk_pg_stmt count = { "share_count", "SELECT count(*) FROM shared" };

/* So many commits are put off; `closed` of them were closed. */
struct row {
    struct rk_pg_share share;
    unsigned waiting, closed;
    bool killed_at_commit;
};

static struct rk_pg *c;

static bool more(struct rk_pg_share *s)
{
    struct row *r = rk_container_of(s, struct row, share);

    if (r->waiting == 0)
        return false;
    r->waiting--;
    return true;
}

/* What all of them have in common is one more row. */
static int close_row(struct rk_pg_share *s, struct rk_pg *pg, struct rk_err *err)
{
    static const struct rk_pg_stmt die = { "share_die",
                                           "SELECT pg_terminate_backend(pg_backend_pid())" };
    struct row *r = rk_container_of(s, struct row, share);

    r->closed++;
    if (r->killed_at_commit)
        return rk_pg_later(pg, &die, NULL, err);
    return rk_pg_later(pg, &add, NULL, err, RK_P_INT(1000));
}

static void begin_row(struct row *r, unsigned waiting)
{
    *r = (struct row){ .share = { more, close_row }, .waiting = waiting };
    rk_pg_share(c, &r->share);
}

static int seen_by_others(void)
{
    return (int)pg_ask(&fx, "SELECT count(*) FROM shared");
}

static int seen_by_itself(void)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };

    if (rk_pg_run0(c, &count, &res, &err) < 0)
        fail_msg("%s", err.msg);
    return (int)rk_pg_int(res, 0, 0);
}

static int change(int id)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    struct rk_err err = { 0 };
    int r = rk_pg_begin(c, RK_PG_SHARED, &tx, &err);

    if (r == 0)
        r = rk_pg_later(c, &add, NULL, &err, RK_P_INT(id));
    if (r == 0)
        r = rk_pg_commit(&tx, &err);
    return r;
}

static int end(void)
{
    struct rk_err err = { 0 };
    int r = rk_pg_share_end(c, &err);

    assert_int_equal(err.code, r);
    assert_null(rk_pg_shared(c));
    assert_false(rk_pg_put_off(c));
    return r;
}

static int start(void **state)
{
    (void)state;
    if (!fixture_postgres(&fx))
        return -1;
    c = rk_pg_new(fx.conninfo, "share");
    pg_must(c, "CREATE TABLE shared (id int PRIMARY KEY)");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rk_pg_free(c);
    fixture_done(&fx);
    return 0;
}

static int fresh(void **state)
{
    struct row r;

    (void)state;
    pg_must(c, "DELETE FROM shared");
    begin_row(&r, 0); /* statements are prepared once it has been used */
    assert_int_equal(change(1), 0);
    assert_int_equal(end(), 0);
    (void)seen_by_itself();
    pg_must(c, "DELETE FROM shared");
    return 0;
}

static void alone_it_is_committed_at_once(void **state)
{
    unsigned trips = rk_pg_trips(c);
    struct row r;

    (void)state;
    begin_row(&r, 0);
    assert_int_equal(change(1), 0);
    assert_int_equal(rk_pg_trips(c) - trips, 1);
    assert_int_equal(seen_by_others(), 2);
    /* It is over: the next one is shared with nobody. */
    assert_null(rk_pg_shared(c));
    assert_int_equal(change(2), 0);
    assert_int_equal(seen_by_others(), 3);
    assert_int_equal(end(), 0);
    assert_int_equal(r.closed, 1);
}

static void others_see_nothing_before_the_one_commit(void **state)
{
    unsigned trips = rk_pg_trips(c);
    struct row r;

    (void)state;
    begin_row(&r, 2);
    assert_int_equal(change(1), 0);
    assert_true(rk_pg_put_off(c));
    assert_int_equal(change(2), 0);
    assert_int_equal(rk_pg_trips(c) - trips, 0); /* nobody waited for what they wrote */
    assert_int_equal(seen_by_itself(), 2);
    assert_int_equal(seen_by_others(), 0);
    assert_int_equal(change(3), 0); /* nobody waits any more */
    assert_int_equal(seen_by_others(), 4);
    assert_int_equal(rk_pg_trips(c) - trips, 2);
    assert_int_equal(end(), 0);
    assert_int_equal(r.closed, 1);
}

static void the_end_commits_what_is_put_off(void **state)
{
    struct row r;

    (void)state;
    begin_row(&r, 5);
    assert_int_equal(change(1), 0);
    assert_int_equal(change(2), 0);
    assert_int_equal(seen_by_others(), 0);
    assert_int_equal(end(), 0);
    assert_int_equal(seen_by_others(), 3);
}

static void an_answer_that_is_waited_for_comes_before_the_commit_is_put_off(void **state)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_pg_tx *tx = NULL;
    struct rk_err err = { 0 };
    struct row r;

    (void)state;
    begin_row(&r, 1);
    assert_int_equal(rk_pg_begin(c, RK_PG_SHARED, &tx, &err), 0);
    assert_int_equal(rk_pg_later(c, &add, NULL, &err, RK_P_INT(1)), 0);
    assert_int_equal(rk_pg_later(c, &count, &res, &err), 0);
    assert_int_equal(rk_pg_commit(&tx, &err), 0);
    assert_true(rk_pg_put_off(c));
    assert_int_equal(rk_pg_int(res, 0, 0), 1);
    assert_int_equal(end(), 0);
}

static void readers_and_who_gives_up_early_leave_the_others_alone(void **state)
{
    struct rk_pg_tx *tx = NULL;
    struct rk_err err = { 0 };
    struct row r;

    (void)state;
    begin_row(&r, 2);
    assert_int_equal(change(1), 0);
    assert_int_equal(rk_pg_begin(c, RK_PG_REPEATABLE_READ_ONLY, &tx, &err), 0);
    assert_int_equal(seen_by_itself(), 1);
    rk_pg_rollback(tx);
    assert_int_equal(rk_pg_begin(c, RK_PG_SHARED, &tx, &err), 0);
    assert_int_equal(seen_by_itself(), 1);
    rk_pg_rollback(tx);
    assert_true(rk_pg_put_off(c));
    assert_int_equal(change(2), 0);
    assert_int_equal(end(), 0);
    assert_int_equal(seen_by_others(), 3);
}

static void who_gives_up_after_writing_spoils_all(void **state)
{
    struct rk_pg_tx *tx = NULL;
    struct rk_err err = { 0 };
    struct row r;

    (void)state;
    begin_row(&r, 9);
    assert_int_equal(change(1), 0);
    assert_int_equal(rk_pg_begin(c, RK_PG_SHARED, &tx, &err), 0);
    assert_int_equal(rk_pg_later(c, &add, NULL, &err, RK_P_INT(2)), 0);
    rk_pg_rollback(tx);
    assert_false(rk_pg_put_off(c));
    assert_int_equal(change(3), RK_UNAVAILABLE);
    assert_int_equal(rk_pg_run(c, &add, NULL, &err, RK_P_INT(4)), RK_UNAVAILABLE);
    assert_int_equal(end(), RK_CONFLICT);
    assert_int_equal(seen_by_others(), 0);
    assert_int_equal(change(3), 0);
    assert_int_equal(seen_by_others(), 1);
}

static void a_statement_that_fails_spoils_all(void **state)
{
    struct row r;

    (void)state;
    for (unsigned waiting = 1; waiting < 4; waiting++) {
        begin_row(&r, waiting);
        assert_int_equal(change(1), 0);
        (void)change(1); /* heard of now where nobody waits, and else with what comes next */
        (void)change(2);
        assert_int_equal(end(), RK_CONFLICT);
        assert_int_equal(seen_by_others(), 0);
    }
    /* Of the first, while nothing is put off, it is its own affair. */
    pg_must(c, "INSERT INTO shared VALUES (1)");
    begin_row(&r, 0);
    assert_int_equal(change(1), RK_EXISTS);
    assert_int_equal(change(2), 0);
    assert_int_equal(end(), 0);
    assert_int_equal(seen_by_others(), 3);
}

static void another_transaction_commits_first_what_is_put_off(void **state)
{
    struct rk_pg_tx *tx = NULL;
    struct rk_err err = { 0 };
    struct row r;

    (void)state;
    begin_row(&r, 9);
    assert_int_equal(change(1), 0);
    assert_int_equal(rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, &err), 0);
    assert_int_equal(seen_by_others(), 2);
    assert_int_equal(rk_pg_run(c, &add, NULL, &err, RK_P_INT(2)), 0);
    rk_pg_rollback(tx);
    assert_int_equal(change(3), 0);
    assert_int_equal(seen_by_others(), 3);
    assert_int_equal(end(), 0);
}

static void a_connection_that_is_lost_before_the_commit_leaves_nothing(void **state)
{
    bool done = false;

    (void)state;
    for (unsigned step = 1; !done; step++) {
        struct row r;
        int ended;

        begin_row(&r, 9);
        rk_pg_fail_at(c, step, RK_UNAVAILABLE);
        done = true;
        for (int i = 1; done && i <= 3; i++)
            done = change(i) == 0;
        ended = end();
        if (done && ended == 0)
            break;
        done = false;
        assert_true(ended == RK_CONFLICT || (ended == 0 && r.closed == 0));
        assert_int_equal(seen_by_others(), 0);
    }
    rk_pg_fail_at(c, 0, 0);
    assert_int_equal(seen_by_others(), 4);
}

static void one_that_is_lost_while_committing_is_told_apart(void **state)
{
    struct row r;

    (void)state;
    begin_row(&r, 9);
    r.killed_at_commit = true;
    assert_int_equal(change(1), 0);
    assert_int_equal(change(2), 0);
    assert_int_equal(end(), RK_UNAVAILABLE);
    assert_int_equal(seen_by_others(), 0);
    assert_int_equal(change(3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(alone_it_is_committed_at_once, fresh),
        cmocka_unit_test_setup(others_see_nothing_before_the_one_commit, fresh),
        cmocka_unit_test_setup(the_end_commits_what_is_put_off, fresh),
        cmocka_unit_test_setup(an_answer_that_is_waited_for_comes_before_the_commit_is_put_off,
                               fresh),
        cmocka_unit_test_setup(readers_and_who_gives_up_early_leave_the_others_alone, fresh),
        cmocka_unit_test_setup(who_gives_up_after_writing_spoils_all, fresh),
        cmocka_unit_test_setup(a_statement_that_fails_spoils_all, fresh),
        cmocka_unit_test_setup(another_transaction_commits_first_what_is_put_off, fresh),
        cmocka_unit_test_setup(a_connection_that_is_lost_before_the_commit_leaves_nothing, fresh),
        cmocka_unit_test_setup(one_that_is_lost_while_committing_is_told_apart, fresh),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
