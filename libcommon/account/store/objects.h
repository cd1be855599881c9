#pragma once

/* The rows of objects.h in the database: how each kind is asked for and read. Worker thread. */

#include "libcommon/account/model/model.h"
#include "libcommon/pg/pg.h"

struct store_object {
    enum rk_object_kind kind;
    struct rk_pg_stmt some, all; /* parameters: account, and for `some` the ids */
    struct rk_row *(*read)(const struct rk_pg_result *res, int row);
};
extern const struct store_object store_objects[];
extern const size_t store_objects_count;
