#pragma once

/*
 * NH, the first step of UMAC: a keyed sum of a block, an order of magnitude faster than any other
 * that is proven. Whoever does not know the key finds two blocks of one length with the same sum
 * with odds of 1 to 2^64; of different lengths, the caller adds those. No MAC by itself: who sees
 * sums learns the key. Any thread.
 */

#include <stddef.h>
#include <stdint.h>

#define RK_NH_BLOCK 4096 /* bytes, at most */
#define RK_NH_LEN 16

struct rk_nh_key {
    uint64_t k[RK_NH_BLOCK / sizeof(uint64_t)]; /* random */
};

void rk_nh(const struct rk_nh_key *key, const void *p, size_t n, uint8_t out[RK_NH_LEN]);
