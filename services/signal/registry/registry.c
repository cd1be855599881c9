#include "services/signal/registry/registry.h"

/* The map's keys are the streams' own. */

#include <netinet/in.h>
#include <string.h>

struct source source_of(const struct sockaddr *sa)
{
    const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)(const void *)sa;
    const struct sockaddr_in *s4 = (const struct sockaddr_in *)(const void *)sa;
    struct source s = { { 0 } };

    if (sa->sa_family == AF_INET) {
        s.b[0] = 4;
        memcpy(s.b + 1, &s4->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr)) {
        s.b[0] = 4;
        memcpy(s.b + 1, s6->sin6_addr.s6_addr + 12, 4);
    } else if (sa->sa_family == AF_INET6) {
        s.b[0] = 6;
        memcpy(s.b + 1, s6->sin6_addr.s6_addr, 8);
    }
    return s;
}

bool source_differs(const struct source *a, const struct source *b)
{
    return a->b[0] != 0 && b->b[0] != 0 && memcmp(a->b, b->b, SOURCE_LEN) != 0;
}

void registry_init(struct registry *r)
{
    r->streams = rk_map_new();
}

void registry_done(struct registry *r)
{
    rk_map_free(r->streams);
    r->streams = NULL;
}

struct stream *registry_get(const struct registry *r, struct rk_str key)
{
    return rk_map_get(r->streams, key);
}

enum registry_outcome registry_add(struct registry *r, struct stream *s, struct stream **out_old)
{
    struct stream *old = registry_get(r, stream_key(s));

    if (old && old->epoch > s->epoch)
        return REGISTRY_LOST;
    (void)rk_map_put(r->streams, stream_key(s), s);
    s->registered = true;
    if (!old)
        return REGISTRY_NEW;
    old->registered = false;
    *out_old = old;
    return REGISTRY_REPLACED;
}

bool registry_remove(struct registry *r, struct stream *s)
{
    if (!s->registered)
        return false;
    s->registered = false;
    (void)rk_map_del(r->streams, stream_key(s));
    return true;
}
