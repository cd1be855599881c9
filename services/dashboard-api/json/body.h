#pragma once

/*
 * Request bodies. One JSON value is read from the front; what follows it is ignored. Members are
 * found without regard to case, `null` counts as absent, and a missing one has its zero value. A
 * value of the wrong type marks the body bad: a decoder reads everything and tests once. Strings
 * and arrays are borrowed from the body, or live in the arena.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define BODY_MAX_TEXT 4096 /* bytes of one text */
#define BODY_UNREADABLE "couldn't parse JSON request"

struct body {
    json_t *root; /* an object */
    struct rk_arena *arena;
    bool bad;
};

/* RK_BAD_REQUEST with the text of the wire for anything but an object; RK_INVALID for one that
 * holds a text that is too long. Of members with one name the last counts. */
int body_parse(struct rk_str text, struct rk_arena *arena, struct body *out, struct rk_err *err)
    RK_CHECKED;
void body_done(struct body *b);
RK_DEFINE_AUTO_DONE(struct body, body_done)
/* 0, or RK_BAD_REQUEST when something was of the wrong type. */
int body_check(const struct body *b, struct rk_err *err) RK_CHECKED;

/* `object` is the root or a member of it. */
const json_t *body_get(const json_t *object, const char *name); /* NULL when absent or null */
const char *body_str(struct body *b, const json_t *object, const char *name); /* "" when absent */
const char *
body_str_opt(struct body *b, const json_t *object, const char *name); /* NULL when absent */
bool body_bool(struct body *b, const json_t *object, const char *name);
int64_t body_int(struct body *b, const json_t *object, const char *name);
const json_t *
body_object(struct body *b, const json_t *object, const char *name); /* NULL when absent */
const json_t *
body_array(struct body *b, const json_t *object, const char *name); /* NULL when absent */
/* A list of strings; *out_present says whether it was there. May be NULL. */
struct rk_str *
body_strs(struct body *b, const json_t *object, const char *name, size_t *out_n, bool *out_present);
struct rk_str *body_strs_of(struct body *b, const json_t *array, size_t *out_n);
