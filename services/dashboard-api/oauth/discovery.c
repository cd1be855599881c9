/* GET /oauth2/.well-known/openid-configuration, /oauth2/keys and /oauth2/. */

#include "services/dashboard-api/oauth/device.h"
#include "services/dashboard-api/oauth/oauth.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/page/page.h"

/* Who keeps either learns of a new key before it signs. */
#define CACHE "max-age=600, must-revalidate"

static void put_list(struct rk_json *j, const char *key, const char *const *list)
{
    rk_json_array(j, key);
    for (; *list; list++)
        rk_json_cstr(j, NULL, *list);
    rk_json_array_end(j);
}
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

int oauth_discovery(struct call *c, struct rk_err *err)
{
    static const struct {
        const char *name, *path;
    } endpoints[] = {
        { "authorization_endpoint", "/auth" },
        { "token_endpoint", "/token" },
        { "jwks_uri", "/keys" },
        { "userinfo_endpoint", "/userinfo" },
        { "device_authorization_endpoint", "/device/code" },
        { "introspection_endpoint", "/token/introspect" },
        { "end_session_endpoint", "/logout" },
    };
    const struct provider *p;
    struct rk_json *j = &c->json;
    int r = provider_of(c, &p, err);

    if (r < 0)
        return r;
    rk_json_object(j, NULL);
    rk_json_cstr(j, "issuer", p->issuer);
    for (size_t i = 0; i < RK_COUNT(endpoints); i++)
        rk_json_cstr(j, endpoints[i].name,
                     rk_arena_printf(c->arena, "%s%s", p->issuer, endpoints[i].path));
    put_list(j, "response_types_supported", LIST("code"));
    put_list(j, "response_modes_supported", LIST("query"));
    put_list(j, "grant_types_supported",
             LIST("authorization_code", "refresh_token", DEVICE_GRANT_TYPE));
    put_list(j, "subject_types_supported", LIST("public"));
    put_list(j, "id_token_signing_alg_values_supported", LIST("RS256"));
    put_list(j, "code_challenge_methods_supported", LIST("S256"));
    put_list(j, "scopes_supported", LIST("openid", "email", "groups", "profile", "offline_access"));
    put_list(j, "token_endpoint_auth_methods_supported",
             LIST("none", "client_secret_basic", "client_secret_post"));
    put_list(j, "claims_supported",
             LIST("iss", "sub", "aud", "iat", "exp", "email", "email_verified", "name",
                  "preferred_username", "groups", "at_hash"));
    rk_json_bool(j, "authorization_response_iss_parameter_supported", true);
    rk_json_bool(j, "request_uri_parameter_supported", false);
    rk_json_object_end(j);
    call_header(c, "Cache-Control", CACHE);
    return 0;
}

int oauth_keys(struct call *c, struct rk_err *err)
{
    rk_auto(key_set_unref) struct key_set *set = NULL;
    const struct provider *p;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    r = keys_get(p->keys, c->pg, false, &set, err);
    if (r < 0)
        return r;
    rk_buf_put_c(&c->out, set->json);
    call_header(c, "Cache-Control", CACHE);
    return 0;
}

int oauth_root(struct call *c, struct rk_err *err)
{
    (void)err;
    return page_redirect(c, "/");
}
