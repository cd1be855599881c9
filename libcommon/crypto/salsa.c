/*
 * Where the processor has AVX-512, sixteen blocks are made side by side: a vector is one word of
 * each of them. What is left of the message, and all of it elsewhere, is libsodium's. As there, no
 * branch and no address depends on the key or the message.
 */

#include "libcommon/crypto/salsa.h"

#include <string.h>

#include <sodium.h>

#if defined(__x86_64__)

#include <immintrin.h>

#define WIDE __attribute__((target("avx512f")))

enum {
    WORDS = 16,
    LANES = 16,
    AT_ONCE = LANES * RK_SALSA_BLOCK,
    DOUBLE_ROUNDS = 10
};

/* v[a] ^= v[b] + v[c], rotated. */
#define STEP(a, b, c, by)                                                                          \
    v[a] = _mm512_xor_si512(v[a], _mm512_rol_epi32(_mm512_add_epi32(v[b], v[c]), by))

#define QUARTER(a, b, c, d)                                                                        \
    do {                                                                                           \
        STEP(b, a, d, 7);                                                                          \
        STEP(c, b, a, 9);                                                                          \
        STEP(d, c, b, 13);                                                                         \
        STEP(a, d, c, 18);                                                                         \
    } while (0)

WIDE static void rounds(__m512i v[WORDS])
{
    for (int i = 0; i < DOUBLE_ROUNDS; i++) {
        QUARTER(0, 4, 8, 12);
        QUARTER(5, 9, 13, 1);
        QUARTER(10, 14, 2, 6);
        QUARTER(15, 3, 7, 11);
        QUARTER(0, 1, 2, 3);
        QUARTER(5, 6, 7, 4);
        QUARTER(10, 11, 8, 9);
        QUARTER(15, 12, 13, 14);
    }
}

/* Four words of four blocks that are four apart: from word by word to block by block. */
WIDE static void turn_words(__m512i v[4])
{
    __m512i a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpackhi_epi32(v[0], v[1]);
    __m512i c = _mm512_unpacklo_epi32(v[2], v[3]), d = _mm512_unpackhi_epi32(v[2], v[3]);

    v[0] = _mm512_unpacklo_epi64(a, c);
    v[1] = _mm512_unpackhi_epi64(a, c);
    v[2] = _mm512_unpacklo_epi64(b, d);
    v[3] = _mm512_unpackhi_epi64(b, d);
}

WIDE static void put(uint8_t *out, const uint8_t *in, unsigned block, __m512i stream)
{
    size_t at = (size_t)block * RK_SALSA_BLOCK;

    _mm512_storeu_si512(out + at, _mm512_xor_si512(stream, _mm512_loadu_si512(in + at)));
}

/* Blocks `first`, and so many times four further on: their quarters are in four vectors. */
WIDE static void put_four(uint8_t *out, const uint8_t *in, unsigned first, const __m512i v[WORDS])
{
    __m512i a = _mm512_shuffle_i32x4(v[0], v[4], 0x44), b = _mm512_shuffle_i32x4(v[8], v[12], 0x44);
    __m512i c = _mm512_shuffle_i32x4(v[0], v[4], 0xee), d = _mm512_shuffle_i32x4(v[8], v[12], 0xee);

    put(out, in, first, _mm512_shuffle_i32x4(a, b, 0x88));
    put(out, in, first + 4, _mm512_shuffle_i32x4(a, b, 0xdd));
    put(out, in, first + 8, _mm512_shuffle_i32x4(c, d, 0x88));
    put(out, in, first + 12, _mm512_shuffle_i32x4(c, d, 0xdd));
}

WIDE static void words_of(uint32_t w[WORDS], const uint8_t *nonce, const uint8_t *key)
{
    static const uint8_t constant[16] = "expand 32-byte k";

    for (unsigned i = 0; i < 4; i++)
        memcpy(&w[5 * i], constant + 4 * i, 4);
    memcpy(&w[1], key, 16);
    memcpy(&w[6], nonce, RK_SALSA_NONCE);
    memcpy(&w[11], key + 16, 16);
}

/* Bytes done: a multiple of AT_ONCE. */
WIDE static size_t xor_wide(uint8_t *out,
                            const uint8_t *in,
                            size_t n,
                            const uint8_t *nonce,
                            uint64_t block,
                            const uint8_t *key)
{
    uint32_t w[WORDS] = { 0 }, low[LANES], high[LANES];
    __m512i first[WORDS], v[WORDS];
    size_t at;

    words_of(w, nonce, key);
    for (unsigned i = 0; i < WORDS; i++)
        first[i] = _mm512_set1_epi32((int)w[i]);
    for (at = 0; n - at >= AT_ONCE; at += AT_ONCE) {
        for (unsigned i = 0; i < LANES; i++, block++) {
            low[i] = (uint32_t)block;
            high[i] = (uint32_t)(block >> 32);
        }
        first[8] = _mm512_loadu_si512(low);
        first[9] = _mm512_loadu_si512(high);
        memcpy(v, first, sizeof(v));
        rounds(v);
        for (unsigned i = 0; i < WORDS; i++)
            v[i] = _mm512_add_epi32(v[i], first[i]);
        for (unsigned i = 0; i < WORDS; i += 4)
            turn_words(v + i);
        for (unsigned i = 0; i < 4; i++)
            put_four(out + at, in + at, i, v + i);
    }
    sodium_memzero(w, sizeof(w));
    sodium_memzero(first, sizeof(first));
    sodium_memzero(v, sizeof(v));
    return at;
}

#endif

void rk_salsa_xor(uint8_t *out,
                  const uint8_t *in,
                  size_t n,
                  const uint8_t nonce[RK_SALSA_NONCE],
                  uint64_t block,
                  const uint8_t key[RK_SALSA_KEY])
{
    size_t done = 0;

#if defined(__x86_64__)
    if (n >= AT_ONCE && __builtin_cpu_supports("avx512f"))
        done = xor_wide(out, in, n, nonce, block, key);
#endif
    if (done < n)
        (void)crypto_stream_salsa20_xor_ic(out + done, in + done, n - done, nonce,
                                           block + done / RK_SALSA_BLOCK, key);
}
