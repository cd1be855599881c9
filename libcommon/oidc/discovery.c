#include "libcommon/oidc/discovery.h"

/* Only what is used is read; every endpoint that is read passes the checks of a URL. */

#include <jansson.h>

#include "libcommon/jwt/member.h"

static bool list_has(const json_t *o, const char *name, const char *wanted)
{
    const json_t *list = json_object_get(o, name), *v;
    size_t i;

    json_array_foreach(list, i, v)
    {
        if (rk_str_eq(rk_json_text(v), rk_str(wanted)))
            return true;
    }
    return false;
}

static int read_all(const struct rk_fetch_rules *rules,
                    const json_t *o,
                    const char *issuer,
                    struct rk_arena *arena,
                    struct rk_discovery *d,
                    struct rk_err *err)
{
    const struct {
        const char *name;
        const char **to;
    } endpoints[] = {
        { "authorization_endpoint", &d->authorization_endpoint },
        { "token_endpoint", &d->token_endpoint },
        { "jwks_uri", &d->jwks_uri },
        { "userinfo_endpoint", &d->userinfo_endpoint },
        { "device_authorization_endpoint", &d->device_authorization_endpoint },
        { "end_session_endpoint", &d->end_session_endpoint },
    };

    if (!rk_str_eq(rk_json_member(o, "issuer"), rk_str(issuer)))
        return rk_fail(err, RK_INVALID,
                       "discovery document: its issuer is not the one that was asked");
    d->issuer = rk_arena_strdup(arena, issuer);
    for (size_t i = 0; i < RK_COUNT(endpoints); i++) {
        struct rk_str url = rk_json_member(o, endpoints[i].name);

        *endpoints[i].to = url.n > 0 ? rk_arena_strn(arena, url) : "";
        if (url.n > 0 && rk_fetch_check_url(rules, *endpoints[i].to, NULL) < 0)
            return rk_fail(err, RK_INVALID, "discovery document: %s is not an https:// URL",
                           endpoints[i].name);
    }
    if (d->jwks_uri[0] == '\0')
        return rk_fail(err, RK_INVALID, "discovery document: no jwks_uri");
    d->iss_parameter =
        json_is_true(json_object_get(o, "authorization_response_iss_parameter_supported"));
    d->s256 = list_has(o, "code_challenge_methods_supported", "S256");
    d->auth_basic = !json_object_get(o, "token_endpoint_auth_methods_supported") ||
                    list_has(o, "token_endpoint_auth_methods_supported", "client_secret_basic");
    d->auth_post = list_has(o, "token_endpoint_auth_methods_supported", "client_secret_post");
    d->scopes_told = json_is_array(json_object_get(o, "scopes_supported"));
    d->scope_offline = list_has(o, "scopes_supported", "offline_access");
    d->scope_groups = list_has(o, "scopes_supported", "groups");
    return 0;
}

int rk_discovery_parse(const struct rk_fetch_rules *rules,
                       struct rk_str json,
                       const char *issuer,
                       struct rk_arena *arena,
                       struct rk_discovery *out,
                       struct rk_err *err)
{
    struct rk_discovery d = { 0 };
    json_t *o = json.n > 0 && json.n <= RK_FETCH_MAX_BYTES
                    ? json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL)
                    : NULL;
    int r = json_is_object(o) ? read_all(rules, o, issuer, arena, &d, err)
                              : rk_fail(err, RK_INVALID, "discovery document: not a JSON object");

    json_decref(o);
    if (r == 0)
        *out = d;
    return r;
}

static int get(const struct rk_fetch_rules *rules,
               const char *url,
               struct rk_fetch_answer *out,
               struct rk_err *err)
{
    struct rk_fetch_request q = { .url = url };
    int r = rk_fetch(rules, &q, out, err);

    if (r == 0 && out->status != 200)
        return rk_fail(err, RK_UNAVAILABLE, "discovery document: status %d in place of 200",
                       out->status);
    return r;
}

int rk_discovery_fetch(const struct rk_fetch_rules *rules,
                       const char *issuer,
                       struct rk_arena *arena,
                       struct rk_discovery *out,
                       struct rk_err *err)
{
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    int r;

    rk_fetch_answer_init(&answer);
    r = get(rules, rk_discovery_url(issuer, arena), &answer, err);
    if (r < 0)
        return r;
    return rk_discovery_parse(rules, rk_buf_str(&answer.body), issuer, arena, out, err);
}

int rk_discovery_fetch_url(const struct rk_fetch_rules *rules,
                           const char *url,
                           struct rk_arena *arena,
                           struct rk_discovery *out,
                           struct rk_err *err)
{
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    struct rk_str u = rk_str(url);
    struct rk_err first = { 0 };
    char *issuer;
    int r;

    rk_fetch_answer_init(&answer);
    if (!rk_str_ends(u, RK_STR(RK_DISCOVERY_PATH)))
        return rk_fail(err, RK_INVALID, "a discovery URL ends with " RK_DISCOVERY_PATH);
    r = get(rules, url, &answer, err);
    if (r < 0)
        return r;
    issuer = rk_arena_strn(arena, rk_strn(u.p, u.n - strlen(RK_DISCOVERY_PATH)));
    r = rk_discovery_parse(rules, rk_buf_str(&answer.body), issuer, arena, out, &first);
    if (r < 0) /* some providers' issuers end with a slash */
        r = rk_discovery_parse(rules, rk_buf_str(&answer.body),
                               rk_arena_printf(arena, "%s/", issuer), arena, out, NULL);
    return r < 0 ? rk_fail(err, first.code, "%s", first.msg) : 0;
}

const char *rk_discovery_url(const char *issuer, struct rk_arena *arena)
{
    bool slash = rk_str_ends(rk_str(issuer), RK_STR("/"));

    return rk_arena_printf(arena, "%s%s", issuer, &RK_DISCOVERY_PATH[slash ? 1 : 0]);
}
