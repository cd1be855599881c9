/* ExtendAuthSession: somebody signs in again before the peer's login is too old. The tunnel is not
 * touched; the stream learns of the new deadline with its next map. */

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/account/peer/renew.h"
#include "libcommon/obs/log.h"
#include "services/management/rpc/methods.h"
#include "services/management/rpc/request.h"
#include "services/management/rpc/token.h"

#define ANSWER_MAX 256u
#define ATTEMPTS 3

static void answer(struct request *q, struct hub *h, size_t index)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    size_t at;

    rk_buf_init(&b, ANSWER_MAX);
    at = rk_wire_begin(&b, 1);
    rk_compile_session_expiry(h->snap, index, &b);
    rk_wire_end(&b, at);
    request_answer(q, rk_buf_str(&b));
}

static void extend_run(struct request *q, struct worker *w)
{
    const struct rk_peer_renewal in = { .account_id = q->account_id,
                                        .peer_id = q->peer_id,
                                        .user_id = q->user_id,
                                        .default_domain = w->cfg->dns_domain,
                                        .extend = true };

    q->r = RK_CONFLICT;
    for (int i = 0; i < ATTEMPTS && q->r == RK_CONFLICT; i++)
        q->r = rk_peer_renew(w->pg, &in, &q->bell, &q->err);
}

static void extend_after(struct request *q)
{
    struct rk_logctx ctx = request_logctx(q);

    if (q->r < 0) {
        rk_info(&ctx, "session not extended: %s", q->err.msg);
        request_fail_err(q);
    } else {
        request_follow(q, answer);
    }
}

static void found(struct request *q, struct hub *h, size_t index)
{
    memcpy(q->peer_id, rk_snapshot_peer(h->snap, index)->id, sizeof(q->peer_id));
    request_work(q, extend_run, extend_after);
}

static void not_registered(struct request *q)
{
    request_fail(q, RK_GRPC_NOT_FOUND, "account not found: index lookup failed");
}

static void signed_in(struct request *q)
{
    request_resolve(q, found, not_registered);
}

void rpc_extend_session(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    struct request *q = request_new(arg, call, message);
    Management__ExtendAuthSessionRequest *m;

    if (!q)
        return;
    m = management__extend_auth_session_request__unpack(rk_arena_protobuf(q->arena), q->env.plain.n,
                                                        (const uint8_t *)q->env.plain.p);
    if (!m)
        request_fail(q, RK_GRPC_INVALID_ARGUMENT, "invalid request message");
    else if (!*m->jwttoken)
        request_fail(q, RK_GRPC_INVALID_ARGUMENT, "jwt token is required");
    else
        token_take(q, m->jwttoken, signed_in);
}
