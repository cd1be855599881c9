/*
 * Job: a stream that an agent holds open so that it can be sent work. It begins with a hello and is
 * silent until there is a job (jobs/jobs.c); the agent answers each before it takes the next. One a
 * peer: the newer replaces the older.
 */

#include "libcommon/base/alloc.h"
#include "services/management/jobs/jobs.h"
#include "services/management/rpc/known.h"
#include "services/management/rpc/methods.h"
#include "services/management/rpc/request.h"

#define ANSWER_MAX (1024u * 1024)

static void held(struct request *q, struct hub *h, size_t index)
{
    struct job_stream *j, *older;
    struct app *app = q->app;

    if (!q->call || app->draining) {
        request_fail(q, RK_GRPC_UNAVAILABLE, "this replica is going away");
        return;
    }
    if (!request_allowed(q, h, index))
        return;
    rk_grpc_known(q->call);
    j = rk_new(struct job_stream);
    j->kind = CALL_SESSION;
    memcpy(j->key, q->env.key, RK_KEY_LEN);
    j->box = q->env.box;
    memcpy(j->peer_id, rk_snapshot_peer(h->snap, index)->id, sizeof(j->peer_id));
    j->call = q->call;
    rk_grpc_set_data(q->call, j);
    q->call = NULL;
    request_release(q);
    rk_grpc_send_headers(j->call, NULL, NULL);
    older = rk_map_put(app->jobs_open, rk_str(j->peer_id), j);
    if (older)
        rk_grpc_finish(older->call, RK_GRPC_OK, NULL);
    jobs_ask(app, j);
}

static void not_registered(struct request *q)
{
    request_fail(q, RK_GRPC_PERMISSION_DENIED, "peer is not registered");
}

static struct rk_str text(const ProtobufCBinaryData *b)
{
    return rk_strn(b->data, b->len);
}

/* Only the answer to what this stream was told counts, once. */
static void
read_answer(struct app *app, struct job_stream *s, struct rk_str message, struct rk_arena *arena)
{
    Management__JobResponse *m = NULL;
    struct envelope env;
    struct rk_err err;
    int r = envelope_open(&app->key, known_box, app, message, arena, &env, &err);

    if (r == 0 && memcmp(env.key, s->key, RK_KEY_LEN) == 0)
        m = management__job_response__unpack(rk_arena_protobuf(arena), env.plain.n,
                                             (const uint8_t *)env.plain.p);
    rk_wipe(&env.box, sizeof(env.box));
    if (!m) {
        rk_grpc_finish(s->call, RK_GRPC_INVALID_ARGUMENT, "invalid request message");
        return;
    }
    if (!s->open || !rk_str_eq(text(&m->id), rk_str(s->told)))
        return;
    jobs_answered(app, s, m->status == MANAGEMENT__JOB_STATUS__succeeded, text(&m->reason),
                  m->workload_results_case == MANAGEMENT__JOB_RESPONSE__WORKLOAD_RESULTS_BUNDLE
                      ? rk_str(m->bundle->upload_key)
                      : RK_STR(""));
    jobs_ask(app, s); /* there may be another by now */
}

void rpc_job(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    enum call_kind *kind = rk_grpc_data(call);
    struct request *q;

    if (kind && *kind == CALL_REQUEST)
        return; /* nothing was asked of it yet */
    if (kind) {
        rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(ANSWER_MAX);

        read_answer(arg, (struct job_stream *)(void *)kind, message, arena);
        return;
    }
    q = request_new(arg, call, message);
    if (!q)
        return;
    if (!management__job_request__unpack(rk_arena_protobuf(q->arena), q->env.plain.n,
                                         (const uint8_t *)q->env.plain.p))
        request_fail(q, RK_GRPC_INVALID_ARGUMENT, "invalid request message");
    else
        request_resolve(q, held, not_registered);
}

void rpc_job_gone(struct rk_grpc_call *call, bool finished, void *arg)
{
    struct app *app = arg;
    enum call_kind *kind = rk_grpc_data(call);
    struct job_stream *j;

    (void)finished;
    if (!kind)
        return;
    if (*kind == CALL_REQUEST) {
        request_gone((struct request *)(void *)kind);
        return;
    }
    j = (struct job_stream *)(void *)kind;
    if (rk_map_get(app->jobs_open, rk_str(j->peer_id)) == j)
        rk_map_del(app->jobs_open, rk_str(j->peer_id));
    rk_wipe(&j->box, sizeof(j->box));
    free(j);
}

void rpc_job_end(struct job_stream *j)
{
    rk_grpc_finish(j->call, RK_GRPC_OK, NULL);
}
