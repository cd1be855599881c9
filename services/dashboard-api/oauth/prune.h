#pragma once

/* Pruning: what has expired is deleted, 2000 rows of each table at a time. Any replica, at any
 * time; worker thread. */

#include "libcommon/base/err.h"
#include "libcommon/pg/pg.h"

int oauth_prune(struct rk_pg *pg, struct rk_err *err) RK_CHECKED;
