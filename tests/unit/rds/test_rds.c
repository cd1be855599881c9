/* The client against a real Redis: commands, subscriptions, loss and return. */

#include "tests/support/test.h"

#include "libcommon/rds/rds.h"
#include "tests/support/pg_fixture.h"

static struct fixture fx;

struct probe {
    struct rk_loop *loop;
    struct rk_rds *r;
    unsigned ups, downs, messages, replies, closed;
    struct rk_rds_reply last;
    char text[256];
    unsigned stop_ups, stop_downs, stop_messages, stop_replies;
};

static void maybe_stop(struct probe *p)
{
    if ((p->stop_ups && p->ups >= p->stop_ups) || (p->stop_downs && p->downs >= p->stop_downs) ||
        (p->stop_messages && p->messages >= p->stop_messages) ||
        (p->stop_replies && p->replies >= p->stop_replies))
        rk_loop_stop(p->loop);
}

static void on_up(struct rk_rds *r, void *arg)
{
    struct probe *p = arg;

    assert_true(rk_rds_up(r));
    p->ups++;
    maybe_stop(p);
}

static void on_down(struct rk_rds *r, void *arg)
{
    struct probe *p = arg;

    assert_false(rk_rds_up(r));
    p->downs++;
    maybe_stop(p);
}

static void on_message(struct rk_rds *r, struct rk_str channel, struct rk_str payload, void *arg)
{
    struct probe *p = arg;

    (void)r;
    snprintf(p->text, sizeof(p->text), "%.*s=%.*s", RK_STR_FMT(channel), RK_STR_FMT(payload));
    p->messages++;
    maybe_stop(p);
}

static void on_reply(const struct rk_rds_reply *reply, void *arg)
{
    struct probe *p = arg;

    p->last = *reply;
    snprintf(p->text, sizeof(p->text), "%.*s", RK_STR_FMT(reply->str));
    if (reply->n)
        snprintf(p->text, sizeof(p->text), "%zu:%.*s", reply->n, RK_STR_FMT(reply->element[0].str));
    p->replies++;
    maybe_stop(p);
}

static void on_closed(void *arg)
{
    struct probe *p = arg;

    p->closed++;
    rk_loop_stop(p->loop);
}

static const struct rk_rds_ops ops = { on_up, on_down, on_message };

static void out_of_time(struct rk_timer *t)
{
    (void)t;
    fail_msg("nothing happened in 10 s");
}

/* Runs the loop until one of the stop counts is reached. */
static void run(struct probe *p)
{
    struct rk_timer limit;

    rk_timer_init(p->loop, &limit, out_of_time);
    rk_timer_start(&limit, 10000, 0);
    rk_loop_run(p->loop);
    rk_timer_close(&limit, NULL);
    uv_run(rk_loop_uv(p->loop), UV_RUN_NOWAIT);
    p->stop_ups = p->stop_downs = p->stop_messages = p->stop_replies = 0;
}

static void open_probe(struct probe *p)
{
    *p = (struct probe){ .loop = rk_loop_new() };
    assert_int_equal(rk_rds_new(p->loop, fx.redis, &ops, p, &p->r, NULL), 0);
}

static void close_probe(struct probe *p)
{
    rk_rds_close(p->r, on_closed, p);
    rk_loop_run(p->loop);
    assert_int_equal(p->closed, 1);
    rk_loop_free(p->loop);
}

static void commands_and_messages(void **state)
{
    struct probe p;

    (void)state;
    assert_true(fixture_start_redis(&fx));
    open_probe(&p);
    rk_rds_subscribe(p.r, "news");
    p.stop_ups = 1;
    run(&p);
    rk_rds_run(p.r, on_reply, &p, RK_STR("SET"), RK_STR("k"), RK_STR("a\0b"));
    rk_rds_run(p.r, on_reply, &p, RK_STR("STRLEN"), RK_STR("k"));
    assert_int_equal(p.replies, 0);
    p.stop_replies = 2;
    run(&p);
    assert_int_equal(p.last.code, 0);
    assert_int_equal(p.last.integer, 3);
    rk_rds_run(p.r, on_reply, &p, RK_STR("MGET"), RK_STR("absent"), RK_STR("k"));
    p.stop_replies = 3;
    run(&p);
    assert_string_equal(p.text, "2:");
    rk_rds_run(p.r, on_reply, &p, RK_STR("NONSENSE"));
    p.stop_replies = 4;
    run(&p);
    assert_int_equal(p.last.code, RK_INTERNAL);
    rk_rds_publish(p.r, "news", RK_STR("hello"));
    p.stop_messages = 1;
    run(&p);
    assert_string_equal(p.text, "news=hello");
    close_probe(&p);
    fixture_stop_redis(&fx);
}

