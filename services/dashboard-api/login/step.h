#pragma once

/*
 * Step: a local user whose password was right, on the way to the second factor. It is the note of
 * the login, and belongs to the browser that typed the password: its cookie is new, so whoever knew
 * the page cookie from before has nothing. Worker thread.
 */

#include "libcommon/base/id.h"
#include "services/dashboard-api/call.h"
#include "services/dashboard-api/login/local.h"
#include "services/dashboard-api/login/totp.h"
#include "services/dashboard-api/oauth/login.h"

#define STEP_MAX_FAILURES 5 /* then the password is asked for again */

struct step {
    struct login login;
    struct local_user user;
    bool remember;
    unsigned failures;
    bool proved; /* the second factor was given; what is still shown is only an offer */
    uint8_t secret[TOTP_SECRET_BYTES]; /* of a factor that is being set up */
    bool has_secret;
    char challenge[RK_RANDOM_TEXT_LEN + 1]; /* that a passkey must sign; "" = none */
    const char *holder;                     /* digest of the cookie */
};

/* The password was right; answers with 303 to the second factor's page, or ends the login when none
 * is needed. */
int step_begin(struct call *c,
               struct login *login,
               const struct local_user *user,
               bool remember,
               struct rk_err *err) RK_CHECKED;
/* Of the `login` in the query. RK_NOT_FOUND: none, or another browser's. */
int step_find(struct call *c, struct step *out, struct rk_err *err) RK_CHECKED;
int step_keep(struct call *c, struct step *s, struct rk_err *err) RK_CHECKED;
/* One more failure; *out_over when it was the last and the step is gone. */
int step_failed(struct call *c, struct step *s, bool *out_over, struct rk_err *err) RK_CHECKED;
/* Signed in; the handler's answer. RK_DENIED unless proved. */
int step_done(struct call *c, struct step *s, struct rk_err *err) RK_CHECKED;

/* "/oauth2/mfa/<page>?login=<id>", and what forms there are for; in the arena. */
const char *step_path(struct call *c, const struct login *l, const char *page);
const char *step_purpose(struct call *c, const struct login *l, const char *page);
