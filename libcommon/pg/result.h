#pragma once

/* Takes over a libpq result. */

#include <libpq-fe.h>

#include "libcommon/pg/pg.h"

struct rk_pg_result *pg_result_new(PGresult *res);
