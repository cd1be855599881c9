#include "libcommon/base/buf.h"

/* Doubles up to the limit. A refused append leaves the content as it was. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"

void rk_buf_init(struct rk_buf *b, size_t max_bytes)
{
    *b = (struct rk_buf){ .max = max_bytes };
}

void rk_buf_done(struct rk_buf *b)
{
    free(b->p);
    *b = (struct rk_buf){ .max = b->max };
}

void rk_buf_clear(struct rk_buf *b)
{
    b->n = 0;
    b->overflow = false;
}

uint8_t *rk_buf_reserve(struct rk_buf *b, size_t n)
{
    size_t want, cap;

    if (n > b->max || b->n > b->max - n) {
        b->overflow = true;
        return NULL;
    }
    want = b->n + n;
    if (want > b->cap || !b->p) {
        cap = b->cap ? b->cap : 64;
        while (cap < want)
            cap *= 2;
        if (cap > b->max)
            cap = b->max;
        b->p = rk_realloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void rk_buf_commit(struct rk_buf *b, size_t n)
{
    b->n += n;
}

bool rk_buf_put(struct rk_buf *b, const void *p, size_t n)
{
    uint8_t *at = rk_buf_reserve(b, n);

    if (!at)
        return false;
    if (n > 0)
        memcpy(at, p, n);
    b->n += n;
    return true;
}

bool rk_buf_put_str(struct rk_buf *b, struct rk_str s)
{
    return rk_buf_put(b, s.p, s.n);
}

bool rk_buf_put_c(struct rk_buf *b, const char *cstr)
{
    return rk_buf_put(b, cstr, strlen(cstr));
}

bool rk_buf_put_u8(struct rk_buf *b, uint8_t v)
{
    if (b->n < b->cap && b->n < b->max) {
        b->p[b->n++] = v;
        return true;
    }
    return rk_buf_put(b, &v, 1);
}

bool rk_buf_put_be16(struct rk_buf *b, uint16_t v)
{
    uint8_t w[2] = { (uint8_t)(v >> 8), (uint8_t)v };

    return rk_buf_put(b, w, sizeof(w));
}

bool rk_buf_put_be32(struct rk_buf *b, uint32_t v)
{
    uint8_t w[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

    return rk_buf_put(b, w, sizeof(w));
}

bool rk_buf_printf(struct rk_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    uint8_t *at;
    char probe[1];
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(probe, sizeof(probe), fmt, ap);
    va_end(ap);
    if (n < 0) {
        va_end(again);
        b->overflow = true;
        return false;
    }
    /* One byte more than the text, for the NUL that vsnprintf writes and nobody keeps. */
    if ((size_t)n < b->max - b->n && (at = rk_buf_reserve(b, (size_t)n + 1))) {
        (void)vsnprintf((char *)at, (size_t)n + 1, fmt, again);
        va_end(again);
        b->n += (size_t)n;
        return true;
    }
    va_end(again);
    b->overflow = true;
    return false;
}

void rk_buf_consume(struct rk_buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}
