#pragma once

/* Tokens that have logged an agent in: each does so once, whichever replica it reaches. They are
 * known by their hash. Worker thread. */

#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/pg/pg.h"

/* RK_UNAUTHENTICATED "JWT already used" or "JWT expired"; RK_UNAVAILABLE "failed to claim jwt
 * token". */
int rk_used_token_claim(struct rk_pg *pg,
                        const uint8_t hash[32],
                        int64_t expires_s,
                        struct rk_err *err) RK_CHECKED;
/* What it was claimed for did not come about, through no fault of who holds it. */
int rk_used_token_release(struct rk_pg *pg, const uint8_t hash[32], struct rk_err *err) RK_CHECKED;
/* Forgets those that would be refused for their age; a bounded number a call. */
int rk_used_token_prune(struct rk_pg *pg, struct rk_err *err) RK_CHECKED;
