#pragma once

/* Provider: what all requests of the embedded OpenID Connect provider share. Made at start,
 * read-only afterwards but for the keys; any thread. */

#include "libcommon/base/arena.h"
#include "libcommon/crypto/seal.h"
#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/client.h"
#include "services/dashboard-api/oauth/keys.h"

struct provider {
    struct rk_arena *arena;
    const char *issuer; /* https://host/oauth2 */
    struct clients clients;
    struct keys *keys;
    int64_t session_s, session_idle_s;
};

/* *out is NULL when the embedded provider is off. RK_INVALID names the setting. */
int provider_new(const struct api_config *config,
                 const struct rk_seal *seal,
                 struct provider **out,
                 struct rk_err *err) RK_CHECKED;
void provider_free(struct provider *p);
RK_DEFINE_AUTO(struct provider, provider_free)

/* The one of this request. RK_NOT_FOUND: it is off. */
int provider_of(const struct call *c, const struct provider **out, struct rk_err *err) RK_CHECKED;
