#include "libcommon/oidc/provider.h"

#include <stdlib.h>

#include "libcommon/base/alloc.h"

static struct rk_provider *provider_new(const char *issuer, const char *keys_url)
{
    struct rk_provider *p = rk_new(struct rk_provider);

    atomic_init(&p->refs, 1);
    p->issuer = rk_strdup(issuer);
    p->keys_url = rk_strdup(keys_url);
    return p;
}

struct rk_provider *rk_provider_embedded(const char *issuer)
{
    struct rk_provider *p = rk_new(struct rk_provider);

    atomic_init(&p->refs, 1);
    p->issuer = rk_strdup(issuer);
    p->keys_url = rk_asprintf("%s/keys", issuer);
    p->authorization_endpoint = rk_asprintf("%s/auth", issuer);
    p->token_endpoint = rk_asprintf("%s/token", issuer);
    p->device_authorization_endpoint = rk_asprintf("%s/device/code", issuer);
    return p;
}

struct rk_provider *
rk_provider_discovered(const struct rk_discovery *d, const char *issuer, const char *keys_url)
{
    struct rk_provider *p = provider_new(issuer[0] != '\0' ? issuer : d->issuer,
                                         keys_url[0] != '\0' ? keys_url : d->jwks_uri);

    p->authorization_endpoint = rk_strdup(d->authorization_endpoint);
    p->token_endpoint = rk_strdup(d->token_endpoint);
    p->device_authorization_endpoint = rk_strdup(d->device_authorization_endpoint);
    return p;
}

struct rk_provider *rk_provider_configured(const char *issuer, const char *keys_url)
{
    struct rk_provider *p = provider_new(issuer, keys_url);

    p->authorization_endpoint = rk_strdup("");
    p->token_endpoint = rk_strdup("");
    p->device_authorization_endpoint = rk_strdup("");
    return p;
}

struct rk_provider *rk_provider_ref(struct rk_provider *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void rk_provider_unref(struct rk_provider *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
        return;
    free(p->issuer);
    free(p->keys_url);
    free(p->authorization_endpoint);
    free(p->token_endpoint);
    free(p->device_authorization_endpoint);
    free(p);
}
