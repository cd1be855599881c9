/* See issue.h. */

#include "services/dashboard-api/oauth/issue.h"

#include <string.h>

#include "libcommon/account/rules/grant_name.h"
#include "libcommon/account/rules/subject.h"
#include "libcommon/base/clock.h"
#include "libcommon/jwt/jwt.h"
#include "services/dashboard-api/oauth/claims.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/oauth/reply.h"
#include "services/dashboard-api/oauth/scope.h"

static const struct rk_pg_stmt read_user = { "oauth_user",
                                             "SELECT email, name FROM users WHERE id = $1" };

int issue_current(struct call *c, struct identity *who, bool *out_gone, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    *out_gone = false;
    if (strcmp(who->connector_id, RK_CONNECTOR_LOCAL) != 0)
        return 0;
    r = rk_pg_run(c->pg, &read_user, &res, err, RK_P_C(who->user_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0) {
        *out_gone = true;
        return 0;
    }
    who->email = rk_arena_strn(c->arena, rk_pg_str(res, 0, 0));
    who->name = rk_arena_strn(c->arena, rk_pg_str(res, 0, 1));
    who->preferred_username = who->email;
    /* An administrator has typed it, or the link of an invite went there. */
    who->email_verified = who->email[0] != '\0';
    return 0;
}

static int sign(const struct key_set *keys,
                const struct claims *claims,
                struct rk_str grant_id,
                bool access,
                struct rk_buf *out,
                struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf json = { .max = CLAIMS_MAX };
    char jti[RK_JTI_LEN + 1];

    rk_jti_new(access ? RK_GRANT_ACCESS : RK_GRANT_ID, (const uint8_t *)grant_id.p, jti);
    if (access)
        claims_write_access(claims, jti, &json);
    else
        claims_write_id(claims, jti, &json);
    if (json.overflow)
        return rk_fail(err, RK_INTERNAL, "more claims than a token holds");
    return rk_jwt_sign(keys->signer, rk_buf_str(&json), out, err);
}

int issue_tokens(struct call *c, const struct issue *q, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf access = { .max = 2 * CLAIMS_MAX };
    rk_auto(rk_buf_done) struct rk_buf id = { .max = 2 * CLAIMS_MAX };
    const struct grant *g = q->grant;
    const struct provider *p;
    struct claims claims;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    claims = (struct claims){ .issuer = p->issuer,
                              .client_id = g->client->id,
                              .who = &g->who,
                              .scope = q->scope,
                              .now_s = rk_wall_s(),
                              .lives_s = g->client->token_s,
                              .auth_time_s = g->auth_time_s,
                              .nonce = q->nonce,
                              .code = q->code };
    r = sign(q->keys, &claims, g->id, true, &access, err);
    if (r < 0)
        return r;
    claims.access_token = rk_arena_strn(c->arena, rk_buf_str(&access));
    r = sign(q->keys, &claims, g->id, false, &id, err);
    if (r < 0)
        return r;
    reply_no_store(c);
    rk_json_object(&c->json, NULL);
    rk_json_str(&c->json, "access_token", rk_buf_str(&access));
    rk_json_cstr(&c->json, "token_type", "bearer");
    rk_json_int(&c->json, "expires_in", g->client->token_s);
    if (q->scope & SCOPE_OPENID)
        rk_json_str(&c->json, "id_token", rk_buf_str(&id));
    if (g->refresh_token)
        rk_json_cstr(&c->json, "refresh_token", g->refresh_token);
    rk_json_cstr(&c->json, "scope", scope_text(q->scope, c->arena));
    rk_json_object_end(&c->json);
    return 0;
}
