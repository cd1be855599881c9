#pragma once

/* A token that somebody shows us: is it one of ours? Worker thread, not inside a transaction. */

#include <stdbool.h>

#include "libcommon/jwt/jwt.h"
#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/client.h"

struct token_checked {
    struct rk_claims claims;
    const struct client *client; /* whom it is for */
    bool access;                 /* an access token */
    struct rk_str grant_id;      /* empty: an ID token of an earlier version */
};
/* RK_UNAUTHENTICATED: no. `old_too`: an expired one is as good (hints). */
int token_check(struct call *c,
                const char *token,
                bool old_too,
                struct token_checked *out,
                struct rk_err *err) RK_CHECKED;
