#pragma once

/*
 * Filters of RFC 7644, 3.4.2.2, and the attribute paths in them. The published grammar is read
 * whole into a tree; what is then answered is `eq`, joined by `and`. One thing more is read, since
 * it is what Entra sends: `emails[type eq "work"].value eq "x"`. Strings point into the text or the
 * arena. Any thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define SCIM_FILTER_MAX 4096 /* bytes */

/* urn:...:name.sub; what is not there is empty. */
struct scim_path_attr {
    struct rk_str urn, name, sub;
};

enum scim_filter_kind {
    SCIM_FILTER_AND,
    SCIM_FILTER_OR,
    SCIM_FILTER_NOT,     /* of `left` */
    SCIM_FILTER_PRESENT, /* attr pr */
    SCIM_FILTER_COMPARE, /* attr op value; `left` holds for the element it is of, or is NULL */
    SCIM_FILTER_ELEMENT, /* attr[left] */
};

enum scim_filter_op {
    SCIM_EQ,
    SCIM_NE,
    SCIM_CO,
    SCIM_SW,
    SCIM_EW,
    SCIM_GT,
    SCIM_LT,
    SCIM_GE,
    SCIM_LE,
};

struct scim_filter {
    enum scim_filter_kind kind;
    enum scim_filter_op op;
    struct scim_path_attr attr;
    struct rk_str value; /* without quotes and escapes; numbers and words as they stand */
    bool is_null;
    const struct scim_filter *left, *right;
};

/* invalidFilter for what the grammar does not have. */
int scim_filter_parse(struct rk_str text,
                      struct rk_arena *a,
                      const struct scim_filter **out,
                      struct rk_err *err) RK_CHECKED;

/* One condition of a filter that is `eq` and `and` alone. */
struct scim_term {
    struct rk_str name, sub; /* of the attribute */
    struct rk_str type;      /* of the element that is meant; p NULL = any */
    struct rk_str value;
};
#define SCIM_TERMS_MAX 8

/* The conditions that all must hold; invalidFilter for every other operator. */
int scim_filter_terms(const struct scim_filter *f,
                      struct scim_term out[SCIM_TERMS_MAX],
                      size_t *out_n,
                      struct rk_err *err) RK_CHECKED;

/* An attribute's value of one element, as text; p NULL when it has none. */
typedef struct rk_str scim_element_fn(const void *element, struct rk_str name);
/* For filters inside []: `f` must have passed scim_filter_check. */
bool scim_filter_matches(const struct scim_filter *f, scim_element_fn *get, const void *element);
/* invalidFilter unless it is `eq` and `and` alone, of attributes without [] and sub-attributes. */
int scim_filter_check(const struct scim_filter *f, struct rk_err *err) RK_CHECKED;

/* For path.c: reads one attribute path, or a filter up to "]", at *at of the text. */
struct scim_scan {
    struct rk_str text;
    size_t at;
    struct rk_arena *arena;
    unsigned depth;
};
bool scim_scan_attr(struct scim_scan *s, struct scim_path_attr *out);
int scim_scan_filter(struct scim_scan *s,
                     const struct scim_filter **out,
                     struct rk_err *err) RK_CHECKED;
