#pragma once

/* Reading members of a token's JSON. For this directory. */

#include <jansson.h>

#include "libcommon/jwt/jwt.h"

/* A string; empty when it is absent or of another type. */
struct rk_str claims_member(const json_t *o, const char *name);
/* NumericDate, whole or with a fraction, up to the year 9999. */
bool claims_time(const json_t *o, const char *name, int64_t *out_s);
/* All but what the checks have filled. */
void claims_fill(struct rk_claims *c, const json_t *o, struct rk_arena *arena);