static void killed_and_back_it_is_subscribed_again(void **state)
{
    struct probe p;

    (void)state;
    assert_true(fixture_start_redis(&fx));
    open_probe(&p);
    rk_rds_subscribe(p.r, "one");
    p.stop_ups = 1;
    run(&p);
    fixture_stop_redis(&fx);
    p.stop_downs = 1;
    run(&p);
    assert_int_equal(p.downs, 1);
    rk_rds_run(p.r, on_reply, &p, RK_STR("PING"));
    assert_int_equal(p.replies, 0); /* never inside the call */
    p.stop_replies = 1;
    run(&p);
    assert_int_equal(p.last.code, RK_UNAVAILABLE);
    rk_rds_subscribe(p.r, "two"); /* remembered while it is away */
    assert_true(fixture_start_redis(&fx));
    p.stop_ups = 2;
    run(&p);
    assert_int_equal(p.ups, 2);
    assert_int_equal(p.downs, 1);
    rk_rds_publish(p.r, "three", RK_STR("x")); /* nobody asked for it */
    rk_rds_publish(p.r, "one", RK_STR("1"));
    p.stop_messages = 1;
    run(&p);
    assert_string_equal(p.text, "one=1");
    rk_rds_publish(p.r, "two", RK_STR("2"));
    p.stop_messages = 2;
    run(&p);
    assert_string_equal(p.text, "two=2");
    close_probe(&p);
    fixture_stop_redis(&fx);
}

static void a_command_under_way_when_it_dies_is_answered_once(void **state)
{
    struct probe p;

    (void)state;
    assert_true(fixture_start_redis(&fx));
    open_probe(&p);
    p.stop_ups = 1;
    run(&p);
    rk_rds_run(p.r, on_reply, &p, RK_STR("BLPOP"), RK_STR("empty"), RK_STR("0"));
    rk_rds_run(p.r, on_reply, &p, RK_STR("PING"));
    uv_run(rk_loop_uv(p.loop), UV_RUN_NOWAIT);
    fixture_stop_redis(&fx);
    p.stop_replies = 2;
    run(&p);
    assert_int_equal(p.replies, 2);
    assert_int_equal(p.last.code, RK_UNAVAILABLE);
    close_probe(&p);
}

static void a_frozen_server_is_noticed(void **state)
{
    struct probe p;
    pid_t pid;

    (void)state;
    assert_true(fixture_start_redis(&fx));
    open_probe(&p);
    p.stop_ups = 1;
    run(&p);
    pid = fx.redis_pid;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    p.stop_downs = 1;
    /* Three heartbeats of 3 s at most. */
    {
        struct rk_timer limit;

        rk_timer_init(p.loop, &limit, out_of_time);
        rk_timer_start(&limit, 20000, 0);
        rk_loop_run(p.loop);
        rk_timer_close(&limit, NULL);
        uv_run(rk_loop_uv(p.loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(p.downs, 1);
    kill(pid, SIGCONT);
    p.stop_downs = 0;
    p.stop_ups = 2;
    run(&p);
    close_probe(&p);
    fixture_stop_redis(&fx);
}

static void bad_addresses_are_refused(void **state)
{
    struct rk_loop *l = rk_loop_new();
    struct rk_rds *r = NULL;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_rds_new(l, "nonsense", &ops, NULL, &r, &err), RK_INVALID);
    assert_int_equal(rk_rds_new(l, "127.0.0.1:0", &ops, NULL, &r, &err), RK_INVALID);
    assert_int_equal(rk_rds_new(l, "127.0.0.1:70000", &ops, NULL, &r, &err), RK_INVALID);
    assert_null(r);
    rk_loop_free(l);
}

static int stop(void **state)
{
    (void)state;
    fixture_done(&fx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_and_messages),
        cmocka_unit_test(killed_and_back_it_is_subscribed_again),
        cmocka_unit_test(a_command_under_way_when_it_dies_is_answered_once),
        cmocka_unit_test(a_frozen_server_is_noticed),
        cmocka_unit_test(bad_addresses_are_refused),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, stop);
}
