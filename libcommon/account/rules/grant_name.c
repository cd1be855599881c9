/* See grant_name.h. */

#include "libcommon/account/rules/grant_name.h"

#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"

#define RANDOM_LEN 8
#define BYTES (RK_GRANT_ID_LEN + RANDOM_LEN)

void rk_jti_new(enum rk_grant_use use,
                const uint8_t grant[RK_GRANT_ID_LEN],
                char out[RK_JTI_LEN + 1])
{
    uint8_t bytes[BYTES];

    memcpy(bytes, grant, RK_GRANT_ID_LEN);
    rk_random(bytes + RK_GRANT_ID_LEN, RANDOM_LEN);
    out[0] = use == RK_GRANT_ACCESS ? 'a' : 'd';
    rk_hex_encode(bytes, sizeof(bytes), out + 1);
}

enum rk_grant_use rk_jti_grant(const char *jti, uint8_t out[RK_GRANT_ID_LEN])
{
    uint8_t bytes[BYTES];
    size_t n;

    if ((jti[0] != 'a' && jti[0] != 'd') ||
        !rk_hex_decode(rk_str(jti + 1), bytes, sizeof(bytes), &n) || n != sizeof(bytes))
        return RK_GRANT_NONE;
    memcpy(out, bytes, RK_GRANT_ID_LEN);
    return jti[0] == 'a' ? RK_GRANT_ACCESS : RK_GRANT_ID;
}
