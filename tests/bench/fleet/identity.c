#include "tests/bench/fleet/identity.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/hash.h"

void identity_new(struct identity *id)
{
    randombytes_buf(id->seed, sizeof(id->seed));
    rk_hex_encode(id->seed, 4, id->run);
}

void identity_keypair(const struct identity *id, uint32_t number, struct rk_keypair *out)
{
    uint8_t from[sizeof(id->seed) + sizeof(number)], key[32];

    memcpy(from, id->seed, sizeof(id->seed));
    memcpy(from + sizeof(id->seed), &number, sizeof(number));
    rk_sha256(from, sizeof(from), key);
    rk_keypair_from_private(key, out);
}

void identity_name(const struct identity *id, uint32_t number, char out[IDENTITY_NAME])
{
    (void)snprintf(out, IDENTITY_NAME, "fleet-%s-%06u", id->run, number);
}

bool identity_number(const struct identity *id, struct rk_str name, uint32_t *out)
{
    uint64_t v;

    if (name.n < 21 || memcmp(name.p, "fleet-", 6) != 0 || memcmp(name.p + 6, id->run, 8) != 0 ||
        name.p[14] != '-' || !rk_str_u64(rk_strn(name.p + 15, 6), &v))
        return false;
    /* A server may put an address behind it. */
    if (name.n > 21 && name.p[21] != '.' && name.p[21] != '-')
        return false;
    *out = (uint32_t)v;
    return true;
}

uint64_t identity_sum(const struct identity *id, const void *p, size_t n)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t v;

    _Static_assert(crypto_shorthash_KEYBYTES == sizeof(id->seed), "the seed is the key");
    (void)crypto_shorthash(out, p, n, id->seed);
    memcpy(&v, out, sizeof(v));
    return v;
}
