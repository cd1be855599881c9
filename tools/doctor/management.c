/* Management through its front, as an agent reaches it: GetServerKey. */

#include <inttypes.h>
#include <stdio.h>

#include "libcommon/base/clock.h"
#include "proto/management.pb-c.h"
#include "tools/doctor/visit.h"

static const char topic[] = "management";

struct question {
    struct visit visit;
    struct check *check;
    uint64_t start_ns;
    bool done;
    int status;
    char message[256];
};

static void on_message(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    struct question *q = arg;
    struct facts *f = &q->check->facts;
    Management__ServerKeyResponse *r =
        management__server_key_response__unpack(NULL, message.n, (const uint8_t *)message.p);

    (void)call;
    f->has_key = r && rk_key_parse(rk_str(r->key), f->key);
    if (r)
        management__server_key_response__free_unpacked(r, NULL);
}

static void on_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct question *q = arg;

    (void)call;
    q->done = true;
    q->status = status;
    (void)snprintf(q->message, sizeof(q->message), "%s", message ? message : "");
    visit_end(&q->visit);
}

static void say(struct question *q)
{
    double ms = (double)(rk_mono_ns() - q->start_ns) / 1e6;

    if (q->done && q->status == 0 && q->check->facts.has_key)
        check_say(q->check, VERDICT_OK, topic, NULL, "answers GetServerKey after %.1f ms", ms);
    else if (!q->done)
        check_say(q->check, VERDICT_FAIL, topic,
                  "see that its replicas are ready and that the proxy passes HTTP/2 on",
                  "no answer within %d s", ANSWER_MS / 1000);
    else
        check_say(q->check, VERDICT_FAIL, topic,
                  "see that the proxy at this URL passes /management.ManagementService/ on to "
                  "management (HTTP/2), and that its replicas are ready",
                  "GetServerKey: status %d %s%s%s", q->status, q->message,
                  q->visit.lost[0] ? ": " : "", q->visit.lost);
}

static void ask(struct check *c, const struct rk_target *to)
{
    static const struct rk_grpc_client_ops ops = { .on_message = on_message, .on_done = on_done };
    struct question q = { .check = c };
    struct rk_grpc_client_call *call;

    if (!visit_open(&q.visit, c, topic, to))
        return;
    q.start_ns = rk_mono_ns();
    call = rk_grpc_call(q.visit.grpc, "/management.ManagementService/GetServerKey", NULL, NULL,
                        ANSWER_MS, &ops, &q);
    rk_grpc_call_send(call, RK_STR(""), true);
    visit_run(&q.visit);
    say(&q);
    visit_close(&q.visit);
}

void check_management(struct check *c)
{
    struct rk_targets targets = { .count = 0 };
    struct rk_err err = { 0 };
    struct rk_target *to;

    if (rk_targets_get(&targets, rk_str(c->arg), &to, &err) < 0)
        check_say(c, VERDICT_FAIL, topic, "correct --management, or `public_url` in the settings",
                  "%s", err.msg);
    else
        ask(c, to);
    rk_targets_done(&targets);
}
