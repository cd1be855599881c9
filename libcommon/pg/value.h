#pragma once

/* Parameters as the text that libpq wants: C strings in one block. Worker thread. */

#include <stddef.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/buf.h"
#include "libcommon/pg/pg.h"

#define PG_MAX_PARAMS 40

struct pg_values {
    struct rk_buf text;
    size_t at[PG_MAX_PARAMS]; /* offset in text, SIZE_MAX for NULL */
    const char *p[PG_MAX_PARAMS];
    size_t n;
};

void pg_values_init(struct pg_values *v);
void pg_values_done(struct pg_values *v);
RK_DEFINE_AUTO_DONE(struct pg_values, pg_values_done)
/* RK_INVALID: text with a NUL in it, which Postgres cannot hold; RK_EXHAUSTED: past 256 MiB. */
int pg_values_add(struct pg_values *v,
                  const struct rk_pg_param *params,
                  size_t n,
                  struct rk_err *err) RK_CHECKED;
const char *const *pg_values_text(struct pg_values *v);
