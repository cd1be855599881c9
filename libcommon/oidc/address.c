#include "libcommon/oidc/address.h"

/*
 * The special-purpose registries of RFC 6890, as far as they are in use, and the addresses at which
 * clouds tell a machine its secrets. The first row that contains an address speaks.
 */

#include <assert.h>
#include <string.h>

#include <netinet/in.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/prefix.h"

static const struct {
    const char *prefix;
    enum rk_reach reach;
} table4[] = {
    { "100.100.100.200", RK_REACH_NEVER }, /* metadata, in the carrier range */
    { "168.63.129.16", RK_REACH_NEVER },   /* metadata, in a public range */
    { "0.0.0.0/8", RK_REACH_NEVER },
    { "10.0.0.0/8", RK_REACH_PRIVATE },
    { "100.64.0.0/10", RK_REACH_PRIVATE },
    { "127.0.0.0/8", RK_REACH_LOOPBACK },
    { "169.254.0.0/16", RK_REACH_NEVER }, /* link-local, metadata */
    { "172.16.0.0/12", RK_REACH_PRIVATE },
    { "192.0.0.0/24", RK_REACH_NEVER },
    { "192.0.2.0/24", RK_REACH_PRIVATE },
    { "192.88.99.0/24", RK_REACH_NEVER },
    { "192.168.0.0/16", RK_REACH_PRIVATE },
    { "198.18.0.0/15", RK_REACH_PRIVATE },
    { "198.51.100.0/24", RK_REACH_PRIVATE },
    { "203.0.113.0/24", RK_REACH_PRIVATE },
    { "224.0.0.0/4", RK_REACH_NEVER },
    { "240.0.0.0/4", RK_REACH_NEVER },
}, table6[] = {
    { "::1", RK_REACH_LOOPBACK },
    { "2001::/23", RK_REACH_NEVER },
    { "2001:db8::/32", RK_REACH_PRIVATE },
    { "3fff::/20", RK_REACH_PRIVATE },
    { "fd00:ec2::254", RK_REACH_NEVER }, /* metadata, in the unique local range */
    { "fd20:ce::254", RK_REACH_NEVER },  /* the same */
    { "fc00::/7", RK_REACH_PRIVATE },
    { "2000::/3", RK_REACH_PUBLIC },
};

/* Where IPv4 hides in IPv6, and behind how many bytes. */
static const struct {
    const char *prefix;
    unsigned skip;
} hidden[] = { { "::ffff:0:0/96", 12 }, { "64:ff9b::/96", 12 }, { "2002::/16", 2 } };

static bool within(const char *outer, const struct rk_prefix *inner)
{
    struct rk_prefix p;
    bool ok = rk_prefix_parse(rk_str(outer), &p);

    assert(ok);
    return rk_prefix_contains(&p, inner);
}

static enum rk_reach reach4(const uint8_t addr[4])
{
    struct rk_prefix p = { .family = AF_INET, .bits = 32 };

    memcpy(p.addr, addr, 4);
    for (size_t i = 0; i < RK_COUNT(table4); i++)
        if (within(table4[i].prefix, &p))
            return table4[i].reach;
    return RK_REACH_PUBLIC;
}

static enum rk_reach reach6(const uint8_t addr[16])
{
    struct rk_prefix p = { .family = AF_INET6, .bits = 128 };

    memcpy(p.addr, addr, 16);
    for (size_t i = 0; i < RK_COUNT(hidden); i++)
        if (within(hidden[i].prefix, &p))
            return reach4(addr + hidden[i].skip);
    for (size_t i = 0; i < RK_COUNT(table6); i++)
        if (within(table6[i].prefix, &p))
            return table6[i].reach;
    return RK_REACH_NEVER; /* nobody is given any other */
}

enum rk_reach rk_address_reach(const struct sockaddr *sa)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (sa->sa_family == AF_INET) {
        memcpy(&in, sa, sizeof(in));
        return reach4((const uint8_t *)&in.sin_addr);
    }
    if (sa->sa_family == AF_INET6) {
        memcpy(&in6, sa, sizeof(in6));
        return reach6((const uint8_t *)&in6.sin6_addr);
    }
    return RK_REACH_NEVER;
}
