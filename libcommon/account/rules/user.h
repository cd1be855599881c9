#pragma once

/*
 * How users come, change and go. Each call is one transaction on a worker thread. Errors carry the
 * text that goes on the wire, in the case it has there.
 */

#include <stddef.h>

#include "libcommon/account/rules/account_create.h"
#include "libcommon/account/rules/actor.h"
#include "libcommon/auth/auth.h"

/* As sent; borrowed. */
struct rk_user_input {
    enum rk_role role;
    const char *name;          /* of a new user */
    const char *email;         /* of a new person */
    const char *password_hash; /* of a new local user; NULL: a service user, or `invited` */
    bool invited;              /* a person who has yet to sign in elsewhere; see pre_invite.h */
    const struct rk_str *auto_groups;
    size_t auto_groups_n;
    bool blocked; /* of an update */
};

/* The checks of a new user that need no database; RK_INVALID. Any thread. */
int rk_user_validate(const struct rk_user_input *in, struct rk_err *err) RK_CHECKED;
/* RK_INVALID, RK_EXISTS for an e-mail that has a user. */
int rk_user_create(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const struct rk_user_input *in,
                   char out_id[RK_USER_ID_MAX],
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;

/* RK_NOT_FOUND "user: <id> not found": what an update answers before it looks at its body. */
int rk_user_exists(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_err *err) RK_CHECKED;
/*
 * Role, groups and block. An owner who makes somebody else the owner becomes an admin. The peers of
 * a user who is blocked are logged out; where groups are propagated they follow the user's.
 */
int rk_user_update(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   const struct rk_user_input *in,
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;

/* With peers and tokens; the name stays for old events. */
int rk_user_delete(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;
/* Lets a waiting user in, or deletes it. RK_INVALID "user <id> is not pending approval". */
int rk_user_approve(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    struct rk_bell *out_bell,
                    struct rk_err *err) RK_CHECKED;
int rk_user_reject(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;

/* Of a local user, by itself; who is signed in with it elsewhere is signed out: all but `grant`
 * (see access_end.h). Takes as long as two password hashes. */
int rk_user_set_password(struct rk_pg *pg,
                         const struct rk_actor *actor,
                         struct rk_str grant,
                         const char *id,
                         const char *old_password,
                         const char *new_password,
                         struct rk_err *err) RK_CHECKED;
/* The same by who has shown to know the password whose hash is `stored`; RK_CONFLICT when that has
 * changed since. One hash. */
int rk_user_replace_password(struct rk_pg *pg,
                             const struct rk_actor *actor,
                             struct rk_str grant,
                             struct rk_str stored,
                             const char *new_password,
                             struct rk_err *err) RK_CHECKED;
