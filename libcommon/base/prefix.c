#include "libcommon/base/prefix.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool rk_prefix_parse(struct rk_str text, struct rk_prefix *out)
{
    struct rk_str rest = text, addr;
    char buf[INET6_ADDRSTRLEN];
    struct rk_prefix p = { 0 };
    uint64_t bits;

    memset(out, 0, sizeof(*out));
    if (!rk_str_next(&rest, '/', &addr) || !rk_str_copy(addr, buf, sizeof(buf)))
        return false;
    if (inet_pton(AF_INET, buf, p.addr) == 1)
        p.family = AF_INET;
    else if (inet_pton(AF_INET6, buf, p.addr) == 1)
        p.family = AF_INET6;
    else
        return false;
    p.bits = p.family == AF_INET ? 32 : 128;
    if (addr.n < text.n) {
        if (!rk_str_u64(rest, &bits) || bits > p.bits)
            return false;
        p.bits = (unsigned)bits;
    }
    *out = p;
    return true;
}

void rk_prefix_format(const struct rk_prefix *p, char out[RK_PREFIX_LEN])
{
    char addr[INET6_ADDRSTRLEN];

    if (!inet_ntop(p->family, p->addr, addr, sizeof(addr)))
        addr[0] = '\0';
    snprintf(out, RK_PREFIX_LEN, "%s/%u", addr, p->bits);
}

void rk_prefix_mask(struct rk_prefix *p)
{
    unsigned total = p->family == AF_INET ? 4 : 16;

    for (unsigned i = 0; i < total; i++) {
        unsigned from = i * 8;

        if (from >= p->bits)
            p->addr[i] = 0;
        else if (from + 8 > p->bits)
            p->addr[i] &= (uint8_t)(0xff << (from + 8 - p->bits));
    }
}

bool rk_prefix_contains(const struct rk_prefix *outer, const struct rk_prefix *inner)
{
    struct rk_prefix a = *outer, b = *inner;

    if (a.family != b.family || a.bits > b.bits)
        return false;
    b.bits = a.bits;
    rk_prefix_mask(&a);
    rk_prefix_mask(&b);
    return memcmp(a.addr, b.addr, sizeof(a.addr)) == 0;
}
