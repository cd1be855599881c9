#include "services/signal/app.h"

/*
 * Two methods. ConnectStream registers a key, and the response header says so once the registration
 * holds; from then on the stream only carries frames to the agent. Send checks one message and
 * queues its frame, unchanged, for the destination: here, or through the router on another replica.
 * Its answer never waits for a socket.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/admin/admin.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fds.h"
#include "libcommon/conf/addr.h"
#include "libcommon/grpc/server.h"
#include "libcommon/net/door.h"
#include "libcommon/obs/log.h"
#include "services/signal/message/message.h"
#include "services/signal/metrics.h"
#include "services/signal/registry/contention.h"
#include "services/signal/registry/registry.h"
#include "services/signal/router/router.h"

#define PUMP_BYTES ((size_t)64 * 1024) /* handed to the connection ahead of the socket */
#define STALL_MS 10000
#define SWEEP_MS 1000
#define REFRESH_EVERY 3 /* sweeps, for one entry: entries expire after 10 s */
#define DRAIN_TICK_MS 50
#define AGAIN "peer registered again"

struct app {
    const struct signal_config *cfg;
    struct rk_loop *loop;
    struct rk_admin *admin;
    struct rk_tls *tls;
    struct router *router;
    struct rk_grpc_server *server;
    struct registry registry;
    struct fifo_budget budget;
    struct contention *contention;
    struct rk_cidrs *trusted;
    struct rk_list held; /* streams that wait for their turn */
    uint64_t warned_ms;  /* of that, once a second at most */
    int64_t stream_count;
    struct rk_timer sweep;
    struct rk_timer drain;
    unsigned sweeps;
    uint64_t drain_until_ms;
    size_t drain_step;
    bool closing;
};

static const struct rk_setting rows[] = {
    { .key = "listen",
      .type = RK_SET_STRING,
      .offset = offsetof(struct signal_config, listen),
      .def = "127.0.0.1:8082",
      .help = "address of the gRPC service" },
    { .key = "tls_cert_file",
      .type = RK_SET_STRING,
      .offset = offsetof(struct signal_config, tls_cert_file),
      .help = "certificate chain (PEM), read again when it changes; empty means cleartext" },
    { .key = "tls_key_file",
      .type = RK_SET_STRING,
      .offset = offsetof(struct signal_config, tls_key_file),
      .help = "private key (PEM) of the certificate" },
    RK_RDS_SETTINGS(struct signal_config, redis),
    { .key = "trusted_proxies",
      .type = RK_SET_STRING,
      .offset = offsetof(struct signal_config, trusted_proxies),
      .help = "CIDR list whose X-Forwarded-For tells where an agent is" },
    { .key = "max_streams",
      .type = RK_SET_INT,
      .offset = offsetof(struct signal_config, max_streams),
      .def = "200000",
      .min = 1,
      .max = 10000000,
      .help = "agents connected at one time; more are refused, and so are connections past five "
              "quarters of it" },
    { .key = "queue_total_bytes",
      .type = RK_SET_INT,
      .offset = offsetof(struct signal_config, queue_total_bytes),
      .def = "268435456",
      .min = 8 << 20,
      .max = (int64_t)1 << 40,
      .help = "bytes of messages that may wait in all queues together; newer ones are dropped" },
};

static int check(const void *config, struct rk_err *err)
{
    const struct signal_config *c = config;
    rk_auto(rk_cidrs_free) struct rk_cidrs *cidrs = rk_cidrs_parse(rk_str(c->trusted_proxies), err);
    struct rk_addr addr;
    int r;

    if (!cidrs)
        return RK_INVALID;
    r = rk_rds_config_check(&c->redis, err);
    if (r < 0)
        return r;
    if (!*c->tls_cert_file != !*c->tls_key_file)
        return rk_fail(err, RK_INVALID, "set tls_cert_file and tls_key_file together");
    return rk_addr_parse(rk_str(c->listen), &addr, err);
}

const struct rk_settings_table signal_settings = {
    .service = "signal",
    .summary = "passes sealed connection offers between agents",
    .rows = rows,
    .count = RK_COUNT(rows),
    .check = check,
};

/* --- streams --- */

