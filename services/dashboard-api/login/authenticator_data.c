/* See authenticator_data.h. */

#include "services/dashboard-api/login/authenticator_data.h"

#include <stddef.h>
#include <stdint.h>

#define HEAD 37 /* hash of the host, flags, count */
#define FLAGS_AT 32
#define FLAG_KEY 0x40
#define FLAG_MORE 0x80
#define MAKER 16
#define DEPTH_MAX 4 /* CTAP 2 allows no more */

enum major {
    UNSIGNED,
    NEGATIVE,
    BYTES,
    TEXT,
    ARRAY,
    MAP,
    TAG,
    SIMPLE,
};

struct cursor {
    const uint8_t *p;
    size_t n;
};

static bool skip(struct cursor *c, uint64_t n)
{
    if (n > c->n)
        return false;
    c->p += n;
    c->n -= (size_t)n;
    return true;
}

static bool take_byte(struct cursor *c, uint8_t *out)
{
    if (c->n == 0)
        return false;
    *out = *c->p;
    return skip(c, 1);
}

/* Type and argument of the next item. Lengths without an end are not for authenticators. */
static bool take_head(struct cursor *c, enum major *out_major, uint64_t *out_argument)
{
    uint8_t first, byte;
    uint64_t argument;

    if (!take_byte(c, &first))
        return false;
    *out_major = (enum major)(first >> 5);
    argument = first & 0x1f;
    if (argument > 27)
        return false;
    if (argument >= 24) {
        unsigned bytes = 1U << (argument - 24);

        argument = 0;
        for (unsigned i = 0; i < bytes; i++) {
            if (!take_byte(c, &byte))
                return false;
            argument = argument << 8 | byte;
        }
    }
    *out_argument = argument;
    return true;
}

/* One item and all that is in it. Whatever is inside takes a byte at least. */
static bool take_item(struct cursor *c, unsigned depth)
{
    enum major major;
    uint64_t argument, inside;

    if (!take_head(c, &major, &argument))
        return false;
    switch (major) {
    case UNSIGNED:
    case NEGATIVE:
    case SIMPLE:
        return true;
    case BYTES:
    case TEXT:
        return skip(c, argument);
    case TAG:
        return false;
    case ARRAY:
    case MAP:
        break;
    }
    if (depth == DEPTH_MAX || argument > c->n)
        return false;
    inside = major == MAP ? 2 * argument : argument;
    for (uint64_t i = 0; i < inside; i++)
        if (!take_item(c, depth + 1))
            return false;
    return true;
}

static bool take_key(struct cursor *c)
{
    uint8_t high, low;

    return skip(c, MAKER) && take_byte(c, &high) && take_byte(c, &low) &&
           skip(c, (uint64_t)high << 8 | low) && take_item(c, 0);
}

bool authenticator_data_holds(struct rk_str data, bool made)
{
    struct cursor c = { (const uint8_t *)data.p, data.n };
    uint8_t flags;

    if (data.n < HEAD)
        return false;
    flags = c.p[FLAGS_AT];
    (void)skip(&c, HEAD);
    if (made != ((flags & FLAG_KEY) != 0))
        return false;
    if (made && !take_key(&c))
        return false;
    if ((flags & FLAG_MORE) && !take_item(&c, 0))
        return false;
    return c.n == 0;
}
