#pragma once

/*
 * Digest of a map without its serial: two maps with the same digest tell an agent the same, so the
 * second need not be sent. Keyed, so that nobody can prepare two maps that look alike. Pure but for
 * the key, which is drawn once.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/str.h"
#include "libcommon/crypto/nh.h"

#define DIGEST_LEN 16 /* of Poly1305 */

struct digest_key {
    struct rk_nh_key nh;
    uint8_t poly1305[32];
};

void digest_key_new(struct digest_key *key);

/* `map` is the fields of a SyncResponse as compiled: the classic map, or the components of one.
 * False, and nothing stored, when it holds no map, or is not what it should be. */
bool digest_map(const struct digest_key *key,
                struct rk_str map,
                uint8_t out[DIGEST_LEN]) RK_CHECKED;