/* Messages that go with their stream. */
static void drop_waiting(struct stream *s)
{
    if (s->fifo.count > 0)
        rk_metric_add_at(&signal_metrics[SIGNAL_FORWARD_FAILURES], SIGNAL_FAIL_DISCONNECTED,
                         (int64_t)s->fifo.count);
    fifo_done(&s->fifo);
}

static void stream_free_if_unused(struct stream *s)
{
    if (s->call || s->replies > 0)
        return;
    drop_waiting(s);
    free(s);
}

static void leave(struct app *a, struct stream *s)
{
    if (!registry_remove(&a->registry, s))
        return;
    rk_metric_add(&signal_metrics[SIGNAL_ACTIVE_PEERS], -1);
    signal_count(SIGNAL_DEREGISTRATIONS);
    router_unregister(a->router, stream_key(s), s->epoch);
}

/* The stream's last word. s may be gone when this returns. */
static void stream_end(struct app *a, struct stream *s, int status, const char *why)
{
    if (s->ending || !s->call)
        return;
    s->ending = true;
    leave(a, s);
    drop_waiting(s);
    rk_grpc_abort(s->call, status, why);
}

static void pump(struct stream *s)
{
    unsigned expired = 0;
    struct rk_bytes *f;
    uint64_t waited;

    while (!s->ending && rk_grpc_queued(s->call) < PUMP_BYTES &&
           (f = fifo_pop(&s->fifo, rk_mono_ms(), &expired, &waited))) {
        rk_metric_observe(&signal_metrics[SIGNAL_FORWARD_LATENCY], (double)waited / 1e3);
        rk_grpc_send_frame(s->call, f);
        rk_bytes_unref(f);
    }
    if (expired > 0)
        rk_metric_add_at(&signal_metrics[SIGNAL_FORWARD_FAILURES], SIGNAL_FAIL_TIMEOUT, expired);
}

/* False when the key is not connected here. */
static bool deliver(struct rk_str key, struct rk_bytes *frame, void *arg)
{
    struct app *a = arg;
    struct stream *s = registry_get(&a->registry, key);

    if (!s)
        return false;
    if (!fifo_push(&s->fifo, frame, rk_mono_ms())) {
        signal_count_at(SIGNAL_FORWARD_FAILURES, SIGNAL_FAIL_OVERFLOW);
        return true;
    }
    signal_count(SIGNAL_FORWARDED);
    rk_metric_add(&signal_metrics[SIGNAL_FORWARDED_BYTES], (int64_t)frame->n);
    pump(s);
    return true;
}

/* NULL when the call was refused. */
static struct stream *stream_new(struct app *a, struct rk_grpc_call *c)
{
    struct rk_str key = rk_grpc_header(c, "x-wiretrustee-peer-id");
    struct stream *s;

    if (key.n == 0 || key.n > SIGNAL_MAX_KEY) {
        signal_count_at(SIGNAL_REGISTRATION_FAILURES, SIGNAL_REFUSED_MISSING_ID);
        rk_grpc_finish(c, RK_GRPC_FAILED_PRECONDITION,
                       key.n == 0 ? "missing connection header: x-wiretrustee-peer-id"
                                  : "malformed connection header: x-wiretrustee-peer-id");
        return NULL;
    }
    if (a->stream_count >= a->cfg->max_streams) {
        signal_count_at(SIGNAL_REGISTRATION_FAILURES, SIGNAL_REFUSED_LIMIT);
        rk_grpc_finish(c, RK_GRPC_RESOURCE_EXHAUSTED, "too many streams");
        return NULL;
    }
    a->stream_count++;
    s = rk_new(struct stream);
    s->call = c;
    s->key_n = (uint8_t)key.n;
    memcpy(s->key, key.p, key.n);
    s->source = source_of(rk_grpc_peer(c));
    s->started_ms = rk_mono_ms();
    rk_list_init(&s->pending);
    fifo_init(&s->fifo, &a->budget);
    rk_grpc_set_data(c, s);
    return s;
}

