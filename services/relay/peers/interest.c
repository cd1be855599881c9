#include "services/relay/peers/interest.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"

/* Everyone on this loop who asked about one ID. */
struct interest {
    struct relay_id id;
    struct rk_list subscriptions;
};

/* A session has one slot of its loop for as long as it lives. */
struct subscription_key {
    struct relay_id id;
    uint32_t slot;
};
_Static_assert(sizeof(struct subscription_key) == RELAY_ID_LEN + 4, "hashed as bytes");

struct subscription {
    struct rk_list of_interest;
    struct rk_list of_session;
    struct interest *interest;
    struct session *session;
    struct subscription_key key;
    bool armed; /* for the next "online" */
};

struct interests {
    size_t max;
    struct rk_map *interests;     /* relay_id -> struct interest */
    struct rk_map *subscriptions; /* subscription_key -> struct subscription */
};

static struct rk_str id_key(const struct relay_id *id)
{
    return rk_strn(id->b, sizeof(id->b));
}

static struct rk_str pair_key(const struct subscription_key *k)
{
    return rk_strn(k, sizeof(*k));
}

struct interests *interests_new(size_t max)
{
    struct interests *in = rk_new(struct interests);

    in->max = max;
    in->interests = rk_map_new();
    in->subscriptions = rk_map_new();
    return in;
}

void interests_free(struct interests *in)
{
    if (!in)
        return;
    rk_map_free(in->interests);
    rk_map_free(in->subscriptions);
    free(in);
}

size_t interest_count(const struct interests *in)
{
    return rk_map_count(in->subscriptions);
}

static struct subscription *
find(const struct interests *in, const struct session *s, const struct relay_id *id)
{
    struct subscription_key k = { .id = *id, .slot = s->handle.slot };

    return rk_map_get(in->subscriptions, pair_key(&k));
}

static struct interest *interest_of(struct interests *in, const struct relay_id *id)
{
    struct interest *i = rk_map_get(in->interests, id_key(id));

    if (i)
        return i;
    i = rk_new(struct interest);
    i->id = *id;
    rk_list_init(&i->subscriptions);
    (void)rk_map_put(in->interests, id_key(&i->id), i);
    return i;
}

bool interest_add(struct interests *in, struct session *s, const struct relay_id *id)
{
    struct subscription *sub = find(in, s, id);

    if (sub) {
        sub->armed = true;
        return true;
    }
    if (s->subscription_count >= MAX_SUBSCRIPTIONS || interest_count(in) >= in->max)
        return false;
    sub = rk_new(struct subscription);
    sub->interest = interest_of(in, id);
    sub->session = s;
    sub->key = (struct subscription_key){ .id = *id, .slot = s->handle.slot };
    sub->armed = true;
    rk_list_append(&sub->interest->subscriptions, &sub->of_interest);
    rk_list_append(&s->subscriptions, &sub->of_session);
    (void)rk_map_put(in->subscriptions, pair_key(&sub->key), sub);
    s->subscription_count++;
    return true;
}

static void drop(struct interests *in, struct subscription *sub)
{
    struct interest *i = sub->interest;

    (void)rk_map_del(in->subscriptions, pair_key(&sub->key));
    rk_list_remove(&sub->of_interest);
    rk_list_remove(&sub->of_session);
    sub->session->subscription_count--;
    free(sub);
    if (rk_list_empty(&i->subscriptions)) {
        (void)rk_map_del(in->interests, id_key(&i->id));
        free(i);
    }
}

void interest_remove(struct interests *in, const struct session *s, const struct relay_id *id)
{
    struct subscription *sub = find(in, s, id);

    if (sub)
        drop(in, sub);
}

void interest_remove_all(struct interests *in, struct session *s)
{
    while (!rk_list_empty(&s->subscriptions))
        drop(in, rk_list_entry(s->subscriptions.next, struct subscription, of_session));
}

static void tell(struct session *s, enum relay_type type, const struct relay_id *id)
{
    uint8_t m[RELAY_HEAD_LEN] = { RELAY_VERSION, (uint8_t)type };

    memcpy(m + 2, id->b, sizeof(id->b));
    s->ops->control(s, m, sizeof(m));
}

/* A transport only marks a connection it must close, and the core ends it later: the list does not
 * change here. */
void interest_notify(struct interests *in, enum relay_type type, const struct relay_id *id)
{
    struct interest *i = rk_map_get(in->interests, id_key(id));
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
