#pragma once

/* Inside of the Postgres connection, for its own directory and for tests. */

#include "libcommon/pg/pg.h"

/* Client and server side bound of one statement; default 10 s. Takes effect at once when connected.
 */
int rk_pg_set_timeout(struct rk_pg *c, unsigned ms, struct rk_err *err) RK_CHECKED;

/* How often it was sent something whose answer was waited for. */
unsigned rk_pg_trips(const struct rk_pg *c);

/*
 * Failure injection: the k-th step from now (1 = the next; begin, each statement and commit are a
 * step) fails with `code` before it reaches the server. RK_UNAVAILABLE also drops the connection. 0
 * disarms.
 */
void rk_pg_fail_at(struct rk_pg *c, unsigned k, int code);
