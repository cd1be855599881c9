#pragma once

/*
 * Edges: relays and STUN servers that are there by themselves, each process with a lease that it
 * renews (libcommon/edge). Times are the database's. Worker threads only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/edge/claim.h"
#include "libcommon/pg/pg.h"

/* What replicas tell each other when who may be on a list has changed; the payload says nothing. */
#define RK_EDGE_DOORBELL "rk:edge"
#define RK_EDGES_MAX 512

struct rk_edge_row {
    enum rk_edge_kind kind;
    char *url, *region;
    struct rk_position at;
    uint64_t capacity, load;
    bool crowded; /* nine tenths of its capacity, until it is below eight */
    bool leaving, drained;
    int64_t left_ms; /* of its lease; negative: since when it has none */
};

struct rk_edge_rows {
    size_t n;
    struct rk_edge_row row[];
};
void rk_edge_rows_free(struct rk_edge_rows *rows);
RK_DEFINE_AUTO(struct rk_edge_rows, rk_edge_rows_free)

/* *out_news: the others have to hear of it. A claim that is older than the one that is there of the
 * same process changes nothing. */
int rk_edge_renew(struct rk_pg *pg, const struct rk_claim *c, bool *out_news, struct rk_err *err)
    RK_CHECKED;
/* By region and address; at most RK_EDGES_MAX. Of several behind one address the one with the
 * longest lease stands for them. */
int rk_edge_load(struct rk_pg *pg, struct rk_edge_rows **out, struct rk_err *err) RK_CHECKED;
/* Off all lists from its next claim on, or back on them. RK_NOT_FOUND when there is no such row. */
int rk_edge_drain(struct rk_pg *pg, const char *url, bool drained, struct rk_err *err) RK_CHECKED;
/* Deletes what has had no lease for a day. */
int rk_edge_prune(struct rk_pg *pg, struct rk_err *err) RK_CHECKED;
