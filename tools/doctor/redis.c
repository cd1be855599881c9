/* Redis: both connections, a message published and heard, its clock. On a loop of the thread's own.
 */

#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/rds/rds.h"
#include "tools/doctor/check.h"
#include "tools/doctor/skew.h"

struct visit {
    struct check *check;
    struct rk_loop *loop;
    struct rk_timer limit;
    char channel[48];
    uint64_t sent_ns;
    int64_t asked_us;
    bool up, heard, told;
};

static const char reach_it[] =
    "start it, or correct `redis`, `redis_sentinels` or `redis_cluster` in the settings; until "
    "then changes reach agents by the sweep alone, some seconds late, and signal serves only "
    "agents of the same replica";

static void look_whether_done(struct visit *v)
{
    if (v->heard && v->told)
        rk_loop_stop(v->loop);
}

static void on_time(const struct rk_rds_reply *reply, void *arg)
{
    struct visit *v = arg;
    uint64_t s = 0, us = 0;

    v->told = true;
    if (reply->code == 0 && reply->n == 2 && rk_str_u64(reply->element[0].str, &s) &&
        rk_str_u64(reply->element[1].str, &us))
        skew_judge(v->check, (int64_t)(s * 1000000 + us), v->asked_us, rk_wall_us());
    else
        check_say(v->check, VERDICT_WARN, "clock", "let this user run TIME",
                  "Redis does not tell its time");
    look_whether_done(v);
}

static void on_up(struct rk_rds *r, void *arg)
{
    struct visit *v = arg;

    if (v->up)
        return;
    v->up = true;
    v->sent_ns = rk_mono_ns();
    v->asked_us = rk_wall_us();
    rk_rds_publish(r, v->channel, RK_STR("?"));
    rk_rds_run(r, on_time, v, RK_STR("TIME"));
}

static void on_message(struct rk_rds *r, struct rk_str channel, struct rk_str payload, void *arg)
{
    struct visit *v = arg;

    (void)r;
    (void)payload;
    if (!v->up || v->heard || !rk_str_eq(channel, rk_str(v->channel)))
        return;
    v->heard = true;
    check_say(v->check, VERDICT_OK, "redis", NULL,
              "found by `%s`; what is published is heard, after %.1f ms",
              rk_rds_config_place(&v->check->config->redis),
              (double)(rk_mono_ns() - v->sent_ns) / 1e6);
    look_whether_done(v);
}

static void on_limit(struct rk_timer *t)
{
    struct visit *v = rk_container_of(t, struct visit, limit);

    rk_loop_stop(v->loop);
}

void check_redis(struct check *c)
{
    static const struct rk_rds_ops ops = { .on_up = on_up, .on_message = on_message };
    struct visit v = { .check = c, .loop = rk_loop_new() };
    struct rk_err err = { 0 };
    struct rk_rds *r;
    char id[RK_XID_LEN + 1];

    rk_xid_new(id);
    (void)snprintf(v.channel, sizeof(v.channel), "rk:doctor:%s", id);
    if (rk_rds_new(v.loop, &c->config->redis, &ops, &v, &r, &err) < 0) {
        check_say(c, VERDICT_FAIL, "redis", "correct `redis` in the settings", "%s", err.msg);
        rk_loop_free(v.loop);
        return;
    }
    rk_rds_subscribe(r, v.channel);
    rk_timer_init(v.loop, &v.limit, on_limit);
    rk_timer_start(&v.limit, ANSWER_MS, 0);
    rk_loop_run(v.loop);
    if (!v.up && !*rk_rds_why(r))
        check_say(c, VERDICT_FAIL, "redis", reach_it, "nobody in `%s` says where it is",
                  rk_rds_config_place(&c->config->redis));
    else if (!v.up)
        check_say(c, VERDICT_FAIL, "redis", reach_it, "no connection: %s", rk_rds_why(r));
    else if (!v.heard)
        check_say(c, VERDICT_FAIL, "redis",
                  "see whether it is overloaded, or whether this user may not use all channels",
                  "it answers, but what is published is not heard within %d s", ANSWER_MS / 1000);
    rk_timer_close(&v.limit, NULL);
    rk_rds_close(r, NULL, NULL);
    rk_loop_free(v.loop);
}
