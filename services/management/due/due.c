/* One look at a time, on a timer that changes nearby bring forward. */

#include "services/management/due/due.h"

#include "libcommon/account/peer/due.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/metrics.h"

#define HEARD_MS 200 /* a burst of changes is one look */
#define FAILED_MS 500

struct due {
    struct app *app;
    struct rk_timer timer;
    uint64_t look_at_ms; /* what the timer is set to */
    bool looking;
    bool heard; /* while looking */
};

struct look {
    struct rk_job job;
    struct due *owner;
    struct rk_due_report report;
    int r;
    struct rk_err err;
};

uint64_t due_sleep(int64_t next_ms)
{
    return next_ms < 0 || next_ms > DUE_LOOK_MS ? DUE_LOOK_MS : (uint64_t)next_ms;
}

static void look_within(struct due *d, uint64_t ms)
{
    uint64_t at = rk_mono_ms() + ms;

    if (d->look_at_ms != 0 && d->look_at_ms <= at)
        return;
    d->look_at_ms = at;
    rk_timer_start(&d->timer, ms, 0);
}

/* Worker thread. */
static void acted(void *arg, enum rk_due_kind kind, int64_t late_us)
{
    (void)arg;
    rk_metric_add_at(&metrics[METRIC_DUE], kind, 1);
    rk_metric_observe(&metrics[METRIC_DUE_LATE], (double)late_us / 1e6);
}

static void look_run(struct rk_job *j, void *worker)
{
    struct look *k = rk_container_of(j, struct look, job);
    struct worker *w = worker;
    const struct rk_due_params params = { .ephemeral_s = w->cfg->ephemeral_life_s,
                                          .default_domain = w->cfg->dns_domain,
                                          .on_acted = acted };

    k->r = rk_due_act(w->pg, &params, &k->report, &k->err);
}

static void look_done(struct rk_job *j)
{
    struct look *k = rk_container_of(j, struct look, job);
    struct due *d = k->owner;

    d->looking = false;
    for (size_t i = 0; i < k->report.bells_n; i++)
        app_ring(d->app, k->report.bells[i].account_id, k->report.bells[i].serial);
    if (!k->job.refused && k->r < 0)
        metric_add(METRIC_DUE_FAILED, 1);
    look_within(d, k->r < 0 ? FAILED_MS : due_sleep(k->report.next_ms));
    if (d->heard)
        look_within(d, HEARD_MS);
    d->heard = false;
    free(k->report.bells);
    free(k);
}

static void on_timer(struct rk_timer *t)
{
    struct due *d = rk_container_of(t, struct due, timer);
    struct look *k;

    d->look_at_ms = 0;
    if (d->looking)
        return;
    if (!d->app->have_key || d->app->draining) {
        look_within(d, FAILED_MS);
        return;
    }
    k = rk_new(struct look);
    k->owner = d;
    k->job.run = look_run;
    k->job.done = look_done;
    d->looking = rk_workers_submit(d->app->workers, d->app->loop, &k->job);
    if (!d->looking) {
        free(k);
        look_within(d, FAILED_MS);
    }
}

struct due *due_new(struct app *app)
{
    struct due *d = rk_new(struct due);

    d->app = app;
    rk_timer_init(app->loop, &d->timer, on_timer);
    look_within(d, HEARD_MS);
    return d;
}

static void closed(struct rk_timer *t)
{
    free(rk_container_of(t, struct due, timer));
}

void due_close(struct due *d)
{
    rk_timer_close(&d->timer, closed);
}

void due_heard(struct due *d)
{
    if (d->looking)
        d->heard = true;
    else
        look_within(d, HEARD_MS);
}
