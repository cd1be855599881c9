#pragma once

/* What tests of the account's rules say to the server beside the rules themselves. */

#include "tests/support/test.h"

#include "tests/support/pg_fixture.h"

static inline RK_UNUSED void pg_must(struct rk_pg *pg, const char *sql)
{
    struct rk_err err = { 0 };

    if (rk_pg_script(pg, sql, &err) < 0)
        fail_msg("%s", err.msg);
}

/* One number, on a connection of its own: what others see. */
static inline RK_UNUSED int64_t pg_ask(const struct fixture *at, const char *sql)
{
    const struct rk_pg_stmt st = { "ask", sql };
    rk_auto(rk_pg_free) struct rk_pg *own = rk_pg_new(at->conninfo, "ask");
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };

    if (rk_pg_exec(own, &st, NULL, 0, &res, &err) < 0)
        fail_msg("%s: %s", sql, err.msg);
    return rk_pg_int(res, 0, 0);
}
