#include "services/signal/registry/contention.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"

#define BURST_MS ((uint64_t)CONTENTION_BURST * CONTENTION_EACH_MS)

/* A leaky bucket: each eviction moves `until_ms` on by six seconds, from now at least. */
struct place {
    uint64_t until_ms;
    size_t key_n;
    char key[];
};

struct contention {
    struct rk_map *places;
};

struct contention *contention_new(void)
{
    struct contention *c = rk_new(struct contention);

    c->places = rk_map_new();
    return c;
}

/* Forgets what ended before `now_ms`. */
static void forget(struct contention *c, uint64_t now_ms)
{
    size_t it = 0;
    void *v;

    while (rk_map_each(c->places, &it, &v)) {
        struct place *p = v;

        if (p->until_ms <= now_ms)
            free(rk_map_del(c->places, rk_strn(p->key, p->key_n)));
    }
}

void contention_free(struct contention *c)
{
    if (!c)
        return;
    forget(c, UINT64_MAX);
    rk_map_free(c->places);
    free(c);
}

static struct place *place_of(struct contention *c, struct rk_str key, uint64_t now_ms)
{
    struct place *p = rk_map_get(c->places, key);

    if (p)
        return p;
    if (rk_map_count(c->places) >= CONTENTION_MAX)
        forget(c, now_ms);
    if (rk_map_count(c->places) >= CONTENTION_MAX)
        forget(c, UINT64_MAX);
    p = rk_alloc(sizeof(*p) + key.n);
    p->until_ms = 0;
    p->key_n = key.n;
    memcpy(p->key, key.p, key.n);
    (void)rk_map_put(c->places, rk_strn(p->key, p->key_n), p);
    return p;
}

void contention_note(struct contention *c, struct rk_str key, uint64_t now_ms)
{
    struct place *p = place_of(c, key, now_ms);

    if (p->until_ms < now_ms)
        p->until_ms = now_ms;
    p->until_ms += CONTENTION_EACH_MS;
    if (p->until_ms > now_ms + BURST_MS + CONTENTION_MAX_WAIT_MS)
        p->until_ms = now_ms + BURST_MS + CONTENTION_MAX_WAIT_MS;
}

uint64_t contention_delay_ms(const struct contention *c, struct rk_str key, uint64_t now_ms)
{
    const struct place *p = rk_map_get(c->places, key);

    return p && p->until_ms > now_ms + BURST_MS ? p->until_ms - now_ms - BURST_MS : 0;
}
