/* Two servers: one stops answering, and the other one takes writes by then. */

#include "tests/support/test.h"

#include <pthread.h>

#include "libcommon/pg/asker.h"
#include "libcommon/pg/connect.h"
#include "tests/support/pg_fixture.h"

static struct fixture other;

static const struct rk_pg_stmt backend = {
    "backend", "SELECT pg_backend_pid(), current_setting('data_directory')"
};

static char *both(void)
{
    return rk_asprintf("host=%s,%s user=rookery dbname=postgres", fx.dir, other.dir);
}

static void freeze(pid_t session, int signal_)
{
    assert_int_equal(kill(fx.postgres_pid, signal_), 0);
    assert_int_equal(kill(session, signal_), 0);
}

/* Connects to the first, which is the only one, and then starts the second. */
static pid_t begin(struct rk_pg *pg)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    assert_int_equal(rk_pg_run0(pg, &backend, &res, NULL), 0);
    assert_true(rk_str_starts(rk_pg_str(res, 0, 1), rk_str(fx.dir)));
    assert_true(other.dir[0] && (other.postgres_pid > 0 || fixture_start_postgres(&other)));
    return (pid_t)rk_pg_int(res, 0, 0);
}

static void who_waits_for_a_frozen_server_learns_that_another_has_taken_over(void **state)
{
    rk_auto(rk_cfree) char *conninfo = both();
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(conninfo, "test");
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };
    pid_t session;

    (void)state;
    fixture_stop_postgres(&other);
    session = begin(pg);
    freeze(session, SIGSTOP);
    assert_int_equal(rk_pg_run0(pg, &backend, NULL, &err), RK_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "taken over"));
    assert_int_equal(rk_pg_run0(pg, &backend, &res, NULL), 0);
    assert_true(rk_str_starts(rk_pg_str(res, 0, 1), rk_str(other.dir)));
    freeze(session, SIGCONT);
}

static void *connect_to_any(void *conninfo)
{
    return pg_connect(conninfo, "test", 60000, -1);
}

/* The frozen one is waited for in vain; the other one is not there yet, as a standby is before its
 * promotion. */
static void who_connects_while_one_is_frozen_meets_the_other_when_it_comes(void **state)
{
    rk_auto(rk_cfree) char *conninfo = both();
    pthread_t thread;
    void *found;

    (void)state;
    fixture_stop_postgres(&other);
    assert_int_equal(kill(fx.postgres_pid, SIGSTOP), 0);
    assert_int_equal(pthread_create(&thread, NULL, connect_to_any, conninfo), 0);
    assert_true(fixture_start_postgres(&other));
    assert_int_equal(pthread_join(thread, &found), 0);
    assert_int_equal(kill(fx.postgres_pid, SIGCONT), 0);
    assert_int_equal(PQstatus(found), CONNECTION_OK);
    assert_string_equal(PQhost(found), other.dir);
    PQfinish(found);
}

static void a_search_ends_when_ours_speaks(void **state)
{
    rk_auto(rk_cfree) char *conninfo = both();
    PGconn *found;
    int fd[2];

    (void)state;
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(write(fd[1], "x", 1), 1);
    fixture_stop_postgres(&other);
    assert_int_equal(kill(fx.postgres_pid, SIGSTOP), 0);
    found = pg_connect(conninfo, "test", UINT32_MAX / 2, fd[0]);
    assert_int_equal(kill(fx.postgres_pid, SIGCONT), 0);
    assert_int_not_equal(PQstatus(found), CONNECTION_OK);
    PQfinish(found);
    close(fd[0]);
    close(fd[1]);
}

struct asked {
    struct rk_question question;
    struct rk_loop *loop;
};

static void on_done(struct rk_question *q)
{
    rk_loop_stop(rk_container_of(q, struct asked, question)->loop);
}

static void ask(struct asked *a, struct rk_asker *asker)
{
    a->question = (struct rk_question){ .stmt = &backend, .on_done = on_done };
    rk_asker_ask(asker, &a->question);
    rk_loop_run(a->loop);
    assert_int_equal(a->question.r, 0);
}

static void a_loop_that_asks_is_answered_by_the_other_one(void **state)
{
    rk_auto(rk_cfree) char *conninfo = both();
    struct asked a = { .loop = rk_loop_new() };
    struct rk_asker *asker = rk_asker_new(a.loop, conninfo, "test");
    pid_t session;

    (void)state;
    fixture_stop_postgres(&other);
    ask(&a, asker);
    session = (pid_t)rk_pg_int(a.question.res, 0, 0);
    rk_pg_result_free(a.question.res);
    assert_true(fixture_start_postgres(&other));
    freeze(session, SIGSTOP);
    ask(&a, asker);
    assert_true(rk_str_starts(rk_pg_str(a.question.res, 0, 1), rk_str(other.dir)));
    rk_pg_result_free(a.question.res);
    freeze(session, SIGCONT);
    rk_asker_stop(asker);
    rk_asker_free(asker);
    uv_run(rk_loop_uv(a.loop), UV_RUN_NOWAIT);
    uv_run(rk_loop_uv(a.loop), UV_RUN_NOWAIT);
    rk_loop_free(a.loop);
}

static int start(void **state)
{
    return fixture_start(state) == 0 && fixture_postgres(&other) ? 0 : -1;
}

static int stop(void **state)
{
    fixture_done(&other);
    return fixture_stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_for_a_frozen_server_learns_that_another_has_taken_over),
        cmocka_unit_test(who_connects_while_one_is_frozen_meets_the_other_when_it_comes),
        cmocka_unit_test(a_search_ends_when_ours_speaks),
        cmocka_unit_test(a_loop_that_asks_is_answered_by_the_other_one),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
