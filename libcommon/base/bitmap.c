#include "libcommon/base/bitmap.h"

/* Words past the end count as zero everywhere, so two bitmaps of different length compare and
 * combine as sets. */

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"

void rk_bitmap_init(struct rk_bitmap *b)
{
    *b = (struct rk_bitmap){ NULL, 0 };
}

void rk_bitmap_done(struct rk_bitmap *b)
{
    free(b->w);
    rk_bitmap_init(b);
}

static void grow(struct rk_bitmap *b, size_t words)
{
    if (words <= b->words)
        return;
    b->w = rk_realloc(b->w, words * sizeof(*b->w));
    memset(b->w + b->words, 0, (words - b->words) * sizeof(*b->w));
    b->words = words;
}

void rk_bitmap_copy(struct rk_bitmap *to, const struct rk_bitmap *from)
{
    grow(to, from->words);
    if (from->words > 0)
        memcpy(to->w, from->w, from->words * sizeof(*to->w));
    if (to->words > from->words)
        memset(to->w + from->words, 0, (to->words - from->words) * sizeof(*to->w));
}

void rk_bitmap_clear(struct rk_bitmap *b)
{
    if (b->words > 0)
        memset(b->w, 0, b->words * sizeof(*b->w));
}

void rk_bitmap_set(struct rk_bitmap *b, size_t i)
{
    size_t need = i / 64 + 1;

    if (need > b->words)
        grow(b, need > b->words * 2 ? need : b->words * 2);
    b->w[i / 64] |= (uint64_t)1 << (i % 64);
}

void rk_bitmap_unset(struct rk_bitmap *b, size_t i)
{
    if (i / 64 < b->words)
        b->w[i / 64] &= ~((uint64_t)1 << (i % 64));
}

void rk_bitmap_or(struct rk_bitmap *to, const struct rk_bitmap *from)
{
    size_t n = from->words, i = 0;

    grow(to, n);
    /* Four words at a time: gcc makes vectors of such a block at -O2, but not of the plain loop. */
    for (uint64_t *t = to->w; i + 4 <= n; i += 4) {
        const uint64_t *f = from->w + i;
        uint64_t a = t[i] | f[0], b = t[i + 1] | f[1], c = t[i + 2] | f[2], d = t[i + 3] | f[3];

        t[i] = a;
        t[i + 1] = b;
        t[i + 2] = c;
        t[i + 3] = d;
    }
    for (; i < n; i++)
        to->w[i] |= from->w[i];
}

void rk_bitmap_and(struct rk_bitmap *to, const struct rk_bitmap *from)
{
    for (size_t i = 0; i < to->words; i++)
        to->w[i] &= i < from->words ? from->w[i] : 0;
}

void rk_bitmap_andnot(struct rk_bitmap *to, const struct rk_bitmap *from)
{
    for (size_t i = 0; i < to->words && i < from->words; i++)
        to->w[i] &= ~from->w[i];
}

void rk_bitmap_xor(struct rk_bitmap *to, const struct rk_bitmap *from)
{
    grow(to, from->words);
    for (size_t i = 0; i < from->words; i++)
        to->w[i] ^= from->w[i];
}

bool rk_bitmap_equal(const struct rk_bitmap *a, const struct rk_bitmap *b)
{
    size_t n = a->words > b->words ? a->words : b->words;

    for (size_t i = 0; i < n; i++) {
        uint64_t x = i < a->words ? a->w[i] : 0;
        uint64_t y = i < b->words ? b->w[i] : 0;

        if (x != y)
            return false;
    }
    return true;
}

bool rk_bitmap_intersects(const struct rk_bitmap *a, const struct rk_bitmap *b)
{
    for (size_t i = 0; i < a->words && i < b->words; i++)
        if (a->w[i] & b->w[i])
            return true;
    return false;
}

bool rk_bitmap_empty(const struct rk_bitmap *b)
{
    for (size_t i = 0; i < b->words; i++)
        if (b->w[i])
            return false;
    return true;
}

/* Sums of neighbouring bits, of pairs, of four, of eight. Without -mpopcnt the compiler's own is a
 * call, and looks up each byte. */
static size_t count(uint64_t w)
{
    w -= w >> 1 & 0x5555555555555555u;
    w = (w & 0x3333333333333333u) + (w >> 2 & 0x3333333333333333u);
    w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return w * 0x0101010101010101u >> 56;
}

size_t rk_bitmap_count(const struct rk_bitmap *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->words; i++)
        n += count(b->w[i]);
    return n;
}
