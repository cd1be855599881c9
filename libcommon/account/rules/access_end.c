/* See access_end.h. What is being asked of a browser meanwhile (oauth_login) names nobody yet. */

#include "libcommon/account/rules/access_end.h"

/* A device that was let in but has not asked yet is told that it was not. */
static const struct rk_pg_stmt end_stmt = {
    "user_sessions_end",
    "WITH u AS MATERIALIZED (SELECT unnest($1::text[]) AS id), "
    "s AS (DELETE FROM oauth_session WHERE user_id IN (SELECT id FROM u) AND id IS DISTINCT FROM "
    "(SELECT session FROM oauth_grant WHERE id = $2)), "
    "g AS (DELETE FROM oauth_grant WHERE user_id IN (SELECT id FROM u) AND id IS DISTINCT FROM "
    "$2), c AS (DELETE FROM oauth_code WHERE user_id IN (SELECT id FROM u)) "
    "UPDATE oauth_device SET answer = 'denied' WHERE user_id IN (SELECT id FROM u) AND "
    "answer = 'approved'"
};

int rk_users_sessions_end(struct rk_pg *pg,
                          const struct rk_str *user_ids,
                          size_t n,
                          struct rk_err *err)
{
    return rk_pg_run(pg, &end_stmt, NULL, err, RK_P_ARRAY(user_ids, n), RK_P_NULL);
}

int rk_user_sessions_end(struct rk_pg *pg, const char *user_id, struct rk_err *err)
{
    return rk_user_sessions_end_others(pg, user_id, (struct rk_str){ NULL, 0 }, err);
}

int rk_user_sessions_end_others(struct rk_pg *pg,
                                const char *user_id,
                                struct rk_str grant,
                                struct rk_err *err)
{
    const struct rk_str one = rk_str(user_id);

    return rk_pg_run(pg, &end_stmt, NULL, err, RK_P_ARRAY(&one, 1),
                     grant.n > 0 ? RK_P_BYTEA(grant) : RK_P_NULL);
}
