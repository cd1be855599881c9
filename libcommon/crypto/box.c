#include "libcommon/crypto/box.h"

/* libsodium's crypto_box in its "easy" layout, with the shared key computed once a peer. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/poly1305.h"
#include "libcommon/crypto/salsa.h"

enum {
    BLOCK = 64,  /* of Salsa20 */
    HIDDEN = 32, /* bytes of the stream that are Poly1305's key */
    STEP = 128 * BLOCK
};
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

/*
 * What libsodium's crypto_box_easy_afternm makes, faster for whole maps. XSalsa20: a key of its own
 * from the nonce's first 16 bytes, then Salsa20 with the rest of it. The stream's first 32 bytes
 * are the key of Poly1305, the message begins behind them, inside the first block; the sum is over
 * what the recipient gets.
 */
static void seal(const uint8_t k[RK_KEY_LEN],
                 const uint8_t nonce[crypto_box_NONCEBYTES],
                 const uint8_t *in,
                 size_t n,
                 uint8_t *out)
{
    uint8_t key[crypto_stream_salsa20_KEYBYTES], first[BLOCK] = { 0 };
    const uint8_t *rest = nonce + crypto_core_hsalsa20_INPUTBYTES;
    uint8_t *text = out + crypto_box_MACBYTES;
    size_t head = n < BLOCK - HIDDEN ? n : BLOCK - HIDDEN;
    struct rk_poly1305 *mac;

    (void)crypto_core_hsalsa20(key, nonce, k, NULL);
    if (head > 0)
        memcpy(first + HIDDEN, in, head);
    (void)crypto_stream_salsa20_xor(first, first, BLOCK, rest, key);
    mac = rk_poly1305_begin(first);
    if (head > 0)
        memcpy(text, first + HIDDEN, head);
    rk_poly1305_add(mac, text, head);
    /* In steps, so that the second look finds the bytes in the cache. */
    for (size_t at = head; at < n;) {
        size_t step = n - at < STEP ? n - at : STEP;

        rk_salsa_xor(text + at, in + at, step, rest, (at + HIDDEN) / BLOCK, key);
        rk_poly1305_add(mac, text + at, step);
        at += step;
    }
    rk_poly1305_end(mac, out);
    rk_wipe(key, sizeof(key));
    rk_wipe(first, sizeof(first));
}

void rk_box_seal(const struct rk_box *b, const void *in, size_t n, uint8_t *out)
{
    randombytes_buf(out, crypto_box_NONCEBYTES);
    seal(b->k, out, in, n, out + crypto_box_NONCEBYTES);
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

bool rk_const_eq_str(struct rk_str a, struct rk_str b)
{
    return a.n == b.n && rk_const_eq(a.p, b.p, a.n);
}
