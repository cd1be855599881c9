/* See bearer.h. What is wrong with a token is for the log, where it is read when people ask. */

#include "services/dashboard-api/auth/bearer.h"

#include "libcommon/account/rules/sign_in.h"
#include "libcommon/obs/log.h"
#include "libcommon/oidc/verifier.h"

/* A second time is for keys that changed while they were fetched. */
#define MAX_FETCHES 2

static int refuse(int code, const struct rk_err *why, struct rk_err *err)
{
    if (code == RK_UNAVAILABLE || code == RK_CONFLICT || code == RK_INTERNAL) {
        *err = *why;
        return code;
    }
    rk_debug(NULL, "token refused: %s", why->msg);
    return rk_fail(err, RK_UNAUTHENTICATED, "token invalid");
}

static int check(struct call *c, struct rk_claims *claims, struct rk_err *err)
{
    struct rk_err why = { 0 };
    int r = rk_verifier_check(c->shared->verifier, rk_str(c->token), c->arena, claims, &why);

    if (r == RK_VERIFIER_FETCH) {
        if (c->key_fetches++ >= MAX_FETCHES)
            return rk_fail(err, RK_UNAUTHENTICATED, "token invalid");
        c->wants_keys = true;
        return CALL_MOVE;
    }
    return r < 0 ? refuse(r, &why, err) : 0;
}

int bearer_load(struct call *c, struct rk_err *err)
{
    struct caller *who = &c->caller;
    struct rk_signed_in got;
    struct rk_claims claims;
    struct rk_err why = { 0 };
    int r;

    r = check(c, &claims, err);
    if (r != 0)
        return r;
    r = rk_sign_in(c->pg, &c->shared->sign_in, &claims, true, c->arena, &got, &why);
    if (got.bell.serial > 0)
        c->sign_in_bell = got.bell;
    if (got.revoked) {
        rk_debug(NULL, "token refused: %s", why.msg);
        return rk_fail(err, RK_UNAUTHENTICATED, "token expired");
    }
    if (r < 0)
        return refuse(r, &why, err);
    if (got.granted)
        who->grant = rk_strn(rk_arena_strn(c->arena, rk_strn(got.grant, sizeof(got.grant))),
                             sizeof(got.grant));
    if (got.groups_err.code < 0)
        rk_warn(NULL, "account %s: groups of %s not followed: %s", got.account_id, claims.user_id,
                got.groups_err.msg);
    who->user_id = rk_arena_strdup(c->arena, claims.user_id);
    who->account_id = rk_arena_strdup(c->arena, got.account_id);
    who->role_name = rk_arena_strdup(c->arena, got.role);
    who->domain = rk_arena_strdup(c->arena, got.domain);
    who->blocked = got.blocked;
    who->pending_approval = got.pending_approval;
    who->view_blocked = got.view_blocked;
    return 0;
}
