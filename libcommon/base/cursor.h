#pragma once

/*
 * Bounded reading cursor for wire code: a read past the end returns 0/empty and marks `bad`, so a
 * decoder reads a whole header and tests once. Big-endian integers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/str.h"

struct rk_cursor {
    const uint8_t *p;
    size_t n;
    bool bad;
};

static inline struct rk_cursor rk_cursor(const void *p, size_t n)
{
    return (struct rk_cursor){ (const uint8_t *)p, n, false };
}

uint8_t rk_cursor_u8(struct rk_cursor *c);
uint16_t rk_cursor_be16(struct rk_cursor *c);
uint32_t rk_cursor_be32(struct rk_cursor *c);
uint64_t
rk_cursor_varint(struct rk_cursor *c); /* protobuf base-128; bad when longer than 10 bytes */
struct rk_str rk_cursor_take(struct rk_cursor *c, size_t n);
