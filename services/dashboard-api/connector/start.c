/* The way to an upstream provider: an authorization request of ours (OpenID Connect Core 3.1.2). */

#include <string.h>

#include "libcommon/oidc/config.h"
#include "services/dashboard-api/connector/handlers.h"
#include "services/dashboard-api/connector/kind.h"
#include "services/dashboard-api/connector/redirect.h"
#include "services/dashboard-api/connector/trip.h"
#include "services/dashboard-api/connector/upstream.h"
#include "services/dashboard-api/oauth/authorize.h"
#include "services/dashboard-api/oauth/login.h"
#include "services/dashboard-api/page/page.h"

#define MAX_QUERY ((size_t)16 * 1024)

static const char *request_url(struct call *c,
                               const struct rk_connector *k,
                               const struct upstream *up,
                               const struct trip *trip,
                               const struct login *l)
{
    rk_auto(rk_buf_done) struct rk_buf q = { 0 };
    const char *at = up->endpoints.authorization_endpoint;
    char challenge[TRIP_SECRET_LEN + 1];

    rk_buf_init(&q, MAX_QUERY);
    rk_form_put(&q, "client_id", rk_str(k->client_id));
    rk_form_put(&q, "response_type", RK_STR("code"));
    rk_form_put(&q, "scope", rk_str(kind_of(k->kind)->scope));
    rk_form_put(&q, "redirect_uri", rk_str(redirect_uri(c, k)));
    rk_form_put(&q, "state", rk_str(trip_state(trip, l->id, c->arena)));
    rk_form_put(&q, "nonce", rk_str(trip->nonce));
    if (up->endpoints.s256 || kind_of(k->kind)->pkce) {
        trip_challenge(trip, challenge);
        rk_form_put(&q, "code_challenge", rk_str(challenge));
        rk_form_put(&q, "code_challenge_method", RK_STR("S256"));
    }
    if (l->fresh)
        rk_form_put(&q, "prompt", rk_str(kind_of(k->kind)->ask_again));
    if (*l->login_hint)
        rk_form_put(&q, "login_hint", rk_str(l->login_hint));
    return rk_arena_printf(c->arena, "%s%c%.*s", at, strchr(at, '?') ? '&' : '?',
                           RK_STR_FMT(rk_buf_str(&q)));
}

static int depart(struct call *c,
                  const struct rk_connector *k,
                  const struct upstream *up,
                  struct login *l,
                  struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf note = { 0 };
    struct trip trip;
    int r;

    trip_new(&trip, k->id);
    rk_buf_init(&note, LOGIN_NOTE_MAX);
    trip_write(&trip, &note);
    r = login_note(c, l, rk_buf_str(&note), err);
    if (r < 0)
        return r;
    return page_redirect(c, request_url(c, k, up, &trip, l));
}

/* With the endpoints that are known; NULL and 0 when they have to be asked for elsewhere. */
static int find_upstream(struct call *c,
                         const struct rk_connector *k,
                         struct upstream **out,
                         struct rk_err *err)
{
    struct upstreams *s = c->shared->upstreams;
    struct lane *lane;
    int r;

    *out = upstream_known(s, k);
    if (*out || c->pool != POOL_OUTBOUND)
        return 0;
    r = lane_enter(upstreams_lanes(s), k->id, &lane, err);
    if (r < 0)
        return r;
    r = upstream_open(s, k, out, err);
    lane_leave(upstreams_lanes(s), lane, r != RK_UNAVAILABLE);
    return r;
}

int connector_start(struct call *c, struct rk_err *err)
{
    rk_auto(upstream_unref) struct upstream *up = NULL;
    const char *id = call_query(c, "login");
    struct rk_connector k;
    struct login l;
    int r;

    if (!id)
        return oauth_authorize_with(c, c->var[0], err);
    r = login_find(c, id, &l, err);
    if (r == RK_NOT_FOUND)
        return page_error(c, 400, TEXT_ERROR_LOGIN_GONE);
    if (r < 0)
        return r;
    r = rk_connector_read(c->pg, NULL, c->var[0], NULL, c->arena, &k, err);
    if (r == RK_NOT_FOUND)
        return page_error_retry(c, 404, TEXT_ERROR_CONNECTOR, login_chooser_path(c, &l));
    if (r < 0)
        return r;
    r = find_upstream(c, &k, &up, err);
    if (r < 0)
        return upstream_problem(c, &k, err, login_path(c, &l, k.id));
    if (!up) {
        c->move = POOL_OUTBOUND;
        return CALL_MOVE;
    }
    return depart(c, &k, up, &l, err);
}