static void connect_on_start(struct rk_grpc_call *c, void *arg)
{
    struct app *a = arg;
    struct stream *s = stream_new(a, c);
    uint64_t delay;

    if (!s)
        return;
    delay = contention_delay_ms(a->contention, stream_key(s), s->started_ms);
    s->turn_ms = s->started_ms + delay;
    if (delay == 0) {
        router_register(a->router, s);
        return;
    }
    signal_count(SIGNAL_REGISTRATIONS_HELD);
    rk_list_append(&a->held, &s->pending);
    if (!rk_due(&a->warned_ms, 1000))
        return;
    rk_warn((&(struct rk_logctx){ .remote = rk_grpc_remote(c) }),
            "agents contend for the key %.*s (a cloned disk?): this one waits for %" PRIu64 " ms",
            RK_STR_FMT(stream_key(s)), delay);
}

/* Streams whose turn has come. */
static void let_in(struct app *a, uint64_t now_ms)
{
    struct rk_list *n, *tmp;

    rk_list_each(&a->held, n, tmp)
    {
        struct stream *s = rk_list_entry(n, struct stream, pending);

        if (now_ms < s->turn_ms)
            continue;
        rk_list_remove(&s->pending);
        router_register(a->router, s);
    }
}

/* A stream that is registered here gives way to one from `source`. */
static void evict(struct app *a, struct stream *s, const struct source *source)
{
    signal_count(SIGNAL_REPLACEMENTS);
    if (source_differs(&s->source, source))
        contention_note(a->contention, stream_key(s), rk_mono_ms());
    stream_end(a, s, RK_GRPC_UNKNOWN, AGAIN);
}

static void on_registered(struct stream *s, uint64_t epoch, void *arg)
{
    struct app *a = arg;
    struct stream *old;

    if (s->ending || !s->call)
        return;
    s->epoch = epoch;
    switch (registry_add(&a->registry, s, &old)) {
    case REGISTRY_LOST:
        signal_count_at(SIGNAL_REGISTRATION_FAILURES, SIGNAL_REFUSED_OLDER);
        stream_end(a, s, RK_GRPC_UNKNOWN, AGAIN);
        return;
    case REGISTRY_REPLACED:
        evict(a, old, &s->source);
        break;
    case REGISTRY_NEW:
        rk_metric_add(&signal_metrics[SIGNAL_ACTIVE_PEERS], 1);
        signal_count(SIGNAL_REGISTRATIONS);
        break;
    }
    rk_metric_observe(&signal_metrics[SIGNAL_REGISTRATION_DELAY],
                      (double)(rk_mono_ms() - s->started_ms) / 1e3);
    rk_grpc_known(s->call);
    rk_grpc_send_headers(s->call, "x-wiretrustee-peer-registered", "1");
}

static void on_reply_done(struct stream *s, void *arg)
{
    (void)arg;
    s->replies--;
    stream_free_if_unused(s);
}

static void on_superseded(struct rk_str key, uint64_t epoch, const struct source *source, void *arg)
{
    struct app *a = arg;
    struct stream *s = registry_get(&a->registry, key);

    if (s && s->epoch < epoch)
        evict(a, s, source);
}

static void connect_on_message(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    (void)c; /* agents send nothing here, and what others send means nothing */
    (void)msg;
    (void)arg;
}

static void connect_on_writable(struct rk_grpc_call *c, void *arg)
{
    struct stream *s = rk_grpc_data(c);

    (void)arg;
    if (s)
        pump(s);
}

static void connect_on_gone(struct rk_grpc_call *c, bool finished, void *arg)
{
    struct stream *s = rk_grpc_data(c);
    struct app *a = arg;

    (void)finished;
    if (!s)
        return;
    a->stream_count--;
    rk_list_remove(&s->pending);
    leave(a, s);
    rk_metric_observe(&signal_metrics[SIGNAL_CONNECTION_DURATION],
                      (double)(rk_mono_ms() - s->started_ms) / 1000);
    s->call = NULL;
    s->ending = true;
    stream_free_if_unused(s);
}

/* --- Send --- */

