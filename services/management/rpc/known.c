#include "services/management/rpc/known.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "services/management/app.h"
#include "services/management/metrics.h"

static struct known_peer *get(const struct app *app, const uint8_t key[RK_KEY_LEN])
{
    return rk_map_get(app->known, rk_strn(key, RK_KEY_LEN));
}

const struct known_peer *known_find(const struct app *app, const uint8_t key[RK_KEY_LEN])
{
    return get(app, key);
}

const struct rk_box *known_box(void *app, const uint8_t key[RK_KEY_LEN])
{
    const struct known_peer *k = get(app, key);

    return k ? &k->box : NULL;
}

void known_put(struct app *app,
               const uint8_t key[RK_KEY_LEN],
               const char *account_id,
               const struct rk_box *box)
{
    struct known_peer *k = get(app, key);

    if (!k) {
        k = rk_new(struct known_peer);
        memcpy(k->key, key, RK_KEY_LEN);
        k->box = *box;
        rk_map_put(app->known, rk_strn(k->key, RK_KEY_LEN), k);
        metric_add(METRIC_KNOWN_PEERS, 1);
    }
    memcpy(k->account_id, account_id, sizeof(k->account_id));
}

static void drop(struct known_peer *k)
{
    if (!k)
        return;
    metric_add(METRIC_KNOWN_PEERS, -1);
    rk_wipe(&k->box, sizeof(k->box));
    free(k);
}

void known_drop(struct app *app, const uint8_t key[RK_KEY_LEN])
{
    drop(rk_map_del(app->known, rk_strn(key, RK_KEY_LEN)));
}

static void follow_peer(struct app *app,
                        const struct rk_snapshot *was,
                        size_t index,
                        const struct rk_snapshot *now)
{
    const struct rk_peer_row *p = index != RK_NO_PEER ? rk_snapshot_peer(was, index) : NULL;
    const struct known_peer *k = p ? get(app, p->key) : NULL;

    /* It may have come to another account meanwhile. */
    if (k && strcmp(k->account_id, rk_snapshot_account(was)->id) == 0 &&
        (!now || rk_snapshot_find_key(now, p->key) == RK_NO_PEER))
        known_drop(app, p->key);
}

void known_follow(struct app *app,
                  const struct rk_snapshot *was,
                  const struct rk_snapshot *now,
                  const struct rk_delta *d)
{
    if (!was)
        return;
    if (!d || d->full) {
        for (size_t i = 0; i < rk_snapshot_peer_bound(was); i++)
            follow_peer(app, was, i, now);
        return;
    }
    for (size_t i = 0; i < d->n; i++) {
        if (d->items[i].kind == RK_OBJ_PEER)
            follow_peer(app, was, rk_snapshot_find_id(was, rk_str(d->items[i].id)), now);
    }
}

void known_drop_all(struct app *app)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(app->known, &it, &value))
        drop(value);
    rk_map_free(app->known);
}
