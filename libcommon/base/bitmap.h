#pragma once

/*
 * Plain bit set over dense indexes, grown on demand (a bit past the end reads as 0). Not shared
 * while written.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"

struct rk_bitmap {
    uint64_t *w;
    size_t words;
};

void rk_bitmap_init(struct rk_bitmap *b);
void rk_bitmap_done(struct rk_bitmap *b);
RK_DEFINE_AUTO_DONE(struct rk_bitmap, rk_bitmap_done)
void rk_bitmap_copy(struct rk_bitmap *to, const struct rk_bitmap *from); /* `to` is initialised */
void rk_bitmap_clear(struct rk_bitmap *b);

void rk_bitmap_set(struct rk_bitmap *b, size_t i);
void rk_bitmap_unset(struct rk_bitmap *b, size_t i);
static inline bool rk_bitmap_test(const struct rk_bitmap *b, size_t i)
{
    return i / 64 < b->words && (b->w[i / 64] >> (i % 64) & 1);
}

void rk_bitmap_or(struct rk_bitmap *to, const struct rk_bitmap *from);
void rk_bitmap_and(struct rk_bitmap *to, const struct rk_bitmap *from);
void rk_bitmap_andnot(struct rk_bitmap *to, const struct rk_bitmap *from);
void rk_bitmap_xor(struct rk_bitmap *to, const struct rk_bitmap *from);
bool rk_bitmap_equal(const struct rk_bitmap *a, const struct rk_bitmap *b);
bool rk_bitmap_empty(const struct rk_bitmap *b);
bool rk_bitmap_intersects(const struct rk_bitmap *a, const struct rk_bitmap *b);
size_t rk_bitmap_count(const struct rk_bitmap *b);

/* Smallest set bit >= from, or SIZE_MAX: for (i = next(b, 0); i != SIZE_MAX; i = next(b, i + 1)).
 */
static inline size_t rk_bitmap_next(const struct rk_bitmap *b, size_t from)
{
    size_t i = from / 64;
    uint64_t w;

    if (i >= b->words)
        return SIZE_MAX;
    w = b->w[i] & (~(uint64_t)0 << (from % 64));
    while (!w) {
        if (++i >= b->words)
            return SIZE_MAX;
        w = b->w[i];
    }
    return i * 64 + (size_t)__builtin_ctzll(w);
}
