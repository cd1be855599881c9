#pragma once

/* For user_*.c. */

#include "libcommon/account/rules/user.h"

/* The row of a user, locked. */
enum {
    USER_ROLE,
    USER_SERVICE,
    USER_BLOCKED,
    USER_PENDING,
    USER_GROUPS,
    USER_NAME,
    USER_EMAIL,
    USER_ISSUED,
    USER_CREATED,
    USER_INVITED,
};
int user_lock(struct rk_change *ch, const char *id, struct rk_pg_result **out, struct rk_err *err)
    RK_CHECKED;

/* Gives the user these groups instead of those in `row`, and its peers too where groups are
 * propagated; tells of each. */
int user_set_groups(struct rk_change *ch,
                    const struct rk_actor *actor,
                    const char *id,
                    const struct rk_pg_result *row,
                    const struct rk_str *groups,
                    size_t n,
                    struct rk_err *err) RK_CHECKED;
/* Groups are propagated from now on: all peers of all users get their users' groups. */
int user_propagate_groups(struct rk_change *ch, struct rk_err *err) RK_CHECKED;
/* Whether peers follow their users into groups. */
int user_groups_propagated(struct rk_change *ch, bool *out, struct rk_err *err) RK_CHECKED;
/* The peers of these users into the group, or out of it. */
int user_move_peers(struct rk_change *ch,
                    const char *group_id,
                    bool in,
                    const struct rk_str *user_ids,
                    size_t n,
                    struct rk_err *err) RK_CHECKED;
/* Each group exists and is not All; RK_INVALID. */
int user_check_groups(struct rk_change *ch,
                      const char *id,
                      const struct rk_str *groups,
                      size_t n,
                      struct rk_err *err) RK_CHECKED;
/* RK_EXISTS with this text when a person of the account, or any local user, has the e-mail. */
int user_check_email(struct rk_change *ch, const char *email, const char *text, struct rk_err *err)
    RK_CHECKED;
/* The row of a new user. RK_EXISTS: another local user has the e-mail. */
int user_insert(struct rk_change *ch,
                const char *id,
                const struct rk_user_input *in,
                struct rk_err *err) RK_CHECKED;
/* The user, peers and tokens, told; `row` is that of user_lock. RK_PRECONDITION, and nothing has
 * happened, while a network is routed through one of the peers. */
int user_delete_within(struct rk_change *ch,
                       const struct rk_actor *actor,
                       const char *id,
                       const struct rk_pg_result *row,
                       struct rk_err *err) RK_CHECKED;
