/* SyncMeta and Logout, which answer a bare Empty: what a known peer asks beside its stream. */

#include "services/management/rpc/change.h"
#include "services/management/rpc/location.h"
#include "services/management/rpc/methods.h"
#include "services/management/rpc/request.h"

static void stored(struct request *q)
{
    if (q->r < 0)
        request_fail_err(q);
    else
        request_answer_plain_empty(q);
}

/* An agent that gets no good answer throws the map away that made it ask. */
static void meta_stored(struct request *q)
{
    struct hub *h = hub_find(q->app, rk_str(q->account_id));

    if ((q->r < 0 || !q->call) && h)
        hub_resend(h, q->env.key);
    stored(q);
}

static void meta_run(struct request *q, struct worker *w)
{
    q->r = rk_peer_update_meta(w->pg, q->account_id, q->peer_id, q->meta, &q->bell, &q->err);
    if (q->r == 0 && q->store_location)
        location_store(q, w);
}

/* The agent does not read its Sync stream while this runs: answered as soon as it is stored. */
static void meta_found(struct request *q, struct hub *h, size_t index)
{
    if (!request_allowed(q, h, index))
        return;
    location_find(q);
    q->store_location = location_differs(q, rk_snapshot_peer(h->snap, index));
    memcpy(q->peer_id, rk_snapshot_peer(h->snap, index)->id, sizeof(q->peer_id));
    request_change(q, meta_run, meta_stored);
}

static void meta_unknown(struct request *q)
{
    request_fail(q, RK_GRPC_NOT_FOUND, "account not found: index lookup failed");
}

void rpc_sync_meta(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    struct request *q = request_new(arg, call, message);
    Management__SyncMetaRequest *m;
    char text[256];

    if (!q)
        return;
    m = management__sync_meta_request__unpack(rk_arena_protobuf(q->arena), q->env.plain.n,
                                              (const uint8_t *)q->env.plain.p);
    if (m && !m->meta) {
        snprintf(text, sizeof(text),
                 "peer system meta has to be provided on sync. Peer %s, remote addr %s",
                 q->env.key_b64, q->remote_ip);
        request_fail(q, RK_GRPC_FAILED_PRECONDITION, text);
        return;
    }
    q->meta = m ? request_meta(q, m->meta) : NULL;
    if (!q->meta)
        request_fail(q, RK_GRPC_INVALID_ARGUMENT, "invalid request message");
    else
        request_resolve(q, meta_found, meta_unknown);
}

static void logout_run(struct request *q, struct worker *w)
{
    const struct rk_actor actor = { .account_id = q->account_id,
                                    .default_domain = w->cfg->dns_domain };

    q->r = rk_peer_delete(w->pg, &actor, q->peer_id, &q->bell, &q->err);
}

static void logout_found(struct request *q, struct hub *h, size_t index)
{
    memcpy(q->peer_id, rk_snapshot_peer(h->snap, index)->id, sizeof(q->peer_id));
    request_change(q, logout_run, stored);
}

static void logout_unknown(struct request *q)
{
    char text[128];

    snprintf(text, sizeof(text), "peer not found: %s", q->env.key_b64);
    request_fail(q, RK_GRPC_NOT_FOUND, text);
}

void rpc_logout(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    struct request *q = request_new(arg, call, message);

    if (q)
        request_resolve(q, logout_found, logout_unknown);
}
