#pragma once

/* Logins as the provider's own endpoints begin them. Worker thread. */

#include "services/dashboard-api/oauth/login.h"
#include "services/dashboard-api/oauth/refusal.h"
#include "services/dashboard-api/oauth/session.h"

/* What it is for: an authorization request, or a device. Strings may be ""; none is NULL. */
struct login_purpose {
    const char *client_id;
    const char *redirect_uri;
    const char *scope; /* as scope_text has it */
    const char *state;
    const char *nonce;
    const char *code_challenge;
    const char *connector_id;
    const char *login_hint;
    bool fresh;
    struct rk_str device;
};

/* Makes the row, and the page cookie if need be. RK_EXHAUSTED: too many from this address. */
int login_begin(struct call *c,
                const struct login_purpose *p,
                struct login *out,
                struct rk_err *err) RK_CHECKED;
/* The way to sign in: the only one, the chosen one, or the chooser unless `choose` is false and
 * there is nothing to choose. */
int login_ask(struct call *c, const struct login *l, bool choose, struct rk_err *err) RK_CHECKED;
/* Somebody who signed in before is asked to approve the device of this login. */
int login_join(struct call *c, struct login *l, const struct session *s, struct rk_err *err)
    RK_CHECKED;
/* It has ended; RK_NOT_FOUND when it had already. Part of the caller's transaction. */
int login_end(struct call *c, const struct login *l, struct rk_err *err) RK_CHECKED;

/* redirect_uri?code&state&iss, and the same for an error. In the arena. */
const char *login_answer(struct call *c,
                         const char *issuer,
                         const char *redirect_uri,
                         const char *state,
                         const char *code,
                         const struct refusal *refusal);
const char *login_approve_path(struct call *c, const struct login *l);
