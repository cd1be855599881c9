#pragma once

/* A user of Redis that counts what it is told, and a loop that runs until it was told enough. */

#include "libcommon/base/attr.h"
#include "libcommon/rds/rds.h"
#include "tests/support/test.h"

struct probe {
    struct rk_loop *loop;
    struct rk_rds *r;
    unsigned ups, downs, messages, replies, closed;
    struct rk_rds_reply last;
    char text[256];
    unsigned stop_ups, stop_downs, stop_messages, stop_replies;
};

static RK_UNUSED void maybe_stop(struct probe *p)
{
    if ((p->stop_ups && p->ups >= p->stop_ups) || (p->stop_downs && p->downs >= p->stop_downs) ||
        (p->stop_messages && p->messages >= p->stop_messages) ||
        (p->stop_replies && p->replies >= p->stop_replies))
        rk_loop_stop(p->loop);
}

static RK_UNUSED void on_up(struct rk_rds *r, void *arg)
{
    struct probe *p = arg;

    assert_true(rk_rds_up(r));
    p->ups++;
    maybe_stop(p);
}

static RK_UNUSED void on_down(struct rk_rds *r, void *arg)
{
    struct probe *p = arg;

    assert_false(rk_rds_up(r));
    p->downs++;
    maybe_stop(p);
}

static RK_UNUSED void
on_message(struct rk_rds *r, struct rk_str channel, struct rk_str payload, void *arg)
{
    struct probe *p = arg;

    (void)r;
    snprintf(p->text, sizeof(p->text), "%.*s=%.*s", RK_STR_FMT(channel), RK_STR_FMT(payload));
    p->messages++;
    maybe_stop(p);
}

static RK_UNUSED void on_reply(const struct rk_rds_reply *reply, void *arg)
{
    struct probe *p = arg;

    p->last = *reply;
    snprintf(p->text, sizeof(p->text), "%.*s", RK_STR_FMT(reply->str));
    if (reply->n)
        snprintf(p->text, sizeof(p->text), "%zu:%.*s", reply->n, RK_STR_FMT(reply->element[0].str));
    p->replies++;
    maybe_stop(p);
}

static RK_UNUSED void on_closed(void *arg)
{
    struct probe *p = arg;

    p->closed++;
    rk_loop_stop(p->loop);
}

static const struct rk_rds_ops probe_ops = { on_up, on_down, on_message };

static RK_UNUSED void out_of_time(struct rk_timer *t)
{
    (void)t;
    fail_msg("nothing happened in 10 s");
}

/* Runs the loop until one of the stop counts is reached. */
static RK_UNUSED void run(struct probe *p)
{
    struct rk_timer limit;

    uv_update_time(rk_loop_uv(p->loop)); /* it may not have run for long */
    rk_timer_init(p->loop, &limit, out_of_time);
    rk_timer_start(&limit, 10000, 0);
    rk_loop_run(p->loop);
    rk_timer_close(&limit, NULL);
    uv_run(rk_loop_uv(p->loop), UV_RUN_NOWAIT);
    p->stop_ups = p->stop_downs = p->stop_messages = p->stop_replies = 0;
}

/* On a channel that it has subscribed. */
static RK_UNUSED void news_arrive(struct probe *p)
{
    rk_rds_publish(p->r, "news", RK_STR("hello"));
    p->stop_messages = 1;
    run(p);
}

static RK_UNUSED void time_is_over(struct rk_timer *t)
{
    rk_loop_stop(t->uv.loop->data);
}

/* Runs the loop that long: for what must not happen. */
static RK_UNUSED void run_for(struct probe *p, uint64_t ms)
{
    struct rk_timer limit;

    rk_timer_init(p->loop, &limit, time_is_over);
    rk_timer_start(&limit, ms, 0);
    rk_loop_run(p->loop);
    rk_timer_close(&limit, NULL);
    uv_run(rk_loop_uv(p->loop), UV_RUN_NOWAIT);
}

static RK_UNUSED void open_probe(struct probe *p, const struct rk_rds_config *config)
{
    *p = (struct probe){ .loop = rk_loop_new() };
    assert_int_equal(rk_rds_new(p->loop, config, &probe_ops, p, &p->r, NULL), 0);
}

static RK_UNUSED void close_probe(struct probe *p)
{
    rk_rds_close(p->r, on_closed, p);
    rk_loop_run(p->loop);
    assert_int_equal(p->closed, 1);
    rk_loop_free(p->loop);
}
