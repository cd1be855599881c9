/* See app.h. */

#include "services/dashboard-api/app.h"

#include <stdio.h>
#include <unistd.h>

#include "libcommon/account/rules/job.h"
#include "libcommon/account/store/store.h"
#include "libcommon/admin/admin.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/cores.h"
#include "libcommon/geo/geo.h"
#include "libcommon/loop/background.h"
#include "libcommon/obs/log.h"
#include "libcommon/obs/metrics.h"
#include "libcommon/oidc/keeper.h"
#include "libcommon/rds/rds.h"
#include "services/dashboard-api/connector/upstream.h"
#include "services/dashboard-api/http/server.h"
#include "services/dashboard-api/login/local.h"
#include "services/dashboard-api/oauth/prune.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/picture/picture.h"
#include "services/dashboard-api/touch.h"

#define MAX_QUEUED 512
#define MAX_QUEUED_OUTBOUND 50
/* For each thread: what one does in 3 s. Who finds the queue full knows at once, and who finds a
 * place in it is answered while the answer is still waited for. */
#define MAX_QUEUED_PASSWORD 16
#define MAX_HASHING 4 /* where nobody says how many: 64 MiB each, however many cores there are */
#define HEALTH_MS 1000
#define HEALTH_LATE 3 /* unanswered turns until we are not ready */
#define TOUCH_MS 5000
#define TEND_MS 60000 /* how often old rows are pruned and signing keys looked after */
#define GEO_MS 2000   /* how often the geo database's file is looked at */

struct worker {
    struct rk_pg *pg;
    struct rk_background background; /* of those that hash passwords */
};

/* Migrates until that has worked once, afterwards says whether Postgres answers. */
struct health {
    struct rk_job job;
    bool busy;
    unsigned late; /* turns of the timer since it was asked */
    bool migrated; /* these three are the worker's while it is busy */
    bool ok;
    bool refused; /* with these settings nobody could sign in */
    struct rk_err err;
    bool up; /* the loop's own: what it last heard */
};

struct touch_job {
    struct rk_job job;
    bool busy;
    struct touch batch;
};

struct tend_job {
    struct rk_job job;
    bool busy;
    bool shut; /* nobody signs in with a password */
    struct provider *provider;
};

struct geo_job {
    struct rk_job job;
    bool busy;
    struct rk_geo *geo;
    int outcome; /* enum rk_geo_refreshed, or negative */
    struct rk_err err;
};

struct app {
    const struct api_config *config;
    struct rk_seal seal;
    struct pictures *pictures;
    struct rk_geo *geo;
    struct rk_loop *loop;
    struct rk_workers *workers; /* the common pool */
    struct shared shared;
    struct rk_cidrs *trusted;
    struct rk_admin *admin;
    struct rk_rds *rds;
    struct server *server;
    struct rk_timer health_timer, touch_timer, geo_timer, tend_timer, drain_timer;
    struct health health;
    struct touch touch;
    struct touch_job touch_job;
    struct geo_job geo_job;
    struct tend_job tend_job;
    struct rk_task teardown;
    bool said_away;
    bool stopping, down;
};

static void *worker_open(void *arg)
{
    struct app *a = arg;
    struct worker *w = rk_new(struct worker);

    w->pg = rk_pg_new(a->config->postgres, a->config->common.instance);
    return w;
}

/* Hashing takes whole cores for as long as somebody tries passwords: all else goes first. */
static void *password_worker_open(void *arg)
{
    struct worker *w = worker_open(arg);

    rk_background_begin(&w->background);
    return w;
}

static uint64_t password_worker_after(void *worker)
{
    return rk_background_rest(&((struct worker *)worker)->background);
}

static void worker_close(void *worker)
{
    struct worker *w = worker;

    rk_pg_free(w->pg);
    rk_free(w);
}

struct rk_pg *server_worker_pg(void *worker)
{
    return ((struct worker *)worker)->pg;
}

static int prepare(const struct app *a, struct rk_pg *pg, struct rk_err *err)
{
    int r = rk_store_migrate(pg, err);

    return r == 0 && a->config->local_auth_disabled ? local_shut(pg, err) : r;
}

static void health_run(struct rk_job *j, void *worker)
{
    struct health *h = rk_container_of(j, struct health, job);
    struct rk_pg *pg = ((struct worker *)worker)->pg;
    int r;

    h->err = (struct rk_err){ 0 };
    if (!h->migrated) {
        r = prepare(rk_container_of(h, struct app, health), pg, &h->err);
        h->migrated = r == 0;
        h->refused = r == RK_PRECONDITION;
    }
    h->ok = h->migrated && rk_pg_ping(pg, &h->err) == 0;
}

static void on_stop(void *arg);

