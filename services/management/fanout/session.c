/* What one stream is sent. */

#include "services/management/fanout/session.h"

#include <assert.h>

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/edges/edges.h"
#include "services/management/hub/hub.h"
#include "services/management/metrics.h"
#include "services/management/presence/presence.h"
#include "services/management/rpc/envelope.h"

#define CONFIG_MAX (64u * 1024)

struct session *session_new(struct app *app,
                            struct rk_grpc_call *call,
                            const uint8_t key[RK_KEY_LEN],
                            const struct rk_box *box)
{
    struct session *s = rk_new(struct session);

    s->kind = CALL_SESSION;
    rk_list_init(&s->by_hub);
    rk_list_init(&s->by_pending);
    rk_list_init(&s->by_refresh);
    rk_list_init(&s->by_edges);
    s->call = call;
    memcpy(s->key, key, RK_KEY_LEN);
    rk_key_format(key, s->key_b64);
    s->box = *box;
    s->token = app_now_us(app) * 1000;
    s->owes_since_us = RK_TIME_UNSET;
    rk_addr_format_ip(rk_grpc_peer(call), s->remote_ip);
    app->sessions++;
    metric_add(METRIC_SYNC_STREAMS, 1);
    return s;
}

static void send_plain(struct app *app, struct session *s, const struct rk_buf *plain)
{
    rk_auto(rk_bytes_unref) struct rk_bytes *frame =
        envelope_seal(app->key_b64, &s->box, rk_buf_str(plain));

    rk_grpc_send_frame(s->call, frame);
}

static void refresh_later(struct app *app, struct session *s)
{
    if (!app->have_relay)
        return;
    s->refresh_at_ms = rk_mono_ms() + (uint64_t)app->cfg->relay_token_ttl_s * 750;
    rk_list_remove(&s->by_refresh);
    rk_list_append(&app->relay_refresh, &s->by_refresh);
}

struct order_terms session_terms(const struct app *app, const struct rk_snapshot *snap)
{
    return (struct order_terms){ .snap = snap,
                                 .digest_key = &app->digest_key,
                                 .server_key_b64 = app->key_b64 };
}

static void put_config(const struct app *app, struct session *s, struct rk_buf *b)
{
    size_t at = rk_wire_begin(b, 1);

    s->lists = netbird_config_full(app, &s->reader,
                                   rk_snapshot_account(s->hub->snap)->metrics_push_enabled, b);
    rk_wire_end(b, at);
}

void session_order(const struct app *app, struct session *s, struct order *o)
{
    const struct rk_peer_row *peer = rk_snapshot_peer(s->hub->snap, s->index);

    *o = (struct order){ .index = s->index,
                         .components = app->cfg->component_maps && peer->sync_message_version >= 1,
                         .has_digest = s->has_digest,
                         .box = s->box,
                         .session = s,
                         .owed_since_us = s->owes_since_us };
    memcpy(o->digest, s->digest, sizeof(o->digest));
    rk_buf_init(&o->config, CONFIG_MAX);
    if (s->owes_config)
        put_config(app, s, &o->config);
    s->owes_config = false;
    s->owes_since_us = RK_TIME_UNSET;
    s->order = o;
}

void session_order_back(struct order *o)
{
    struct session *s = o->session;

    s->order = NULL;
    s->owes_config = s->owes_config || o->config.n > 0;
    rk_list_remove(&s->by_pending);
    rk_list_append(s->hub->pending.next, &s->by_pending); /* in front of all */
    if (o->owed_since_us != RK_TIME_UNSET)
        s->owes_since_us = o->owed_since_us; /* later ones do not count */
}

bool session_settle(struct app *app, struct order *o)
{
    struct session *s = o->session;
    struct rk_logctx ctx = { .peer = s->key_b64, .account = s->hub->id };

    s->order = NULL;
    switch (o->state) {
    case ORDER_UNMADE:
        assert(false);
        return false;
    case ORDER_TOO_BIG:
        rk_error(&ctx, "network map is over %u bytes and was not sent", ORDER_BYTES_MAX);
        s->owes_config = s->owes_config || o->config.n > 0;
        return false;
    case ORDER_SAME:
        metric_add(METRIC_MAPS_SKIPPED, 1);
        return false;
    case ORDER_NEWS:
        break;
    }
    s->has_digest = o->has_digest;
    memcpy(s->digest, o->digest, sizeof(s->digest));
    rk_grpc_send_frame(s->call, o->frame);
    if (o->config.n > 0)
        refresh_later(app, s);
    rk_metric_observe(&metrics[METRIC_COMPILE], (double)o->took_ns / 1e9);
    metric_add(METRIC_MAPS_SENT, 1);
    metric_add(METRIC_MAP_BYTES, (int64_t)o->bytes);
    return true;
}

void session_order_drop(struct session *s)
{
    if (s->order)
        s->order->session = NULL;
    s->order = NULL;
}

bool session_push(struct app *app, struct session *s)
{
    struct order_terms terms = session_terms(app, s->hub->snap);
    rk_auto(order_done) struct order o;

    session_order(app, s, &o);
    order_make(&o, &terms, &app->scratch);
    return session_settle(app, &o);
}

void session_greet(struct app *app, struct session *s)
{
    s->owes_config = true;
    (void)session_push(app, s);
    s->greeted = true;
    edges_told(app->edges, s);
    metric_add(METRIC_SYNCS, 1);
}

/* Checks go along: agents before 0.72.3 take a configuration without them for none at all. */
void session_refresh_relay(struct app *app, struct session *s)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    size_t at;

    rk_buf_init(&b, CONFIG_MAX);
    at = rk_wire_begin(&b, 1);
    s->lists = netbird_config_edges(app, &s->reader, &b);
    rk_wire_end(&b, at);
    rk_compile_checks(s->hub->snap, s->index, 6, &b);
    send_plain(app, s, &b);
    refresh_later(app, s);
}

bool session_tell_edges(struct app *app, struct session *s)
{
    if (!s->hub || !s->call || s->lists == netbird_config_lists(app, &s->reader))
        return false;
    session_refresh_relay(app, s);
    return true;
}

void session_deleted(struct app *app, struct session *s)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_logctx ctx = { .peer = s->key_b64, .account = s->hub->id };

    rk_info(&ctx, "peer was deleted; its stream ends");
    rk_buf_init(&b, CONFIG_MAX);
    rk_compile_deleted(rk_snapshot_serial(s->hub->snap) + 1,
                       rk_compile_forwarder_port(s->hub->snap), &b);
    hub_detach(s->hub, s);
    if (s->call)
        send_plain(app, s, &b);
    session_end(app, s, RK_GRPC_OK, NULL);
}

void session_end(struct app *app, struct session *s, int status, const char *message)
{
    (void)app;
    rk_list_remove(&s->by_refresh);
    rk_list_remove(&s->by_edges);
    if (s->call)
        rk_grpc_finish(s->call, status, message);
}

void session_gone(struct app *app, struct session *s)
{
    s->call = NULL;
    if (s->hub)
        hub_detach(s->hub, s);
    rk_list_remove(&s->by_refresh);
    rk_list_remove(&s->by_edges);
    if (s->greeted)
        presence_disconnected(app, s);
    app->sessions--;
    metric_add(METRIC_SYNC_STREAMS, -1);
    rk_wipe(&s->box, sizeof(s->box));
    free(s);
}
