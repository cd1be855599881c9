/*
 * The way back from an upstream provider. What comes is believed only if it belongs to the trip
 * that this login is on (trip.h), comes from the provider that the trip went to (RFC 9207), and
 * brings a code that this provider itself turns into an ID token for us.
 *
 * Not every provider says who it is. One that lies can send a browser on to another, in our name,
 * and have that one's code brought here as its own. Such a code is then asked for at the liar's,
 * who so learns it; but it has been here, and who brings it once more, as what it is, is refused.
 */

#include <string.h>

#include "libcommon/crypto/hash.h"
#include "libcommon/obs/log.h"
#include "services/dashboard-api/connector/exchange.h"
#include "services/dashboard-api/connector/handlers.h"
#include "services/dashboard-api/connector/kind.h"
#include "services/dashboard-api/connector/redirect.h"
#include "services/dashboard-api/oauth/login.h"
#include "services/dashboard-api/page/form.h"
#include "services/dashboard-api/page/page.h"

#define MAX_CODE 8192
#define MAX_QUERY ((size_t)16 * 1024)
#define MAX_ATTEMPTS 5

/* Beside the tokens that agents have logged in with: no provider's code lives for an hour. */
static const struct rk_pg_stmt spend_stmt = {
    "connector_spend_code",
    "INSERT INTO used_token (hash, expires_at) VALUES ($1, now() + interval '1 hour') "
    "ON CONFLICT DO NOTHING RETURNING 1"
};

/* What came back, and to what it belongs. */
struct arrival {
    struct form form;
    struct login login;
    struct trip trip;
    struct rk_connector connector;
};

/* Whether the provider that speaks is the one that was asked. */
static int check_sender(const struct arrival *a, const struct upstream *up, struct rk_err *err)
{
    const char *iss = form_get(&a->form, "iss");

    if (form_has(&a->form, "iss") ? strcmp(iss, upstream_issuer(&a->connector)) != 0
                                  : up->endpoints.iss_parameter)
        return rk_fail(err, RK_DENIED, "the answer comes from another provider (iss)");
    return 0;
}

/* The error that a provider names, as far as it is fit for a log. */
static int refused(const struct arrival *a, struct rk_err *err)
{
    const char *said = form_get(&a->form, "error");
    size_t n = strspn(said, "abcdefghijklmnopqrstuvwxyz_");

    if (!form_has(&a->form, "error"))
        return 0;
    return rk_fail(err, RK_DENIED, "it says no: %.*s", said[n] == '\0' && n < 64 ? (int)n : 0,
                   said);
}

/* The trip is over, however it ends: its code is good for one attempt. */
static int end_trip(struct call *c, struct arrival *a, struct rk_err *err)
{
    return login_note(c, &a->login, RK_STR(""), err);
}

/* A code comes here once, whoever is said to have made it. */
static int spend_code(struct call *c, const char *code, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const char *text = rk_arena_printf(c->arena, "upstream code\n%s", code);
    uint8_t hash[32];
    int r;

    rk_sha256(text, strlen(text), hash);
    r = rk_pg_run(c->pg, &spend_stmt, &res, err, RK_P_BYTEA(rk_strn(hash, sizeof(hash))));
    return r == 0 && rk_pg_rows(res) == 0 ? rk_fail(err, RK_DENIED, "the code was here before") : r;
}

static int identify(struct call *c, struct arrival *a, struct identity *out, struct rk_err *err)
{
    rk_auto(upstream_unref) struct upstream *up = NULL;
    struct upstreams *s = c->shared->upstreams;
    const char *code = form_get(&a->form, "code");
    int r;

    if (!*code || strlen(code) > MAX_CODE)
        return rk_fail(err, RK_DENIED, "there is no code, or one that is too long");
    r = spend_code(c, code, err);
    if (r == 0)
        r = upstream_open(s, &a->connector, &up, err);
    if (r == 0)
        r = check_sender(a, up, err);
    if (r < 0)
        return r;
    return exchange(s, up, &a->connector, &a->trip, code, redirect_uri(c, &a->connector), c->arena,
                    out, err);
}

/* Somebody with that cookie may have pressed twice; the transaction may have lost against
 * another. */
