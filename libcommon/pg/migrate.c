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
/* A table without `serves` is of before there was one: it serves nobody who is older. */
static const struct rk_pg_stmt newest = {
    "migrate_newest",
    "SELECT coalesce(max(version), 0), "
    "coalesce(max((to_jsonb(m) ->> 'serves')::integer), max(version), 0) FROM schema_migration m"
};
static const struct rk_pg_stmt add = {
    "migrate_add", "INSERT INTO schema_migration (version, name, serves) VALUES ($1, $2, $3)"
};

static const char table[] = "CREATE TABLE IF NOT EXISTS schema_migration ("
                            "  version integer PRIMARY KEY,"
                            "  name text NOT NULL,"
                            "  applied_at timestamptz NOT NULL DEFAULT now()"
                            ")";
static const char column[] = "ALTER TABLE schema_migration ADD COLUMN IF NOT EXISTS serves integer";

int rk_pg_schema(struct rk_pg *c, struct rk_schema *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run0(c, &newest, &res, err);

    if (r == 0)
        *out = (struct rk_schema){ rk_pg_int(res, 0, 0), rk_pg_int(res, 0, 1) };
    return r;
}

static int apply(struct rk_pg *c, const struct rk_migration *m, int serves, struct rk_err *err)
{
    int r = rk_pg_script(c, column, err);

    if (r == 0)
        r = rk_pg_script(c, m->sql, err);
    if (r == 0)
        r = rk_pg_run(c, &add, NULL, err, RK_P_INT(m->version), RK_P_C(m->name), RK_P_INT(serves));
    return r;
}

/* Applies at most one row. Stores whether it did. */
static int step(struct rk_pg *c,
                const struct rk_migration *rows,
                size_t count,
                int serves,
                bool *out_applied,
                struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    struct rk_schema now;
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
    r = rk_pg_schema(c, &now, err);
    if (r < 0)
        return r;
    if (now.serves > (int64_t)count)
        return rk_fail(
            err, RK_PRECONDITION,
            "the database has schema version %lld, which is for programs that know %lld, "
            "and this one knows %zu: run a newer one",
            (long long)now.version, (long long)now.serves, count);
    if (now.version < (int64_t)count) {
        r = apply(c, &rows[now.version], serves, err);
        if (r < 0)
            return r;
        *out_applied = true;
    }
    return rk_pg_commit(&tx, err);
}

int rk_pg_migrate(struct rk_pg *c,
                  const struct rk_migration *rows,
                  size_t count,
                  int serves,
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
        r = step(c, rows, count, serves, &more, err);
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
