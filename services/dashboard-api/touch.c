/* See touch.h. */

#include "services/dashboard-api/touch.h"

#include "libcommon/base/clock.h"

static const struct rk_pg_stmt store_stmt = {
    "touch_store", "UPDATE pat SET last_used = greatest(coalesce(last_used, x.at), x.at)"
                   " FROM (SELECT id, at::timestamptz AS at FROM unnest($1::text[], $2::text[]) AS "
                   "u(id, at)) x WHERE pat.id = x.id"
};

void touch_note(struct touch *t, const char *pat_id, int64_t at_us)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->entries[i].pat_id, pat_id) == 0) {
            t->entries[i].at_us = at_us;
            return;
        }
    if (t->n == TOUCH_MAX)
        return;
    (void)rk_str_copy(rk_str(pat_id), t->entries[t->n].pat_id, sizeof(t->entries[t->n].pat_id));
    t->entries[t->n++].at_us = at_us;
}

int touch_store(struct rk_pg *pg, const struct touch *t, struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    struct rk_str ids[TOUCH_MAX], times[TOUCH_MAX];
    char texts[TOUCH_MAX][RK_TIME_LEN];
    int r;

    for (size_t i = 0; i < t->n; i++) {
        rk_time_format(t->entries[i].at_us, texts[i]);
        ids[i] = rk_str(t->entries[i].pat_id);
        times[i] = rk_str(texts[i]);
    }
    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &store_stmt, NULL, err, RK_P_ARRAY(ids, t->n), RK_P_ARRAY(times, t->n));
    if (r < 0)
        return r;
    return rk_pg_commit(&tx, err);
}
