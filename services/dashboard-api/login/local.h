#pragma once

/* Local users: those whose password we keep. Worker thread. */

#include "services/dashboard-api/call.h"

/* Strings live in the call's arena. */
struct local_user {
    const char *id, *account_id, *email, *name;
    const char *password_hash; /* of local_check alone */
    bool needs_factor;         /* the account wants a second step */
};

/* Who has done what is done from a shell, in the audit trail. */
#define LOCAL_OPERATOR "operator"

/* Longer is nobody's e-mail address. */
#define LOCAL_EMAIL_MAX 254

/*
 * Whose password this is. RK_UNAUTHENTICATED for everything else alike: an unknown address, a wrong
 * password, too many guesses. One password is hashed whether the address is known or not, none when
 * there were too many guesses. `familiar`: it comes from a browser of theirs, and what strangers
 * have guessed does not count. POOL_PASSWORD.
 */
int local_check(struct call *c,
                const char *email,
                const char *password,
                bool familiar,
                struct local_user *out,
                struct rk_err *err) RK_CHECKED;
/* Whether local_check would look at the password now; for who waits in no queue yet. */
int local_may_try(struct call *c,
                  const char *email,
                  bool familiar,
                  bool *out_allowed,
                  struct rk_err *err) RK_CHECKED;

/* Into the audit trail; `by_operator`: from a shell, else by the user. Part of the open
 * transaction, if there is one. */
int local_tell(struct rk_pg *pg,
               const char *id,
               const char *code,
               bool by_operator,
               struct rk_err *err) RK_CHECKED;

/* By id. RK_NOT_FOUND: not a local user, or gone. */
int local_find(struct call *c, const char *id, struct local_user *out, struct rk_err *err)
    RK_CHECKED;

/* Nobody signs in as one any more: ends what they have of earlier. RK_PRECONDITION: nobody could
 * sign in at all then, because no identity provider was entered. */
int local_shut(struct rk_pg *pg, struct rk_err *err) RK_CHECKED;

/* By an administrator: the user is signed out everywhere. RK_NOT_FOUND, or RK_INVALID for a
 * password that no one may choose. */
int local_set_password(struct rk_pg *pg,
                       const char *email,
                       const char *password,
                       struct rk_err *err) RK_CHECKED;
