#pragma once

/*
 * Second factors of local users, as Postgres has them: the secret of an authenticator app, recovery
 * codes, passkeys. A user has all or none: the app comes first. Worker thread.
 */

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/login/recovery.h"
#include "services/dashboard-api/login/totp.h"

struct factor {
    bool enrolled;
    int64_t passkeys;
    int64_t codes_left;
};
int factor_load(struct call *c, const char *user_id, struct factor *out, struct rk_err *err)
    RK_CHECKED;

/* The first factor of this user, who has shown to hold it by a code of `step`; makes the recovery
 * codes, which are told here and nowhere else. The same once more makes other codes; RK_EXISTS:
 * there is another one already. */
int factor_enrol(struct call *c,
                 const char *user_id,
                 const uint8_t secret[TOTP_SECRET_BYTES],
                 int64_t step,
                 char out_codes[RECOVERY_CODES][RECOVERY_LEN + 1],
                 struct rk_err *err) RK_CHECKED;

/* Whether the code is right; one that is has been used up. */
int factor_try_totp(struct call *c,
                    const char *user_id,
                    const char *code,
                    bool *out_right,
                    struct rk_err *err) RK_CHECKED;
int factor_try_recovery(struct call *c,
                        const char *user_id,
                        const char *code,
                        bool *out_right,
                        struct rk_err *err) RK_CHECKED;

/* All factors of the local user with this e-mail address go, and the sessions with them; the next
 * login sets them up anew. RK_NOT_FOUND. */
int factor_reset(struct rk_pg *pg, const char *email, struct rk_err *err) RK_CHECKED;
