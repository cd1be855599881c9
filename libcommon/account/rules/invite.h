#pragma once

/*
 * Invitation links: whoever holds the token of one makes its user, a local one, by choosing a
 * password. The token is shown once and stored as a digest; it works once. One transaction each, on
 * a worker thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/rules/rate.h"
#include "libcommon/account/rules/user.h"
#include "libcommon/crypto/token.h"

#define RK_INVITE_PREFIX "nbi_"
#define RK_INVITE_SECONDS 259200 /* unless asked otherwise */
#define RK_INVITE_MIN_SECONDS 3600
#define RK_INVITE_MAX_SECONDS (365 * 86400)

/* As sent; borrowed. */
struct rk_invite_input {
    enum rk_role role;
    const char *name, *email;
    const struct rk_str *auto_groups;
    size_t auto_groups_n;
    int64_t expires_in_s;
};

/* RK_INVALID; RK_EXISTS for an e-mail that has a user, or an invitation in this account. *out_plain
 * is stored nowhere. */
int rk_invite_create(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const struct rk_invite_input *in,
                     char out_id[RK_XID_LEN + 1],
                     char out_plain[RK_PAT_LEN + 1],
                     struct rk_err *err) RK_CHECKED;
/* Another token, and the old one is dead. RK_NOT_FOUND. */
int rk_invite_regenerate(struct rk_pg *pg,
                         const struct rk_actor *actor,
                         const char *id,
                         int64_t expires_in_s,
                         char out_plain[RK_PAT_LEN + 1],
                         int64_t *out_expires_us,
                         struct rk_err *err) RK_CHECKED;
int rk_invite_delete(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *id,
                     struct rk_err *err) RK_CHECKED;

/* How often strangers may look for one, or accept it, from one address (rk_addr_source). */
extern const struct rk_rate rk_invite_strangers;

/* What its holder may see. Strings point into *row, which the caller frees. */
struct rk_invite {
    struct rk_pg_result *row;
    const char *email, *name, *invited_by;
    const char *account_id;
    int64_t expires_us;
    bool expired;
};
/* RK_INVALID "invalid invite token: ..." for what was never one of ours, RK_NOT_FOUND. */
int rk_invite_find(struct rk_pg *pg, const char *token, struct rk_invite *out, struct rk_err *err)
    RK_CHECKED;
void rk_invite_done(struct rk_invite *i);
RK_DEFINE_AUTO_DONE(struct rk_invite, rk_invite_done)

/* What can be refused before the costly hash: RK_INVALID, RK_NOT_FOUND. The row is the caller's. */
int rk_invite_check(struct rk_pg *pg,
                    const char *token,
                    const char *password,
                    struct rk_invite *out,
                    struct rk_err *err) RK_CHECKED;
/* Makes the user, who needs no approval: somebody has asked for it. Takes as long as a password
 * hash. */
int rk_invite_accept(struct rk_pg *pg,
                     const char *token,
                     const char *password,
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;
