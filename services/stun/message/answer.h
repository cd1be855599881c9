#pragma once

/*
 * The answer to a Binding Request (RFC 8489, 5, 14.2, 14.7), in words as they are on the wire. Both
 * who answer have it from here: the threads (stun.c), and the program in the kernel
 * (xdp/answer.bpf.c), where there is neither a C library nor anything of libcommon. Pure; any
 * thread.
 */

#include <stdint.h>

#define STUN_HEADER 20
#define STUN_HEADER_WORDS (STUN_HEADER / 4)
#define STUN_COOKIE 0x2112a442u
#define STUN_BINDING_REQUEST 0x0001u
#define STUN_BINDING_SUCCESS 0x0101u
#define STUN_XOR_MAPPED_ADDRESS 0x0020u
#define STUN_FINGERPRINT 0x8028u
#define STUN_FINGERPRINT_XOR 0x5354554eu

#define STUN_IPV4_WORDS 1
#define STUN_IPV6_WORDS 4
/* Header, XOR-MAPPED-ADDRESS with two words before the address, FINGERPRINT. */
#define STUN_ANSWER_WORDS(ip_words) (STUN_HEADER_WORDS + 2 + (ip_words) + 2)

/* Between a number and its bytes on the wire, either way. */
static inline uint32_t stun_be32(uint32_t v)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap32(v) : v;
}
static inline uint16_t stun_be16(uint16_t v)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap16(v) : v;
}

/* CRC-32 (IEEE 802.3), four bytes a step: the first table is the ordinary one of a byte, each
 * further one that of a byte before. */
struct stun_crc {
    uint32_t table[4][256];
};

static inline uint32_t
stun_crc32(const volatile struct stun_crc *crc, const uint32_t *word, unsigned n)
{
    uint32_t c = 0xffffffffu;

#pragma GCC unroll 16
    for (unsigned i = 0; i < n; i++) {
        c ^= __builtin_bswap32(stun_be32(word[i])); /* the first byte is the lowest */
        c = crc->table[3][c & 255] ^ crc->table[2][c >> 8 & 255] ^ crc->table[1][c >> 16 & 255] ^
            crc->table[0][c >> 24];
    }
    return ~c;
}

/* All but numbers as on the wire: `question` a request's header, from `ip` (STUN_IPV4_WORDS or
 * STUN_IPV6_WORDS of it) and `port`. Writes STUN_ANSWER_WORDS(ip_words) to `out`. */
static inline void stun_answer_words(const uint32_t question[STUN_HEADER_WORDS],
                                     const uint32_t *ip,
                                     unsigned ip_words,
                                     uint16_t port,
                                     const volatile struct stun_crc *crc,
                                     uint32_t *out)
{
    unsigned last = STUN_ANSWER_WORDS(ip_words) - 2;
    uint32_t family = ip_words == STUN_IPV4_WORDS ? 1 : 2;

    out[0] = stun_be32(STUN_BINDING_SUCCESS << 16 | 4 * (last + 2 - STUN_HEADER_WORDS));
#pragma GCC unroll 16
    for (unsigned i = 1; i < STUN_HEADER_WORDS; i++)
        out[i] = question[i]; /* cookie and transaction ID, which are also the XOR key */
    out[STUN_HEADER_WORDS] = stun_be32(STUN_XOR_MAPPED_ADDRESS << 16 | 4 * (1 + ip_words));
    out[STUN_HEADER_WORDS + 1] =
        stun_be32(family << 16 | (uint32_t)(stun_be16(port) ^ (uint16_t)(STUN_COOKIE >> 16)));
#pragma GCC unroll 16
    for (unsigned i = 0; i < ip_words; i++)
        out[STUN_HEADER_WORDS + 2 + i] = ip[i] ^ question[1 + i];
    out[last] = stun_be32(STUN_FINGERPRINT << 16 | 4);
    out[last + 1] = stun_be32(stun_crc32(crc, out, last) ^ STUN_FINGERPRINT_XOR);
}
