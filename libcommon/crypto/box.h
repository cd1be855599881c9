#pragma once

/*
 * The envelope between agent and server: NaCl crypto_box (X25519, XSalsa20-Poly1305); body =
 * nonce[24] | mac[16] | ciphertext. Opening it is the peer's authentication. Any thread;
 * rk_crypto_init first.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define RK_KEY_LEN 32
#define RK_KEY_B64_LEN 44
#define RK_BOX_OVERHEAD 40

void rk_crypto_init(void); /* once, before threads */

struct rk_keypair {
    uint8_t private_key[RK_KEY_LEN]; /* clamped */
    uint8_t public_key[RK_KEY_LEN];
};

void rk_keypair_new(struct rk_keypair *out);
void rk_keypair_from_private(const uint8_t private_key[RK_KEY_LEN], struct rk_keypair *out);

/* 44-character standard base64 of 32 bytes, any trailing bits; false otherwise. */
bool rk_key_parse(struct rk_str s, uint8_t out[RK_KEY_LEN]);
void rk_key_format(const uint8_t key[RK_KEY_LEN], char out[RK_KEY_B64_LEN + 1]);

/* Precomputed shared key: one X25519 a peer, not one a message. Wipe with rk_wipe. */
struct rk_box {
    uint8_t k[RK_KEY_LEN];
};
bool rk_box_init(struct rk_box *b,
                 const struct rk_keypair *own,
                 const uint8_t peer_public[RK_KEY_LEN]); /* false: weak peer key */

/* out has n + RK_BOX_OVERHEAD bytes; may not overlap in. */
void rk_box_seal(const struct rk_box *b, const void *in, size_t n, uint8_t *out);
/* out has n - RK_BOX_OVERHEAD bytes; RK_INVALID when short or not authentic. */
int rk_box_open(const struct rk_box *b, const void *in, size_t n, uint8_t *out);

void rk_wipe(void *p, size_t n);
bool rk_const_eq(const void *a, const void *b, size_t n); /* constant time */
bool rk_const_eq_str(struct rk_str a, struct rk_str b);   /* but for their lengths */
