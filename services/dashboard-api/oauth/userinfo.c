/* GET and POST /oauth2/userinfo: what an access token says of its person, while its grant stands.
 */

#include <string.h>

#include "services/dashboard-api/oauth/grant.h"
#include "services/dashboard-api/oauth/oauth.h"
#include "services/dashboard-api/oauth/params.h"
#include "services/dashboard-api/oauth/reply.h"
#include "services/dashboard-api/oauth/token_check.h"

#define MAX_GROUPS IDENTITY_MAX_GROUPS

/* RFC 6750: the header, or the body of a form (2.1, 2.2); never both, never the URL. NULL: none. */
static const char *bearer(struct call *c)
{
    struct rk_str rest = rk_str_trim(rk_str(c->head.authorization)), scheme;
    struct params params;
    struct rk_err err;
    const char *in_body = NULL;

    if (c->body.n > 0 && params_is_form(c->head.content_type) &&
        params_parse(c->body, c->arena, &params, &err) == 0 && !params.repeated)
        in_body = params_get(&params, "access_token");
    if (rest.n == 0)
        return in_body;
    if (in_body || !rk_str_next(&rest, ' ', &scheme) || !rk_str_ieq(scheme, RK_STR("Bearer")))
        return NULL;
    rest = rk_str_trim(rest);
    return rest.n > 0 ? rk_arena_strn(c->arena, rest) : NULL;
}

static int refuse(struct call *c)
{
    c->status = 401;
    call_header(c, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
    reply_no_store(c);
    rk_json_object(&c->json, NULL);
    rk_json_cstr(&c->json, "error", "invalid_token");
    rk_json_cstr(&c->json, "error_description", "the access token is not valid");
    rk_json_object_end(&c->json);
    return 0;
}

static void write(struct call *c, const struct rk_claims *claims)
{
    static const char *const strings[] = { "email", "name", "preferred_username" };
    struct rk_str *groups = rk_arena_alloc(c->arena, MAX_GROUPS * sizeof(*groups));
    struct rk_json *j = &c->json;
    bool present;
    size_t n;

    rk_json_object(j, NULL);
    rk_json_cstr(j, "sub", claims->subject);
    for (size_t i = 0; i < RK_COUNT(strings); i++) {
        const char *v = rk_claims_str(claims, strings[i], c->arena);

        if (v[0] != '\0')
            rk_json_cstr(j, strings[i], v);
    }
    if (claims->email[0] != '\0')
        rk_json_bool(j, "email_verified", claims->email_verified);
    n = rk_claims_list(claims, "groups", c->arena, groups, MAX_GROUPS, &present);
    if (present) {
        rk_json_array(j, "groups");
        for (size_t i = 0; i < n; i++)
            rk_json_str(j, NULL, groups[i]);
        rk_json_array_end(j);
    }
    rk_json_object_end(j);
}

int oauth_userinfo(struct call *c, struct rk_err *err)
{
    const char *token = bearer(c);
    struct token_checked got;
    bool alive;
    int r;

    if (!token)
        return refuse(c);
    r = token_check(c, token, false, &got, err);
    if (r == RK_UNAUTHENTICATED || (r == 0 && !got.access))
        return refuse(c);
    if (r < 0)
        return r;
    r = grant_alive(c, got.grant_id, &alive, err);
    if (r < 0)
        return r;
    if (!alive)
        return refuse(c);
    reply_no_store(c);
    write(c, &got.claims);
    return 0;
}
