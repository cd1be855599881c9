#include "libcommon/account/compile/wire.h"

/* Past the buffer's limit every call does nothing: the buffer says `overflow` and the caller tests
 * that once. */

#include <string.h>

enum {
    WIRE_VARINT = 0,
    WIRE_LEN = 2
};

size_t rk_wire_varint_size(uint64_t v)
{
    size_t n = 1;

    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

static size_t varint_at(uint8_t *at, uint64_t v)
{
    size_t n = 0;

    while (v >= 0x80) {
        at[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    at[n++] = (uint8_t)v;
    return n;
}

void rk_wire_varint(struct rk_buf *b, uint64_t v)
{
    uint8_t tmp[10];

    (void)rk_buf_put(b, tmp, varint_at(tmp, v));
}

static void key(struct rk_buf *b, unsigned field, unsigned type)
{
    rk_wire_varint(b, (uint64_t)field << 3 | type);
}

void rk_wire_uint(struct rk_buf *b, unsigned field, uint64_t v)
{
    if (v == 0)
        return;
    key(b, field, WIRE_VARINT);
    rk_wire_varint(b, v);
}

void rk_wire_bool(struct rk_buf *b, unsigned field, bool v)
{
    rk_wire_uint(b, field, v ? 1 : 0);
}

void rk_wire_str(struct rk_buf *b, unsigned field, struct rk_str v)
{
    if (v.n > 0)
        rk_wire_bytes_always(b, field, v);
}

void rk_wire_bytes_always(struct rk_buf *b, unsigned field, struct rk_str v)
{
    key(b, field, WIRE_LEN);
    rk_wire_varint(b, v.n);
    (void)rk_buf_put_str(b, v);
}

size_t rk_wire_begin(struct rk_buf *b, unsigned field)
{
    key(b, field, WIRE_LEN);
    return b->n;
}

/* The body is at `begin`, behind `room` bytes for its length. */
static void end(struct rk_buf *b, size_t begin, size_t room)
{
    uint8_t tmp[10];
    size_t body, n;

    if (b->overflow)
        return;
    body = b->n - begin;
    n = varint_at(tmp, body);
    if (n > room && !rk_buf_reserve(b, n - room))
        return;
    if (n != room)
        memmove(b->p + begin - room + n, b->p + begin, body);
    memcpy(b->p + begin - room, tmp, n);
    b->n = begin - room + n + body;
}

void rk_wire_end(struct rk_buf *b, size_t begin)
{
    end(b, begin, 0);
}

size_t rk_wire_begin_near(struct rk_buf *b, unsigned field, size_t expected)
{
    size_t room = rk_wire_varint_size(expected);

    key(b, field, WIRE_LEN);
    if (rk_buf_reserve(b, room))
        rk_buf_commit(b, room);
    return b->n;
}

void rk_wire_end_near(struct rk_buf *b, size_t begin, size_t expected)
{
    end(b, begin, rk_wire_varint_size(expected));
}
