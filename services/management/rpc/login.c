/*
 * Login: known peers are answered from the snapshot; unknown ones register, with a setup key or for
 * the user whose token they bring; a known one with a token begins its login anew. An unknown peer
 * without credentials must get PERMISSION_DENIED, or the agent never sends what it has.
 */

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/account/peer/renew.h"
#include "libcommon/base/id.h"
#include "libcommon/obs/log.h"
#include "services/management/fanout/netbird_config.h"
#include "services/management/metrics.h"
#include "services/management/rpc/change.h"
#include "services/management/rpc/join.h"
#include "services/management/rpc/location.h"
#include "services/management/rpc/methods.h"
#include "services/management/rpc/request.h"
#include "services/management/rpc/token.h"

#define ANSWER_MAX (256u * 1024)
#define DNS_LABELS_MAX 32
#define ATTEMPTS 3

/* What an agent sends as "no setup key" when it has a JWT. */
static const char nil_uuid[] = "00000000-0000-0000-0000-000000000000";

static void answer(struct request *q, struct hub *h, size_t index)
{
    struct rk_peer_claims claims = { q->meta->capabilities,
                                     q->meta->flags & RK_META_FLAG_DISABLE_IPV6 };
    rk_auto(rk_buf_done) struct rk_buf b;
    struct config_reader to;
    size_t at;

    rk_buf_init(&b, ANSWER_MAX);
    location_find(q);
    to = location_reader(q);
    at = rk_wire_begin(&b, 1);
    (void)netbird_config_full(q->app, &to, rk_snapshot_account(h->snap)->metrics_push_enabled, &b);
    rk_wire_end(&b, at);
    at = rk_wire_begin(&b, 2);
    rk_compile_peer_config(h->snap, index, &claims, &b);
    rk_wire_end(&b, at);
    rk_compile_checks(h->snap, index, 3, &b);
    at = rk_wire_begin(&b, 4);
    rk_compile_session_expiry(h->snap, index, &b);
    rk_wire_end(&b, at);
    metric_add(METRIC_LOGINS, 1);
    if (q->call)
        rk_grpc_known(q->call);
    request_answer(q, rk_buf_str(&b));
}

static void ssh_key_run(struct request *q, struct worker *w)
{
    q->r = rk_peer_update_ssh_key(w->pg, q->account_id, q->peer_id, q->ssh_key, &q->bell, &q->err);
}

static void ssh_key_after(struct request *q)
{
    if (q->r < 0)
        request_fail_err(q);
    else
        request_await(q, answer);
}

/* Answers when the peer asks for names that it may not have. */
static bool labels_allowed(struct request *q, const struct rk_peer_row *p)
{
    if (q->login->n_dnslabels == 0 || p->allow_extra_dns_labels)
        return true;
    request_fail(q, RK_GRPC_FAILED_PRECONDITION,
                 "couldn't login peer: setup key doesn't allow extra DNS labels");
    return false;
}

static void known(struct request *q, struct hub *h, size_t index)
{
    const struct rk_peer_row *p = rk_snapshot_peer(h->snap, index);

    if (!request_allowed(q, h, index) || !labels_allowed(q, p))
        return;
    if (strcmp(q->ssh_key, p->ssh_key) != 0) {
        memcpy(q->peer_id, p->id, sizeof(q->peer_id));
        request_change(q, ssh_key_run, ssh_key_after);
    } else {
        answer(q, h, index);
    }
}

static void known_signed_in(struct request *q, struct hub *h, size_t index);

static void joined(struct request *q)
{
    struct rk_logctx ctx = request_logctx(q);

    if (q->registered_before) {
        request_find(q, *q->user_id ? known_signed_in : known);
        return;
    }
    if (q->r < 0) {
        rk_info(&ctx, "registration refused: %s", q->err.msg);
        request_fail_err(q);
        return;
    }
    ctx.account = q->bell.account_id;
    rk_info(&ctx, "peer registered");
    metric_add(METRIC_REGISTRATIONS, 1);
    request_await(q, answer);
}