static void send_on_message(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    struct signal_message m;
    struct rk_bytes *frame;
    struct app *a = arg;

    if (!signal_message_parse(msg, &m)) {
        signal_count(SIGNAL_MALFORMED);
        rk_grpc_finish(c, RK_GRPC_INTERNAL, "malformed message");
        return;
    }
    rk_metric_observe(&signal_metrics[SIGNAL_MESSAGE_SIZE], (double)msg.n);
    frame = rk_bytes_copy(rk_strn(msg.p - 5, msg.n + 5)); /* the frame as it came */
    if (!deliver(m.remote_key, frame, a))
        router_forward(a->router, m.remote_key, frame);
    rk_bytes_unref(frame);
    /* An absent destination is a success too: an error would be tried again three times. */
    rk_grpc_send(c, RK_STR(""));
    rk_grpc_finish(c, RK_GRPC_OK, NULL);
}

static const struct rk_grpc_method methods[] = {
    { .path = "/signalexchange.SignalExchange/Send",
      .max_in = SIGNAL_MAX_MESSAGE,
      .on_message = send_on_message },
    { .path = "/signalexchange.SignalExchange/ConnectStream",
      .max_in = SIGNAL_MAX_MESSAGE,
      .streams = true,
      .on_start = connect_on_start,
      .on_message = connect_on_message,
      .on_writable = connect_on_writable,
      .on_gone = connect_on_gone },
};

/* --- what happens by the clock --- */

/* All, or a third of them by epoch: whoever is refreshed every third sweep keeps its entry. */
static void refresh(struct app *a, bool all_of_them)
{
    size_t n = rk_map_count(a->registry.streams), at = 0, it = 0;
    rk_auto(rk_free) struct stream **all = rk_new_array(struct stream *, n);
    void *v;

    while (at < n && rk_map_each(a->registry.streams, &it, &v)) {
        struct stream *s = v;

        if (all_of_them || s->epoch % REFRESH_EVERY == a->sweeps % REFRESH_EVERY)
            all[at++] = s;
    }
    router_refresh(a->router, all, at);
}

static void on_router_up(bool up, void *arg)
{
    struct app *a = arg;

    rk_metric_set(&signal_metrics[SIGNAL_REDIS_UP], up);
    if (up)
        refresh(a, true); /* entries may be lost, or others may have registered meanwhile */
}

static void on_sweep(struct rk_timer *t)
{
    struct app *a = rk_container_of(t, struct app, sweep);
    uint64_t now = rk_mono_ms();
    size_t it = 0;
    void *v;

    while (rk_map_each(a->registry.streams, &it, &v)) {
        struct stream *s = v;
        uint64_t since = rk_grpc_stalled_since(s->call);

        if (since == 0 || now - since < STALL_MS)
            continue;
        signal_count_at(SIGNAL_FORWARD_FAILURES, SIGNAL_FAIL_TIMEOUT);
        rk_info(NULL, "stream of %.*s ended: no progress for 10 s", RK_STR_FMT(stream_key(s)));
        stream_end(a, s, RK_GRPC_UNKNOWN, AGAIN);
    }
    a->sweeps++;
    refresh(a, false);
    let_in(a, now);
}

/* --- the end --- */

static void on_router_closed(void *arg)
{
    struct app *a = arg;

    rk_timer_close(&a->sweep, NULL);
    rk_timer_close(&a->drain, NULL);
    rk_admin_close(a->admin);
    rk_info(NULL, "stopped");
    rk_loop_stop(a->loop);
}

static void on_server_closed(void *arg)
{
    struct app *a = arg;

    router_close(a->router, on_router_closed, a);
}

static void on_drain(struct rk_timer *t)
{
    struct app *a = rk_container_of(t, struct app, drain);
    size_t it = 0, ended = 0;
    void *v;

    if (a->closing)
        return;
    if (rk_map_count(a->registry.streams) == 0 || rk_mono_ms() >= a->drain_until_ms) {
        a->closing = true;
        rk_grpc_server_close(a->server, on_server_closed, a);
        return;
    }
    while (ended < a->drain_step && rk_map_each(a->registry.streams, &it, &v)) {
        struct stream *s = v;

        s->ending = true;
        leave(a, s);
        rk_grpc_finish(s->call, RK_GRPC_UNAVAILABLE, "server is stopping");
        ended++;
    }
}

