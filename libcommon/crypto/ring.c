#include "libcommon/crypto/ring.h"

#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"

int rk_ring_split(struct rk_str text, struct rk_ring *out, struct rk_err *err)
{
    struct rk_str line;

    *out = (struct rk_ring){ 0 };
    while (rk_str_next(&text, '\n', &line)) {
        line = rk_str_trim(line);
        if (line.n == 0)
            continue;
        if (out->n == RK_RING_MAX)
            return rk_fail(err, RK_INVALID, "a secret has one line, and %d while it is changed",
                           RK_RING_MAX);
        out->secret[out->n++] = line;
    }
    if (out->n == 0)
        out->secret[out->n++] = RK_STR("");
    return 0;
}

void rk_mac_make(const struct rk_mac_ring *ring, struct rk_str text, uint8_t out[RK_MAC_LEN])
{
    rk_hmac_sha256(ring->key[0], sizeof(ring->key[0]), text.p, text.n, out);
}

bool rk_mac_is_right(const struct rk_mac_ring *ring,
                     struct rk_str text,
                     const uint8_t mac[RK_MAC_LEN])
{
    uint8_t want[RK_MAC_LEN];
    bool right = false;

    for (unsigned i = 0; i < ring->n; i++) {
        rk_hmac_sha256(ring->key[i], sizeof(ring->key[i]), text.p, text.n, want);
        right = rk_const_eq(want, mac, sizeof(want)) || right;
    }
    return right;
}
