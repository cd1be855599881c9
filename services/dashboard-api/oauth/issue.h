#pragma once

/* The answer of the token endpoint: an access token and an ID token for a grant. Worker thread. */

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/grant.h"
#include "services/dashboard-api/oauth/keys.h"

struct issue {
    const struct grant *grant;
    const struct key_set *keys;
    unsigned scope;    /* of these tokens: the grant's, or less */
    const char *nonce; /* "" = none */
    const char *code;  /* what the ID token's c_hash is of, or NULL */
};

/* Reads a local user as they are now. *out_gone: there is none. */
int issue_current(struct call *c, struct identity *who, bool *out_gone, struct rk_err *err)
    RK_CHECKED;
/* Writes the answer. */
int issue_tokens(struct call *c, const struct issue *q, struct rk_err *err) RK_CHECKED;
