/*
 * Job: a stream that an agent holds open so that it can be sent work. Accepted and kept; nothing is
 * sent yet. One a peer: the newer replaces the older.
 */

#include "libcommon/base/alloc.h"
#include "services/management/rpc/methods.h"
#include "services/management/rpc/request.h"

struct job_stream {
    enum call_kind kind; /* CALL_SESSION: not a request any more */
    uint8_t key[RK_KEY_LEN];
    struct rk_grpc_call *call;
};

static void held(struct request *q, struct hub *h, size_t index)
{
    struct job_stream *j, *older;
    struct app *app = q->app;

    (void)h;
    (void)index;
    if (!q->call || app->draining) {
        request_fail(q, RK_GRPC_UNAVAILABLE, "this replica is going away");
        return;
    }
    j = rk_new(struct job_stream);
    j->kind = CALL_SESSION;
    memcpy(j->key, q->env.key, RK_KEY_LEN);
    j->call = q->call;
    rk_grpc_set_data(q->call, j);
    q->call = NULL;
    request_release(q);
    rk_grpc_send_headers(j->call, NULL, NULL);
    older = rk_map_put(app->jobs_open, rk_strn(j->key, RK_KEY_LEN), j);
    if (older)
        rk_grpc_finish(older->call, RK_GRPC_OK, NULL);
}

static void not_registered(struct request *q)
{
    request_fail(q, RK_GRPC_PERMISSION_DENIED, "peer is not registered");
}

void rpc_job(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    struct request *q;

    if (rk_grpc_data(call))
        return; /* answers to jobs; none was sent */
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
    if (rk_map_get(app->jobs_open, rk_strn(j->key, RK_KEY_LEN)) == j)
        rk_map_del(app->jobs_open, rk_strn(j->key, RK_KEY_LEN));
    free(j);
}

void rpc_job_end(struct job_stream *j)
{
    rk_grpc_finish(j->call, RK_GRPC_OK, NULL);
}
