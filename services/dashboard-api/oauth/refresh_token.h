#pragma once

/*
 * Refresh token: the id of its family, its number in it, and a keyed hash of both that only the
 * family's key can make. So every token that a family has ever had is recognised for ever, and none
 * of them is stored. Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/str.h"

#define REFRESH_ID_LEN 16
#define REFRESH_KEY_LEN 32
#define REFRESH_TOKEN_LEN 75 /* base64url of 16 + 8 + 32 bytes */

struct refresh_token {
    uint8_t family[REFRESH_ID_LEN];
    uint64_t generation;
    uint8_t mac[32];
};

void refresh_token_write(const uint8_t family[REFRESH_ID_LEN],
                         uint64_t generation,
                         const uint8_t key[REFRESH_KEY_LEN],
                         char out[REFRESH_TOKEN_LEN + 1]);
/* False: can be no token of ours. True says nothing about the key yet. */
bool refresh_token_read(struct rk_str text, struct refresh_token *out);
bool refresh_token_genuine(const struct refresh_token *t, const uint8_t key[REFRESH_KEY_LEN]);

/* What a genuine token may be answered with. */
enum refresh_verdict {
    REFRESH_ROTATE, /* the newest: the next one follows */
    REFRESH_REPEAT, /* the one before, so shortly ago that two tabs or a lost answer explain it */
    REFRESH_REUSED, /* somebody else has used it: the family ends */
};
#define REFRESH_GRACE_MS 30000
enum refresh_verdict refresh_judge(uint64_t generation, uint64_t newest, int64_t since_rotation_ms);