/* Of the identity provider. */
static void keep_keys(struct app *a)
{
    if (a->shared.verifier && !a->shared.keeper)
        a->shared.keeper = rk_keeper_new(a->loop, a->shared.verifier, a->config->postgres);
}

static void health_done(struct rk_job *j)
{
    struct health *h = rk_container_of(j, struct health, job);
    struct app *a = rk_container_of(h, struct app, health);

    h->busy = false;
    if (j->refused || a->stopping)
        return;
    if (h->refused) {
        rk_error(NULL, "%s", h->err.msg);
        on_stop(a);
        return;
    }
    rk_admin_ready(a->admin, "postgres", h->ok, h->ok ? "" : "postgres is away");
    if (!h->ok && !a->said_away)
        rk_error(NULL, "postgres: %s", h->err.msg);
    if (h->ok && a->said_away)
        rk_info(NULL, "postgres is back");
    a->said_away = !h->ok;
    h->up = h->ok;
    if (h->up)
        keep_keys(a);
}

/* The provider may be away: that is for people to know, and no reason to take requests from us. */
static void note_sign_in(struct app *a)
{
    char trouble[RK_VERIFIER_TROUBLE_LEN];

    if (!a->shared.verifier)
        return;
    rk_verifier_trouble(a->shared.verifier, trouble);
    rk_admin_note(a->admin, "sign_in", trouble);
}

static void on_health_timer(struct rk_timer *t)
{
    struct app *a = rk_container_of(t, struct app, health_timer);

    note_sign_in(a);
    if (a->health.busy) {
        if (++a->health.late == HEALTH_LATE && !a->stopping)
            rk_admin_ready(a->admin, "postgres", false, "postgres does not answer");
        return;
    }
    a->health.late = 0;
    a->health.job.run = health_run;
    a->health.job.done = health_done;
    a->health.busy = rk_workers_submit(a->workers, a->loop, &a->health.job);
}

static void touch_run(struct rk_job *j, void *worker)
{
    struct touch_job *t = rk_container_of(j, struct touch_job, job);
    struct rk_err err = { 0 };

    /* Lost while Postgres is away: it is a date for people to look at. */
    if (touch_store(((struct worker *)worker)->pg, &t->batch, &err) < 0)
        rk_debug(NULL, "token uses not stored: %s", err.msg);
}

static void touch_done(struct rk_job *j)
{
    rk_container_of(j, struct touch_job, job)->busy = false;
}

static void touch_flush(struct app *a)
{
    if (a->touch_job.busy || a->touch.n == 0)
        return;
    a->touch_job.batch = a->touch;
    a->touch_job.job.run = touch_run;
    a->touch_job.job.done = touch_done;
    a->touch_job.busy = rk_workers_submit(a->workers, a->loop, &a->touch_job.job);
    if (a->touch_job.busy)
        a->touch.n = 0;
}

static void on_touch_timer(struct rk_timer *t)
{
    touch_flush(rk_container_of(t, struct app, touch_timer));
}

static void geo_run(struct rk_job *j, void *worker)
{
    struct geo_job *g = rk_container_of(j, struct geo_job, job);

    (void)worker;
    g->err = (struct rk_err){ 0 };
    g->outcome = rk_geo_refresh(g->geo, &g->err);
}

static void geo_done(struct rk_job *j)
{
    struct geo_job *g = rk_container_of(j, struct geo_job, job);

    g->busy = false;
    if (j->refused)
        return;
    if (g->outcome == RK_GEO_LOADED)
        rk_info(NULL, "geo database: one made at %llu is in effect",
                (unsigned long long)rk_geo_built_s(g->geo));
    else if (g->outcome < 0)
        rk_warn(NULL, "geo database: %s", g->err.msg);
}

static void on_geo_timer(struct rk_timer *t)
{
    struct app *a = rk_container_of(t, struct app, geo_timer);
    struct geo_job *g = &a->geo_job;

    if (g->busy)
        return;
    g->geo = a->geo;
    g->job.run = geo_run;
    g->job.done = geo_done;
    g->busy = rk_workers_submit(a->workers, a->loop, &g->job);
}

/* What is not done now is done in a minute, by us or by another replica. */
static void tend_run(struct rk_job *j, void *worker)
{
    struct tend_job *t = rk_container_of(j, struct tend_job, job);
    struct rk_pg *pg = ((struct worker *)worker)->pg;
    rk_auto(key_set_unref) struct key_set *keys = NULL;
    struct rk_err err = { 0 };

    if (keys_get(t->provider->keys, pg, false, &keys, &err) < 0)
        rk_warn(NULL, "signing keys: %s", err.msg);
    /* A replica with other settings may have let somebody in until now. */
    if (t->shut && local_shut(pg, &err) < 0)
        rk_warn(NULL, "%s", err.msg);
    if (oauth_prune(pg, &err) < 0)
        rk_debug(NULL, "old logins not pruned: %s", err.msg);
}

