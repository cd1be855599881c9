#pragma once

/*
 * Access tokens of reverse proxies that somebody runs on their own. The token is shown once and
 * stored as a digest; a revoked one stays listed. One transaction each, on a worker thread.
 */

#include <stdint.h>

#include "libcommon/account/rules/actor.h"
#include "libcommon/crypto/token.h"

#define RK_PROXY_TOKEN_PREFIX "nbx_"
#define RK_PROXY_TOKEN_MAX_SECONDS (100LL * 365 * 86400)

/* `expires_in_s` 0 = never. RK_BAD_REQUEST. *out_plain is stored nowhere. */
int rk_proxy_token_create(struct rk_pg *pg,
                          const struct rk_actor *actor,
                          const char *name,
                          int64_t expires_in_s,
                          char out_id[RK_XID_LEN + 1],
                          char out_plain[RK_PAT_LEN + 1],
                          struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND. Of one that is revoked already: 0. */
int rk_proxy_token_revoke(struct rk_pg *pg,
                          const struct rk_actor *actor,
                          const char *id,
                          struct rk_err *err) RK_CHECKED;
