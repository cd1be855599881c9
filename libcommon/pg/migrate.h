#pragma once

/*
 * Forward-only migrations: a table of SQL scripts, applied in order under an advisory lock, each in
 * its own transaction with its row in schema_migration; N replicas may start at once. A database
 * that is newer than this binary is an error that says so. Worker thread.
 */

#include "libcommon/pg/pg.h"

struct rk_migration {
    int version; /* 1, 2, 3... */
    const char *name;
    const char *sql;
};

int rk_pg_migrate(struct rk_pg *c,
                  const struct rk_migration *rows,
                  size_t count,
                  int *out_applied,
                  struct rk_err *err) RK_CHECKED;
