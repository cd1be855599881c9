/*
 * Builds and tears down, in order. Start: loop, admin port, workers, Redis; then a job brings the
 * schema up to date and reads the server's key (again and again until Postgres answers); only then
 * does the gRPC service listen.
 */

#include "services/management/app.h"

#include "libcommon/account/peer/replica.h"
#include "libcommon/account/store/store.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/net/door.h"
#include "libcommon/obs/log.h"
#include "libcommon/oidc/verifier.h"
#include "services/management/due/due.h"
#include "services/management/edges/edges.h"
#include "services/management/fanout/makers.h"
#include "services/management/fanout/session.h"
#include "services/management/geo/geo.h"
#include "services/management/hub/hub.h"
#include "services/management/jobs/jobs.h"
#include "services/management/metrics.h"
#include "services/management/presence/presence.h"
#include "services/management/provider/provider.h"
#include "services/management/rpc/crowd.h"
#include "services/management/rpc/known.h"
#include "services/management/rpc/methods.h"
#include "services/management/upkeep/upkeep.h"

#define JOBS_MAX 20000
#define BOOT_RETRY_MS 1000
#define STALL_MS 30000

/* --- workers --- */

static void *worker_open(void *arg)
{
    struct app *a = arg;
    struct worker *w = rk_new(struct worker);

    w->cfg = a->cfg;
    w->pg = rk_pg_new(a->cfg->postgres, a->cfg->common.instance);
    rk_pg_plan_once(w->pg);
    return w;
}

static void worker_close(void *worker)
{
    struct worker *w = worker;

    rk_pg_free(w->pg);
    free(w);
}

static const struct rk_workers_ops worker_ops = { .open = worker_open, .close = worker_close };

/* --- start-up job --- */

struct boot {
    struct rk_job job;
    struct app *app;
    struct rk_replica_beat beat;
    uint8_t key[RK_KEY_LEN];
    int r;
    struct rk_err err;
};

static void make_key(struct rk_buf *out)
{
    struct rk_keypair k;

    rk_keypair_new(&k);
    rk_buf_put(out, k.private_key, sizeof(k.private_key));
    rk_wipe(&k, sizeof(k));
}

static void boot_run(struct rk_job *j, void *worker)
{
    struct boot *b = rk_container_of(j, struct boot, job);
    struct worker *w = worker;
    rk_auto(rk_buf_done) struct rk_buf key;

    rk_buf_init(&key, 256);
    geo_refresh(b->app);
    b->r = rk_store_migrate(w->pg, &b->err);
    if (b->r < 0)
        return;
    b->r = rk_store_secret(w->pg, &b->app->seal, RK_SECRET_SERVER_KEY, make_key, &key, &b->err);
    if (b->r < 0)
        return;
    /* Before the first stream: peers of a replica that has never beaten are taken for gone. */
    b->r = rk_replica_beat(w->pg, b->app->replica, UPKEEP_LEASE_S, &b->beat, &b->err);
    if (b->r < 0)
        return;
    if (key.n != RK_KEY_LEN) {
        b->r = rk_fail(&b->err, RK_INTERNAL, "stored server key has %zu bytes", key.n);
        return;
    }
    memcpy(b->key, key.p, RK_KEY_LEN);
    rk_wipe(key.p, key.n);
}

static int listen_now(struct app *a, struct rk_err *err)
{
    struct rk_grpc_server_config cfg = {
        .methods = methods,
        .count = methods_count,
        .arg = a,
        .tls = a->tls,
        .tunnels = &tunnels,
        .trusted_proxies = a->trusted,
    };
    struct rk_addr addr;
    int r = rk_addr_parse(rk_str(a->cfg->listen), &addr, err);

    if (r < 0)
        return r;
    return rk_grpc_server_new(a->loop, &addr, &cfg, &a->server, err);
}

static void boot_done(struct rk_job *j)
{
    struct boot *b = rk_container_of(j, struct boot, job);
    struct app *a = b->app;

    a->booting = false;
    if (b->job.refused || a->draining) {
        free(b);
        return;
    }
    if (b->r < 0) {
        if (!a->boot_complained || b->r != RK_UNAVAILABLE)
            rk_warn(NULL, "cannot start yet: %s; trying again", b->err.msg);
        a->boot_complained = true;
        rk_admin_ready(a->admin, "postgres", false, b->err.msg);
        free(b);
        return;
    }
    rk_keypair_from_private(b->key, &a->key);
    rk_key_format(a->key.public_key, a->key_b64);
    rk_wipe(b->key, sizeof(b->key));
    a->have_key = true;
    app_clock(a, b->beat.ahead_us);
    provider_start(a);
    b->r = listen_now(a, &b->err);
    if (b->r < 0) {
        rk_error(NULL, "cannot listen: %s", b->err.msg);
        exit(1);
    }
    rk_timer_stop(&a->boot);
    upkeep_start(a->upkeep);
    edges_start(a->edges);
    rk_admin_ready(a->admin, "postgres", true, NULL);
    rk_log_ready(rk_grpc_server_address(a->server), rk_admin_address(a->admin));
    free(b);
}

