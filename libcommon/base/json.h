#pragma once

/*
 * Streaming JSON writer: compact, straight into a buffer, commas by itself. Strings are escaped;
 * bytes that are not UTF-8 become U+FFFD. Nesting at most 32 (deeper is our own mistake: assert).
 * `key` NULL inside arrays and at the top.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

struct rk_json {
    struct rk_buf *out;
    unsigned depth;
    uint32_t has_member; /* bit d: the container at depth d already holds something */
};

void rk_json_init(struct rk_json *j, struct rk_buf *out);
void rk_json_object(struct rk_json *j, const char *key);
void rk_json_object_end(struct rk_json *j);
void rk_json_array(struct rk_json *j, const char *key);
void rk_json_array_end(struct rk_json *j);
void rk_json_str(struct rk_json *j, const char *key, struct rk_str v);
void rk_json_cstr(struct rk_json *j, const char *key, const char *v); /* NULL writes null */
void rk_json_int(struct rk_json *j, const char *key, int64_t v);
void rk_json_uint(struct rk_json *j, const char *key, uint64_t v);
void rk_json_bool(struct rk_json *j, const char *key, bool v);
void rk_json_null(struct rk_json *j, const char *key);
void rk_json_time(struct rk_json *j,
                  const char *key,
                  int64_t us); /* RFC 3339; unset time for RK_TIME_UNSET */
void rk_json_raw(struct rk_json *j, const char *key, struct rk_str v); /* v is JSON already */
