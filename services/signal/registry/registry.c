#include "services/signal/registry/registry.h"

/* The map's keys are the streams' own. */

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
