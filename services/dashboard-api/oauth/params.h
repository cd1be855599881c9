#pragma once

/*
 * Params: what a client says in a query or in a body of application/x-www-form-urlencoded. Strict:
 * a bad escape, a NUL or what is not UTF-8 spoils all of it. A parameter without a value counts as
 * absent (RFC 6749, 3.1). Pure; any thread.
 */

#include <stddef.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define PARAMS_MAX 64
#define PARAMS_MAX_BYTES ((size_t)64 << 10)

struct params {
    struct {
        const char *name, *value;
    } list[PARAMS_MAX];
    size_t n;
    const char *repeated; /* the first that stands twice, or NULL; its first value is kept */
};

/* RK_BAD_REQUEST, also for more than PARAMS_MAX or PARAMS_MAX_BYTES. */
int params_parse(struct rk_str text, struct rk_arena *arena, struct params *out, struct rk_err *err)
    RK_CHECKED;
const char *params_get(const struct params *p, const char *name);  /* NULL: absent or empty */
const char *params_text(const struct params *p, const char *name); /* the same, but "" */
/* Of a Content-Type header, whatever parameters it has. */
bool params_is_form(const char *content_type);

/* One value: %XX, and '+' as a space. NULL: not well-formed. */
const char *params_unescape(struct rk_str s, struct rk_arena *arena);
