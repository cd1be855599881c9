/* See batch.h. */

#include "services/dashboard-api/http/batch.h"

#include "libcommon/account/store/store.h"
#include "libcommon/base/clock.h"
#include "services/dashboard-api/http/server.h"

#define BATCH_MAX 16
#define BATCH_MS 20 /* after which nobody is taken along: the first one waits, too */

struct batch {
    struct rk_workers *workers;
    uint64_t began_ms;
    struct request *q[BATCH_MAX];
    unsigned n;
};

/* FNV-1a: who finds another token with the same number waits for it. */
uint64_t batch_lane(const struct request *q, enum pool pool)
{
    uint64_t lane = 14695981039346656037u;

    if (pool != POOL_COMMON || !q->token || !q->route->writes)
        return 0;
    for (const char *p = q->token; *p; p++)
        lane = (lane ^ (uint8_t)*p) * 1099511628211u;
    return lane;
}

/* Who has waited for half of its time is not begun: when more comes than can be done, everybody
 * would have waited too long, and every answer would be too late. */
static void serve(struct request *q, struct rk_pg *pg)
{
    q->late = rk_mono_ms() >= q->begin_by_ms;
    if (q->late)
        return;
    rk_trace_enter(&q->trace);
    request_serve(q, pg);
    rk_trace_leave();
}

static bool more(void *arg)
{
    const struct batch *b = arg;

    return b->n < BATCH_MAX && rk_mono_ms() - b->began_ms < BATCH_MS &&
           rk_workers_waits(b->workers, b->q[0]->job.lane);
}

/* Who goes on elsewhere forgets its own bell. */
static void hand_bell(struct request *q, const struct rk_bell *bell)
{
    struct rk_bell *to = q->moves ? &q->call.sign_in_bell : &q->call.bell;

    if (bell->serial > to->serial)
        *to = *bell;
}

static void serve_batch(struct request *q, struct rk_pg *pg)
{
    struct batch b = {
        .workers = q->call.shared->pool[POOL_COMMON],
        .began_ms = rk_mono_ms(),
        .q = { q },
        .n = 1,
    };
    struct rk_batch *changes = rk_batch_begin(pg, more, &b);
    struct rk_bell bell = { .serial = 0 };
    struct rk_err err = { 0 };
    struct rk_job *next;
    int r;

    serve(q, pg);
    while (rk_pg_put_off(pg) && more(&b) &&
           (next = rk_workers_take(b.workers, q->job.lane)) != NULL) {
        b.q[b.n] = rk_container_of(next, struct request, job);
        serve(b.q[b.n++], pg);
    }
    r = rk_batch_end(changes, pg, &bell, &err);
    for (unsigned i = 0; r < 0 && i < b.n; i++) {
        if (r == RK_CONFLICT)
            serve(b.q[i], pg);
        else
            request_refuse(b.q[i], &err);
    }
    hand_bell(q, &bell);
    for (unsigned i = 1; i < b.n; i++)
        rk_job_home(&b.q[i]->job);
}

void batch_run(struct rk_job *j, void *worker)
{
    struct request *q = rk_container_of(j, struct request, job);

    if (j->lane == 0)
        serve(q, server_worker_pg(worker));
    else
        serve_batch(q, server_worker_pg(worker));
}
