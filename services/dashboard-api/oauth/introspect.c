/*
 * POST /oauth2/token/introspect (RFC 7662): whether a token is in force. A client asks about its
 * own; what is anybody else's, or nobody's, is not active. Access tokens only: a refresh token is
 * found out about by using it.
 */

#include "services/dashboard-api/oauth/client_auth.h"
#include "services/dashboard-api/oauth/grant.h"
#include "services/dashboard-api/oauth/oauth.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/oauth/reply.h"
#include "services/dashboard-api/oauth/token_check.h"

static void write(struct call *c, const struct token_checked *t)
{
    struct rk_json *j = &c->json;

    rk_json_object(j, NULL);
    rk_json_bool(j, "active", t != NULL);
    if (t) {
        rk_json_cstr(j, "iss", t->claims.issuer);
        rk_json_cstr(j, "sub", t->claims.subject);
        rk_json_cstr(j, "aud", t->client->id);
        rk_json_cstr(j, "client_id", t->client->id);
        rk_json_int(j, "exp", t->claims.expires_s);
        rk_json_int(j, "iat", t->claims.issued_s);
        rk_json_cstr(j, "jti", rk_claims_str(&t->claims, "jti", c->arena));
        rk_json_cstr(j, "token_type", "bearer");
        if (t->claims.email[0] != '\0')
            rk_json_cstr(j, "username", t->claims.email);
    }
    rk_json_object_end(j);
}

int oauth_introspect(struct call *c, struct rk_err *err)
{
    const struct provider *p;
    const struct client *client;
    const char *token;
    struct params params;
    struct refusal why;
    struct token_checked got;
    bool alive = false;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    client = client_posts(c, &p->clients, &params, &why);
    if (!client)
        return reply_refused(c, &why);
    token = params_get(&params, "token");
    if (!token)
        return reply_refused(c, &(struct refusal){ "invalid_request", "token is missing" });
    r = token_check(c, token, false, &got, err);
    if (r < 0 && r != RK_UNAUTHENTICATED)
        return r;
    if (r == 0 && got.client == client && got.access) {
        r = grant_alive(c, got.grant_id, &alive, err);
        if (r < 0)
            return r;
    }
    reply_no_store(c);
    write(c, alive ? &got : NULL);
    return 0;
}
