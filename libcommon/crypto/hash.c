#include "libcommon/crypto/hash.h"

/* SHA-256 by OpenSSL, which uses the processor's instructions for it; other digests by libsodium;
 * CRC-32 by table (a checksum against typing errors, no secret). */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "libcommon/base/encode.h"

static EVP_MD *sha256;

static void broken(void)
{
    (void)fputs("OpenSSL has no SHA-256\n", stderr);
    abort();
}

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!sha256)
        broken();
}

void rk_sha256(const void *p, size_t n, uint8_t out[32])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, fetch);
    if (EVP_Digest(p, n, out, NULL, sha256, NULL) != 1)
        broken();
}

void rk_sha256_b64(struct rk_str s, char out[45])
{
    uint8_t digest[32];

    rk_sha256(s.p, s.n, digest);
    rk_b64_encode(digest, sizeof(digest), out);
}

void rk_blake2b_16(const void *p, size_t n, uint8_t out[16])
{
    (void)crypto_generichash(out, 16, p, n, NULL, 0);
}

void rk_hmac_sha256(const void *key, size_t key_n, const void *p, size_t n, uint8_t out[32])
{
    crypto_auth_hmacsha256_state st;

    (void)crypto_auth_hmacsha256_init(&st, key, key_n);
    (void)crypto_auth_hmacsha256_update(&st, p, n);
    (void)crypto_auth_hmacsha256_final(&st, out);
    sodium_memzero(&st, sizeof(st));
}

uint32_t rk_crc32(const void *p, size_t n)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const uint8_t *in = p;
    uint32_t crc = 0xffffffffu;

    for (size_t i = 0; i < n; i++) {
        crc = nibble[(crc ^ in[i]) & 15] ^ crc >> 4;
        crc = nibble[(crc ^ (uint32_t)in[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}
