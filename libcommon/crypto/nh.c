#include "libcommon/crypto/nh.h"

/* Each pair of 64-bit words, added to its pair of the key, is multiplied into 128 bits; these are
 * added up. Words are as this machine has them: a sum does not leave it. */

#include <assert.h>
#include <string.h>

enum {
    PAIR = 16,
    PAIRS = 4
};

static unsigned __int128 product(const uint64_t k[2], const void *p)
{
    uint64_t w[2];

    memcpy(w, p, sizeof(w));
    return (unsigned __int128)(w[0] + k[0]) * (w[1] + k[1]);
}

void rk_nh(const struct rk_nh_key *key, const void *p, size_t n, uint8_t out[RK_NH_LEN])
{
    const uint8_t *at = p;
    const uint64_t *k = key->k;
    uint8_t last[PAIR] = { 0 };
    unsigned __int128 sum = 0, more = 0;

    assert(n <= RK_NH_BLOCK);
    for (; n >= PAIRS * PAIR; n -= PAIRS * PAIR, at += PAIRS * PAIR, k += 2 * PAIRS) {
        /* Two sums, neither of which waits for the other's carry. */
        sum += product(k, at);
        more += product(k + 2, at + PAIR);
        sum += product(k + 4, at + 2 * PAIR);
        more += product(k + 6, at + 3 * PAIR);
    }
    sum += more;
    for (; n >= PAIR; n -= PAIR, at += PAIR, k += 2)
        sum += product(k, at);
    if (n > 0) {
        memcpy(last, at, n);
        sum += product(k, last);
    }
    memcpy(out, &sum, RK_NH_LEN);
}
