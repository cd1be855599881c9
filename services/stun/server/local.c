#include "services/stun/server/local.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

static const struct sockaddr_in6 *in6(const struct sockaddr_storage *ss)
{
    return (const struct sockaddr_in6 *)ss;
}

static const struct sockaddr_in *in4(const struct sockaddr_storage *ss)
{
    return (const struct sockaddr_in *)ss;
}

bool local_is_wildcard(const struct rk_addr *a)
{
    return a->ss.ss_family == AF_INET ? in4(&a->ss)->sin_addr.s_addr == INADDR_ANY
                                      : IN6_IS_ADDR_UNSPECIFIED(&in6(&a->ss)->sin6_addr);
}

/* False for one that nobody is answered from. */
static bool address_of(const struct ifaddrs *i, const struct rk_addr *wildcard, struct rk_addr *out)
{
    in_port_t port = in6(&wildcard->ss)->sin6_port; /* at the same place in both families */
    struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)&out->ss;
    struct sockaddr_in *s4 = (struct sockaddr_in *)&out->ss;

    memset(out, 0, sizeof(*out));
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK)
        return false;
    if (i->ifa_addr->sa_family == AF_INET) {
        out->len = sizeof(*s4);
        memcpy(s4, i->ifa_addr, sizeof(*s4));
        s4->sin_port = port;
        return true;
    }
    if (i->ifa_addr->sa_family != AF_INET6)
        return false;
    out->len = sizeof(*s6);
    memcpy(s6, i->ifa_addr, sizeof(*s6));
    s6->sin6_port = port;
    return !IN6_IS_ADDR_LINKLOCAL(&s6->sin6_addr);
}

static bool has(const struct rk_addr *set, unsigned n, const struct rk_addr *a)
{
    for (unsigned i = 0; i < n; i++)
        if (set[i].len == a->len && memcmp(&set[i].ss, &a->ss, a->len) == 0)
            return true;
    return false;
}

unsigned local_addresses(const struct rk_addr *a, bool v6only, struct rk_addr *out, unsigned max)
{
    struct ifaddrs *all = NULL;
    unsigned n = 0;

    if (!local_is_wildcard(a) || getifaddrs(&all) < 0)
        return 0;
    for (const struct ifaddrs *i = all; i && n < max; i = i->ifa_next) {
        struct rk_addr one;
        bool other_family;

        if (!address_of(i, a, &one))
            continue;
        other_family = one.ss.ss_family != a->ss.ss_family;
        if (other_family && (a->ss.ss_family == AF_INET || v6only))
            continue;
        if (!has(out, n, &one))
            out[n++] = one;
    }
    freeifaddrs(all);
    return n;
}
