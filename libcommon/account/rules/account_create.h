#pragma once

/* How an account comes into being: with its owner, its group All and the default policy, in one
 * transaction. Worker thread. */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/rules/subject.h"
#include "libcommon/base/err.h"
#include "libcommon/base/id.h"
#include "libcommon/pg/pg.h"

/* Strings are borrowed, valid UTF-8. */
struct rk_account_setup {
    const char *domain;
    const char *email;
    const char *name;
    const char *password_hash; /* rk_password_hash */
    const char *pat_name;      /* with pat_hash: a token of the owner; else NULL */
    const char *pat_hash;      /* standard base64 of the token's SHA-256 */
    int64_t pat_expires_us;    /* 0 without a token */
};

struct rk_account_created {
    char account_id[RK_XID_LEN + 1];
    char user_id[RK_USER_ID_MAX]; /* encoded subject */
};

/* The first account. RK_PRECONDITION "setup already completed" when there is one, also for the
 * loser of a race. */
int rk_account_setup(struct rk_pg *pg,
                     const struct rk_account_setup *in,
                     struct rk_account_created *out,
                     struct rk_err *err) RK_CHECKED;
/* Another account beside those there are: a tenant. Its domain is not primary: only its owner,
 * whom the owner invites and whoever comes by its identity providers belong to it. RK_EXISTS for an
 * e-mail that a local user has. */
int rk_account_add(struct rk_pg *pg,
                   const struct rk_account_setup *in,
                   struct rk_account_created *out,
                   struct rk_err *err) RK_CHECKED;
int rk_account_any(struct rk_pg *pg, bool *out_any, struct rk_err *err) RK_CHECKED;

/* An account of somebody who signed in. */
struct rk_account_new {
    const char *user_id, *email, *name; /* of the owner */
    const char *password_hash;          /* NULL: signs in elsewhere */
    const char *domain;
    const char *domain_category;
    bool is_primary; /* whoever signs in from the domain joins */
};
/*
 * Inside the caller's transaction, which took rk_account_lock before it looked whether there is an
 * account already: the account, its owner, what every account begins with, and the events.
 */
int rk_account_lock(struct rk_pg *pg, struct rk_err *err) RK_CHECKED;
int rk_account_insert(struct rk_pg *pg,
                      const struct rk_account_new *in,
                      char out_account_id[RK_XID_LEN + 1],
                      struct rk_err *err) RK_CHECKED;
