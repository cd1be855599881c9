/* See pre_invite.h. */

#include "libcommon/account/rules/pre_invite.h"

#include "libcommon/account/rules/user_int.h"

/* The row keeps what was decided for it and gets the id that the person has; old events find the
 * name under the old one. */
static const struct rk_pg_stmt adopt_stmt = {
    "pre_invite_adopt",
    "WITH was AS (SELECT id, account_id, name, email FROM users WHERE account_id = $1 AND invited "
    "AND lower(email) = lower($2) LIMIT 1 FOR UPDATE), named AS (INSERT INTO departed_user (id, "
    "account_id, name, email) SELECT id, account_id, name, email FROM was ON CONFLICT DO NOTHING), "
    "now AS (UPDATE users u SET id = $3, invited = false FROM was WHERE u.id = was.id) "
    "SELECT id FROM was"
};

int rk_pre_invite_adopt(struct rk_change *ch,
                        const char *user_id,
                        const char *email,
                        bool email_verified,
                        bool *out_adopted,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *was = NULL;
    int r;

    *out_adopted = false;
    if (!email_verified || email[0] == '\0')
        return 0;
    r = rk_pg_run(rk_change_pg(ch), &adopt_stmt, &was, err, RK_P_C(rk_change_account_id(ch)),
                  RK_P_C(email), RK_P_C(user_id));
    if (r < 0 || rk_pg_rows(was) == 0)
        return r;
    r = rk_change_event(ch, "user.join", user_id, user_id, RK_STR(""), err);
    if (r == 0)
        r = rk_change_touch(ch, RK_OBJ_USER, rk_pg_str(was, 0, 0).p, err);
    if (r == 0)
        r = rk_change_touch(ch, RK_OBJ_USER, user_id, err);
    if (r == 0)
        *out_adopted = true;
    return r;
}

int rk_pre_invite_again(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *id,
                        struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_USER, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = user_lock(ch, id, &row, err);
    if (r < 0)
        return r;
    if (rk_pg_bool(row, 0, USER_SERVICE))
        return rk_fail(err, RK_NOT_FOUND, "user account %s doesn't exist", id);
    if (!rk_pg_bool(row, 0, USER_INVITED))
        return rk_fail(err, RK_PRECONDITION,
                       "can't invite a user with an activated netbird account");
    r = rk_actor_tell(ch, actor, "user.invite", id, err, NULL);
    return r < 0 ? r : rk_change_commit(&ch, NULL, err);
}
