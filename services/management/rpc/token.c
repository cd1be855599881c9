/* See token.h. */

#include "services/management/rpc/token.h"

#include "libcommon/account/rules/sign_in.h"
#include "libcommon/account/rules/used_token.h"
#include "libcommon/obs/log.h"
#include "libcommon/oidc/keeper.h"
#include "libcommon/oidc/verifier.h"

/* Apart from the request's arena: that one is the sender's to fill. */
#define TOKEN_ARENA_MAX ((size_t)1 << 20)
#define MAX_FETCHES 2
#define ATTEMPTS 5

static void refuse(struct request *q, int status, const char *prefix, const char *why)
{
    q->token_status = status;
    q->r = rk_fail(&q->err, RK_UNAUTHENTICATED, "%s%s", prefix, why);
}

/* Whether *claims are there. */
static bool verify(struct request *q, struct rk_arena *arena, struct rk_claims *claims)
{
    struct rk_err why = { 0 };
    int r = rk_verifier_check(q->app->verifier, rk_str(q->jwt), arena, claims, &why);

    if (r == RK_VERIFIER_FETCH && q->key_fetches++ < MAX_FETCHES) {
        q->wants_keys = true;
        return false;
    }
    if (r == RK_VERIFIER_FETCH)
        (void)rk_fail(&why, RK_UNAUTHENTICATED, "the key is not known");
    if (r == RK_UNAVAILABLE)
        refuse(q, RK_GRPC_UNAVAILABLE, "the identity provider is away, please try again", "");
    else if (r != 0)
        refuse(q, RK_GRPC_INVALID_ARGUMENT, "invalid jwt token, err: ", why.msg);
    return r == 0;
}

static int sign_in(struct request *q,
                   struct worker *w,
                   const struct rk_claims *claims,
                   struct rk_arena *arena,
                   struct rk_err *why)
{
    struct rk_signed_in got = { .role = "" };
    int r = RK_CONFLICT;

    for (int i = 0; i < ATTEMPTS && r == RK_CONFLICT; i++) {
        r = rk_sign_in(w->pg, &q->app->sign_in, claims, false, arena, &got, why);
        if (got.bell.serial > 0)
            q->sign_in_bell = got.bell;
    }
    if (r == 0 && got.groups_err.code < 0)
        rk_warn(NULL, "account %s: groups of %s not followed: %s", got.account_id, claims->user_id,
                got.groups_err.msg);
    return r;
}

/* Why its user cannot be signed in; what is our own fault is for the log. */
static void refuse_user(struct request *q, const struct rk_err *why)
{
    static const char account[] = "unable to fetch account with claims, err: ";
    struct rk_logctx ctx = request_logctx(q);

    switch (q->r) {
    case RK_UNAVAILABLE:
    case RK_CONFLICT:
        break; /* request_fail_err knows */
    case RK_DENIED:
        refuse(q, RK_GRPC_PERMISSION_DENIED, "", why->msg);
        break;
    case RK_UNAUTHENTICATED: /* trying again with the same token helps nobody */
        refuse(q, RK_GRPC_PERMISSION_DENIED, account, why->msg);
        break;
    default:
        rk_error(&ctx, "sign-in failed: %s", why->msg);
        refuse(q, RK_GRPC_INTERNAL, account, "internal error");
    }
}

static void take_run(struct request *q, struct worker *w)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(TOKEN_ARENA_MAX);
    struct rk_claims claims;
    struct rk_err why = { 0 };

    if (!verify(q, arena, &claims))
        return;
    q->r = rk_used_token_claim(w->pg, claims.hash, q->env.key, claims.expires_s, &why);
    if (q->r < 0 && q->r != RK_UNAUTHENTICATED) {
        rk_warn(NULL, "token not claimed: %s", why.msg);
        q->r = rk_fail(&why, RK_UNAVAILABLE, "failed to claim jwt token");
    }
    if (q->r < 0) {
        refuse(q, rk_grpc_status_of(q->r), "", why.msg);
        return;
    }
    q->r = sign_in(q, w, &claims, arena, &why);
    if (q->r == 0) {
        (void)rk_str_copy(rk_str(claims.user_id), q->user_id, sizeof(q->user_id));
        return;
    }
    q->err = why;
    refuse_user(q, &why);
}

static void take_after(struct request *q);

static void keys_ready(struct rk_task *t)
{
    struct request *q = rk_container_of(t, struct request, keys);

    if (q->call)
        request_work(q, take_run, take_after);
    else
        request_release(q); /* nothing was done for it yet */
}

static void take_after(struct request *q)
{
    struct rk_logctx ctx = request_logctx(q);

    if (q->sign_in_bell.serial > 0)
        app_ring(q->app, q->sign_in_bell.account_id, q->sign_in_bell.serial);
    if (q->r < 0) {
        rk_info(&ctx, "token refused: %s", q->err.msg);
        if (q->token_status)
            request_fail(q, q->token_status, q->err.msg);
        else
            request_fail_err(q);
    } else if (q->wants_keys) {
        q->wants_keys = false;
        q->keys.run = keys_ready;
        rk_keeper_wait(q->app->keeper, &q->keys);
    } else {
        q->on_signed_in(q);
    }
}

void token_take(struct request *q, const char *jwt, request_step_fn *then)
{
    q->jwt = jwt;
    q->on_signed_in = then;
    if (q->app->verifier)
        request_work(q, take_run, take_after);
    else
        request_fail(q, RK_GRPC_INVALID_ARGUMENT,
                     "invalid jwt token, err: no identity provider is configured");
}
