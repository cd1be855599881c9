#include "libcommon/base/cursor.h"

/* Once bad, a cursor stays bad and empty: nothing later can be read by mistake. */

static const uint8_t *take(struct rk_cursor *c, size_t n)
{
    const uint8_t *at = c->p;

    if (c->bad || n > c->n) {
        c->bad = true;
        c->n = 0;
        return NULL;
    }
    c->p += n;
    c->n -= n;
    return at;
}

uint8_t rk_cursor_u8(struct rk_cursor *c)
{
    const uint8_t *p = take(c, 1);

    return p ? p[0] : 0;
}

uint16_t rk_cursor_be16(struct rk_cursor *c)
{
    const uint8_t *p = take(c, 2);

    if (!p)
        return 0;
    return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t rk_cursor_be32(struct rk_cursor *c)
{
    const uint8_t *p = take(c, 4);

    return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

uint64_t rk_cursor_varint(struct rk_cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t b = rk_cursor_u8(c);

        if (c->bad)
            return 0;
        if (shift == 63 && b > 1) /* the tenth byte holds one bit */
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    c->bad = true;
    c->n = 0;
    return 0;
}

struct rk_str rk_cursor_take(struct rk_cursor *c, size_t n)
{
    const uint8_t *p = take(c, n);

    return p ? rk_strn(p, n) : (struct rk_str){ NULL, 0 };
}