static void on_boot(struct rk_timer *t)
{
    struct app *a = rk_container_of(t, struct app, boot);
    struct boot *b;

    if (a->booting || a->have_key)
        return;
    b = rk_new(struct boot);
    b->app = a;
    b->job.run = boot_run;
    b->job.done = boot_done;
    a->booting = rk_workers_submit(a->workers, a->loop, &b->job);
    if (!a->booting)
        free(b);
}

/* --- clock --- */

int64_t app_now_us(const struct app *a)
{
    return (int64_t)(rk_mono_ns() / 1000) + a->ahead_us;
}

void app_clock(struct app *a, int64_t ahead_us)
{
    if (ahead_us > a->ahead_us)
        a->ahead_us = ahead_us;
}

/* --- doorbell --- */

/* One that nobody needs is loaded when somebody does; what changes during its first load may be too
 * late for that. */
static void hear(struct app *a, struct rk_str account, uint64_t serial)
{
    struct hub *h = hub_find(a, account);

    if (h && (h->snap || h->loading))
        hub_hear(h, serial);
}

static void bell(struct app *a, struct rk_str payload)
{
    struct rk_str account, serial_text;
    uint64_t serial;

    if (!rk_str_next(&payload, ' ', &account) || !rk_str_next(&payload, ' ', &serial_text) ||
        !rk_str_u64(serial_text, &serial))
        return;
    due_heard(a->due); /* whatever changed may have brought a deadline */
    hear(a, account, serial);
}

static void rds_message(struct rk_rds *r, struct rk_str channel, struct rk_str payload, void *arg)
{
    (void)r;
    if (rk_str_eq(channel, RK_STR(RK_DOORBELL)))
        bell(arg, payload);
    else if (rk_str_eq(channel, RK_STR(PRESENCE_CHANNEL)))
        presence_heard(arg, payload);
    else if (rk_str_eq(channel, RK_STR(RK_JOB_DOORBELL)))
        jobs_heard(arg, payload);
    else if (rk_str_eq(channel, RK_STR(RK_EDGE_DOORBELL)))
        edges_heard(((struct app *)arg)->edges);
}

/* What rang meanwhile was not heard. */
static void rds_up(struct rk_rds *r, void *arg)
{
    struct app *a = arg;

    (void)r;
    rk_metric_set(&metrics[METRIC_REDIS_UP], 1);
    hub_sweep(a);
    edges_heard(a->edges);
}

static void rds_down(struct rk_rds *r, void *arg)
{
    (void)r;
    (void)arg;
    rk_metric_set(&metrics[METRIC_REDIS_UP], 0);
}

void app_ring(struct app *a, const char *account_id, uint64_t serial)
{
    char msg[64];

    if (serial == 0)
        return;
    snprintf(msg, sizeof(msg), "%s %llu", account_id, (unsigned long long)serial);
    rk_rds_publish(a->rds, RK_DOORBELL, rk_str(msg));
    due_heard(a->due);
    hear(a, rk_str(account_id), serial); /* ourselves at once, Redis or not */
}

/* --- timers --- */

static void on_tick(struct rk_timer *t)
{
    struct app *a = rk_container_of(t, struct app, tick);
    uint64_t now = rk_mono_ms();
    void *value;
    size_t it = 0;

    provider_tick(a);
    while (!rk_list_empty(&a->relay_refresh)) {
        struct session *s = rk_list_entry(a->relay_refresh.next, struct session, by_refresh);

        if (s->refresh_at_ms > now)
            break;
        session_refresh_relay(a, s); /* goes to the end of the list */
    }
    /* A stream that owes a map and whose peer takes nothing for long is cut: the agent comes back.
     */
    while (rk_map_each(a->hubs, &it, &value)) {
        struct hub *h = value;
        struct rk_list *n, *tmp;

        rk_list_each(&h->pending, n, tmp)
        {
            struct session *s = rk_list_entry(n, struct session, by_pending);
            uint64_t since = s->call ? rk_grpc_stalled_since(s->call) : 0;

            if (since && now - since > STALL_MS) {
                struct rk_logctx ctx = { .peer = s->key_b64,
                                         .account = h->id,
                                         .remote = s->remote_ip };

                rk_warn(&ctx, "stream cut: it took nothing for %d s", STALL_MS / 1000);
                rk_grpc_abort(s->call, RK_GRPC_UNAVAILABLE, "stream stalled");
                break; /* lists may have changed; the next tick goes on */
            }
        }
    }
}

