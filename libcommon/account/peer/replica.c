/* Beats and their absence, by the database's clock alone. */

#include "libcommon/account/peer/replica.h"

#include <stdlib.h>

#include "libcommon/account/peer/due.h"
#include "libcommon/account/store/int.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"

#define BATCH_MAX 5000 /* peers of one transaction */
#define BATCHES 20     /* of one call */

/* The longest silence that does not count: who lost its connection meanwhile still beats again
 * within its lease. */
static int64_t gap_s(int64_t lease_s)
{
    return lease_s / 2;
}

static const struct rk_pg_stmt beat = {
    "replica_beat", "WITH was AS MATERIALIZED (SELECT beat FROM replica WHERE name = $1), "
                    "now AS (INSERT INTO replica (name, beat) VALUES ($1, clock_timestamp()) "
                    "  ON CONFLICT (name) DO UPDATE SET beat = excluded.beat) "
                    "SELECT coalesce((SELECT beat > clock_timestamp() - "
                    "  make_interval(secs => $2::bigint) FROM was), false), "
                    "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
};

/* Beats that come nearly together write once. Apart from the replica's own row, so that nobody
 * waits for this one row with another locked. A clock that was set back is a gap as well. */
static const struct rk_pg_stmt watch = {
    "replica_watch",
    "INSERT INTO replica_watch AS w (since, beat) VALUES (clock_timestamp(), clock_timestamp()) "
    "ON CONFLICT (one) DO UPDATE SET beat = clock_timestamp(), since = CASE WHEN w.beat BETWEEN "
    "  clock_timestamp() - make_interval(secs => $1::bigint) AND clock_timestamp() + interval '1 "
    "s' "
    "  THEN w.since ELSE clock_timestamp() END "
    "WHERE w.beat NOT BETWEEN clock_timestamp() - interval '1 s' AND clock_timestamp()"
};

int rk_replica_beat(struct rk_pg *pg,
                    const char *name,
                    int64_t lease_s,
                    struct rk_replica_beat *out,
                    struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int64_t now_us = 0;
    int r;

    r = rk_pg_run(pg, &beat, &res, err, RK_P_C(name), RK_P_INT(lease_s));
    if (r == 0) {
        now_us = (int64_t)(rk_mono_ns() / 1000);
        r = rk_pg_run(pg, &watch, NULL, err, RK_P_INT(gap_s(lease_s)));
    }
    if (r < 0)
        return r;
    out->lived = rk_pg_bool(res, 0, 0);
    out->ahead_us = rk_pg_int(res, 0, 1) - now_us;
    return 0;
}

static int follow_swept(struct rk_pg *pg,
                        const struct rk_pg_result *swept,
                        int64_t ephemeral_s,
                        struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *ids = NULL;
    size_t n = 0;

    rk_pg_array(swept, 0, 1, &ids, &n);
    return n > 0 ? rk_due_follow(pg, ids, n, ephemeral_s, err) : 0;
}

static int note_swept(struct rk_pg *pg, const struct rk_pg_result *swept, struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *ids = NULL;
    size_t n = 0;

    rk_pg_array(swept, 0, 2, &ids, &n);
    return n > 0 ? peer_presence_note(pg, ids, n, err) : 0;
}

/*
 * One transaction. Judged as of when the statement came, which is before anything it reads: should
 * it be held up, so were the beats. Rows that a batch of presence holds are passed over: they are
 * being written by somebody alive, or stay for the next call.
 */
static int sweep_some(
    struct rk_pg *pg, int64_t lease_s, int64_t ephemeral_s, int64_t *out_peers, struct rk_err *err)
{
    static const struct rk_pg_stmt sweep = {
        "replica_sweep",
        "WITH dead AS MATERIALIZED (SELECT s.peer_id, s.replica FROM peer_status s "
        "  WHERE s.connected AND EXISTS (SELECT 1 FROM replica_watch w WHERE "
        "    w.since <= statement_timestamp() - make_interval(secs => $1::bigint) AND "
        "    w.beat >= statement_timestamp() - make_interval(secs => $2::bigint)) "
        "  AND NOT EXISTS (SELECT 1 FROM replica r WHERE r.name = s.replica "
        "    AND r.beat > statement_timestamp() - make_interval(secs => $1::bigint)) "
        "  ORDER BY s.peer_id LIMIT $3::bigint FOR UPDATE OF s SKIP LOCKED), "
        "gone AS (UPDATE peer_status s SET connected = false, "
        "  last_seen = greatest(s.last_seen, (SELECT beat FROM replica WHERE name = d.replica)) "
        "FROM dead d WHERE s.peer_id = d.peer_id RETURNING s.peer_id) "
        "SELECT count(*), array_agg(g.peer_id) FILTER (WHERE p.ephemeral OR p.user_id <> ''), "
        "array_agg(g.peer_id) "
        "FROM gone g JOIN peer p ON p.id = g.peer_id"
    };
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, err);
    if (r == 0)
        r = rk_pg_run(pg, &sweep, &res, err, RK_P_INT(lease_s), RK_P_INT(gap_s(lease_s)),
                      RK_P_INT(BATCH_MAX));
    if (r == 0)
        r = follow_swept(pg, res, ephemeral_s, err);
    if (r == 0)
        r = note_swept(pg, res, err);
    if (r == 0)
        r = rk_pg_commit(&tx, err);
    if (r == 0)
        *out_peers = rk_pg_int(res, 0, 0);
    return r;
}

/* A replica's own row goes when nothing points to it any more. */
int rk_replica_sweep(
    struct rk_pg *pg, int64_t lease_s, int64_t ephemeral_s, int64_t *out_peers, struct rk_err *err)
{
    static const struct rk_pg_stmt forget = {
        "replica_forget",
        "DELETE FROM replica r WHERE r.beat < clock_timestamp() - 2 * make_interval(secs => "
        "$1::bigint) AND NOT EXISTS (SELECT 1 FROM peer_status s WHERE s.connected AND "
        "s.replica = r.name)"
    };
    int64_t n = BATCH_MAX, all = 0;
    int r = 0;

    for (int i = 0; i < BATCHES && r == 0 && n == BATCH_MAX; i++) {
        r = sweep_some(pg, lease_s, ephemeral_s, &n, err);
        if (r == 0)
            all += n;
    }
    if (r == 0)
        r = rk_pg_run(pg, &forget, NULL, err, RK_P_INT(lease_s));
    if (r == 0)
        *out_peers = all;
    return r;
}
