/* See standing.h. */

#include "services/dashboard-api/kept/standing.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"

#define STANDINGS_MAX 1024

struct standings {
    struct rk_map *by_hash;
};

struct standings *standings_new(void)
{
    struct standings *s = rk_new(struct standings);

    s->by_hash = rk_map_new();
    return s;
}

static void clear(struct standings *s)
{
    size_t it = 0;
    void *p;

    while (rk_map_each(s->by_hash, &it, &p))
        rk_free(p);
    rk_map_free(s->by_hash);
}

void standings_free(struct standings *s)
{
    if (!s)
        return;
    clear(s);
    rk_free(s);
}

struct standing *standings_at(struct standings *s, const char *hash)
{
    struct standing *t = rk_map_get(s->by_hash, rk_str(hash));

    if (t)
        return t;
    t = rk_new(struct standing);
    (void)rk_str_copy(rk_str(hash), t->hash, sizeof(t->hash));
    (void)rk_map_put(s->by_hash, rk_str(t->hash), t);
    return t;
}

void standings_tidy(struct standings *s)
{
    if (rk_map_count(s->by_hash) <= STANDINGS_MAX)
        return;
    clear(s);
    s->by_hash = rk_map_new();
}
