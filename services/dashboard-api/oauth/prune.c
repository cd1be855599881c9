/* See prune.h. */

#include "services/dashboard-api/oauth/prune.h"

/* Two replicas at once take different rows. */
#define PRUNE(table, column)                                                                       \
    {                                                                                              \
        "prune_" table,                                                                            \
            "DELETE FROM " table " WHERE ctid IN (SELECT ctid FROM " table " WHERE " column        \
            " < now() ORDER BY " column " LIMIT 2000 FOR UPDATE SKIP LOCKED)"                      \
    }

static const struct rk_pg_stmt statements[] = {
    PRUNE("oauth_login", "expires_at"),  PRUNE("oauth_session", "expires_at"),
    PRUNE("oauth_code", "expires_at"),   PRUNE("oauth_grant", "expires_at"),
    PRUNE("oauth_device", "expires_at"), PRUNE("oauth_limit", "expires_at"),
    PRUNE("signing_key", "kept_until"),  PRUNE("password_guess", "expires_at"),
};

int oauth_prune(struct rk_pg *pg, struct rk_err *err)
{
    for (size_t i = 0; i < RK_COUNT(statements); i++) {
        int r = rk_pg_run0(pg, &statements[i], NULL, err);

        if (r < 0)
            return r;
    }
    return 0;
}
