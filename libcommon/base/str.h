#pragma once

/* Pointer and length, passed by value, owning nothing; may hold any bytes. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/base/err.h"

struct rk_str {
    const char *p;
    size_t n;
};

#define RK_STR(literal) ((struct rk_str){ (literal), sizeof(literal) - 1 })
#define RK_STR_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct rk_str rk_str(const char *c)
{
    return (struct rk_str){ c, c ? strlen(c) : 0 };
}

static inline struct rk_str rk_strn(const void *p, size_t n)
{
    return (struct rk_str){ (const char *)p, n };
}

static inline bool rk_str_eq(struct rk_str a, struct rk_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool rk_str_ieq(struct rk_str a, struct rk_str b); /* ASCII case ignored */
bool rk_str_starts(struct rk_str s, struct rk_str prefix);
bool rk_str_ends(struct rk_str s, struct rk_str suffix);
struct rk_str rk_str_trim(struct rk_str s); /* ASCII white space at both ends */

/* Cuts *rest at the first `sep`: stores the part before it in *out_part. False when *rest was used
 * up (p NULL). */
bool rk_str_next(struct rk_str *rest, char sep, struct rk_str *out_part);

/* Decimal, the whole of s, no sign for the unsigned one; false on anything else or overflow. */
bool rk_str_u64(struct rk_str s, uint64_t *out);
bool rk_str_i64(struct rk_str s, int64_t *out);

/* Copies into a C string of `size` bytes; false (and out empty) when it does not fit or holds a
 * NUL. */
bool rk_str_copy(struct rk_str s, char *out, size_t size);

bool rk_utf8_valid(struct rk_str s);
/* Length in bytes of the one well-formed character at p (1..4), or 0. */
size_t rk_utf8_len(const uint8_t *p, size_t n);
