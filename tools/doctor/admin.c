/* The admin port of a replica: ready or not, what it notes, of which build it is, how it does. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/conf/probe.h"
#include "libcommon/net/target.h"
#include "tools/doctor/check.h"

#define ANSWER_MAX ((size_t)1024 * 1024)
#define BEHIND_MAX_S 10

/* The value of a sample without a label; false when it is not there. */
static bool sample(struct rk_str metrics, const char *name, double *out)
{
    struct rk_str line, word;

    while (rk_str_next(&metrics, '\n', &line)) {
        char number[64];

        if (rk_str_next(&line, ' ', &word) && rk_str_eq(word, rk_str(name)) &&
            rk_str_copy(line, number, sizeof(number))) {
            *out = strtod(number, NULL);
            return true;
        }
    }
    return false;
}

/* name="value" of a sample's labels. */
static void label(struct rk_str line, const char *name, char *out, size_t size)
{
    char want[32];
    const char *at;
    int n = snprintf(want, sizeof(want), "%s=\"", name);
    struct rk_str rest, value;

    *out = 0;
    at = memmem(line.p, line.n, want, (size_t)n);
    if (!at)
        return;
    rest = rk_strn(at + n, line.n - (size_t)(at + n - line.p));
    if (rk_str_next(&rest, '"', &value))
        (void)rk_str_copy(value, out, size);
}

static void read_build(struct check *c, struct rk_str metrics)
{
    struct rk_str line;

    while (rk_str_next(&metrics, '\n', &line)) {
        if (!rk_str_starts(line, RK_STR("rookery_build_info{")))
            continue;
        label(line, "service", c->facts.service, sizeof(c->facts.service));
        label(line, "version", c->facts.version, sizeof(c->facts.version));
        label(line, "build", c->facts.build, sizeof(c->facts.build));
        c->facts.has_build = true;
        return;
    }
}

static void say_metrics(struct check *c, struct rk_str metrics)
{
    static const char *const redis[] = { "rookery_management_redis_up", "rookery_signal_redis_up" };
    double v;

    read_build(c, metrics);
    if (!c->facts.has_build)
        check_say(c, VERDICT_WARN, "build",
                  "name admin ports of Rookery's services only, all of "
                  "them of this release",
                  "it does not say which it is");
    for (size_t i = 0; i < RK_COUNT(redis); i++)
        if (sample(metrics, redis[i], &v) && v == 0)
            check_say(c, VERDICT_FAIL, "redis of the replica",
                      "where Redis is reached from here, see the network between the two, and "
                      "`redis` in that replica's settings",
                      "it has no connection to Redis");
    if (!sample(metrics, "rookery_management_behind_seconds", &v))
        return;
    if (v > BEHIND_MAX_S)
        check_say(c, VERDICT_FAIL, "convergence",
                  "see its log for reads that fail and rookery_management_jobs_queued for workers "
                  "that are too few; restart it if neither says why",
                  "an account here is %.0f s behind the database", v);
    else
        check_say(c, VERDICT_OK, "convergence", NULL,
                  v > 0 ? "an account is %.0f s behind the database"
                        : "all accounts here are as the database has them",
                  v);
}

static int ask(const struct rk_target *to, const char *path, struct rk_buf *out, struct rk_err *err)
{
    rk_buf_init(out, ANSWER_MAX);
    return rk_probe_get(&to->addr, path, out, err);
}

static void ask_all(struct check *c, const struct rk_target *to)
{
    static const char drains[] = "wait, where it is being stopped; else see its log, and what the "
                                 "reason names";
    rk_auto(rk_buf_done) struct rk_buf ready;
    rk_auto(rk_buf_done) struct rk_buf metrics;
    struct rk_err err = { 0 };
    struct rk_str body;
    const char *notes;
    int r = ask(to, "/readyz", &ready, &err);

    rk_buf_init(&metrics, ANSWER_MAX);
    if (r < 0) {
        check_say(c, VERDICT_FAIL, "replica",
                  "start it, or correct the URL: it is that of `admin_listen`", "%s", err.msg);
        return;
    }
    body = rk_str_trim(rk_probe_body(rk_buf_str(&ready)));
    notes = memmem(body.p, body.n, "\"notes\":", 8);
    if (!rk_str_starts(rk_buf_str(&ready), RK_STR("HTTP/1.1 200 ")))
        check_say(c, VERDICT_FAIL, "replica", drains, "not ready: %.*s", RK_STR_FMT(body));
    else if (notes)
        check_say(c, VERDICT_WARN, "replica", "do what the note says", "ready, and notes: %.*s",
                  RK_STR_FMT(body));
    else
        check_say(c, VERDICT_OK, "replica", NULL, "ready");
    if (ask(to, "/metrics", &metrics, &err) < 0)
        check_say(c, VERDICT_FAIL, "replica", "see its log", "/metrics: %s", err.msg);
    else
        say_metrics(c, rk_buf_str(&metrics));
}

void check_admin(struct check *c)
{
    struct rk_targets targets = { .count = 0 };
    struct rk_err err = { 0 };
    struct rk_target *to;

    if (rk_targets_get(&targets, rk_str(c->arg), &to, &err) < 0)
        check_say(c, VERDICT_FAIL, "replica", "correct what --admin says", "%s", err.msg);
    else
        ask_all(c, to);
    rk_targets_done(&targets);
}
