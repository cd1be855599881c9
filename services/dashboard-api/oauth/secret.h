#pragma once

/* Secret: what a browser or a client holds and we know only by its SHA-256. Worker thread. */

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/str.h"
#include "libcommon/pg/pg.h"

#define SECRET_HASH_LEN 32

/* 256 random bits as 43 characters of base64url, and what is stored of them; both in the arena. */
const char *secret_new(struct rk_arena *arena, struct rk_str *out_hash);
struct rk_str secret_hash(struct rk_arena *arena, const char *secret);

/* "<kind>/<id in hexadecimal>": the name that what is stored with a row is sealed by. */
const char *secret_name(struct rk_arena *arena, const char *kind, struct rk_str id);