static void tend_done(struct rk_job *j)
{
    rk_container_of(j, struct tend_job, job)->busy = false;
}

static void on_tend_timer(struct rk_timer *t)
{
    struct app *a = rk_container_of(t, struct app, tend_timer);

    if (a->tend_job.busy || !a->health.up)
        return;
    a->tend_job.provider = a->shared.provider;
    a->tend_job.shut = a->config->local_auth_disabled;
    a->tend_job.job.run = tend_run;
    a->tend_job.job.done = tend_done;
    a->tend_job.busy = rk_workers_submit(a->workers, a->loop, &a->tend_job.job);
}

static void ring(struct app *a, const struct rk_bell *bell)
{
    char text[64];

    if (bell->serial == 0)
        return;
    snprintf(text, sizeof(text), "%s %llu", bell->account_id, (unsigned long long)bell->serial);
    rk_rds_publish(a->rds, RK_DOORBELL, rk_str(text));
}

static void on_done(struct request *q, void *arg)
{
    struct app *a = arg;
    struct call *c = &q->call;

    ring(a, &c->sign_in_bell);
    ring(a, &c->bell);
    if (c->job_bell.peer_id[0] != '\0') {
        char text[64];

        snprintf(text, sizeof(text), "%s %s", c->job_bell.peer_id, c->job_bell.job_id);
        rk_rds_publish(a->rds, RK_JOB_DOORBELL, rk_str(text));
    }
    if (c->caller.pat_id[0] != '\0') {
        touch_note(&a->touch, c->caller.pat_id, rk_wall_us());
        if (a->touch.n == TOUCH_MAX)
            touch_flush(a);
    }
}

static void rds_changed(struct rk_rds *r, void *arg)
{
    (void)r; /* the library says it in the log; without Redis a change is late, not lost */
    (void)arg;
}

static void on_scrape(void *arg)
{
    server_metrics_scrape(((struct app *)arg)->server);
}

static void on_rds_closed(void *arg)
{
    rk_loop_stop(((struct app *)arg)->loop);
}

/* All jobs have come home. */
static void teardown(struct rk_task *t)
{
    struct app *a = rk_container_of(t, struct app, teardown);

    server_close(a->server);
    rk_timer_close(&a->health_timer, NULL);
    rk_timer_close(&a->touch_timer, NULL);
    rk_timer_close(&a->geo_timer, NULL);
    rk_timer_close(&a->tend_timer, NULL);
    rk_timer_close(&a->drain_timer, NULL);
    rk_admin_close(a->admin);
    rk_rds_close(a->rds, on_rds_closed, a);
}

/* After the completions that the workers have posted; before the teardown come the requests that
 * waited for keys. */
static void completed(struct rk_task *t)
{
    struct app *a = rk_container_of(t, struct app, teardown);

    t->run = teardown;
    rk_loop_defer(a->loop, t);
}

/* Once: when everything in flight was answered, or the deadline for that has passed. */
static void go_down(struct app *a)
{
    if (a->down)
        return;
    a->down = true;
    touch_flush(a);
    upstreams_stop(a->shared.upstreams);
    server_stop_checks(a->server);
    rk_keeper_close(a->shared.keeper);
    for (enum pool p = 0; p < POOL_END; p++) {
        rk_workers_free(a->shared.pool[p]);
        a->shared.pool[p] = NULL;
    }
    a->teardown.run = completed;
    rk_loop_post(a->loop, &a->teardown);
}

static void on_drained(void *arg)
{
    rk_timer_start(&((struct app *)arg)->drain_timer, 0, 0);
}

static void on_drain_timer(struct rk_timer *t)
{
    go_down(rk_container_of(t, struct app, drain_timer));
}

static void on_stop(void *arg)
{
    struct app *a = arg;

    if (a->stopping)
        return;
    a->stopping = true;
    rk_info(NULL, "stopping");
    rk_admin_draining(a->admin);
    rk_timer_start(&a->drain_timer, (uint64_t)a->config->common.drain_ms, 0);
    server_drain(a->server, on_drained, a);
}

