/* A connection that a loop asks, against a real server. */

#include "tests/support/test.h"

#include "libcommon/pg/asker.h"
#include "tests/support/pg_fixture.h"

/* One question at a time, seen from the loop. */
struct asked {
    struct rk_question q;
    struct rk_loop *loop;
    struct rk_pg_param param;
    int64_t said; /* of the first column of the only row */
    bool done;
};

static void on_done(struct rk_question *q)
{
    struct asked *a = rk_container_of(q, struct asked, q);

    assert_true((q->r == 0) == (q->res != NULL));
    if (q->res)
        a->said = rk_pg_int(q->res, 0, 0);
    rk_pg_result_free(q->res);
    a->done = true;
    rk_loop_stop(a->loop);
}

static void put(struct asked *a,
                struct rk_loop *l,
                struct rk_asker *asker,
                const struct rk_pg_stmt *stmt,
                int64_t value)
{
    *a = (struct asked){ .loop = l, .param = RK_P_INT(value) };
    a->q.stmt = stmt;
    a->q.params = &a->param;
    a->q.n = 1;
    a->q.on_done = on_done;
    rk_asker_ask(asker, &a->q);
    assert_false(a->done);
}

static int waited(struct asked *a)
{
    while (!a->done)
        rk_loop_run(a->loop);
    return a->q.r;
}

static int
ask(struct asked *a, struct rk_loop *l, struct rk_asker *asker, const struct rk_pg_stmt *s, int v)
{
    put(a, l, asker, s, v);
    return waited(a);
}

static const struct rk_pg_stmt quotient = { "asker_quotient", "SELECT 100 / $1::int" };
static const struct rk_pg_stmt backend = { "asker_backend",
                                           "SELECT pg_backend_pid() FROM (SELECT $1::int) one" };
static const struct rk_pg_stmt nap = { "asker_nap", "SELECT 1 FROM pg_sleep($1::int)" };

static void answers_come_in_the_order_of_the_questions(void **state)
{
    struct rk_loop *l = rk_loop_new();
    struct rk_asker *asker = rk_asker_new(l, fx.conninfo, "test");
    struct asked a[3];

    (void)state;
    for (int round = 0; round < 20; round++) {
        put(&a[0], l, asker, &quotient, 1);
        put(&a[1], l, asker, &nap, 0);
        put(&a[2], l, asker, &quotient, 5);
        assert_int_equal(waited(&a[2]), 0);
        assert_true(a[0].done && a[1].done);
        assert_int_equal(a[0].said, 100);
        assert_int_equal(a[1].said, 1);
        assert_int_equal(a[2].said, 20);
    }
    rk_asker_stop(asker);
    rk_asker_free(asker);
    rk_loop_free(l);
}

static void an_error_is_that_of_its_question_alone(void **state)
{
    struct rk_loop *l = rk_loop_new();
    struct rk_asker *asker = rk_asker_new(l, fx.conninfo, "test");
    struct asked a;
    int64_t pid;

    (void)state;
    assert_int_equal(ask(&a, l, asker, &backend, 0), 0);
    pid = a.said;
    for (int i = 0; i < 3; i++) { /* by the thread, then on the loop */
        assert_int_equal(ask(&a, l, asker, &quotient, 0), RK_INTERNAL);
        assert_non_null(strstr(a.q.err.msg, "division by zero"));
        assert_int_equal(ask(&a, l, asker, &quotient, 2), 0);
        assert_int_equal(a.said, 50);
    }
    assert_int_equal(ask(&a, l, asker, &backend, 0), 0);
    assert_int_equal(a.said, pid);
    rk_asker_stop(asker);
    rk_asker_free(asker);
    rk_loop_free(l);
}

static void a_lost_connection_is_made_again(void **state)
{
    static const struct rk_pg_stmt kill = { "asker_kill", "SELECT pg_terminate_backend($1::int)" };
    struct rk_loop *l = rk_loop_new();
    struct rk_asker *asker = rk_asker_new(l, fx.conninfo, "test");
    rk_auto(rk_pg_free) struct rk_pg *other = rk_pg_new(fx.conninfo, "other");
    struct asked a;
    int64_t pid;

    (void)state;
    for (int i = 0; i < 3; i++) {
        int r;

        assert_int_equal(ask(&a, l, asker, &backend, 0), 0);
        pid = a.said;
        if (i > 0) /* while it answers */
            put(&a, l, asker, &nap, 20);
        assert_int_equal(rk_pg_run(other, &kill, NULL, NULL, RK_P_INT(pid)), 0);
        if (i > 0)
            assert_int_equal(waited(&a), RK_UNAVAILABLE);
        do { /* a question that meets the end of the connection is lost with it */
            r = ask(&a, l, asker, &backend, 0);
            assert_true(r == 0 || r == RK_UNAVAILABLE);
        } while (r < 0 || a.said == pid);
    }
    rk_asker_stop(asker);
    rk_asker_free(asker);
    rk_loop_free(l);
}

static void at_the_end_what_waits_comes_back_unanswered(void **state)
{
    struct rk_loop *l = rk_loop_new();
    struct rk_asker *asker = rk_asker_new(l, fx.conninfo, "test");
    struct asked a, b, c;

    (void)state;
    assert_int_equal(ask(&a, l, asker, &nap, 0), 0); /* the next is asked on the loop */
    put(&a, l, asker, &nap, 30);
    put(&b, l, asker, &nap, 30);
    rk_asker_stop(asker);
    put(&c, l, asker, &nap, 30);
    assert_int_equal(waited(&c), RK_UNAVAILABLE);
    assert_int_equal(a.q.r, RK_UNAVAILABLE);
    assert_int_equal(b.q.r, RK_UNAVAILABLE);
    rk_asker_free(asker);
    rk_loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_in_the_order_of_the_questions),
        cmocka_unit_test(an_error_is_that_of_its_question_alone),
        cmocka_unit_test(a_lost_connection_is_made_again),
        cmocka_unit_test(at_the_end_what_waits_comes_back_unanswered),
    };

    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
