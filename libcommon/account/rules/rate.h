#pragma once

/*
 * How often somebody may try something: token buckets in Postgres, so that all replicas count
 * together and a restart forgets nothing. Worker threads.
 */

#include "libcommon/base/err.h"
#include "libcommon/pg/pg.h"

/* Burst tries at once, then so many a minute. A bucket that nobody has used for two hours is
 * forgotten, so it must be full again by then. */
struct rk_rate {
    const char *name;
    unsigned per_minute, burst;
};
#define RK_RATE_FULL_MIN 120

/*
 * RK_EXHAUSTED with the text of the wire. A refused try costs nothing, so whoever goes on trying is
 * let in as often as whoever waits. Outside of transactions, which would take the try back when
 * they fail.
 */
int rk_rate_take(struct rk_pg *pg, const struct rk_rate *rate, const char *who, struct rk_err *err)
    RK_CHECKED;