static bool brings_key(const struct request *q)
{
    const char *key = q->login->setupkey;

    return *key && strcmp(key, nil_uuid) != 0;
}

static void unknown(struct request *q)
{
    if (!*q->user_id && !brings_key(q)) {
        request_fail(
            q, RK_GRPC_PERMISSION_DENIED,
            "no peer auth method provided, please use a setup key or interactive SSO login");
    } else {
        location_find(q);
        join(q, joined);
    }
}

static void renew_run(struct request *q, struct worker *w)
{
    const struct rk_peer_renewal in = { .account_id = q->account_id,
                                        .peer_id = q->peer_id,
                                        .user_id = q->user_id,
                                        .default_domain = w->cfg->dns_domain };

    q->r = RK_CONFLICT;
    for (int i = 0; i < ATTEMPTS && q->r == RK_CONFLICT; i++)
        q->r = rk_peer_renew(w->pg, &in, &q->bell, &q->err);
}

static void renew_after(struct request *q)
{
    struct rk_logctx ctx = request_logctx(q);

    if (q->r < 0) {
        rk_info(&ctx, "login refused: %s", q->err.msg);
        request_fail_err(q);
        return;
    }
    rk_info(&ctx, "peer logged in again");
    if (q->ssh_key_differs) {
        app_ring(q->app, q->bell.account_id, q->bell.serial); /* it stands, whatever comes now */
        request_change(q, ssh_key_run, ssh_key_after);
    } else {
        request_follow(q, answer);
    }
}

/* Whose peer it is, and whether they may have it, the rule says. */
static void known_signed_in(struct request *q, struct hub *h, size_t index)
{
    const struct rk_peer_row *p = rk_snapshot_peer(h->snap, index);

    if (!labels_allowed(q, p))
        return;
    memcpy(q->peer_id, p->id, sizeof(q->peer_id));
    q->ssh_key_differs = strcmp(q->ssh_key, p->ssh_key) != 0;
    request_work(q, renew_run, renew_after);
}

static void signed_in(struct request *q)
{
    request_resolve(q, known_signed_in, unknown);
}

/* Strings that reach the store must be UTF-8 and bounded. */
static bool acceptable(struct request *q)
{
    Management__LoginRequest *m = q->login;

    if (!rk_utf8_valid(rk_str(m->setupkey)) || m->n_dnslabels > DNS_LABELS_MAX)
        return false;
    for (size_t i = 0; i < m->n_dnslabels; i++) {
        if (!rk_utf8_valid(rk_str(m->dnslabels[i])))
            return false;
    }
    q->ssh_key = "";
    if (m->peerkeys && m->peerkeys->sshpubkey.len > 0)
        q->ssh_key = rk_arena_strn(
            q->arena, rk_strn(m->peerkeys->sshpubkey.data, m->peerkeys->sshpubkey.len));
    q->meta = request_meta(q, m->meta);
    return q->meta && rk_utf8_valid(rk_str(q->ssh_key));
}

void rpc_login(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    struct request *q = request_new(arg, call, message);
    char text[256];

    if (!q)
        return;
    q->login = management__login_request__unpack(rk_arena_protobuf(q->arena), q->env.plain.n,
                                                 (const uint8_t *)q->env.plain.p);
    if (!q->login) {
        request_fail(q, RK_GRPC_INVALID_ARGUMENT, "invalid request message");
    } else if (!q->login->meta) {
        snprintf(text, sizeof(text),
                 "peer system meta has to be provided to log in. Peer %s, remote addr %s",
                 q->env.key_b64, q->remote_ip);
        request_fail(q, RK_GRPC_FAILED_PRECONDITION, text);
    } else if (!acceptable(q)) {
        request_fail(q, RK_GRPC_INVALID_ARGUMENT, "invalid request message");
    } else if (*q->login->jwttoken) {
        token_take(q, q->login->jwttoken, signed_in);
    } else if (brings_key(q) && !request_seen(q)) {
        unknown(q); /* most likely; registering finds out, in one question less */
    } else {
        request_resolve(q, known, unknown);
    }
}
