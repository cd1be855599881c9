/* Small questions to the store. */

#include "libcommon/account/store/store.h"

#include <stdlib.h>

#include "libcommon/account/store/migrations.h"
#include "libcommon/base/alloc.h"

#define PRUNE_BATCH 5000 /* as in the statement */
#define PRUNE_BATCHES 20

int rk_store_migrate(struct rk_pg *pg, struct rk_err *err)
{
    return rk_pg_migrate(pg, rk_migrations, rk_migrations_count, RK_MIGRATIONS_SERVE, NULL, err);
}

int rk_store_find_peer(struct rk_pg *pg,
                       const char *key_b64,
                       char out_account_id[RK_XID_LEN + 1],
                       uint64_t *out_serial,
                       struct rk_err *err)
{
    static const struct rk_pg_stmt find = {
        "find_peer", "SELECT account_id, (SELECT serial FROM account WHERE id = account_id) "
                     "FROM peer WHERE key = $1"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_run(pg, &find, &res, err, RK_P_C(key_b64));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "peer not registered");
    if (!rk_str_copy(rk_pg_str(res, 0, 0), out_account_id, RK_XID_LEN + 1))
        return rk_fail(err, RK_INTERNAL, "account id is too long");
    *out_serial = (uint64_t)rk_pg_int(res, 0, 1);
    return 0;
}

int rk_store_serials(struct rk_pg *pg,
                     const char (*ids)[RK_XID_LEN + 1],
                     size_t n,
                     uint64_t *out_serials,
                     struct rk_err *err)
{
    static const struct rk_pg_stmt read = {
        "serials", "SELECT coalesce(a.serial, 0) FROM unnest($1::text[]) "
                   "WITH ORDINALITY AS t(id, n) LEFT JOIN account a ON a.id = t.id "
                   "ORDER BY t.n"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_cfree) char *block = (char *)rk_new_array(struct rk_str, n + 1);
    struct rk_str *params = (struct rk_str *)(void *)block;
    size_t i;
    int r;

    if (n == 0)
        return 0;
    for (i = 0; i < n; i++)
        params[i] = rk_str(ids[i]);
    r = rk_pg_run(pg, &read, &res, err, RK_P_ARRAY(params, n));
    if (r < 0)
        return r;
    if ((size_t)rk_pg_rows(res) != n)
        return rk_fail(err, RK_INTERNAL, "serials: %d answers to %zu questions", rk_pg_rows(res),
                       n);
    for (i = 0; i < n; i++)
        out_serials[i] = (uint64_t)rk_pg_int(res, (int)i, 0);
    return 0;
}

/* A million changes of one account take days even where an agent joins every second. */
int rk_store_restored(struct rk_pg *pg, int64_t *out_accounts, struct rk_err *err)
{
    static const struct rk_pg_stmt raise = {
        "restored", "WITH a AS (UPDATE account SET serial = serial + 1000000 RETURNING id) "
                    "SELECT count(*) FROM a"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run0(pg, &raise, &res, err);

    if (r == 0)
        *out_accounts = rk_pg_int(res, 0, 0);
    return r;
}

int rk_store_prune_changes(struct rk_pg *pg,
                           int64_t older_than_s,
                           int64_t *out_gone,
                           struct rk_err *err)
{
    static const struct rk_pg_stmt prune = {
        "prune_changes",
        "DELETE FROM account_change WHERE ctid = ANY(ARRAY(SELECT ctid FROM account_change "
        "WHERE at < now() - make_interval(secs => $1::bigint) ORDER BY at LIMIT 5000 FOR UPDATE "
        "SKIP LOCKED))"
    };
    int64_t gone = 0;
    long batch = PRUNE_BATCH;

    for (int i = 0; i < PRUNE_BATCHES && batch == PRUNE_BATCH; i++) {
        rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
        int r = rk_pg_run(pg, &prune, &res, err, RK_P_INT(older_than_s));

        if (r < 0)
            return r;
        batch = rk_pg_affected(res);
        gone += batch;
    }
    *out_gone = gone;
    return 0;
}