static int
let_in(struct call *c, const struct arrival *a, const struct identity *who, struct rk_err *err)
{
    const struct login_proof proof = { .who = *who };
    unsigned attempts = 0;
    int r;

    do
        r = login_done(c, &a->login, &proof, err);
    while (r == RK_CONFLICT && ++attempts < MAX_ATTEMPTS);
    return r == RK_NOT_FOUND ? page_error(c, 400, TEXT_ERROR_LOGIN_GONE) : r;
}

/* On a thread that may wait. */
static int arrive(struct call *c, struct arrival *a, struct rk_err *err)
{
    struct lanes *lanes = upstreams_lanes(c->shared->upstreams);
    const char *retry = login_path(c, &a->login, a->connector.id);
    struct identity who;
    struct lane *lane;
    int r;

    r = refused(a, err);
    if (r == 0)
        r = lane_enter(lanes, a->connector.id, &lane, err);
    if (r < 0)
        return upstream_problem(c, &a->connector, err, retry);
    r = identify(c, a, &who, err);
    lane_leave(lanes, lane, r != RK_UNAVAILABLE);
    if (r < 0)
        return upstream_problem(c, &a->connector, err, retry);
    return let_in(c, a, &who, err);
}

/* Which login this is about. A page that says that there is none, and 1, when it is about none. */
static int find(struct call *c, struct arrival *a, struct rk_err *err)
{
    const char *state, *id;
    int r = form_parse(c->query, c->arena, &a->form, err);

    if (r < 0)
        return r;
    state = form_get(&a->form, "state");
    id = trip_login(state, c->arena);
    r = id ? login_find(c, id, &a->login, err) : RK_NOT_FOUND;
    if (r == RK_NOT_FOUND) {
        (void)page_error(c, 400, TEXT_ERROR_LOGIN_GONE);
        return 1;
    }
    if (r < 0)
        return r;
    /* A trip that is over, or one that was left for another; and one to another provider than the
     * path says. */
    if (!trip_read(a->login.note, &a->trip) || !trip_is(&a->trip, state) ||
        (c->var[0][0] != '\0' && strcmp(c->var[0], a->trip.connector_id) != 0)) {
        (void)page_error_retry(c, 400, TEXT_ERROR_LOGIN_GONE, login_chooser_path(c, &a->login));
        return 1;
    }
    r = rk_connector_read(c->pg, NULL, a->trip.connector_id, c->seal, c->arena, &a->connector, err);
    if (r == RK_NOT_FOUND) {
        (void)page_error_retry(c, 404, TEXT_ERROR_CONNECTOR, login_chooser_path(c, &a->login));
        return 1;
    }
    if (r == 0 && a->connector.own_redirect_uri && c->var[0][0] == '\0') {
        (void)page_error_retry(c, 400, TEXT_ERROR_LOGIN_GONE, login_chooser_path(c, &a->login));
        return 1;
    }
    return r;
}

int connector_callback(struct call *c, struct rk_err *err)
{
    struct arrival a;
    int r = find(c, &a, err);

    if (r != 0)
        return r < 0 ? r : 0;
    if (c->pool != POOL_OUTBOUND) {
        c->move = POOL_OUTBOUND;
        return CALL_MOVE;
    }
    r = end_trip(c, &a, err);
    return r < 0 ? r : arrive(c, &a, err);
}

/*
 * Posted from the provider's site the request has none of our cookies (they are SameSite=Lax), so
 * the browser is sent to the same address with the same answer as a query, by itself.
 */
int connector_callback_form(struct call *c, struct rk_err *err)
{
    static const char *const names[] = { "state", "code", "iss", "error" };
    rk_auto(rk_buf_done) struct rk_buf q = { 0 };
    const char *path = c->var[0];
    struct form form;
    int r = form_parse(c->body, c->arena, &form, err);

    if (r < 0)
        return r;
    rk_buf_init(&q, MAX_QUERY);
    for (size_t i = 0; i < RK_COUNT(names); i++)
        if (form_has(&form, names[i]))
            rk_form_put(&q, names[i], rk_str(form_get(&form, names[i])));
    if (q.overflow || path[strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
        return page_error(c, 400, TEXT_ERROR_REQUEST);
    return page_redirect(c, rk_arena_printf(c->arena, "/oauth2/callback%s%s?%.*s", *path ? "/" : "",
                                            path, RK_STR_FMT(rk_buf_str(&q))));
}
