#pragma once

/*
 * Signing in: from what a verified token says to a user and its account.
 *
 * Somebody new joins the account of their domain, or gets one of their own and owns it; one
 * transaction either way, so two first logins at once on two replicas end in one user, one account,
 * one owner. Somebody known whom nothing about the token changes costs one read. What a token says
 * of groups is followed (JWT group sync) where the account wants that. Worker thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/rules/grant_name.h"
#include "libcommon/account/rules/subject.h"
#include "libcommon/account/store/store.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/jwt/jwt.h"
#include "libcommon/pg/pg.h"

/* The server's, the same for every token. */
struct rk_sign_in_rules {
    bool embedded; /* the provider is our own */
    /* Everybody shares one account, which gets this domain when it is made; "" = an account for
     * each private domain, and for each user without one. */
    const char *single_account_domain;
    const char *default_domain; /* the server's dns_domain */
};

struct rk_signed_in {
    char account_id[RK_XID_LEN + 1];
    const char *role;   /* as stored; these live in the arena */
    const char *domain; /* of the account's peers */
    bool blocked, pending_approval;
    bool view_blocked; /* the account hides its peers from plain users */
    bool joined;       /* this call made the user */
    bool revoked;      /* with RK_UNAUTHENTICATED: what the token was made for has ended */
    bool granted;      /* it is our own provider's, and says for which grant: */
    uint8_t grant[RK_GRANT_ID_LEN];
    struct rk_bell bell;
    struct rk_err groups_err; /* code 0, or what kept the groups from being followed; for the log */
};

/*
 * RK_DENIED: in none of the groups that the account lets in; RK_UNAUTHENTICATED: the token speaks
 * of another account, or of a user who cannot sign in (a service user, a local user who does not
 * exist, somebody deleted since it was issued), or it was taken back: by signing out, by a new
 * password, by the second use of its code. Whoever is blocked is told that instead. RK_CONFLICT: do
 * it again. `dashboard`: a newer login is told of as dashboard.login.
 */
int rk_sign_in(struct rk_pg *pg,
               const struct rk_sign_in_rules *rules,
               const struct rk_claims *claims,
               bool dashboard,
               struct rk_arena *arena,
               struct rk_signed_in *out,
               struct rk_err *err) RK_CHECKED;
