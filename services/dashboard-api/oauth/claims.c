/* See claims.h. */

#include "services/dashboard-api/oauth/claims.h"

#include <string.h>

#include "libcommon/base/json.h"
#include "libcommon/jwt/jwt.h"
#include "services/dashboard-api/oauth/scope.h"

static bool known(const char *s)
{
    return s && s[0] != '\0';
}

static void put_person(struct rk_json *j, const struct claims *c)
{
    const struct identity *who = c->who;

    if ((c->scope & SCOPE_EMAIL) && known(who->email)) {
        rk_json_cstr(j, "email", who->email);
        rk_json_bool(j, "email_verified", who->email_verified);
    }
    if (c->scope & SCOPE_PROFILE) {
        if (known(who->name))
            rk_json_cstr(j, "name", who->name);
        if (known(who->preferred_username))
            rk_json_cstr(j, "preferred_username", who->preferred_username);
    }
    if ((c->scope & SCOPE_GROUPS) && who->groups_n > 0) {
        rk_json_array(j, "groups");
        for (size_t i = 0; i < who->groups_n; i++)
            rk_json_str(j, NULL, who->groups[i]);
        rk_json_array_end(j);
    }
}

static void begin(struct rk_json *j, const struct claims *c, const char *jti, struct rk_buf *out)
{
    rk_json_init(j, out);
    rk_json_object(j, NULL);
    rk_json_cstr(j, "iss", c->issuer);
    rk_json_cstr(j, "sub", c->who->user_id);
    rk_json_cstr(j, "aud", c->client_id);
    rk_json_int(j, "exp", c->now_s + c->lives_s);
    rk_json_int(j, "iat", c->now_s);
    rk_json_cstr(j, "jti", jti);
    rk_json_int(j, "auth_time", c->auth_time_s);
}

void claims_write_access(const struct claims *c, const char *jti, struct rk_buf *out)
{
    struct rk_json j;

    begin(&j, c, jti, out);
    put_person(&j, c);
    rk_json_object_end(&j);
}

void claims_write_id(const struct claims *c, const char *jti, struct rk_buf *out)
{
    char hash[RK_JWT_HALF_HASH_LEN + 1];
    struct rk_json j;

    begin(&j, c, jti, out);
    if (known(c->nonce))
        rk_json_cstr(&j, "nonce", c->nonce);
    rk_jwt_half_hash(rk_str(c->access_token), hash);
    rk_json_cstr(&j, "at_hash", hash);
    if (c->code) {
        rk_jwt_half_hash(rk_str(c->code), hash);
        rk_json_cstr(&j, "c_hash", hash);
    }
    put_person(&j, c);
    rk_json_object_end(&j);
}
