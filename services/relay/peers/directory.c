#include "services/relay/peers/directory.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"
#include "services/relay/core/core.h"
#include "services/relay/metrics.h"
#include "services/relay/peers/interest.h"

/* Some 250 bytes each. */
#define MAX_LOOP_SUBSCRIPTIONS ((size_t)4 << 20)

struct peer {
    struct relay_id id;
    struct handle handle;
};

struct directory {
    struct core *core;
    struct rk_map *peers; /* id -> struct peer */
    struct peer *last;    /* found last: bursts go to one; NULL: none */
    struct interests *interests;
};

static struct rk_str key_of(const struct relay_id *id)
{
    return rk_strn(id->b, sizeof(id->b));
}

struct directory *directory_new(struct core *core)
{
    struct directory *d = rk_new(struct directory);

    d->core = core;
    d->peers = rk_map_new();
    d->interests = interests_new(MAX_LOOP_SUBSCRIPTIONS);
    return d;
}

void directory_free(struct directory *d)
{
    size_t it = 0;
    void *v;

    if (!d)
        return;
    while (rk_map_each(d->peers, &it, &v))
        free(v);
    rk_map_free(d->peers);
    interests_free(d->interests);
    free(d);
}

const struct handle *directory_find(struct directory *d, const struct relay_id *id)
{
    if (!d->last || memcmp(d->last->id.b, id->b, sizeof(id->b)) != 0)
        d->last = rk_map_get(d->peers, key_of(id));
    return d->last ? &d->last->handle : NULL;
}

static bool same(struct handle a, struct handle b)
{
    return a.core == b.core && a.slot == b.slot && a.gen == b.gen;
}

static void apply_online(struct directory *d, const struct relay_id *id, struct handle h)
{
    struct peer *p = rk_map_get(d->peers, key_of(id));
    struct session *s;

    if (p) {
        struct handle old = p->handle;

        p->handle = h;
        s = core_session(d->core, old);
        if (s) {
            s->replaced = true;
            count_add(&d->core->counts, COUNT_RECONNECTIONS, 1);
            s->ops->close(s, false, "replaced by a newer connection");
        }
    } else {
        p = rk_new(struct peer);
        p->id = *id;
        p->handle = h;
        rk_map_put(d->peers, key_of(&p->id), p);
    }
    s = core_session(d->core, h);
    if (s)
        session_published(s);
    interest_notify(d->interests, RELAY_PEERS_ONLINE, id);
}

static void apply_offline(struct directory *d, const struct relay_id *id, struct handle h)
{
    struct peer *p = rk_map_get(d->peers, key_of(id));

    if (!p || !same(p->handle, h))
        return;
    rk_map_del(d->peers, key_of(id));
    if (d->last == p)
        d->last = NULL;
    interest_notify(d->interests, RELAY_PEERS_WENT_OFFLINE, id);
    free(p);
}

/* On the home loop, whose own copy is the truth of its IDs. */
static void
decide(struct directory *d, enum directory_event what, const struct relay_id *id, struct handle h)
{
    bool online = what == DIRECTORY_PUBLISH;

    if (!online) {
        const struct handle *now = directory_find(d, id);

        if (!now || !same(*now, h))
            return; /* a newer session has the ID */
    }
    what = online ? DIRECTORY_ONLINE : DIRECTORY_OFFLINE;
    for (uint32_t i = 0; i < core_count(d->core); i++)
        if (i != d->core->index)
            core_tell(d->core, i, what, id, h);
    directory_handle(d, what, id, h);
}

void directory_handle(struct directory *d,
                      enum directory_event what,
                      const struct relay_id *id,
                      struct handle h)
{
    struct relay_id copy = *id; /* the caller's may live in what is about to be freed */

    switch (what) {
    case DIRECTORY_PUBLISH:
    case DIRECTORY_LEAVE:
        decide(d, what, &copy, h);
        break;
    case DIRECTORY_ONLINE:
        apply_online(d, &copy, h);
        break;
    case DIRECTORY_OFFLINE:
        apply_offline(d, &copy, h);
        break;
    }
}

static void
ask_home(struct directory *d, enum directory_event what, const struct relay_id *id, struct handle h)
{
    uint32_t mix = 0, home;

    for (unsigned i = 0; i < RELAY_ID_LEN; i += 4) {
        uint32_t w;

        memcpy(&w, id->b + i, sizeof(w));
        mix = (mix ^ w) * 0x9e3779b1u;
    }
    home = (mix >> 16) % core_count(d->core);
    if (home == d->core->index)
        directory_handle(d, what, id, h);
    else
        core_tell(d->core, home, what, id, h);
}

void directory_publish(struct directory *d, const struct relay_id *id, struct handle h)
{
    ask_home(d, DIRECTORY_PUBLISH, id, h);
}

void directory_leave(struct directory *d, const struct relay_id *id, struct handle h)
{
    ask_home(d, DIRECTORY_LEAVE, id, h);
}

static void count_subscriptions(struct directory *d)
{
    count_set(&d->core->counts, COUNT_SUBSCRIPTIONS, (int64_t)interest_count(d->interests));
}

bool directory_subscribe(struct directory *d, struct session *s, const struct relay_id *id)
{
    bool ok = interest_add(d->interests, s, id);

    count_subscriptions(d);
    return ok;
}

void directory_unsubscribe(struct directory *d, struct session *s, const struct relay_id *id)
{
    interest_remove(d->interests, s, id);
    count_subscriptions(d);
}

void directory_unsubscribe_all(struct directory *d, struct session *s)
{
    interest_remove_all(d->interests, s);
    count_subscriptions(d);
}
