#pragma once

/* Pruning: what has expired is deleted, a bounded number of rows at a time. Any replica, at any
 * time; worker thread. */

#include "libcommon/base/err.h"
#include "libcommon/pg/pg.h"

#define PRUNE_MAX_ROWS 2000 /* of each table, per call */

int oauth_prune(struct rk_pg *pg, struct rk_err *err) RK_CHECKED;
