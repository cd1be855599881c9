#include "libcommon/account/store/edges.h"

#include <stdlib.h>

#include "libcommon/base/alloc.h"

int rk_edge_renew(struct rk_pg *pg, const struct rk_claim *c, bool *out_news, struct rk_err *err)
{
    static const struct rk_pg_stmt renew = {
        "edge_renew",
        "WITH was AS MATERIALIZED (SELECT * FROM edge WHERE url = $1 AND who = $10), "
        "now AS (INSERT INTO edge AS e (url, region, latitude_e4, longitude_e4, capacity, load, "
        "  crowded, leaving, said_at, expires_at, who, drained) "
        "  VALUES ($1, $2, $3::bigint, $4::bigint, $5::bigint, $6::bigint, "
        "  $5 > 0 AND $6 * 10 >= $5 * 9, $7, $8, "
        "  clock_timestamp() + $9 * interval '1 ms', $10, "
        "  EXISTS (SELECT 1 FROM edge WHERE url = $1 AND drained)) "
        "  ON CONFLICT (url, who) DO UPDATE SET region = excluded.region, "
        "  latitude_e4 = excluded.latitude_e4, longitude_e4 = excluded.longitude_e4, "
        "  capacity = excluded.capacity, load = excluded.load, "
        "  crowded = $5 > 0 AND $6 * 10 >= $5 * CASE WHEN e.crowded THEN 8 ELSE 9 END, "
        "  leaving = excluded.leaving, told = true, said_at = excluded.said_at, "
        "  expires_at = excluded.expires_at "
        "  WHERE e.said_at < excluded.said_at "
        "  RETURNING e.region, e.latitude_e4, e.longitude_e4, e.crowded, e.leaving) "
        "SELECT EXISTS (SELECT 1 FROM now) AND NOT EXISTS (SELECT 1 FROM was, now "
        "  WHERE was.expires_at > clock_timestamp() AND was.told "
        "  AND (was.region, was.latitude_e4, was.longitude_e4, was.crowded, was.leaving) "
        "  IS NOT DISTINCT FROM "
        "  (now.region, now.latitude_e4, now.longitude_e4, now.crowded, now.leaving))"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_run(pg, &renew, &res, err, RK_P_C(c->url), RK_P_C(c->region),
                  c->at.known ? RK_P_INT(c->at.latitude_e4) : RK_P_NULL,
                  c->at.known ? RK_P_INT(c->at.longitude_e4) : RK_P_NULL,
                  RK_P_INT((int64_t)c->capacity), RK_P_INT((int64_t)c->load), RK_P_BOOL(c->leaving),
                  RK_P_TIME(c->said_us), RK_P_INT(RK_EDGE_LEASE_MS), RK_P_INT((int64_t)c->who));
    if (r == 0)
        *out_news = rk_pg_bool(res, 0, 0);
    return r;
}

void rk_edge_rows_free(struct rk_edge_rows *rows)
{
    if (!rows)
        return;
    for (size_t i = 0; i < rows->n; i++) {
        free(rows->row[i].url);
        free(rows->row[i].region);
    }
    free(rows);
}

static bool take(const struct rk_pg_result *res, int i, struct rk_edge_row *out)
{
    struct rk_edge_row e = { 0 };

    if (rk_edge_url_check(rk_pg_str(res, i, 0), &e.kind, NULL) < 0)
        return false; /* nobody but an operator can have written that */
    e.url = rk_strdup(rk_pg_str(res, i, 0).p);
    e.region = rk_strdup(rk_pg_str(res, i, 1).p);
    e.at.known = !rk_pg_null(res, i, 2) && !rk_pg_null(res, i, 3);
    e.at.latitude_e4 = (int32_t)rk_pg_int(res, i, 2);
    e.at.longitude_e4 = (int32_t)rk_pg_int(res, i, 3);
    e.capacity = (uint64_t)rk_pg_int(res, i, 4);
    e.load = (uint64_t)rk_pg_int(res, i, 5);
    e.crowded = rk_pg_bool(res, i, 6);
    e.leaving = rk_pg_bool(res, i, 7);
    e.drained = rk_pg_bool(res, i, 8);
    e.left_ms = rk_pg_int(res, i, 9);
    *out = e;
    return true;
}

int rk_edge_load(struct rk_pg *pg, struct rk_edge_rows **out, struct rk_err *err)
{
    static const struct rk_pg_stmt load = {
        "edge_load",
        "SELECT url, region, latitude_e4, longitude_e4, capacity, load, crowded, leaving, drained, "
        "left_ms FROM (SELECT DISTINCT ON (url) *, "
        "  floor(extract(epoch FROM expires_at - statement_timestamp()) * 1000)::bigint AS left_ms "
        "  FROM edge "
        "  ORDER BY url, leaving OR expires_at <= statement_timestamp(), expires_at DESC) best "
        "ORDER BY region, url LIMIT $1"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_edge_rows *rows;
    int r = rk_pg_run(pg, &load, &res, err, RK_P_INT(RK_EDGES_MAX));

    if (r < 0)
        return r;
    rows = rk_zalloc(sizeof(*rows) + (size_t)rk_pg_rows(res) * sizeof(rows->row[0]));
    for (int i = 0; i < rk_pg_rows(res); i++)
        rows->n += take(res, i, &rows->row[rows->n]);
    *out = rows;
    return 0;
}

int rk_edge_drain(struct rk_pg *pg, const char *url, bool drained, struct rk_err *err)
{
    static const struct rk_pg_stmt drain = {
        "edge_drain",
        "UPDATE edge SET drained = $2, told = told AND drained = $2 WHERE url = $1 RETURNING url"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(pg, &drain, &res, err, RK_P_C(url), RK_P_BOOL(drained));

    if (r == 0 && rk_pg_rows(res) == 0)
        r = rk_fail(err, RK_NOT_FOUND, "no relay or STUN server has registered as %s", url);
    return r;
}

int rk_edge_prune(struct rk_pg *pg, struct rk_err *err)
{
    static const struct rk_pg_stmt prune = {
        "edge_prune", "DELETE FROM edge WHERE expires_at < clock_timestamp() - interval '1 day'"
    };

    return rk_pg_run0(pg, &prune, NULL, err);
}
