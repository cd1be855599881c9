#pragma once

/* What a token's JSON says, while it is checked. For this directory. */

#include <jansson.h>

#include "libcommon/jwt/jwt.h"

/* NumericDate, whole or with a fraction, up to the year 9999. */
bool claims_time(const json_t *o, const char *name, int64_t *out_s);
/* All but what the checks have filled. */
void claims_fill(struct rk_claims *c, const json_t *o, struct rk_arena *arena);
