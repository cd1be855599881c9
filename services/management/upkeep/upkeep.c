/* One job at a time, on a timer. */

#include "services/management/upkeep/upkeep.h"

#include "libcommon/account/peer/replica.h"
#include "libcommon/account/rules/used_token.h"
#include "libcommon/account/store/edges.h"
#include "libcommon/account/store/store.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/spare.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/due/due.h"
#include "services/management/metrics.h"
#include "services/management/presence/presence.h"

struct upkeep {
    struct app *app;
    struct rk_timer timer;
    bool working;
    uint64_t prune_at_ms;
};

struct round_of_upkeep {
    struct rk_job job;
    struct upkeep *owner;
    char name[RK_REPLICA_LEN];
    uint64_t now_ms;
    bool prune;
    struct rk_replica_beat beat;
    int64_t swept, pruned;
    int r;
    struct rk_err err;
};

static void work(struct rk_job *j, void *worker)
{
    struct round_of_upkeep *k = rk_container_of(j, struct round_of_upkeep, job);
    struct rk_pg *pg = ((struct worker *)worker)->pg;

    k->r = rk_replica_beat(pg, k->name, UPKEEP_LEASE_S, &k->beat, &k->err);
    if (k->r == 0)
        k->r = rk_replica_sweep(pg, UPKEEP_LEASE_S, k->owner->app->cfg->ephemeral_life_s, &k->swept,
                                &k->err);
    if (k->r == 0 && k->prune)
        k->r = rk_store_prune_changes(pg, RK_CHANGES_KEEP_S, &k->pruned, &k->err);
    if (k->r == 0 && k->prune)
        k->r = rk_used_token_prune(pg, &k->err);
    if (k->r == 0 && k->prune)
        k->r = rk_edge_prune(pg, &k->err);
    rk_spare_drop();
    (void)rk_heap_trim(UPKEEP_KEEP_HEAP);
}

static void worked(struct rk_job *j)
{
    struct round_of_upkeep *k = rk_container_of(j, struct round_of_upkeep, job);
    struct upkeep *u = k->owner;

    u->working = false;
    if (!k->job.refused && k->r < 0) {
        metric_add(METRIC_UPKEEP_FAILED, 1);
    } else if (!k->job.refused) {
        app_clock(u->app, k->beat.ahead_us);
        if (k->prune)
            u->prune_at_ms = k->now_ms + UPKEEP_PRUNE_MS;
        if (k->swept > 0) {
            rk_info(NULL, "%lld peers were connected to replicas that are gone",
                    (long long)k->swept);
            due_heard(u->app->due);
        }
        metric_add(METRIC_PRESENCE_SWEPT, k->swept);
        metric_add(METRIC_CHANGES_PRUNED, k->pruned);
        /* Others may have taken us for dead: our peers are connected all the same. */
        if (!k->beat.lived)
            presence_repeat(u->app);
    }
    rk_free(k);
}

static void on_timer(struct rk_timer *t)
{
    struct upkeep *u = rk_container_of(t, struct upkeep, timer);
    struct round_of_upkeep *k;

    if (u->working)
        return;
    k = rk_new(struct round_of_upkeep);
    k->job.run = work;
    k->job.done = worked;
    k->owner = u;
    k->now_ms = rk_mono_ms();
    k->prune = k->now_ms >= u->prune_at_ms;
    memcpy(k->name, u->app->replica, sizeof(k->name));
    u->working = rk_workers_submit(u->app->workers, u->app->loop, &k->job);
    if (!u->working)
        rk_free(k);
}

struct upkeep *upkeep_new(struct app *app)
{
    struct upkeep *u = rk_new(struct upkeep);

    u->app = app;
    rk_timer_init(app->loop, &u->timer, on_timer);
    return u;
}

void upkeep_start(struct upkeep *u)
{
    rk_timer_start(&u->timer, 0, UPKEEP_BEAT_MS);
}

static void closed(struct rk_timer *t)
{
    rk_free(rk_container_of(t, struct upkeep, timer));
}

void upkeep_close(struct upkeep *u)
{
    rk_timer_close(&u->timer, closed);
}
