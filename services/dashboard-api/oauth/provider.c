/* See provider.h. */

#include "services/dashboard-api/oauth/provider.h"

#include "libcommon/base/alloc.h"
#include "libcommon/oidc/config.h"

#define MAX_ARENA ((size_t)1 << 20)
#define MAX_ISSUER 1024
#define KEPT_MORE_S 3600

int provider_new(const struct api_config *config,
                 const struct rk_seal *seal,
                 struct provider **out,
                 struct rk_err *err)
{
    rk_auto(provider_free) struct provider *p = NULL;
    rk_auto(rk_buf_done) struct rk_buf issuer = { .max = MAX_ISSUER };
    int64_t longest;
    int r;

    *out = NULL;
    if (rk_oidc_mode(&config->oidc) != RK_OIDC_EMBEDDED)
        return 0;
    p = rk_new(struct provider);
    p->arena = rk_arena_new(MAX_ARENA);
    rk_oidc_embedded_issuer(&config->oidc, &issuer);
    p->issuer = rk_arena_strn(p->arena, rk_buf_str(&issuer));
    r = clients_init(&p->clients, config, p->arena, err);
    if (r < 0)
        return r;
    p->session_s = config->oauth_session_s;
    p->session_idle_s = config->oauth_session_idle_s;
    longest = config->oauth_dashboard_token_s > config->oauth_cli_token_s
                  ? config->oauth_dashboard_token_s
                  : config->oauth_cli_token_s;
    p->keys = keys_new(seal, longest + KEPT_MORE_S);
    *out = rk_steal(p);
    return 0;
}

void provider_free(struct provider *p)
{
    if (!p)
        return;
    keys_free(p->keys);
    rk_arena_free(p->arena);
    rk_free(p);
}

int provider_of(const struct call *c, const struct provider **out, struct rk_err *err)
{
    if (!c->shared->provider)
        return rk_fail(err, RK_NOT_FOUND, "the embedded identity provider is off");
    *out = c->shared->provider;
    return 0;
}
