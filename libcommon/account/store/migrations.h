#pragma once

/* The schema, as a table of forward-only migrations. To change it, append a row; a landed row never
 * changes. */

#include <stddef.h>

#include "libcommon/pg/migrate.h"

extern const struct rk_migration rk_migrations[];
extern const size_t rk_migrations_count;
