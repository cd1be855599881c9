/*
 * /oauth2/logout (OpenID Connect RP-Initiated Logout). A client that shows whose session it means
 * ends it at once; anybody else is a page that asks. An address to return to that is not registered
 * is never followed, and then nothing ends either.
 */

#include <string.h>

#include "libcommon/base/encode.h"
#include "services/dashboard-api/oauth/grant.h"
#include "services/dashboard-api/oauth/oauth.h"
#include "services/dashboard-api/oauth/params.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/oauth/session.h"
#include "services/dashboard-api/oauth/target.h"
#include "services/dashboard-api/oauth/token_check.h"
#include "services/dashboard-api/oauth/view.h"
#include "services/dashboard-api/page/form.h"

#define MAX_STATE 1024
#define SEALED_AS "logout"

struct logout {
    const struct provider *p;
    const struct client *client;        /* NULL: not said */
    const char *client_id, *to, *state; /* "" = not said */
    const char *hint_sub;               /* NULL: no hint, or none of ours */
    struct rk_str hint_grant;           /* whose token the hint is; empty: not said */
};

/* Non-zero: the answer, or an error. */
enum logout_read {
    LOGOUT_READ,
    LOGOUT_ANSWERED, /* with a page that says what is wrong */
};

static int
read_logout(struct call *c, const struct params *params, struct logout *out, struct rk_err *err)
{
    const char *hint = params_get(params, "id_token_hint");
    struct token_checked t;
    int r;

    out->client_id = params_text(params, "client_id");
    out->to = params_text(params, "post_logout_redirect_uri");
    out->state = params_text(params, "state");
    out->client = client_find(&out->p->clients, out->client_id);
    out->hint_sub = NULL;
    out->hint_grant = (struct rk_str){ NULL, 0 };
    if (params->repeated || strlen(out->state) > MAX_STATE ||
        (out->client_id[0] != '\0' && !out->client)) {
        r = view_problem(c, VIEW_BAD_REQUEST);
        return r < 0 ? r : LOGOUT_ANSWERED;
    }
    if (hint) {
        r = token_check(c, hint, true, &t, err);
        if (r < 0 && r != RK_UNAUTHENTICATED)
            return r;
        if (r == 0 && (!out->client || out->client == t.client)) {
            out->client = t.client;
            out->hint_sub = rk_arena_strdup(c->arena, t.claims.subject);
            out->hint_grant = t.grant_id;
        }
    }
    if (out->to[0] != '\0' && (!out->client || !client_logout_allowed(out->client, out->to))) {
        r = view_problem(c, VIEW_BAD_REDIRECT);
        return r < 0 ? r : LOGOUT_ANSWERED;
    }
    return LOGOUT_READ;
}

static const char *destination(struct call *c, const struct logout *q)
{
    rk_auto(rk_buf_done) struct rk_buf to = { .max = TARGET_MAX };

    if (q->to[0] == '\0')
        return NULL;
    rk_buf_put_c(&to, q->to);
    target_put(&to, "state", q->state);
    return rk_arena_strn(c->arena, rk_buf_str(&to));
}

/* By way of the upstream provider, which ends its own session and comes back to our callback with
 * the rest of the way sealed in `state`. */
static const char *
by_upstream(struct call *c, const struct logout *q, const char *upstream, const char *to)
{
    rk_auto(rk_buf_done) struct rk_buf sealed = { .max = TARGET_MAX };
    rk_auto(rk_buf_done) struct rk_buf way = { .max = (size_t)4 * TARGET_MAX };
    char *state;

    rk_seal_put(c->seal, SEALED_AS, rk_str(to ? to : ""), &sealed);
    state = rk_arena_alloc(c->arena, RK_B64URL_LEN(sealed.n) + 1);
    rk_b64url_encode(sealed.p, sealed.n, state);
    rk_buf_put_c(&way, upstream);
    target_put(&way, "post_logout_redirect_uri",
               rk_arena_printf(c->arena, "%s/logout/callback", q->p->issuer));
    target_put(&way, "state", state);
    return rk_arena_strn(c->arena, rk_buf_str(&way));
}

static int go(struct call *c, const char *to)
{
    return to ? page_redirect(c, to) : view_logged_out(c);
}

/* Ends the session, if it is whose it is said to be, and what is held of that person: in this
 * browser all, elsewhere what would go on without end. */
static int end(struct call *c, const struct logout *q, const struct session *s, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    const char *to = destination(c, q), *user = q->hint_sub ? q->hint_sub : s->who.user_id;
    bool own = s && strcmp(s->who.user_id, user) == 0;
    int r;

    r = rk_pg_begin(c->pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    if (own) {
        r = session_end(c, s, err);
        if (r < 0)
            return r;
    }
    r = grant_sign_out(c, user, q->client, own ? s->hash : (struct rk_str){ NULL, 0 },
                       q->hint_grant, err);
    if (r < 0)
        return r;
    r = rk_pg_commit(&tx, err);
    if (r < 0)
        return r;
    if (own && s->who.end_session_url[0] != '\0')
        to = by_upstream(c, q, s->who.end_session_url, to);
    return go(c, to);
}

static int logout(struct call *c, const struct params *params, bool confirmed, struct rk_err *err)
{
    struct logout q;
    struct session s;
    bool found;
    int r;

    r = provider_of(c, &q.p, err);
    if (r < 0)
        return r;
    r = read_logout(c, params, &q, err);
    if (r != LOGOUT_READ)
        return r < 0 ? r : 0;
    r = session_find(c, &s, err);
    if (r < 0 && r != RK_NOT_FOUND)
        return r;
    found = r == 0;
    if (q.hint_sub)
        return end(c, &q, found ? &s : NULL, err);
    if (!found)
        return go(c, destination(c, &q));
    if (!confirmed)
        return view_logout_confirm(c, q.client_id, q.to, q.state);
    return end(c, &q, &s, err);
}

int oauth_logout(struct call *c, struct rk_err *err)
{
    struct params params;

    if (params_parse(c->query, c->arena, &params, err) < 0)
        return view_problem(c, VIEW_BAD_REQUEST);
    return logout(c, &params, false, err);
}

/* From a client, which has a hint; or from our own page, which has a token. */
int oauth_logout_form(struct call *c, struct rk_err *err)
{
    struct params params;
    struct form form;
    int r;

    if (!params_is_form(c->head.content_type) || params_parse(c->body, c->arena, &params, err) < 0)
        return view_problem(c, VIEW_BAD_REQUEST);
    r = form_take(c, "logout", &form, err);
    if (r < 0 && r != RK_DENIED && r != RK_BAD_REQUEST)
        return r;
    return logout(c, &params, r == 0, err);
}

int oauth_logout_callback(struct call *c, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf to = { .max = TARGET_MAX };
    const char *state = call_query(c, "state");
    const struct provider *p;
    uint8_t *sealed;
    size_t n;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    if (!state)
        return view_logged_out(c);
    sealed = rk_arena_alloc(c->arena, strlen(state) + 1);
    if (!rk_b64url_decode(rk_str(state), sealed, strlen(state), &n) ||
        rk_seal_get(c->seal, SEALED_AS, rk_strn(sealed, n), &to, err) < 0)
        return view_logged_out(c);
    return go(c, to.n > 0 ? rk_arena_strn(c->arena, rk_buf_str(&to)) : NULL);
}
