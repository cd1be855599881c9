/* RenewEdge, ours: a relay or a STUN server says that it is there. Any proxy that brings agents'
 * calls here brings this one, too. */

#include "libcommon/account/store/edges.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/edges/edges.h"
#include "services/management/rpc/methods.h"

#define CLAIM_MEMORY (16u * 1024)

struct renewal {
    struct rk_job job;
    struct app *app;
    struct rk_grpc_call *call; /* NULL once it is gone */
    struct rk_arena *arena;
    struct rk_claim claim;
    bool news;
    int r;
    struct rk_err err;
};

static void renewal_free(struct renewal *k)
{
    rk_arena_free(k->arena);
    free(k);
}

static void run(struct rk_job *j, void *worker)
{
    struct renewal *k = rk_container_of(j, struct renewal, job);

    k->r = rk_edge_renew(((struct worker *)worker)->pg, &k->claim, &k->news, &k->err);
}

static void done(struct rk_job *j)
{
    struct renewal *k = rk_container_of(j, struct renewal, job);

    if (j->refused)
        k->r = rk_fail(&k->err, RK_UNAVAILABLE, "this replica is going away");
    if (k->r == 0 && k->news) {
        rk_rds_publish(k->app->rds, RK_EDGE_DOORBELL, RK_STR(""));
        edges_heard(k->app->edges); /* ourselves at once, Redis or not */
    }
    if (k->call) {
        rk_grpc_set_data(k->call, NULL);
        if (k->r == 0)
            rk_grpc_send(k->call, RK_STR(""));
        rk_grpc_finish(k->call, rk_grpc_status_of(k->r), k->r < 0 ? k->err.msg : NULL);
    }
    renewal_free(k);
}

void rpc_renew_edge(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    struct app *app = arg;
    struct renewal *k = rk_new(struct renewal);

    k->app = app;
    k->call = call;
    k->arena = rk_arena_new(CLAIM_MEMORY);
    k->job.run = run;
    k->job.done = done;
    if (!app->have_relay)
        k->r = rk_fail(&k->err, RK_PRECONDITION, "management has no relay_secret");
    else
        k->r = rk_claim_open(&app->claim_key, message, rk_wall_us(), k->arena, &k->claim, &k->err);
    if (k->r == 0 && !rk_workers_submit(app->workers, app->loop, &k->job))
        k->r = rk_fail(&k->err, RK_UNAVAILABLE, "too much to do");
    if (k->r < 0) {
        struct rk_logctx ctx = { .remote = rk_grpc_remote(call) };

        rk_info(&ctx, "a relay or STUN server was not registered: %s", k->err.msg);
        rk_grpc_finish(call, rk_grpc_status_of(k->r), k->err.msg);
        renewal_free(k);
        return;
    }
    rk_grpc_set_data(call, k);
}

void rpc_renew_edge_gone(struct rk_grpc_call *call, bool finished, void *arg)
{
    struct renewal *k = rk_grpc_data(call);

    (void)finished;
    (void)arg;
    if (k)
        k->call = NULL;
}
