#pragma once

/* The schema, as a table of forward-only migrations. To change it, append a row; a landed row never
 * changes. */

#include <stddef.h>

#include "libcommon/pg/migrate.h"

extern const struct rk_migration rk_migrations[];
extern const size_t rk_migrations_count;

/* Programs that know the schema up to here work with it as it is now. Whatever comes after only
 * adds; when something goes or changes, this is raised to the version of the release that no longer
 * needs it. */
#define RK_MIGRATIONS_SERVE 18
