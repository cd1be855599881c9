#include "libcommon/crypto/box.h"

/* libsodium's crypto_box in its "easy" layout, with the shared key computed once a peer. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "libcommon/base/encode.h"

_Static_assert(RK_BOX_OVERHEAD == crypto_box_NONCEBYTES + crypto_box_MACBYTES, "envelope layout");

void rk_crypto_init(void)
{
    if (sodium_init() < 0) {
        (void)fputs("libsodium cannot start\n", stderr);
        abort();
    }
}

void rk_keypair_new(struct rk_keypair *out)
{
    uint8_t private_key[RK_KEY_LEN];

    randombytes_buf(private_key, sizeof(private_key));
    rk_keypair_from_private(private_key, out);
    rk_wipe(private_key, sizeof(private_key));
}

void rk_keypair_from_private(const uint8_t private_key[RK_KEY_LEN], struct rk_keypair *out)
{
    memcpy(out->private_key, private_key, RK_KEY_LEN);
    out->private_key[0] &= 248;
    out->private_key[31] = (uint8_t)((out->private_key[31] & 127) | 64);
    (void)crypto_scalarmult_base(out->public_key, out->private_key);
}

bool rk_key_parse(struct rk_str s, uint8_t out[RK_KEY_LEN])
{
    uint8_t key[33];
    size_t n;

    if (s.n != RK_KEY_B64_LEN || !rk_b64_decode(s, key, sizeof(key), &n) || n != RK_KEY_LEN)
        return false;
    memcpy(out, key, RK_KEY_LEN);
    return true;
}

void rk_key_format(const uint8_t key[RK_KEY_LEN], char out[RK_KEY_B64_LEN + 1])
{
    rk_b64_encode(key, RK_KEY_LEN, out);
}

bool rk_box_init(struct rk_box *b,
                 const struct rk_keypair *own,
                 const uint8_t peer_public[RK_KEY_LEN])
{
    return crypto_box_beforenm(b->k, peer_public, own->private_key) == 0;
}

void rk_box_seal(const struct rk_box *b, const void *in, size_t n, uint8_t *out)
{
    int r;

    randombytes_buf(out, crypto_box_NONCEBYTES);
    r = crypto_box_easy_afternm(out + crypto_box_NONCEBYTES, in, n, out, b->k);
    assert(r == 0);
    (void)r;
}

int rk_box_open(const struct rk_box *b, const void *in, size_t n, uint8_t *out)
{
    const uint8_t *p = in;

    if (n < RK_BOX_OVERHEAD)
        return RK_INVALID;
    if (crypto_box_open_easy_afternm(out, p + crypto_box_NONCEBYTES, n - crypto_box_NONCEBYTES, p,
                                     b->k) != 0)
        return RK_INVALID;
    return 0;
}

void rk_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}

bool rk_const_eq(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}
