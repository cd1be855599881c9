#pragma once

/* Recovery codes: each stands in for a second factor once. Kept as a keyed digest, so that the
 * table alone does not tell them. Any thread. */

#include "libcommon/base/str.h"
#include "libcommon/crypto/seal.h"

#define RECOVERY_CODES 10
#define RECOVERY_LEN 11 /* "ABCDE-FGHJK", 50 bits */
#define RECOVERY_DIGEST 32

void recovery_new(char out[RECOVERY_LEN + 1]);
/* Of a code as somebody types it: any case, dashes and spaces ignored, digits for the letters that
 * look like them. False: it is no code at all. */
bool recovery_digest(const uint8_t key[RK_SEAL_KEY],
                     const char *user_id,
                     struct rk_str code,
                     uint8_t out[RECOVERY_DIGEST]);
