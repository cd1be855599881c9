#pragma once

/*
 * Exchange: from the code that an upstream provider has sent the browser back with to who that is:
 * the token request, the ID token and all its checks, and userinfo where that is needed. May wait
 * for the provider, three times up to 10 s: worker threads that may. The decoders: any.
 */

#include "libcommon/account/rules/connector.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "services/dashboard-api/connector/trip.h"
#include "services/dashboard-api/connector/upstream.h"
#include "services/dashboard-api/oauth/identity.h"

/* What a token endpoint answered; "" when absent. */
struct exchange_tokens {
    const char *id_token, *access_token;
};
/* RK_DENIED, for the log: not what a token endpoint answers, or too long. */
int exchange_read(struct rk_str json,
                  struct rk_arena *arena,
                  struct exchange_tokens *out,
                  struct rk_err *err) RK_CHECKED;

/*
 * `redirect_uri` is the one of the request that brought the code. RK_UNAVAILABLE: the provider does
 * not answer; any other code: it says no, or something that cannot be believed. The messages are
 * for the log and hold no secret.
 */
int exchange(struct upstreams *s,
             const struct upstream *up,
             const struct rk_connector *c,
             const struct trip *trip,
             const char *code,
             const char *redirect_uri,
             struct rk_arena *arena,
             struct identity *out,
             struct rk_err *err) RK_CHECKED;
