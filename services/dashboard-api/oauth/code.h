#pragma once

/*
 * Authorization code: what a browser carries from us to a client. 60 seconds, once; bound to the
 * client, its redirect URI, its challenge and the session. Worker thread.
 */

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/refusal.h"
#include "services/dashboard-api/oauth/session.h"

#define CODE_S 60

struct code_request {
    const char *client_id;
    const char *redirect_uri;
    const char *nonce;          /* "" = none */
    const char *code_challenge; /* of S256 */
    const char *scope;          /* as scope_text has it */
};

/* The code, in the arena. Part of the caller's transaction, if there is one. */
int code_issue(struct call *c,
               const struct code_request *q,
               const struct session *s,
               const char **out_code,
               struct rk_err *err) RK_CHECKED;

/* A code that was redeemed. Strings of the arena. */
struct code {
    struct rk_str id, session;
    const char *nonce;
    unsigned scope;
    struct identity who;
    int64_t auth_time_s;
};

/*
 * Inside the caller's transaction, which is to be committed even when `out_why` has an error: a
 * second use ends what the first has produced. The caller says what it was redeemed for.
 */
int code_redeem(struct call *c,
                const char *code,
                const char *client_id,
                const char *redirect_uri,
                const char *verifier,
                struct code *out,
                struct refusal *out_why,
                struct rk_err *err) RK_CHECKED;
int code_redeemed_for(struct call *c,
                      const struct code *code,
                      struct rk_str grant_id,
                      struct rk_err *err) RK_CHECKED;

/* Whether `challenge` is S256 of `verifier`, which has the form of RFC 7636, 4.1. Pure. */
bool code_verifier_good(const char *verifier, const char *challenge);
