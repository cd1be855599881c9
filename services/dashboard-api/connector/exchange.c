/* See exchange.h. OpenID Connect Core 1.0, 3.1.3. */

#include "services/dashboard-api/connector/exchange.h"

#include <string.h>

#include "libcommon/crypto/box.h"
#include "libcommon/jwt/jwt.h"
#include "services/dashboard-api/connector/kind.h"
#include "services/dashboard-api/connector/person.h"

#define MAX_FORM ((size_t)32 * 1024)
#define MAX_ACCESS_TOKEN RK_JWT_MAX

/* A token as it may stand in a header: RFC 6750, 2.1. */
static bool is_token(const char *s, size_t max)
{
    size_t n = strlen(s);

    return n <= max && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "-._~+/=") == n;
}

int exchange_read(struct rk_str json,
                  struct rk_arena *arena,
                  struct exchange_tokens *out,
                  struct rk_err *err)
{
    const struct {
        const char *name;
        const char **to;
        size_t max;
    } want[] = {
        { "id_token", &out->id_token, RK_JWT_MAX },
        { "access_token", &out->access_token, MAX_ACCESS_TOKEN },
    };
    rk_auto(json_decref) json_t *root = NULL;

    if (person_parse(json, &root, err) < 0)
        return rk_fail(err, RK_DENIED, "the token endpoint's answer is not a JSON object");
    for (size_t i = 0; i < RK_COUNT(want); i++) {
        const char *v = json_string_value(json_object_get(root, want[i].name));

        if (v && !is_token(v, want[i].max))
            return rk_fail(err, RK_DENIED, "the %s is too long or no token", want[i].name);
        *want[i].to = rk_arena_strdup(arena, v ? v : "");
    }
    return 0;
}

/* The error that a token endpoint names, if it is one of RFC 6749's, for the log. */
static const char *named_error(struct rk_str json)
{
    static const char *const known[] = { "invalid_request",     "invalid_client",
                                         "invalid_grant",       "unauthorized_client",
                                         "invalid_scope",       "unsupported_grant_type",
                                         "invalid_redirect_uri" };
    const char *found = "no error that we know";
    rk_auto(json_decref) json_t *root = NULL;
    struct rk_err ignored;
    const char *said;

    if (person_parse(json, &root, &ignored) < 0)
        return found;
    said = json_string_value(json_object_get(root, "error"));
    for (size_t i = 0; said && i < RK_COUNT(known); i++)
        if (strcmp(said, known[i]) == 0)
            found = known[i];
    return found;
}

static int redeem(struct upstreams *s,
                  const struct upstream *up,
                  const struct rk_connector *c,
                  const struct trip *trip,
                  const char *code,
                  const char *redirect_uri,
                  struct rk_arena *arena,
                  struct exchange_tokens *out,
                  struct rk_err *err)
{
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer a;
    rk_auto(rk_buf_done) struct rk_buf form = { 0 };
    struct rk_fetch_request q = { .url = up->endpoints.token_endpoint };
    bool has_secret = c->client_secret[0] != '\0';
    bool in_body = kind_of(c->kind)->secret_in_body || !up->endpoints.auth_basic;
    int r;

    rk_fetch_answer_init(&a);
    rk_buf_init(&form, MAX_FORM);
    rk_form_put(&form, "grant_type", RK_STR("authorization_code"));
    rk_form_put(&form, "code", rk_str(code));
    rk_form_put(&form, "redirect_uri", rk_str(redirect_uri));
    rk_form_put(&form, "code_verifier", rk_str(trip->verifier));
    if (has_secret && !in_body) {
        q.basic_user = c->client_id;
        q.basic_password = c->client_secret;
    } else {
        rk_form_put(&form, "client_id", rk_str(c->client_id));
        if (has_secret)
            rk_form_put(&form, "client_secret", rk_str(c->client_secret));
    }
    q.form = rk_buf_str(&form);
    r = form.overflow ? rk_fail(err, RK_DENIED, "the code is too long")
                      : rk_fetch(upstreams_rules(s), &q, &a, err);
    if (form.n > 0)
        rk_wipe(form.p, form.n);
    if (r < 0)
        return r;
    if (a.status >= 500)
        return rk_fail(err, RK_UNAVAILABLE, "the token endpoint answered with status %d", a.status);
    if (a.status != 200)
        return rk_fail(err, RK_DENIED, "the token endpoint answered with status %d (%s)", a.status,
                       named_error(rk_buf_str(&a.body)));
    return exchange_read(rk_buf_str(&a.body), arena, out, err);
}

/* === The ID token === */

static int verify(const struct upstream *up,
                  const char *token,
                  struct rk_arena *arena,
                  struct rk_claims *out,
                  struct rk_err *err)
{
    struct rk_err fetch = { 0 };
    int r = rk_verifier_check(up->verifier, rk_str(token), arena, out, err);

    if (r != RK_VERIFIER_FETCH)
        return r;
    if (rk_verifier_fetch(up->verifier, NULL, &fetch) < 0)
        return rk_fail(err, RK_UNAVAILABLE, "its keys: %.400s", fetch.msg);
    r = rk_verifier_check(up->verifier, rk_str(token), arena, out, err);
    return r == RK_VERIFIER_FETCH ? rk_fail(err, RK_DENIED, "the ID token is of an unknown key")
                                  : r;
}

