/* See secret.h. */

#include "services/dashboard-api/oauth/secret.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "libcommon/crypto/hash.h"

struct rk_str secret_hash(struct rk_arena *arena, const char *secret)
{
    uint8_t *hash = rk_arena_alloc(arena, SECRET_HASH_LEN);

    rk_sha256(secret, strlen(secret), hash);
    return rk_strn(hash, SECRET_HASH_LEN);
}

const char *secret_new(struct rk_arena *arena, struct rk_str *out_hash)
{
    char *text = rk_arena_alloc(arena, RK_RANDOM_TEXT_LEN + 1);

    rk_random_text(text);
    *out_hash = secret_hash(arena, text);
    return text;
}

const char *secret_name(struct rk_arena *arena, const char *kind, struct rk_str id)
{
    size_t at = strlen(kind) + 1;
    char *name = rk_arena_alloc(arena, at + 2 * id.n + 1);

    memcpy(name, kind, at - 1);
    name[at - 1] = '/';
    rk_hex_encode(id.p, id.n, name + at);
    return name;
}
