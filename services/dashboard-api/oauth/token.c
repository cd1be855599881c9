/*
 * POST /oauth2/token: what a client holds, exchanged for tokens. Each grant type is one
 * transaction, which is committed also when it says no, because a second use of something ends what
 * came of the first.
 */

#include <string.h>

#include "services/dashboard-api/oauth/client_auth.h"
#include "services/dashboard-api/oauth/code.h"
#include "services/dashboard-api/oauth/device.h"
#include "services/dashboard-api/oauth/grant.h"
#include "services/dashboard-api/oauth/issue.h"
#include "services/dashboard-api/oauth/oauth.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/oauth/reply.h"
#include "services/dashboard-api/oauth/scope.h"

struct exchange {
    struct call *c;
    const struct client *client;
    const struct params *params;
    const struct key_set *keys;
    struct refusal why;
};

/* A required parameter; "" and a refusal when it is not there. */
static const char *want(struct exchange *x, const char *name, const char *missing)
{
    const char *v = params_get(x->params, name);

    if (!v && !x->why.error)
        x->why = (struct refusal){ "invalid_request", missing };
    return v ? v : "";
}

/* The rest of every grant type: who it is for, as they are now, and their tokens. */
static int finish(
    struct exchange *x, struct rk_pg_tx **tx, struct issue *q, struct grant *g, struct rk_err *err)
{
    bool gone;
    int r;

    r = issue_current(x->c, &g->who, &gone, err);
    if (r < 0)
        return r;
    if (gone) {
        x->why = (struct refusal){ "invalid_grant", "the user is gone" };
        return rk_pg_commit(tx, err);
    }
    q->grant = g;
    q->keys = x->keys;
    r = issue_tokens(x->c, q, err);
    if (r < 0)
        return r;
    return rk_pg_commit(tx, err);
}

static int by_code(struct exchange *x, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    const char *code = want(x, "code", "code is missing");
    const char *redirect_uri = want(x, "redirect_uri", "redirect_uri is missing");
    const char *verifier = want(x, "code_verifier", "code_verifier is missing");
    struct grant g = { .client = x->client };
    struct issue q = { .code = code };
    struct code got;
    int r;

    if (x->why.error)
        return 0;
    r = rk_pg_begin(x->c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = code_redeem(x->c, code, x->client->id, redirect_uri, verifier, &got, &x->why, err);
    if (r < 0)
        return r;
    if (x->why.error)
        return rk_pg_commit(&tx, err);
    g.scope = q.scope = got.scope;
    g.who = got.who;
    g.auth_time_s = got.auth_time_s;
    g.session = got.session;
    q.nonce = got.nonce;
    r = grant_new(x->c, &g, err);
    if (r < 0)
        return r;
    r = code_redeemed_for(x->c, &got, g.id, err);
    if (r < 0)
        return r;
    return finish(x, &tx, &q, &g, err);
}

static int by_refresh_token(struct exchange *x, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    const char *token = want(x, "refresh_token", "refresh_token is missing");
    const char *scope = params_get(x->params, "scope");
    struct issue q = { .nonce = "" };
    struct grant g;
    unsigned less = 0;
    int r;

    if (x->why.error)
        return 0;
    if (scope && (!scope_parse(rk_str(scope), &less) || !(less & SCOPE_OPENID))) {
        x->why = (struct refusal){ "invalid_scope", "the scope must have openid and known words" };
        return 0;
    }
    r = rk_pg_begin(x->c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = grant_refresh(x->c, x->client, token, &g, &x->why, err);
    if (r < 0)
        return r;
    if (x->why.error)
        return rk_pg_commit(&tx, err);
    if (scope && (less & ~g.scope)) {
        /* Rolled back: the token stays good for a better question. */
        x->why = (struct refusal){ "invalid_scope", "the scope is more than was granted" };
        return 0;
    }
    q.scope = scope ? less : g.scope;
    return finish(x, &tx, &q, &g, err);
}

static int by_device_code(struct exchange *x, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    const char *code = want(x, "device_code", "device_code is missing");
    struct grant g = { .client = x->client };
    struct issue q = { .nonce = "" };
    int r;

    if (x->why.error)
        return 0;
    r = rk_pg_begin(x->c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = device_poll(x->c, code, x->client->id, &g, &x->why, err);
    if (r < 0)
        return r;
    if (x->why.error)
        return rk_pg_commit(&tx, err);
    r = grant_new(x->c, &g, err);
    if (r < 0)
        return r;
    q.scope = g.scope;
    return finish(x, &tx, &q, &g, err);
}

static int exchange(struct exchange *x, struct rk_err *err)
{
    static const struct {
        const char *name;
        int (*by)(struct exchange *x, struct rk_err *err);
    } types[] = {
        { "authorization_code", by_code },
        { "refresh_token", by_refresh_token },
        { DEVICE_GRANT_TYPE, by_device_code },
    };
    const char *type = want(x, "grant_type", "grant_type is missing");

    if (x->why.error)
        return 0;
    for (size_t i = 0; i < RK_COUNT(types); i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].by(x, err);
    x->why = (struct refusal){ "unsupported_grant_type", "this grant_type is not supported" };
    return 0;
}

int oauth_token(struct call *c, struct rk_err *err)
{
    rk_auto(key_set_unref) struct key_set *keys = NULL;
    struct params params;
    struct exchange x = { .c = c, .params = &params };
    const struct provider *p;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    x.client = client_posts(c, &p->clients, &params, &x.why);
    if (!x.client)
        return reply_refused(c, &x.why);
    r = keys_get(p->keys, c->pg, false, &keys, err);
    if (r < 0)
        return r;
    x.keys = keys;
    r = exchange(&x, err);
    if (r == 0 && x.why.error)
        return reply_refused(c, &x.why);
    return r;
}
