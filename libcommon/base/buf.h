#pragma once

/*
 * Growing byte buffer with a limit given at init. An append that would pass the limit changes
 * nothing and marks the buffer `overflow`; callers may append a whole message and test once. Not
 * shared between threads.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/str.h"

struct rk_buf {
    uint8_t *p;
    size_t n;
    size_t cap;
    size_t max;
    bool overflow;
};

void rk_buf_init(struct rk_buf *b, size_t max_bytes); /* allocates nothing yet */
void rk_buf_done(struct rk_buf *b);
RK_DEFINE_AUTO_DONE(struct rk_buf, rk_buf_done)
void rk_buf_clear(struct rk_buf *b); /* keeps the memory */

bool rk_buf_put(struct rk_buf *b, const void *p, size_t n);
bool rk_buf_put_str(struct rk_buf *b, struct rk_str s);
bool rk_buf_put_c(struct rk_buf *b, const char *cstr);
bool rk_buf_put_u8(struct rk_buf *b, uint8_t v);
bool rk_buf_put_be16(struct rk_buf *b, uint16_t v);
bool rk_buf_put_be32(struct rk_buf *b, uint32_t v);
bool rk_buf_printf(struct rk_buf *b, const char *fmt, ...) RK_PRINTF(2, 3);

/* Makes room for n more bytes and returns where they go (NULL at the limit); then
 * rk_buf_commit(what was used). */
uint8_t *rk_buf_reserve(struct rk_buf *b, size_t n);
void rk_buf_commit(struct rk_buf *b, size_t n);

void rk_buf_consume(struct rk_buf *b, size_t n); /* drops n bytes at the front */

static inline struct rk_str rk_buf_str(const struct rk_buf *b)
{
    return rk_strn(b->p, b->n);
}
