#include "services/stun/message/stun.h"

#include <netinet/in.h>
#include <string.h>

static const uint8_t cookie[4] = { 0x21, 0x12, 0xa4, 0x42 };

/* CRC-32 (IEEE), four bytes a step; the tables are filled before main. */
static uint32_t crc_table[4][256];

__attribute__((constructor)) static void crc_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 4; t++)
            crc_table[t][i] = crc_table[0][crc_table[t - 1][i] & 255] ^ crc_table[t - 1][i] >> 8;
}

/* n is a multiple of 4. */
static uint32_t crc32_words(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;

    for (; n >= 4; n -= 4, p += 4) {
        c ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        c = crc_table[3][c & 255] ^ crc_table[2][c >> 8 & 255] ^ crc_table[1][c >> 16 & 255] ^
            crc_table[0][c >> 24];
    }
    return ~c;
}

enum stun_verdict stun_check(const uint8_t *p, size_t n)
{
    size_t length, at = STUN_HEADER;

    if (n < STUN_HEADER || (p[0] & 0xc0) != 0 || memcmp(p + 4, cookie, sizeof(cookie)) != 0)
        return STUN_MALFORMED;
    length = (size_t)p[2] << 8 | p[3];
    if (STUN_HEADER + length > n)
        return STUN_MALFORMED;
    n = STUN_HEADER + length;
    while (at < n) {
        size_t value;

        if (n - at < 4)
            return STUN_MALFORMED;
        value = (size_t)p[at + 2] << 8 | p[at + 3];
        value = (value + 3) & ~(size_t)3;
        if (value > n - at - 4)
            return STUN_MALFORMED;
        at += 4 + value;
    }
    return p[0] == 0 && p[1] == 1 ? STUN_ANSWER : STUN_OTHER;
}

size_t
stun_answer(const uint8_t *request, const struct sockaddr *source, uint8_t out[STUN_MAX_REPLY])
{
    const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)(const void *)source;
    const struct sockaddr_in *s4 = (const struct sockaddr_in *)(const void *)source;
    uint8_t ip[16], port[2];
    size_t ip_n = 16, n;
    uint32_t crc;

    if (source->sa_family == AF_INET) {
        ip_n = 4;
        memcpy(ip, &s4->sin_addr, 4);
        memcpy(port, &s4->sin_port, 2);
    } else {
        memcpy(ip, &s6->sin6_addr, 16);
        memcpy(port, &s6->sin6_port, 2);
        if (IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr)) {
            ip_n = 4;
            memmove(ip, ip + 12, 4);
        }
    }
    out[0] = 0x01; /* Binding success */
    out[1] = 0x01;
    out[2] = 0;
    out[3] = (uint8_t)(4 + 4 + ip_n + 8);
    memcpy(out + 4, request + 4, 16); /* cookie and transaction ID, which are also the XOR key */
    out[20] = 0x00;                   /* XOR-MAPPED-ADDRESS */
    out[21] = 0x20;
    out[22] = 0;
    out[23] = (uint8_t)(4 + ip_n);
    out[24] = 0;
    out[25] = ip_n == 4 ? 1 : 2;
    out[26] = port[0] ^ cookie[0];
    out[27] = port[1] ^ cookie[1];
    for (size_t i = 0; i < ip_n; i++)
        out[28 + i] = ip[i] ^ request[4 + i];
    n = 28 + ip_n;
    crc = crc32_words(out, n) ^ 0x5354554eu;
    out[n] = 0x80; /* FINGERPRINT */
    out[n + 1] = 0x28;
    out[n + 2] = 0;
    out[n + 3] = 4;
    out[n + 4] = (uint8_t)(crc >> 24);
    out[n + 5] = (uint8_t)(crc >> 16);
    out[n + 6] = (uint8_t)(crc >> 8);
    out[n + 7] = (uint8_t)crc;
    return n + 8;
}