static void on_sweep(struct rk_timer *t)
{
    struct app *a = rk_container_of(t, struct app, sweep);

    if (a->have_key)
        hub_sweep(a);
}

static void on_scrape(void *arg)
{
    struct app *a = arg;

    rk_metric_set(&metrics[METRIC_JOBS_QUEUED],
                  (int64_t)(rk_workers_queued(a->workers) + crowds_waiting(a->crowds)));
    rk_metric_set(&metrics[METRIC_BEHIND], (int64_t)(hub_behind_ms(a) / 1000));
    rk_metric_set(&metrics[METRIC_CONNECTIONS],
                  a->server ? (int64_t)rk_grpc_server_connections(a->server) : 0);
}

/* --- life --- */

static int open_parts(struct app *a, struct rk_err *err)
{
    static const struct rk_rds_ops rds_ops = { .on_up = rds_up,
                                               .on_down = rds_down,
                                               .on_message = rds_message };
    const struct config *c = a->cfg;
    int r;

    r = rk_seal_init(&a->seal, rk_str(c->secret_key), err);
    if (r < 0)
        return r;
    if (c->relay_secret && *c->relay_secret) {
        rk_relay_key_init(&a->relay_key, rk_str(c->relay_secret));
        rk_claim_key_init(&a->claim_key, rk_str(c->relay_secret));
        a->have_relay = true;
    }
    if (c->trusted_proxies && *c->trusted_proxies) {
        a->trusted = rk_cidrs_parse(rk_str(c->trusted_proxies), err);
        if (!a->trusted)
            return RK_INVALID;
    }
    if (c->tls_cert_file && *c->tls_cert_file) {
        r = rk_tls_server_new(a->loop, c->tls_cert_file, c->tls_key_file, "\x02h2\x08http/1.1",
                              true, &a->tls, err);
        if (r < 0)
            return r;
    }
    r = rk_admin_new(a->loop, c->common.admin_listen, &a->admin, err);
    if (r < 0)
        return r;
    rk_admin_ready(a->admin, "postgres", false, "not connected yet");
    rk_admin_on_scrape(a->admin, on_scrape, a);
    return rk_rds_new(a->loop, &c->redis, &rds_ops, a, &a->rds, err);
}

struct app *app_new(const struct config *cfg, struct rk_loop *loop, struct rk_err *err)
{
    struct app *a = rk_new(struct app);

    a->cfg = cfg;
    a->loop = loop;
    a->hubs = rk_map_new();
    a->known = rk_map_new();
    a->jobs_open = rk_map_new();
    rk_list_init(&a->relay_refresh);
    rk_buf_init(&a->scratch, ORDER_BYTES_MAX);
    digest_key_new(&a->digest_key);
    rk_metrics_register(metrics, METRIC_COUNT);
    rk_metrics_register(tunnels.metrics, RK_GRPC_TUNNEL_METRICS);
    rk_verifier_metrics_register();
    rk_door_metrics_register();
    a->geo = rk_geo_new(cfg->geo_database, false);
    if (open_parts(a, err) < 0)
        return NULL; /* the process ends with the message */
    rk_rds_subscribe(a->rds, RK_DOORBELL);
    rk_rds_subscribe(a->rds, PRESENCE_CHANNEL);
    rk_rds_subscribe(a->rds, RK_JOB_DOORBELL);
    rk_rds_subscribe(a->rds, RK_EDGE_DOORBELL);
    a->workers = rk_workers_new((unsigned)cfg->workers, JOBS_MAX, &worker_ops, a);
    a->makers = makers_new(a, (unsigned)cfg->map_threads, MAKERS_BATCH_BYTES);
    snprintf(a->replica, sizeof(a->replica), "%.44s/%llx", cfg->common.instance,
             (unsigned long long)rk_wall_us());
    provider_open(a);
    a->edges = edges_new(a);
    a->presence = presence_new(a);
    a->upkeep = upkeep_new(a);
    a->due = due_new(a);
    a->jobs = jobs_new(a);
    a->crowds = crowds_new(a);
    a->geo_watch = geo_new(a);
    rk_timer_init(loop, &a->tick, on_tick);
    rk_timer_start(&a->tick, 1000, 1000);
    rk_timer_init(loop, &a->sweep, on_sweep);
    rk_timer_start(&a->sweep, (uint64_t)cfg->sweep_ms, (uint64_t)cfg->sweep_ms);
    rk_timer_init(loop, &a->boot, on_boot);
    rk_timer_start(&a->boot, 0, BOOT_RETRY_MS);
    return a;
}