static void open_pools(struct app *a)
{
    const struct rk_fetch_rules rules = rk_oidc_fetch_rules(&a->config->oidc);
    static const struct rk_workers_ops ops = { .open = worker_open, .close = worker_close };
    static const struct rk_workers_ops password_ops = { .open = password_worker_open,
                                                        .close = worker_close,
                                                        .after = password_worker_after };
    unsigned hashing = a->config->password_workers > 0
                           ? (unsigned)a->config->password_workers
                           : rk_background_threads(rk_cores(), MAX_HASHING);

    a->shared.upstreams = upstreams_new(&rules, (unsigned)a->config->outbound_workers);
    a->workers = rk_workers_new((unsigned)a->config->workers, MAX_QUEUED, &ops, a);
    a->shared.pool[POOL_COMMON] = a->workers;
    a->shared.pool[POOL_PASSWORD] =
        rk_workers_new(hashing, (size_t)hashing * MAX_QUEUED_PASSWORD, &password_ops, a);
    a->shared.pool[POOL_OUTBOUND] =
        rk_workers_new((unsigned)a->config->outbound_workers, MAX_QUEUED_OUTBOUND, &ops, a);
}

static void open_sign_in(struct app *a)
{
    const struct api_config *c = a->config;

    a->shared.sign_in = (struct rk_sign_in_rules){
        .embedded = rk_oidc_mode(&c->oidc) == RK_OIDC_EMBEDDED,
        .single_account_domain =
            c->oidc.oidc_single_account ? c->oidc.oidc_single_account_domain : "",
        .default_domain = c->dns_domain,
    };
    a->shared.verifier = rk_oidc_verifier_new(&c->oidc);
    if (!a->shared.sign_in.embedded) /* our own keys are in Postgres, which comes first */
        keep_keys(a);
}

static int build(struct app *a, struct rk_err *err)
{
    static const struct rk_rds_ops rds_ops = { .on_up = rds_changed, .on_down = rds_changed };
    static const struct server_ops server_ops = { .on_done = on_done };
    int r;

    r = rk_seal_init(&a->seal, rk_str(a->config->secret_key), err);
    if (r < 0)
        return r;
    a->geo = rk_geo_new(a->config->geo_database, true);
    server_metrics_register();
    rk_verifier_metrics_register();
    a->loop = rk_loop_new();
    r = rk_admin_new(a->loop, a->config->common.admin_listen, &a->admin, err);
    if (r < 0)
        return r;
    rk_admin_ready(a->admin, "postgres", false, "not asked yet");
    r = rk_rds_new(a->loop, &a->config->redis, &rds_ops, a, &a->rds, err);
    if (r < 0)
        return r;
    a->pictures = pictures_new(a->config->dns_domain);
    a->shared.config = a->config;
    a->shared.seal = &a->seal;
    a->shared.pictures = a->pictures;
    a->shared.geo = a->geo;
    if (a->config->trusted_proxies[0] != '\0') {
        a->trusted = rk_cidrs_parse(rk_str(a->config->trusted_proxies), err);
        if (!a->trusted)
            return err->code;
        a->shared.trusted = a->trusted;
    }
    r = provider_new(a->config, &a->seal, &a->shared.provider, err);
    if (r < 0)
        return r;
    open_pools(a);
    open_sign_in(a);
    r = server_new(a->loop, &a->shared, &server_ops, a, &a->server, err);
    if (r < 0)
        return r;
    rk_admin_on_scrape(a->admin, on_scrape, a);
    rk_timer_init(a->loop, &a->health_timer, on_health_timer);
    rk_timer_init(a->loop, &a->touch_timer, on_touch_timer);
    rk_timer_init(a->loop, &a->geo_timer, on_geo_timer);
    rk_timer_init(a->loop, &a->tend_timer, on_tend_timer);
    rk_timer_init(a->loop, &a->drain_timer, on_drain_timer);
    rk_timer_start(&a->health_timer, 0, HEALTH_MS);
    rk_timer_start(&a->touch_timer, TOUCH_MS, TOUCH_MS);
    if (a->config->geo_database[0] != '\0')
        rk_timer_start(&a->geo_timer, 0, GEO_MS);
    if (a->shared.provider)
        rk_timer_start(&a->tend_timer, HEALTH_MS, TEND_MS);
    rk_loop_on_stop(a->loop, on_stop, a);
    return 0;
}

int app_run(const struct api_config *config)
{
    struct app *a = rk_new(struct app);
    struct rk_err err = { 0 };
    bool refused;

    a->config = config;
    if (build(a, &err) < 0) {
        /* The process ends here, so what was built is left to it. */
        rk_error(NULL, "%s", err.msg);
        return 1;
    }
    rk_log_ready(server_address(a->server), rk_admin_address(a->admin));
    rk_loop_run(a->loop);
    provider_free(a->shared.provider);
    rk_verifier_free(a->shared.verifier);
    rk_seal_done(&a->seal);
    pictures_free(a->pictures);
    upstreams_free(a->shared.upstreams);
    rk_geo_free(a->geo);
    rk_cidrs_free(a->trusted);
    rk_loop_free(a->loop);
    refused = a->health.refused;
    rk_free(a);
    return refused ? 1 : 0;
}
