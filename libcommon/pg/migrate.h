#pragma once

/*
 * Forward-only migrations: a table of SQL scripts, applied in order under an advisory lock, each in
 * its own transaction with its row in schema_migration; N replicas may start at once.
 *
 * The row also says how old a program may be that works with the schema as it is then: `serves`,
 * the version that it must know at least. So a program finds a schema that is newer than it, and
 * either works with it (and changes nothing) or ends with an error that says so. Worker thread.
 */

#include "libcommon/pg/pg.h"

struct rk_migration {
    int version; /* 1, 2, 3... */
    const char *name;
    const char *sql;
};

/* `serves` goes with every row that this applies. */
int rk_pg_migrate(struct rk_pg *c,
                  const struct rk_migration *rows,
                  size_t count,
                  int serves,
                  int *out_applied,
                  struct rk_err *err) RK_CHECKED;

/* As it is now. */
struct rk_schema {
    int64_t version; /* 0: none */
    int64_t serves;  /* programs that know this version, and newer ones */
};
int rk_pg_schema(struct rk_pg *c, struct rk_schema *out, struct rk_err *err) RK_CHECKED;
