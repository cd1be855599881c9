/* What somebody who has the relay secret can claim: whatever is taken is an address that agents can
 * take, and says the same when it is sealed again. */

#include <stdint.h>
#include <stdlib.h>

#include "libcommon/crypto/box.h"
#include "libcommon/edge/claim.h"
#include "proto/edge.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1700000000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(64 * 1024);
    rk_auto(rk_buf_done) struct rk_buf message, again;
    Edge__Renewal renewal = EDGE__RENEWAL__INIT;
    struct rk_claim claim, same;
    struct rk_claim_key key;
    enum rk_edge_kind kind;
    uint8_t mac[32], *to;

    rk_buf_init(&message, 128 * 1024);
    rk_buf_init(&again, 4 * RK_CLAIM_MAX);
    if (size > 64 * 1024)
        return 0;
    rk_crypto_init();
    rk_claim_key_init(&key, RK_STR("secret"));
    (void)rk_claim_open(&key, rk_strn(data, size), NOW, arena, &claim, NULL);
    rk_mac_make(&key.ring, rk_strn(data, size), mac);
    renewal.claim.data = (uint8_t *)(uintptr_t)data;
    renewal.claim.len = size;
    renewal.mac.data = mac;
    renewal.mac.len = sizeof(mac);
    to = rk_buf_reserve(&message, edge__renewal__get_packed_size(&renewal));
    if (!to)
        abort();
    rk_buf_commit(&message, edge__renewal__pack(&renewal, to));
    if (rk_claim_open(&key, rk_buf_str(&message), NOW, arena, &claim, NULL) < 0)
        return 0;
    if (rk_edge_url_check(rk_str(claim.url), &kind, NULL) < 0 ||
        rk_edge_region_check(rk_str(claim.region), NULL) < 0)
        abort();
    rk_claim_seal(&key, &claim, &again);
    if (rk_claim_open(&key, rk_buf_str(&again), NOW, arena, &same, NULL) < 0 ||
        !rk_str_eq(rk_str(same.url), rk_str(claim.url)) || same.load != claim.load)
        abort();
    return 0;
}
