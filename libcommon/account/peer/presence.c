/* Who is connected, written in batches: one statement for any number of peers. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/account/peer/due.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/account/store/int.h"
#include "libcommon/base/alloc.h"

/*
 * Of several rows of one peer the newest session counts, its end after its beginning. Rows are
 * locked in one order, so batches of two replicas cannot wait for each other in a circle. The end
 * of a session newer than the stored one counts: its beginning was never written, because both fell
 * into one batch. A replica may repeat the beginning of a session that the others took for dead.
 */
static const struct rk_pg_stmt store = {
    "presence",
    "WITH given AS (SELECT * FROM unnest($1::text[], $2::boolean[], $3::bigint[], $4::text[], "
    "$5::text[]) WITH ORDINALITY "
    "  AS t(peer_id, connected, session, replica, ip, n)), "
    "last AS (SELECT DISTINCT ON (peer_id) * FROM given ORDER BY peer_id, session DESC, "
    "connected), "
    "held AS MATERIALIZED (SELECT s.* FROM (SELECT DISTINCT peer_id FROM given ORDER BY peer_id) k "
    "  CROSS JOIN LATERAL (SELECT peer_id, session FROM peer_status WHERE peer_id = k.peer_id "
    "  LIMIT 1 FOR UPDATE) s), "
    "done AS (UPDATE peer_status s SET connected = l.connected, session = l.session, last_seen = "
    "clock_timestamp(), "
    "  replica = CASE WHEN l.connected THEN l.replica ELSE s.replica END, "
    "  connection_ip = CASE WHEN l.ip = '' THEN s.connection_ip ELSE l.ip END "
    "  FROM last l JOIN held h ON h.peer_id = l.peer_id WHERE s.peer_id = l.peer_id "
    "  AND (CASE WHEN l.connected AND s.replica <> l.replica THEN h.session < l.session ELSE "
    "h.session <= l.session END)) "
    "SELECT g.n FROM given g JOIN held h ON h.peer_id = g.peer_id WHERE g.connected AND h.session "
    "> g.session"
};

/* Last of all, as other batches wait for it; in one order, so that no two wait for each other. */
int peer_presence_note(struct rk_pg *pg, const struct rk_str *ids, size_t n, struct rk_err *err)
{
    static const struct rk_pg_stmt note = {
        "presence_note",
        "INSERT INTO account_presence (account_id) SELECT DISTINCT p.account_id FROM "
        "unnest($1::text[]) i CROSS JOIN LATERAL (SELECT account_id FROM peer WHERE id = i LIMIT "
        "1) p ORDER BY account_id ON CONFLICT (account_id) DO UPDATE SET times = "
        "account_presence.times + 1"
    };

    return rk_pg_later(pg, &note, NULL, err, RK_P_ARRAY(ids, n));
}

/* Whoever is gone now may have deadlines from now on. */
static int follow_gone(struct rk_pg *pg,
                       const struct rk_peer_presence *rows,
                       struct rk_str *ids,
                       size_t n,
                       int64_t ephemeral_s,
                       struct rk_err *err)
{
    size_t gone = 0;

    for (size_t i = 0; i < n; i++) {
        if (!rows[i].connected)
            ids[gone++] = rk_str(rows[i].peer_id);
    }
    return gone > 0 ? rk_due_follow(pg, ids, gone, ephemeral_s, err) : 0;
}

int rk_peer_store_presence(struct rk_pg *pg,
                           const struct rk_peer_presence *rows,
                           size_t n,
                           int64_t ephemeral_s,
                           bool *out_superseded,
                           struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_cfree) char *block = rk_alloc(n * 5 * sizeof(struct rk_str) + n * 24 + 1);
    struct rk_str *ids = (struct rk_str *)(void *)block;
    struct rk_str *connected = ids + n, *session = connected + n, *replica = session + n,
                  *ip = replica + n;
    char *numbers = (char *)(ip + n);
    size_t i;
    int k, r;

    if (n == 0)
        return 0;
    for (i = 0; i < n; i++) {
        ids[i] = rk_str(rows[i].peer_id);
        connected[i] = rows[i].connected ? RK_STR("t") : RK_STR("f");
        snprintf(numbers + i * 24, 24, "%" PRId64, rows[i].session);
        session[i] = rk_str(numbers + i * 24);
        replica[i] = rk_str(rows[i].replica);
        ip[i] = rk_str(rows[i].connection_ip);
    }
    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r == 0)
        r = rk_pg_later(pg, &store, &res, err, RK_P_ARRAY(ids, n), RK_P_ARRAY(connected, n),
                        RK_P_ARRAY(session, n), RK_P_ARRAY(replica, n), RK_P_ARRAY(ip, n));
    if (r == 0)
        r = follow_gone(pg, rows, ids, n, ephemeral_s, err);
    for (i = 0; i < n; i++)
        ids[i] = rk_str(rows[i].peer_id); /* others were put there */
    if (r == 0)
        r = peer_presence_note(pg, ids, n, err);
    if (r == 0)
        r = rk_pg_commit(&tx, err);
    if (r < 0 || !out_superseded)
        return r;
    for (i = 0; i < n; i++)
        out_superseded[i] = false;
    for (k = 0; k < rk_pg_rows(res); k++)
        out_superseded[rk_pg_int(res, k, 0) - 1] = true;
    return 0;
}
