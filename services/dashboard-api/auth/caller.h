#pragma once

/* Who asks, and whether they may. Worker threads. */

#include "services/dashboard-api/call.h"

enum credential {
    CREDENTIAL_TOKEN,   /* a well-formed access token */
    CREDENTIAL_JWT,     /* a token of the identity provider, to be verified */
    CREDENTIAL_NONE,    /* 401 "no valid authentication provided" */
    CREDENTIAL_INVALID, /* 401 "token invalid" */
};
/* Reads the Authorization header; needs no database, any thread. *out_token points into `header`.
 */
enum credential caller_credential(struct rk_str header, struct rk_str *out_token);

/* Finds who call.token belongs to. RK_UNAUTHENTICATED; CALL_MOVE when the provider's keys must be
 * fetched first (call.wants_keys). */
int caller_load(struct call *c, struct rk_err *err) RK_CHECKED;
/* Checks the route's needs; RK_DENIED. Sets call.permitted. */
int caller_permit(struct call *c, struct rk_err *err) RK_CHECKED;
/* For handlers that ask in the middle of their work. */
bool caller_may(const struct caller *caller, enum rk_module module, unsigned op);