/* Drain: a share of the streams goes every step, so that their agents do not all come back at once.
 */
#define DRAIN_STEP_MS 50

static struct session *some_session(struct app *a)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(a->hubs, &it, &value)) {
        struct hub *h = value;

        if (!rk_list_empty(&h->sessions))
            return rk_list_entry(h->sessions.next, struct session, by_hub);
    }
    return NULL;
}

static void end_jobs(struct app *a)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(a->jobs_open, &it, &value))
        rpc_job_end(value);
}

static void on_drain(struct rk_timer *t)
{
    struct app *a = rk_container_of(t, struct app, drain);
    uint64_t now = rk_mono_ms();
    uint64_t left = a->drain_until_ms > now ? (a->drain_until_ms - now) / DRAIN_STEP_MS : 0;
    size_t share = left > 1 ? a->sessions / (left / 2 + 1) + 1 : SIZE_MAX;
    struct session *s;

    while (share-- > 0 && (s = some_session(a))) {
        hub_detach(s->hub, s);
        session_end(a, s, RK_GRPC_OK, NULL);
    }
    if (a->sessions == 0)
        end_jobs(a);
    if ((a->sessions == 0 && presence_idle(a->presence) && jobs_idle(a->jobs) &&
         rk_workers_queued(a->workers) == 0 && crowds_waiting(a->crowds) == 0 &&
         (!a->server || rk_map_count(a->jobs_open) == 0)) ||
        now >= a->drain_until_ms)
        rk_loop_stop(a->loop);
}

void app_stop(struct app *a)
{
    rk_info(NULL, "draining: %zu streams", a->sessions);
    a->draining = true;
    a->drain_until_ms = rk_mono_ms() + (uint64_t)a->cfg->common.drain_ms;
    rk_admin_draining(a->admin);
    if (a->server)
        rk_grpc_server_drain(a->server);
    rk_timer_init(a->loop, &a->drain, on_drain);
    rk_timer_start(&a->drain, DRAIN_STEP_MS, DRAIN_STEP_MS);
}

static void server_closed(void *arg)
{
    rk_loop_stop(arg);
}

void app_free(struct app *a)
{
    if (a->server) { /* every call ends here; their owners free themselves */
        rk_grpc_server_close(a->server, server_closed, a->loop);
        rk_loop_run(a->loop);
    }
    rk_timer_close(&a->tick, NULL);
    rk_timer_close(&a->sweep, NULL);
    rk_timer_close(&a->boot, NULL);
    if (a->draining)
        rk_timer_close(&a->drain, NULL);
    provider_stop(a);
    crowds_stop(a->crowds);
    rk_workers_stop(a->workers);
    makers_stop(a->makers);
    uv_run(rk_loop_uv(a->loop),
           UV_RUN_NOWAIT); /* the jobs' last steps, some of which would go on */
    rk_workers_free(a->workers);
    provider_close(a);
    geo_close(a->geo_watch);
    crowds_close(a->crowds);
    jobs_close(a->jobs);
    due_close(a->due);
    upkeep_close(a->upkeep);
    edges_close(a->edges);
    presence_close(a->presence);
    hub_close_all(a);
    makers_close(a->makers);
    rk_rds_close(a->rds, NULL, NULL);
    rk_admin_close(a->admin);
    rk_tls_free(a->tls);
    uv_run(rk_loop_uv(a->loop), UV_RUN_NOWAIT);
    known_drop_all(a);
    rk_map_free(a->hubs);
    rk_map_free(a->jobs_open);
    rk_cidrs_free(a->trusted);
    rk_geo_free(a->geo);
    rk_buf_done(&a->scratch);
    rk_seal_done(&a->seal);
    rk_wipe(&a->key, sizeof(a->key));
    rk_wipe(&a->relay_key, sizeof(a->relay_key));
    rk_wipe(&a->claim_key, sizeof(a->claim_key));
}
