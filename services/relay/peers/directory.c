#include "services/relay/peers/directory.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"
#include "services/relay/core/core.h"
#include "services/relay/metrics.h"

struct peer {
    struct relay_id id;
    struct handle handle;
};

/* Everyone on this loop who asked about one ID. */
struct interest {
    struct relay_id id;
    struct rk_list subscriptions;
};

struct subscription {
    struct rk_list of_interest;
    struct rk_list of_session;
    struct interest *interest;
    struct session *session;
    bool armed; /* for the next "online"; "offline" is told every time */
};

struct directory {
    struct core *core;
    struct rk_map *peers;     /* id -> struct peer */
    struct rk_map *interests; /* id -> struct interest */
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
    d->interests = rk_map_new();
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
    rk_map_free(d->interests); /* empty: every session has gone */
    free(d);
}

const struct handle *directory_find(const struct directory *d, const struct relay_id *id)
{
    const struct peer *p = rk_map_get(d->peers, key_of(id));

    return p ? &p->handle : NULL;
}

static bool same(struct handle a, struct handle b)
{
    return a.core == b.core && a.slot == b.slot && a.gen == b.gen;
}

static void tell(struct session *s, enum relay_type type, const struct relay_id *id)
{
    uint8_t m[RELAY_HEAD_LEN] = { RELAY_VERSION, (uint8_t)type };

    memcpy(m + 2, id->b, sizeof(id->b));
    s->ops->control(s, m, sizeof(m));
}

/* A transport only marks a connection it must close, and the core ends it later: the list does not
 * change here. */
static void notify(struct directory *d, enum relay_type type, const struct relay_id *id)
{
    struct interest *i = rk_map_get(d->interests, key_of(id));
    struct rk_list *n, *tmp;

    if (!i)
        return;
    rk_list_each(&i->subscriptions, n, tmp)
    {
        struct subscription *sub = rk_list_entry(n, struct subscription, of_interest);

        if (type == RELAY_PEERS_ONLINE && !sub->armed)
            continue;
        if (type == RELAY_PEERS_ONLINE)
            sub->armed = false;
        tell(sub->session, type, id);
    }
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
    notify(d, RELAY_PEERS_ONLINE, id);
}

static void apply_offline(struct directory *d, const struct relay_id *id, struct handle h)
{
    struct peer *p = rk_map_get(d->peers, key_of(id));

    if (!p || !same(p->handle, h))
        return;
    rk_map_del(d->peers, key_of(id));
    notify(d, RELAY_PEERS_WENT_OFFLINE, id);
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

static struct subscription *find_subscription(struct interest *i, const struct session *s)
{
    struct rk_list *n, *tmp;

    rk_list_each(&i->subscriptions, n, tmp)
    {
        struct subscription *sub = rk_list_entry(n, struct subscription, of_interest);

        if (sub->session == s)
            return sub;
    }
    return NULL;
}

bool directory_subscribe(struct directory *d, struct session *s, const struct relay_id *id)
{
    struct interest *i = rk_map_get(d->interests, key_of(id));
    struct subscription *sub = i ? find_subscription(i, s) : NULL;

    if (sub) {
        sub->armed = true;
        return true;
    }
    if (s->subscription_count >= MAX_SUBSCRIPTIONS)
        return false;
    if (!i) {
        i = rk_new(struct interest);
        i->id = *id;
        rk_list_init(&i->subscriptions);
        rk_map_put(d->interests, key_of(&i->id), i);
    }
    sub = rk_new(struct subscription);
    sub->interest = i;
    sub->session = s;
    sub->armed = true;
    rk_list_append(&i->subscriptions, &sub->of_interest);
    rk_list_append(&s->subscriptions, &sub->of_session);
    s->subscription_count++;
    return true;
}

static void drop_subscription(struct directory *d, struct subscription *sub)
{
    struct interest *i = sub->interest;

    rk_list_remove(&sub->of_interest);
    rk_list_remove(&sub->of_session);
    sub->session->subscription_count--;
    free(sub);
    if (rk_list_empty(&i->subscriptions)) {
        rk_map_del(d->interests, key_of(&i->id));
        free(i);
    }
}

void directory_unsubscribe(struct directory *d, struct session *s, const struct relay_id *id)
{
    struct interest *i = rk_map_get(d->interests, key_of(id));
    struct subscription *sub = i ? find_subscription(i, s) : NULL;

    if (sub)
        drop_subscription(d, sub);
}

void directory_unsubscribe_all(struct directory *d, struct session *s)
{
    while (!rk_list_empty(&s->subscriptions))
        drop_subscription(d, rk_list_entry(s->subscriptions.next, struct subscription, of_session));
}