/* 3.1.3.7, points 4, 5 and 11. */
static int bound_to_us(const struct rk_claims *claims,
                       const struct rk_connector *c,
                       const struct trip *trip,
                       struct rk_arena *arena,
                       struct rk_err *err)
{
    const char *azp = rk_claims_str(claims, "azp", arena);

    if (!rk_const_eq_str(rk_str(claims->nonce), rk_str(trip->nonce)))
        return rk_fail(err, RK_DENIED, "the ID token is of another sign-in (nonce)");
    if (*azp && strcmp(azp, c->client_id) != 0)
        return rk_fail(err, RK_DENIED, "the ID token was made for another client (azp)");
    return 0;
}

/* === Userinfo, or Microsoft Graph === */

static int ask_more(struct upstreams *s,
                    const struct upstream *up,
                    const char *access_token,
                    json_t **out,
                    struct rk_err *err)
{
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer a;
    const struct rk_fetch_request q = { .url = up->endpoints.userinfo_endpoint,
                                        .bearer = access_token };
    int r;

    rk_fetch_answer_init(&a);
    r = rk_fetch(upstreams_rules(s), &q, &a, err);
    if (r < 0)
        return r;
    if (a.status != 200)
        return rk_fail(err, a.status >= 500 ? RK_UNAVAILABLE : RK_DENIED,
                       "userinfo answered with status %d", a.status);
    if (person_parse(rk_buf_str(&a.body), out, err) < 0)
        return rk_fail(err, RK_DENIED, "userinfo is not a JSON object");
    return 0;
}

/* 5.3.2: userinfo of somebody else is nobody's. */
static int same_person(const struct rk_claims *claims, const json_t *more, struct rk_err *err)
{
    const char *sub = json_string_value(json_object_get(more, "sub"));

    if (!sub || strcmp(sub, claims->subject) != 0)
        return rk_fail(err, RK_DENIED, "userinfo speaks of somebody else");
    return 0;
}

static int by_graph(struct upstreams *s,
                    const struct upstream *up,
                    const struct rk_connector *c,
                    const struct exchange_tokens *tokens,
                    struct rk_arena *arena,
                    struct identity *out,
                    struct rk_err *err)
{
    rk_auto(json_decref) json_t *more = NULL;
    int r;

    if (!*tokens->access_token)
        return rk_fail(err, RK_DENIED, "there is no access token");
    r = ask_more(s, up, tokens->access_token, &more, err);
    if (r < 0)
        return r;
    return person_identity(c, NULL, more, arena, out, err);
}

static int by_id_token(struct upstreams *s,
                       const struct upstream *up,
                       const struct rk_connector *c,
                       const struct trip *trip,
                       const struct exchange_tokens *tokens,
                       struct rk_arena *arena,
                       struct identity *out,
                       struct rk_err *err)
{
    const struct kind *kind = kind_of(c->kind);
    rk_auto(json_decref) json_t *token = NULL;
    rk_auto(json_decref) json_t *more = NULL;
    struct rk_claims claims;
    int r;

    if (!*tokens->id_token)
        return rk_fail(err, RK_DENIED, "there is no ID token");
    r = verify(up, tokens->id_token, arena, &claims, err);
    if (r < 0)
        return r;
    r = bound_to_us(&claims, c, trip, arena, err);
    if (r < 0)
        return r;
    r = person_parse(claims.payload, &token, err);
    if (r < 0)
        return r;
    if (!kind->no_userinfo && *tokens->access_token && *up->endpoints.userinfo_endpoint &&
        (kind->asks_userinfo || !person_complete(c->kind, token))) {
        r = ask_more(s, up, tokens->access_token, &more, err);
        if (r == 0)
            r = same_person(&claims, more, err);
    }
    return r < 0 ? r : person_identity(c, token, more, arena, out, err);
}

/* Where its own session can be ended, with everything but where to return to. */
static const char *
end_session(const struct upstream *up, const struct rk_connector *c, struct rk_arena *arena)
{
    rk_auto(rk_buf_done) struct rk_buf query = { 0 };
    const char *at = up->endpoints.end_session_endpoint;

    if (kind_of(c->kind)->no_logout || !*at)
        return NULL;
    rk_buf_init(&query, MAX_FORM);
    rk_form_put(&query, "client_id", rk_str(c->client_id));
    return rk_arena_printf(arena, "%s%c%.*s", at, strchr(at, '?') ? '&' : '?',
                           RK_STR_FMT(rk_buf_str(&query)));
}

int exchange(struct upstreams *s,
             const struct upstream *up,
             const struct rk_connector *c,
             const struct trip *trip,
             const char *code,
             const char *redirect_uri,
             struct rk_arena *arena,
             struct identity *out,
             struct rk_err *err)
{
    struct exchange_tokens tokens;
    int r = redeem(s, up, c, trip, code, redirect_uri, arena, &tokens, err);

    if (r < 0)
        return r;
    r = kind_of(c->kind)->graph ? by_graph(s, up, c, &tokens, arena, out, err)
                                : by_id_token(s, up, c, trip, &tokens, arena, out, err);
    if (r < 0)
        return r;
    out->end_session_url = end_session(up, c, arena);
    return 0;
}
