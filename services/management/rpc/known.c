#include "services/management/rpc/known.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "services/management/app.h"

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
    }
    memcpy(k->account_id, account_id, sizeof(k->account_id));
}

static void drop(struct known_peer *k)
{
    if (k)
        rk_wipe(&k->box, sizeof(k->box));
    free(k);
}

void known_drop(struct app *app, const uint8_t key[RK_KEY_LEN])
{
    drop(rk_map_del(app->known, rk_strn(key, RK_KEY_LEN)));
}

void known_drop_all(struct app *app)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(app->known, &it, &value))
        drop(value);
    rk_map_free(app->known);
}
