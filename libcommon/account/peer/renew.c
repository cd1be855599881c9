/* See renew.h. */

#include "libcommon/account/peer/renew.h"

#include "libcommon/account/peer/due.h"
#include "libcommon/account/store/int.h"

static const struct rk_pg_stmt lock_stmt = {
    "renew_lock",
    "SELECT p.user_id, p.login_expiration_enabled, "
    "coalesce((a.settings->>'peer_login_expiration_enabled')::boolean, true), u.id IS NOT NULL, "
    "coalesce(u.blocked, false), coalesce(u.pending_approval, false) FROM peer p JOIN account a ON "
    "a.id = p.account_id LEFT JOIN users u ON u.id = p.user_id AND u.account_id = p.account_id "
    "WHERE p.account_id = $1 AND p.id = $2 FOR UPDATE OF p"
};
enum {
    USER,
    EXPIRES,
    EXPIRY_ON,
    KNOWN,
    BLOCKED,
    PENDING,
};
static const struct rk_pg_stmt renew_stmt = {
    "renew", "UPDATE peer SET last_login = clock_timestamp(), login_expired = false WHERE "
             "account_id = $1 AND id = $2"
};

static int check(const struct rk_peer_renewal *in, const struct rk_pg_result *p, struct rk_err *err)
{
    bool owned = rk_pg_str(p, 0, USER).n > 0;

    if (in->extend && !rk_pg_bool(p, 0, EXPIRY_ON))
        return rk_fail(err, RK_PRECONDITION, "peer login expiration is disabled for the account");
    if (in->extend && (!owned || !rk_pg_bool(p, 0, EXPIRES)))
        return rk_fail(err, RK_PRECONDITION, "peer is not eligible for session extension");
    if (!rk_str_eq(rk_pg_str(p, 0, USER), rk_str(in->user_id)))
        return rk_fail(err, RK_DENIED,
                       "peer is already registered by a different User or a Setup Key");
    if (!rk_pg_bool(p, 0, KNOWN))
        return rk_fail(err, RK_NOT_FOUND, "user: %.200s not found", in->user_id);
    if (rk_pg_bool(p, 0, PENDING))
        return rk_fail(err, RK_DENIED, "user is pending approval");
    if (rk_pg_bool(p, 0, BLOCKED))
        return rk_fail(err, RK_DENIED, "user is blocked");
    return 0;
}

static int tell(struct rk_change *ch, const struct rk_peer_renewal *in, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf meta;
    const struct rk_str id = rk_str(in->peer_id);
    struct peer_facts facts;
    int r;

    rk_buf_init(&meta, 64 * 1024);
    r = peer_facts_load(ch, &id, 1, in->default_domain, &res, err);
    if (r < 0)
        return r;
    peer_facts_read(res, 0, &facts);
    peer_facts_json(&facts, NULL, RK_STR(""), &meta);
    return rk_change_event(ch, in->extend ? "user.peer.session.extend" : "user.peer.login",
                           in->user_id, in->peer_id, rk_buf_str(&meta), err);
}

int rk_peer_renew(struct rk_pg *pg,
                  const struct rk_peer_renewal *in,
                  struct rk_bell *out_bell,
                  struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *p = NULL;
    const struct rk_str id = rk_str(in->peer_id);
    uint64_t serial = 0;
    int r;

    r = rk_change_begin(pg, in->account_id, &ch, err);
    if (r == 0)
        r = rk_pg_run(pg, &lock_stmt, &p, err, RK_P_C(in->account_id), RK_P_C(in->peer_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(p) == 0)
        return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", in->peer_id);
    r = check(in, p, err);
    if (r == 0)
        r = rk_pg_run(pg, &renew_stmt, NULL, err, RK_P_C(in->account_id), RK_P_C(in->peer_id));
    if (r == 0)
        r = rk_due_follow(pg, &id, 1, 0, err);
    if (r == 0)
        r = tell(ch, in, err);
    if (r == 0)
        r = rk_change_touch(ch, RK_OBJ_PEER, in->peer_id, err);
    if (r == 0)
        r = rk_change_commit(&ch, &serial, err);
    if (r == 0)
        rk_bell_set(out_bell, in->account_id, serial);
    return r;
}
