/* See used_token.h. */

#include "libcommon/account/rules/used_token.h"

#include "libcommon/base/clock.h"

static const struct rk_pg_stmt claim_stmt = {
    "used_token_claim",
    "INSERT INTO used_token AS u (hash, expires_at, peer_key) VALUES ($1, $2, $3) ON CONFLICT "
    "(hash) DO UPDATE SET peer_key = u.peer_key WHERE u.peer_key = excluded.peer_key AND "
    "u.claimed_at > clock_timestamp() - make_interval(secs => $4::bigint) RETURNING 1"
};
/* Clocks of replicas differ a little. */
static const struct rk_pg_stmt prune_stmt = {
    "used_token_prune",
    "DELETE FROM used_token WHERE hash IN (SELECT hash FROM used_token WHERE expires_at < now() - "
    "interval '10 minutes' LIMIT 10000 FOR UPDATE SKIP LOCKED)"
};

int rk_used_token_claim(struct rk_pg *pg,
                        const uint8_t hash[32],
                        const uint8_t peer_key[RK_KEY_LEN],
                        int64_t expires_s,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if (expires_s <= rk_wall_s())
        return rk_fail(err, RK_UNAUTHENTICATED, "JWT expired");
    r = rk_pg_run(pg, &claim_stmt, &res, err, RK_P_BYTEA(rk_strn(hash, 32)),
                  RK_P_TIME(expires_s * 1000000), RK_P_BYTEA(rk_strn(peer_key, RK_KEY_LEN)),
                  RK_P_INT(RK_USED_TOKEN_REPEAT_S));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_UNAUTHENTICATED, "JWT already used");
    return 0;
}

int rk_used_token_prune(struct rk_pg *pg, struct rk_err *err)
{
    return rk_pg_run0(pg, &prune_stmt, NULL, err);
}
