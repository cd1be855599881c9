#include "services/stun/limit/rate.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/id.h"
#include "services/stun/limit/place.h"

struct rate {
    uint32_t per_second;
    uint64_t key[2];
    struct place place[RATE_PLACES];
};

struct rate *rate_new(uint32_t per_second)
{
    struct rate *r = rk_new(struct rate);

    r->per_second = per_second;
    rk_random(r->key, sizeof(r->key));
    return r;
}

void rate_free(struct rate *r)
{
    free(r);
}

static uint64_t prefix_of(const struct sockaddr *sa)
{
    const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)(const void *)sa;
    const struct sockaddr_in *s4 = (const struct sockaddr_in *)(const void *)sa;
    uint64_t prefix = 0;

    if (sa->sa_family == AF_INET)
        return (uint64_t)s4->sin_addr.s_addr | 1ull << 32;
    if (IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr)) {
        memcpy(&prefix, s6->sin6_addr.s6_addr + 12, 4);
        return prefix | 1ull << 32;
    }
    memcpy(&prefix, s6->sin6_addr.s6_addr, 8);
    return prefix;
}

bool rate_allow(struct rate *r, const struct sockaddr *source, uint32_t now_s)
{
    uint64_t tag;

    if (r->per_second == 0)
        return true;
    tag = place_tag(r->key, prefix_of(source));
    return place_take(&r->place[tag % RATE_PLACES], tag, now_s, r->per_second);
}
