#pragma once

/*
 * Paging, searching and sorting of every list, in one place: the array that a handler has written
 * is cut at its elements, and those are chosen, ordered and put together again. Works on the text
 * that this program wrote, without building values. Any thread.
 *
 *     page, per_page   from 1; per_page at most PAGE_MAX, PAGE_DEFAULT when only page is given
 *     q                elements with this in one of their strings, ASCII case ignored
 *     sort             members, most important first, "-" before one turns its order: name,-created
 *
 * Numbers are ordered by value, texts without case and with the numbers in them by value ("p2" <
 * "p10", addresses as one expects), times by time; an element that lacks the member, or has null,
 * an object or a list there, comes last.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define PAGE_MAX 1000
#define PAGE_DEFAULT 100
#define PAGE_MAX_Q 256
#define PAGE_MAX_SORT 4
#define PAGE_MAX_FIELD 64

struct page_sort {
    struct rk_str field;
    bool down;
};

struct page {
    bool asked;    /* any of the parameters is there; otherwise nothing is to be done */
    uint64_t page; /* from 1 */
    uint64_t per;  /* 0: everything in one page */
    const char *q; /* "" = everything */
    struct page_sort sort[PAGE_MAX_SORT];
    size_t sort_n;
};

/* From a raw query string. RK_INVALID with the text for the wire. Strings live in the arena. */
int page_parse(struct rk_str query, struct rk_arena *arena, struct page *out, struct rk_err *err)
    RK_CHECKED;

/* Rewrites the array in *list, and says how many elements there are on all pages together. */
int page_apply(const struct page *p,
               struct rk_arena *arena,
               struct rk_buf *list,
               uint64_t *out_total,
               struct rk_err *err) RK_CHECKED;

/*
 * The value of a Link header (RFC 8288) that leads to the first, previous, next and last page,
 * relative to the path; "" without paging, and when the query is longer than 500 bytes. In the
 * arena.
 */
const char *
page_link(const struct page *p, struct rk_str query, uint64_t total, struct rk_arena *arena);
