/*
 * Migrations. The lock is taken inside each transaction, so it needs no session of its own and
 * cannot outlive a crash; whoever waited for it reads the table anew and finds the work done.
 */

#include "libcommon/pg/migrate.h"

#include <stdio.h>

#include "libcommon/pg/pg_int.h"

#define MIGRATION_TIMEOUT_MS 300000
#define STATEMENT_TIMEOUT_MS 10000

static const struct rk_pg_stmt lock = { "migrate_lock",
                                        "SELECT pg_advisory_xact_lock(7237108263412731)" };
static const struct rk_pg_stmt newest = {
    "migrate_newest", "SELECT coalesce(max(version), 0) FROM schema_migration"
};
static const struct rk_pg_stmt add = {
    "migrate_add", "INSERT INTO schema_migration (version, name) VALUES ($1, $2)"
};

static const char table[] = "CREATE TABLE IF NOT EXISTS schema_migration ("
                            "  version integer PRIMARY KEY,"
                            "  name text NOT NULL,"
                            "  applied_at timestamptz NOT NULL DEFAULT now()"
                            ")";

/* Applies at most one row. Stores whether it did. */
static int step(struct rk_pg *c,
                const struct rk_migration *rows,
                size_t count,
                bool *out_applied,
                struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int64_t have;
    int r;

    *out_applied = false;
    r = rk_pg_begin(c, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = rk_pg_run0(c, &lock, NULL, err);
    if (r < 0)
        return r;
    r = rk_pg_script(c, table, err);
    if (r < 0)
        return r;
    r = rk_pg_run0(c, &newest, &res, err);
    if (r < 0)
        return r;
    have = rk_pg_int(res, 0, 0);
    if (have > (int64_t)count)
        return rk_fail(
            err, RK_PRECONDITION,
            "the database has schema version %lld, this program knows %zu: run a newer one",
            (long long)have, count);
    if (have < (int64_t)count) {
        const struct rk_migration *m = &rows[have];

        r = rk_pg_script(c, m->sql, err);
        if (r < 0)
            return r;
        r = rk_pg_run(c, &add, NULL, err, RK_P_INT(m->version), RK_P_C(m->name));
        if (r < 0)
            return r;
        *out_applied = true;
    }
    return rk_pg_commit(&tx, err);
}

int rk_pg_migrate(struct rk_pg *c,
                  const struct rk_migration *rows,
                  size_t count,
                  int *out_applied,
                  struct rk_err *err)
{
    int applied = 0;
    bool more = true;
    int r, reset;

    r = rk_pg_set_timeout(c, MIGRATION_TIMEOUT_MS, err);
    if (r < 0)
        return r;
    while (more) {
        r = step(c, rows, count, &more, err);
        if (r < 0)
            break;
        applied += more;
    }
    reset = rk_pg_set_timeout(c, STATEMENT_TIMEOUT_MS, r < 0 ? NULL : err);
    if (r < 0 || reset < 0)
        return r < 0 ? r : reset;
    if (out_applied)
        *out_applied = applied;
    return 0;
}
