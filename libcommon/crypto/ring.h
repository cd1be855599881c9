#pragma once

/*
 * Ring: what one secret is while it is being changed. Each line of its text is a secret of its own:
 * what we make is made with the first, what others have made is taken with any. Any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define RK_RING_MAX 2

struct rk_ring {
    unsigned n;
    struct rk_str secret[RK_RING_MAX]; /* into the text */
};

/* Empty lines do not count; a text without a line is one empty secret. RK_INVALID when there are
 * more than RK_RING_MAX, the first of which are in *out even so. */
int rk_ring_split(struct rk_str text, struct rk_ring *out, struct rk_err *err);

/* Keys of HMAC-SHA256, made of a ring's secrets. */
#define RK_MAC_LEN 32

struct rk_mac_ring {
    unsigned n;
    uint8_t key[RK_RING_MAX][32];
};

void rk_mac_make(const struct rk_mac_ring *ring, struct rk_str text, uint8_t out[RK_MAC_LEN]);
/* In a time that does not tell how much of it was right. */
bool rk_mac_is_right(const struct rk_mac_ring *ring,
                     struct rk_str text,
                     const uint8_t mac[RK_MAC_LEN]);
