#pragma once

/*
 * Tokens that log an agent in: each is one peer's, whichever replica it reaches. They are known by
 * their hash. Worker thread.
 *
 * A replica may die between the claim and the login, or before it could say that all is well; then
 * the agent asks another one with the same token. So the claim is its peer's, whose private key
 * opened the request: that peer may repeat it for a while, and nobody else may ever use the token.
 */

#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/crypto/box.h"
#include "libcommon/pg/pg.h"

/* How long a peer may repeat it: agents give up after two minutes. */
#define RK_USED_TOKEN_REPEAT_S 300

/* RK_UNAUTHENTICATED "JWT already used" or "JWT expired". */
int rk_used_token_claim(struct rk_pg *pg,
                        const uint8_t hash[32],
                        const uint8_t peer_key[RK_KEY_LEN],
                        int64_t expires_s,
                        struct rk_err *err) RK_CHECKED;
/* Forgets those that would be refused for their age; a bounded number a call. */
int rk_used_token_prune(struct rk_pg *pg, struct rk_err *err) RK_CHECKED;
