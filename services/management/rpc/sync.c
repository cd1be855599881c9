/*
 * Sync: the stream is attached to its hub before the first map is compiled, on one thread, so no
 * change falls in between. Metadata and location that differ from what the snapshot holds are
 * stored first: the map must follow the newest.
 */

#include "libcommon/obs/log.h"
#include "services/management/fanout/round.h"
#include "services/management/metrics.h"
#include "services/management/presence/presence.h"
#include "services/management/rpc/change.h"
#include "services/management/rpc/location.h"
#include "services/management/rpc/methods.h"
#include "services/management/rpc/request.h"

static void attach(struct request *q, struct hub *h, size_t index)
{
    struct app *app = q->app;
    const struct rk_peer_row *p = rk_snapshot_peer(h->snap, index);
    struct session *s;

    if (!q->call) {
        request_release(q);
        return;
    }
    if (app->draining) {
        request_fail(q, RK_GRPC_UNAVAILABLE, "this replica is going away");
        return;
    }
    if (!request_allowed(q, h, index))
        return;
    rk_grpc_known(q->call);
    s = session_new(app, q->call, q->env.key, &q->env.box);
    memcpy(s->peer_id, p->id, sizeof(s->peer_id));
    s->reader = location_reader(q);
    rk_grpc_set_data(q->call, s);
    q->call = NULL;
    request_release(q);
    hub_attach(h, s, index);
    session_greet(app, s);
    presence_connected(app, s);
}

static void meta_run(struct request *q, struct worker *w)
{
    if (q->store_meta)
        q->r = rk_peer_update_meta(w->pg, q->account_id, q->peer_id, q->meta, &q->bell, &q->err);
    if (q->r == 0 && q->store_location)
        location_store(q, w);
}

static void meta_after(struct request *q)
{
    if (q->r < 0)
        request_fail_err(q);
    else
        request_await(q, attach);
}

static bool meta_differs(const struct request *q, const struct rk_peer_row *p)
{
    uint8_t hash[16];

    if (!q->meta || !*q->meta->hostname) /* absent or empty changes nothing */
        return false;
    rk_meta_hash(q->meta, hash);
    return memcmp(hash, p->meta_hash, sizeof(hash)) != 0;
}

static void found(struct request *q, struct hub *h, size_t index)
{
    const struct rk_peer_row *p = rk_snapshot_peer(h->snap, index);

    if (!request_allowed(q, h, index)) /* nothing is stored of who is refused */
        return;
    location_find(q);
    q->store_meta = meta_differs(q, p);
    q->store_location = location_differs(q, p);
    if (q->store_meta || q->store_location) {
        memcpy(q->peer_id, p->id, sizeof(q->peer_id));
        request_change(q, meta_run, meta_after);
    } else {
        attach(q, h, index);
    }
}

static void not_registered(struct request *q)
{
    request_fail(q, RK_GRPC_PERMISSION_DENIED, "peer is not registered");
}

void rpc_sync(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    struct request *q;
    Management__SyncRequest *m;

    if (rk_grpc_data(call))
        return; /* one request a stream; more are not looked at */
    q = request_new(arg, call, message);
    if (!q)
        return;
    m = management__sync_request__unpack(rk_arena_protobuf(q->arena), q->env.plain.n,
                                         (const uint8_t *)q->env.plain.p);
    if (!m) {
        request_fail(q, RK_GRPC_INVALID_ARGUMENT, "invalid request message");
        return;
    }
    if (m->meta) {
        q->meta = request_meta(q, m->meta);
        if (!q->meta) {
            request_fail(q, RK_GRPC_INVALID_ARGUMENT, "invalid request message");
            return;
        }
    }
    request_resolve(q, found, not_registered);
}

void rpc_sync_writable(struct rk_grpc_call *call, void *arg)
{
    enum call_kind *kind = rk_grpc_data(call);

    (void)arg;
    if (kind && *kind == CALL_SESSION) {
        struct session *s = (struct session *)(void *)kind;

        if (s->hub)
            round_arm(s->hub); /* a map may be waiting for this stream */
    }
}

void rpc_gone(struct rk_grpc_call *call, bool finished, void *arg)
{
    enum call_kind *kind = rk_grpc_data(call);

    (void)finished;
    if (!kind)
        return;
    switch (*kind) {
    case CALL_REQUEST:
        request_gone((struct request *)(void *)kind);
        break;
    case CALL_SESSION:
        session_gone(arg, (struct session *)(void *)kind);
        break;
    }
}