static void on_scrape(void *arg)
{
    struct app *a = arg;

    rk_metric_set(&signal_metrics[SIGNAL_QUEUED_BYTES], (int64_t)a->budget.bytes);
    rk_metric_set(&signal_metrics[SIGNAL_CONNECTIONS],
                  (int64_t)rk_grpc_server_connections(a->server));
}

static void on_stop(void *arg)
{
    struct app *a = arg;
    size_t n = rk_map_count(a->registry.streams);
    uint64_t spread_ms = (uint64_t)a->cfg->common.drain_ms * 8 / 10 + DRAIN_TICK_MS;

    rk_info(NULL, "stopping: %zu streams to end", n);
    rk_admin_draining(a->admin);
    rk_grpc_server_drain(a->server);
    a->drain_until_ms = rk_mono_ms() + (uint64_t)a->cfg->common.drain_ms;
    a->drain_step = n / (spread_ms / DRAIN_TICK_MS) + 1;
    rk_timer_start(&a->drain, DRAIN_TICK_MS, DRAIN_TICK_MS);
}

static int start(struct app *a, struct rk_err *err)
{
    static const struct router_ops router_ops = {
        on_registered, on_reply_done, on_superseded, deliver, on_router_up,
    };
    struct rk_grpc_server_config cfg = { .methods = methods,
                                         .count = RK_COUNT(methods),
                                         .arg = a,
                                         .tunnels = &signal_tunnels,
                                         .trusted_proxies = a->trusted,
                                         .max_connections =
                                             (size_t)a->cfg->max_streams * 5 / 4 + 64 };
    struct rk_addr addr;
    int r;

    r = rk_addr_parse(rk_str(a->cfg->listen), &addr, err);
    if (r == 0 && *a->cfg->tls_cert_file)
        r = rk_tls_server_new(a->loop, a->cfg->tls_cert_file, a->cfg->tls_key_file,
                              "\x02h2\x08http/1.1", true, &a->tls, err);
    if (r == 0)
        r = rk_admin_new(a->loop, a->cfg->common.admin_listen, &a->admin, err);
    if (r == 0)
        r = router_new(a->loop, &a->cfg->redis, &a->budget, &router_ops, a, &a->router, err);
    if (r < 0)
        return r;
    cfg.tls = a->tls;
    return rk_grpc_server_new(a->loop, &addr, &cfg, &a->server, err);
}

int signal_app_run(const struct signal_config *cfg)
{
    struct app a = { .cfg = cfg };
    struct rk_err err;

    if (rk_log_init("signal", cfg->common.instance, cfg->common.log_level, &err) < 0) {
        (void)fprintf(stderr, "rookery-signal: %s\n", err.msg);
        return 1;
    }
    rk_fds_raise();
    a.loop = rk_loop_new();
    registry_init(&a.registry);
    rk_list_init(&a.held);
    a.budget.max_bytes = (size_t)cfg->queue_total_bytes;
    a.contention = contention_new();
    a.trusted = rk_cidrs_parse(rk_str(cfg->trusted_proxies), &err);
    rk_metrics_register(signal_metrics, SIGNAL_METRICS);
    rk_metrics_register(signal_tunnels.metrics, RK_GRPC_TUNNEL_METRICS);
    rk_door_metrics_register();
    if (start(&a, &err) < 0) {
        rk_error(NULL, "cannot start: %s", err.msg);
        return 1; /* the process ends: nothing is connected yet */
    }
    rk_timer_init(a.loop, &a.sweep, on_sweep);
    rk_timer_start(&a.sweep, SWEEP_MS, SWEEP_MS);
    rk_timer_init(a.loop, &a.drain, on_drain);
    rk_loop_on_stop(a.loop, on_stop, &a);
    rk_admin_on_scrape(a.admin, on_scrape, &a);
    rk_admin_ready(a.admin, "listening", true,
                   NULL); /* Redis away is no reason to turn agents away */
    rk_log_ready(rk_grpc_server_address(a.server), rk_admin_address(a.admin));
    rk_loop_run(a.loop);
    rk_tls_free(a.tls);
    rk_loop_free(a.loop);
    registry_done(&a.registry);
    contention_free(a.contention);
    rk_cidrs_free(a.trusted);
    return 0;
}
