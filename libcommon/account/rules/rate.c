/* See rate.h. */

#include "libcommon/account/rules/rate.h"

/* Takes one from the bucket, when there is one; of buckets that are full again, two go on the way,
 * so that there are never more than two hours have seen. */
static const struct rk_pg_stmt take_stmt = {
    "rate_take",
    "WITH full_again AS (DELETE FROM rate_bucket WHERE (name, who) IN (SELECT name, who FROM "
    "rate_bucket WHERE at < now() - interval '2 hours' AND (name, who) <> ($1, $2) ORDER BY at "
    "LIMIT 2 FOR UPDATE SKIP LOCKED)) INSERT INTO rate_bucket AS b (name, who, tokens, at) VALUES "
    "($1, $2, $4::double precision - 1, clock_timestamp()) ON CONFLICT (name, who) DO UPDATE SET "
    "tokens = least($4::double precision, b.tokens + $3::double precision / 60 * "
    "greatest(0, extract(epoch FROM clock_timestamp() - b.at))) - 1, at = clock_timestamp() WHERE "
    "least($4::double precision, b.tokens + $3::double precision / 60 * "
    "greatest(0, extract(epoch FROM clock_timestamp() - b.at))) >= 1 RETURNING 1"
};

int rk_rate_take(struct rk_pg *pg, const struct rk_rate *rate, const char *who, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(pg, &take_stmt, &res, err, RK_P_C(rate->name), RK_P_C(who),
                      RK_P_INT(rate->per_minute), RK_P_INT(rate->burst));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_EXHAUSTED, "rate limit exceeded, please try again later");
    return 0;
}
