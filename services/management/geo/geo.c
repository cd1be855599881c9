/* A look at the file every two seconds, on a worker. */

#include "services/management/geo/geo.h"

#include "libcommon/base/alloc.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"

struct geo {
    struct app *app;
    struct rk_timer timer;
    struct rk_job job;
    bool looking;
};

void geo_refresh(struct app *app)
{
    struct rk_err err = { 0 };
    int r = rk_geo_refresh(app->geo, &err);

    if (r == RK_GEO_LOADED)
        rk_info(NULL, "geo database: one made at %llu is in effect",
                (unsigned long long)rk_geo_built_s(app->geo));
    else if (r < 0)
        rk_warn(NULL, "geo database: %s", err.msg);
}

static void run(struct rk_job *j, void *worker)
{
    (void)worker;
    geo_refresh(rk_container_of(j, struct geo, job)->app);
}

static void done(struct rk_job *j)
{
    rk_container_of(j, struct geo, job)->looking = false;
}

static void on_timer(struct rk_timer *t)
{
    struct geo *g = rk_container_of(t, struct geo, timer);

    if (g->looking || !g->app->have_key) /* the start-up job looks by itself */
        return;
    g->job.run = run;
    g->job.done = done;
    g->looking = rk_workers_submit(g->app->workers, g->app->loop, &g->job);
}

struct geo *geo_new(struct app *app)
{
    struct geo *g;

    if (!app->cfg->geo_database || !*app->cfg->geo_database)
        return NULL;
    g = rk_new(struct geo);
    g->app = app;
    rk_timer_init(app->loop, &g->timer, on_timer);
    rk_timer_start(&g->timer, GEO_LOOK_MS, GEO_LOOK_MS);
    return g;
}

static void closed(struct rk_timer *t)
{
    free(rk_container_of(t, struct geo, timer));
}

void geo_close(struct geo *g)
{
    if (g)
        rk_timer_close(&g->timer, closed);
}
