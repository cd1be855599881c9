/*
 * What the library takes on trust: that the tree which the metadata speaks of is in the file. The
 * metadata are a map behind the file's last marker; only its three numbers are looked at here, the
 * library reads the rest.
 */

#include "libcommon/base/cursor.h"
#include "libcommon/geo/geo_int.h"

#define MARKER "\xab\xcd\xefMaxMind.com"
#define MAX_METADATA ((size_t)128 << 10)
#define DATA_GAP 16 /* zero bytes between the tree and the data */
#define MAX_DEPTH 8

enum {
    TYPE_POINTER = 1,
    TYPE_STRING = 2,
    TYPE_UINT16 = 5,
    TYPE_UINT32 = 6,
    TYPE_MAP = 7,
    TYPE_ARRAY = 11,
    TYPE_BOOL = 14,
};

/* The head of a value: its type, and its size (of a pointer: the bytes that follow). */
static unsigned take_head(struct rk_cursor *c, size_t *out_size)
{
    uint8_t control = rk_cursor_u8(c);
    unsigned type = control >> 5;
    size_t size = control & 0x1f;

    if (type == TYPE_POINTER) {
        *out_size = (size_t)(control >> 3 & 3) + 1;
        return type;
    }
    if (type == 0)
        type = 7u + rk_cursor_u8(c);
    if (size == 29)
        size += rk_cursor_u8(c);
    else if (size == 30)
        size = 285u + rk_cursor_be16(c);
    else if (size == 31)
        size = 65821u + ((size_t)rk_cursor_u8(c) << 16) + rk_cursor_be16(c);
    *out_size = size;
    return type;
}

static void skip(struct rk_cursor *c, unsigned depth)
{
    size_t size;
    unsigned type = take_head(c, &size);
    size_t values = type == TYPE_MAP ? 2 * size : type == TYPE_ARRAY ? size : 0;

    if (depth > MAX_DEPTH)
        c->bad = true;
    for (size_t i = 0; i < values && !c->bad; i++)
        skip(c, depth + 1);
    if (type != TYPE_MAP && type != TYPE_ARRAY && type != TYPE_BOOL)
        (void)rk_cursor_take(c, size);
}

static uint64_t take_number(struct rk_cursor *c)
{
    size_t size;
    unsigned type = take_head(c, &size);
    uint64_t v = 0;

    if ((type != TYPE_UINT16 && type != TYPE_UINT32) || size > 4)
        c->bad = true;
    for (size_t i = 0; i < size && !c->bad; i++)
        v = v << 8 | rk_cursor_u8(c);
    return v;
}

struct numbers {
    uint64_t nodes, record_bits, ip_version;
    unsigned found;
};

static bool read_numbers(struct rk_cursor c, struct numbers *out)
{
    size_t members, size;

    if (take_head(&c, &members) != TYPE_MAP)
        return false;
    for (size_t i = 0; i < members && !c.bad; i++) {
        struct rk_str key;
        uint64_t *number;

        if (take_head(&c, &size) != TYPE_STRING)
            return false;
        key = rk_cursor_take(&c, size);
        number = rk_str_eq(key, RK_STR("node_count"))    ? &out->nodes
                 : rk_str_eq(key, RK_STR("record_size")) ? &out->record_bits
                 : rk_str_eq(key, RK_STR("ip_version"))  ? &out->ip_version
                                                         : NULL;
        if (number) {
            *number = take_number(&c);
            out->found++;
        } else {
            skip(&c, 0);
        }
    }
    return !c.bad && out->found == 3;
}

/* Where the last marker ends; 0 when there is none where the library looks. */
static size_t metadata_at(const uint8_t *p, size_t n)
{
    size_t len = sizeof(MARKER) - 1, from = n > MAX_METADATA ? n - MAX_METADATA : 0;

    for (size_t at = n; at >= from + len; at--)
        if (memcmp(p + at - len, MARKER, len) == 0)
            return at;
    return 0;
}

bool geo_check(const uint8_t *p, size_t n)
{
    struct numbers numbers = { .found = 0 };
    size_t at = metadata_at(p, n);
    uint64_t bits = 0;

    if (at == 0 || !read_numbers(rk_cursor(p + at, n - at), &numbers))
        return false;
    bits = numbers.record_bits;
    return (bits == 24 || bits == 28 || bits == 32) && numbers.nodes > 0 &&
           (numbers.ip_version == 4 || numbers.ip_version == 6) &&
           numbers.nodes * (bits / 4) + DATA_GAP <= at - (sizeof(MARKER) - 1);
}
