/* See limit.h. */

#include "services/dashboard-api/oauth/limit.h"

static const struct rk_pg_stmt count_try = {
    "oauth_limit_try",
    "INSERT INTO oauth_limit AS l (name, tries, expires_at) "
    "VALUES ($1, 1, now() + $2::bigint * interval '1 second') ON CONFLICT (name) DO UPDATE SET "
    "tries = CASE WHEN l.expires_at <= now() THEN 1 ELSE LEAST(l.tries + 1, 1000000) END, "
    "expires_at = CASE WHEN l.expires_at <= now() THEN EXCLUDED.expires_at ELSE l.expires_at END "
    "RETURNING tries"
};

int limit_try(struct call *c,
              const char *what,
              const char *who,
              int64_t max,
              int64_t window_s,
              bool *out_within,
              struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &count_try, &res, err,
                      RK_P_C(rk_arena_printf(c->arena, "%s %s", what, who)), RK_P_INT(window_s));

    if (r == 0)
        *out_within = rk_pg_int(res, 0, 0) <= max;
    return r;
}
