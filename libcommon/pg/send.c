/* A statement in two halves, neither of which waits. */

#include "libcommon/pg/pg.h"

#include <assert.h>
#include <poll.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/pg/pg_conn.h"
#include "libcommon/pg/result.h"
#include "libcommon/pg/value.h"

bool rk_pg_send(struct rk_pg *c,
                const struct rk_pg_stmt *st,
                const struct rk_pg_param *params,
                size_t n)
{
    rk_auto(pg_values_done) struct pg_values values;
    struct prepared *p = rk_map_get(c->prepared, rk_strn(&st, sizeof(st)));

    assert(!c->in_tx);
    pg_values_init(&values);
    if (!p || pg_behind(c) || PQstatus(c->conn) != CONNECTION_OK ||
        pg_values_add(&values, params, n, NULL) < 0)
        return false;
    if (PQsendQueryPrepared(c->conn, p->name, (int)values.n, pg_values_text(&values), NULL, NULL,
                            0) &&
        PQflush(c->conn) == 0)
        return true;
    pg_drop(c); /* half a question may be on its way */
    return false;
}

int rk_pg_fd(const struct rk_pg *c)
{
    return c->conn ? PQsocket(c->conn) : -1;
}

int rk_pg_come(struct rk_pg *c,
               const struct rk_pg_stmt *st,
               struct rk_pg_result **out,
               struct rk_err *err)
{
    PGresult *next;
    int r;

    if (!PQconsumeInput(c->conn))
        return pg_lost(c, "receive", err);
    while (!PQisBusy(c->conn)) {
        next = PQgetResult(c->conn);
        if (next) {
            PQclear(c->come);
            c->come = next;
            continue;
        }
        next = rk_steal(c->come);
        r = pg_judge(c, st->name, next, err);
        if (r == 0)
            *out = pg_result_new(next);
        else
            PQclear(next);
        return r;
    }
    return 1;
}

int rk_pg_await(struct rk_pg *c,
                const struct rk_pg_stmt *st,
                struct rk_pg_result **out,
                struct rk_err *err)
{
    uint64_t deadline = rk_mono_ms() + c->timeout_ms + PG_GRACE_MS;
    int r, patience = c->several ? pg_suspect(c, deadline) : PG_SUSPECT_MS;

    if (patience == 0)
        return pg_lost(c, "another server has taken over", err);
    while ((r = rk_pg_come(c, st, out, err)) == 1) {
        r = pg_wait(c, POLLIN, patience, deadline, err);
        if (r < 0)
            break;
    }
    return r;
}

void rk_pg_cut(struct rk_pg *c)
{
    pg_drop(c);
}
