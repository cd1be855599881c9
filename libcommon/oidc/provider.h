#pragma once

/*
 * What is known of an identity provider: configured, discovered, or the embedded one's own.
 * Immutable and counted. Any thread.
 */

#include <stdatomic.h>

#include "libcommon/base/attr.h"
#include "libcommon/oidc/discovery.h"

/* "" = it has none. */
struct rk_provider {
    _Atomic unsigned refs;
    char *issuer; /* of tokens */
    char *keys_url;
    char *authorization_endpoint;
    char *token_endpoint;
    char *device_authorization_endpoint;
};

/* One reference each. */
struct rk_provider *rk_provider_embedded(const char *issuer);
/* From a document; an issuer and a keys URL that are not empty go before the document's. */
struct rk_provider *
rk_provider_discovered(const struct rk_discovery *d, const char *issuer, const char *keys_url);
struct rk_provider *rk_provider_configured(const char *issuer, const char *keys_url);

struct rk_provider *rk_provider_ref(struct rk_provider *p);
void rk_provider_unref(struct rk_provider *p);
RK_DEFINE_AUTO(struct rk_provider, rk_provider_unref)
