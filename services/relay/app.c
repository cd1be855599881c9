#include "services/relay/app.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/cores.h"
#include "libcommon/admin/admin.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/fds.h"
#include "libcommon/conf/addr.h"
#include "libcommon/crypto/box.h"
#include "libcommon/edge/registrar.h"
#include "libcommon/loop/loop.h"
#include "libcommon/net/tls.h"
#include "libcommon/obs/log.h"
#include "services/relay/core/core.h"
#include "services/relay/listen.h"
#include "services/relay/metrics.h"

/* The main thread runs the admin port, signals and certificate reload; the cores run everything
 * else. */
struct app {
    const struct relay_config *cfg;
    struct rk_loop *loop;
    struct rk_admin *admin;
    struct rk_tls *tls;
    struct cores *cores;
    struct rk_registrar *registrar;
    char *instance_url;
    struct rk_cidrs *trusted;
    uint32_t loops;
    _Atomic uint32_t running;
    struct rk_task drained;
};

static void on_scrape(void *arg)
{
    struct app *a = arg;
    int64_t sums[COUNT_END];

    cores_counts(a->cores, sums);
    relay_metrics_set(sums);
}

static void on_all_drained(struct rk_task *t)
{
    struct app *a = rk_container_of(t, struct app, drained);

    rk_info(NULL, "drained");
    rk_registrar_close(a->registrar);
    rk_admin_close(a->admin);
    rk_loop_stop(a->loop);
}

/* On a core's thread. */
static void on_core_drained(void *arg)
{
    struct app *a = arg;

    if (atomic_fetch_sub(&a->running, 1) == 1)
        rk_loop_post(a->loop, &a->drained);
}

/* Agents are told of other relays by now, before they lose this one. */
static void on_left(void *arg)
{
    struct app *a = arg;

    cores_drain(a->cores);
}

static void on_stop(void *arg)
{
    struct app *a = arg;

    rk_info(NULL, "draining");
    rk_admin_draining(a->admin);
    rk_registrar_leave(a->registrar, on_left, a);
}

/* Connections: agents, and those that try which relay answers first. */
static uint64_t load(void *arg)
{
    struct app *a = arg;
    int64_t sums[COUNT_END];

    cores_counts(a->cores, sums);
    return (uint64_t)sums[COUNT_CONNECTIONS];
}

static int start_tls(struct app *a, struct rk_err *err)
{
    if (!a->cfg->tls_cert_file[0])
        return 0;
    /* Agents offer no ALPN here; browsers offer http/1.1. */
    return rk_tls_server_new(a->loop, a->cfg->tls_cert_file, a->cfg->tls_key_file, "\x08http/1.1",
                             true, &a->tls, err);
}

static int start(struct app *a, struct rk_err *err)
{
    struct core_config cc = {
        .instance_url = a->instance_url,
        .instance_url_n = strlen(a->instance_url),
        .queue_bytes = (size_t)a->cfg->queue_bytes,
        .share_bytes = (size_t)a->cfg->queue_total_bytes / a->loops,
        .ring_bytes = RING_BYTES,
        .max_connections = a->cfg->max_connections,
        .drain_ms = (uint64_t)a->cfg->common.drain_ms,
        .trusted_proxies = a->trusted,
        .arg = a,
        .on_drained = on_core_drained,
    };
    rk_auto(rk_free) void *memory = rk_new_array(int, a->loops);
    int *fds = memory;
    char bound[RK_ADDR_LEN];
    struct rk_addr addr;
    int r;

    r = rk_addr_parse(rk_str(a->cfg->listen), &addr, err);
    if (r == 0)
        r = start_tls(a, err);
    if (r == 0)
        r = rk_admin_new(a->loop, a->cfg->common.admin_listen, &a->admin, err);
    if (r == 0)
        r = listen_open(&addr, a->loops, fds, bound, err);
    if (r < 0)
        return r;
    cc.tls = a->tls;
    rk_relay_key_init(&cc.key, rk_str(a->cfg->relay_secret));
    a->running = a->loops;
    a->cores = cores_start(a->loops, fds, &cc);
    rk_wipe(&cc.key, sizeof(cc.key));
    r = rk_registrar_new(a->loop,
                         &(struct rk_registrar_terms){ .cfg = &a->cfg->edge,
                                                       .url = a->instance_url,
                                                       .relay_secret = a->cfg->relay_secret,
                                                       .capacity = (uint64_t)cc.max_connections,
                                                       .load = load,
                                                       .arg = a },
                         &a->registrar, err);
    if (r < 0)
        return r;
    rk_admin_on_scrape(a->admin, on_scrape, a);
    rk_admin_ready(a->admin, "listening", true, NULL);
    rk_log_ready(bound, rk_admin_address(a->admin));
    return 0;
}

int relay_app_run(const struct relay_config *cfg)
{
    struct app a = { .cfg = cfg, .drained.run = on_all_drained };
    struct rk_err err = { 0 };

    if (rk_log_init("relay", cfg->common.instance, cfg->common.log_level, &err) < 0) {
        (void)fprintf(stderr, "rookery-relay: %s\n", err.msg);
        return 1;
    }
    rk_fds_raise();
    relay_metrics_register();
    rk_registrar_metrics_register();
    rk_door_metrics_register();
    a.loops = cfg->loops > 0 ? (uint32_t)cfg->loops : rk_cores();
    a.instance_url = relay_instance_url(cfg, &err);
    a.trusted = cfg->trusted_proxies[0] ? rk_cidrs_parse(rk_str(cfg->trusted_proxies), &err) : NULL;
    a.loop = rk_loop_new();
    if (!a.instance_url || start(&a, &err) < 0) {
        rk_error(NULL, "cannot start: %s", err.msg);
        return 1; /* the process ends: nothing is connected yet */
    }
    rk_loop_on_stop(a.loop, on_stop, &a);
    rk_loop_run(a.loop);
    cores_join_free(a.cores);
    rk_tls_free(a.tls);
    rk_loop_free(a.loop);
    rk_cidrs_free(a.trusted);
    free(a.instance_url);
    return 0;
}
