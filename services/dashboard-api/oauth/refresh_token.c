/* See refresh_token.h. */

#include "services/dashboard-api/oauth/refresh_token.h"

#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"

#define NAME_LEN (REFRESH_ID_LEN + 8) /* what the hash is of */

static void write_name(const uint8_t family[REFRESH_ID_LEN], uint64_t generation, uint8_t *out)
{
    memcpy(out, family, REFRESH_ID_LEN);
    for (unsigned i = 0; i < 8; i++)
        out[REFRESH_ID_LEN + i] = (uint8_t)(generation >> (56 - 8 * i));
}

void refresh_token_write(const uint8_t family[REFRESH_ID_LEN],
                         uint64_t generation,
                         const uint8_t key[REFRESH_KEY_LEN],
                         char out[REFRESH_TOKEN_LEN + 1])
{
    uint8_t bytes[NAME_LEN + 32];

    write_name(family, generation, bytes);
    rk_hmac_sha256(key, REFRESH_KEY_LEN, bytes, NAME_LEN, bytes + NAME_LEN);
    rk_b64url_encode(bytes, sizeof(bytes), out);
}

bool refresh_token_read(struct rk_str text, struct refresh_token *out)
{
    uint8_t bytes[NAME_LEN + 32];
    size_t n;

    if (text.n != REFRESH_TOKEN_LEN || !rk_b64url_decode(text, bytes, sizeof(bytes), &n) ||
        n != sizeof(bytes))
        return false;
    memcpy(out->family, bytes, REFRESH_ID_LEN);
    out->generation = 0;
    for (unsigned i = 0; i < 8; i++)
        out->generation = out->generation << 8 | bytes[REFRESH_ID_LEN + i];
    memcpy(out->mac, bytes + NAME_LEN, sizeof(out->mac));
    return true;
}

bool refresh_token_genuine(const struct refresh_token *t, const uint8_t key[REFRESH_KEY_LEN])
{
    uint8_t name[NAME_LEN], mac[32];

    write_name(t->family, t->generation, name);
    rk_hmac_sha256(key, REFRESH_KEY_LEN, name, sizeof(name), mac);
    return rk_const_eq(mac, t->mac, sizeof(mac));
}

enum refresh_verdict refresh_judge(uint64_t generation, uint64_t newest, int64_t since_rotation_ms)
{
    if (generation == newest)
        return REFRESH_ROTATE;
    if (newest > 0 && generation == newest - 1 && since_rotation_ms < REFRESH_GRACE_MS)
        return REFRESH_REPEAT;
    return REFRESH_REUSED;
}
