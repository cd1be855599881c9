/* What one stream is sent. */

#include "services/management/fanout/session.h"

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"
#include "services/management/fanout/netbird_config.h"
#include "services/management/hub/hub.h"
#include "services/management/metrics.h"
#include "services/management/presence/presence.h"
#include "services/management/rpc/envelope.h"

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
    s->call = call;
    memcpy(s->key, key, RK_KEY_LEN);
    rk_key_format(key, s->key_b64);
    s->box = *box;
    s->token = rk_wall_us() * 1000;
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

/* Notes what this map says; true when the one before said the same. */
static bool said_before(struct app *app, struct session *s, struct rk_str map)
{
    uint8_t digest[DIGEST_LEN];
    bool known = digest_map(&app->digest_key, map, digest);
    bool same = known && s->has_digest && memcmp(digest, s->digest, DIGEST_LEN) == 0;

    s->has_digest = known;
    if (known)
        memcpy(s->digest, digest, DIGEST_LEN);
    return same;
}

/* The map, or what it is made of for an agent that says it can make it. */
static void compile(struct app *app, struct session *s, struct rk_buf *b)
{
    const struct rk_peer_row *peer = rk_snapshot_peer(s->hub->snap, s->index);

    if (app->cfg->component_maps && peer->sync_message_version >= 1)
        rk_compile_components(s->hub->snap, s->index, rk_wall_us(), b);
    else
        rk_compile_map(s->hub->snap, s->index, rk_wall_us(), b);
}

bool session_push(struct app *app, struct session *s)
{
    struct rk_buf *b = &app->scratch;
    uint64_t began = rk_mono_ns();
    bool config = s->owes_config;
    size_t map_at;

    rk_buf_clear(b);
    if (config) {
        size_t at = rk_wire_begin(b, 1);

        netbird_config_full(app, rk_snapshot_account(s->hub->snap)->metrics_push_enabled, b);
        rk_wire_end(b, at);
        s->owes_config = false;
        refresh_later(app, s);
    }
    map_at = b->n;
    compile(app, s, b);
    if (b->overflow) {
        struct rk_logctx ctx = { .peer = s->key_b64, .account = s->hub->id };

        rk_error(&ctx, "network map is over %u bytes and was not sent", SCRATCH_MAX);
        return false;
    }
    if (said_before(app, s, rk_strn(b->p + map_at, b->n - map_at)) && !config) {
        metric_add(METRIC_MAPS_SKIPPED, 1);
        return false;
    }
    send_plain(app, s, b);
    rk_metric_observe(&metrics[METRIC_COMPILE], (double)(rk_mono_ns() - began) / 1e9);
    metric_add(METRIC_MAPS_SENT, 1);
    metric_add(METRIC_MAP_BYTES, (int64_t)b->n);
    return true;
}

void session_greet(struct app *app, struct session *s)
{
    s->owes_config = true;
    (void)session_push(app, s);
    s->greeted = true;
    metric_add(METRIC_SYNCS, 1);
}

void session_refresh_relay(struct app *app, struct session *s)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    size_t at;

    rk_buf_init(&b, 64 * 1024);
    at = rk_wire_begin(&b, 1);
    netbird_config_relay(app, &b);
    rk_wire_end(&b, at);
    send_plain(app, s, &b);
    refresh_later(app, s);
}

void session_deleted(struct app *app, struct session *s)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_logctx ctx = { .peer = s->key_b64, .account = s->hub->id };

    rk_info(&ctx, "peer was deleted; its stream ends");
    rk_buf_init(&b, 64 * 1024);
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
    if (s->call)
        rk_grpc_finish(s->call, status, message);
}

void session_gone(struct app *app, struct session *s)
{
    s->call = NULL;
    if (s->hub)
        hub_detach(s->hub, s);
    rk_list_remove(&s->by_refresh);
    if (s->greeted)
        presence_disconnected(app, s);
    app->sessions--;
    metric_add(METRIC_SYNC_STREAMS, -1);
    rk_wipe(&s->box, sizeof(s->box));
    free(s);
}
