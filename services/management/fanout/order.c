#include "services/management/fanout/order.h"

/* See order.h. */

#include <string.h>

#include "libcommon/account/compile/compile.h"
#include "libcommon/base/clock.h"
#include "services/management/rpc/envelope.h"

/* Notes what this map says; true when the one before said the same. */
static bool said_before(struct order *o, const struct digest_key *key, struct rk_str map)
{
    uint8_t digest[DIGEST_LEN];
    bool known = digest_map(key, map, digest);
    bool same = known && o->has_digest && memcmp(digest, o->digest, DIGEST_LEN) == 0;

    o->has_digest = known;
    if (known)
        memcpy(o->digest, digest, DIGEST_LEN);
    return same;
}

void order_make(struct order *o, const struct order_terms *t, struct rk_buf *scratch)
{
    uint64_t began = rk_mono_ns();
    size_t map_at = 0;

    rk_buf_clear(scratch);
    if (o->config.n > 0 && rk_buf_put_str(scratch, rk_buf_str(&o->config)))
        map_at = scratch->n;
    if (o->components)
        rk_compile_components(t->snap, o->index, rk_wall_us(), scratch);
    else
        rk_compile_map(t->snap, o->index, rk_wall_us(), scratch);
    if (scratch->overflow) {
        o->state = ORDER_TOO_BIG;
        return;
    }
    o->bytes = scratch->n;
    if (said_before(o, t->digest_key, rk_strn(scratch->p + map_at, scratch->n - map_at)) &&
        o->config.n == 0) {
        o->state = ORDER_SAME;
        return;
    }
    o->frame = envelope_seal(t->server_key_b64, &o->box, rk_buf_str(scratch));
    o->state = ORDER_NEWS;
    o->took_ns = rk_mono_ns() - began;
}

void order_done(struct order *o)
{
    rk_bytes_unref(o->frame);
    rk_buf_done(&o->config);
    rk_wipe(o, sizeof(*o));
}
