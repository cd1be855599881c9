#include "services/stun/message/stun.h"

#include <netinet/in.h>
#include <string.h>

static struct stun_crc crc;

/* Before main. */
__attribute__((constructor)) static void crc_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        crc.table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 4; t++)
            crc.table[t][i] = crc.table[0][crc.table[t - 1][i] & 255] ^ crc.table[t - 1][i] >> 8;
}

const struct stun_crc *stun_crc(void)
{
    return &crc;
}

enum stun_verdict stun_check(const uint8_t *p, size_t n)
{
    size_t length, at = STUN_HEADER;
    uint32_t head[2];

    if (n < STUN_HEADER)
        return STUN_MALFORMED;
    memcpy(head, p, sizeof(head));
    head[0] = stun_be32(head[0]);
    length = head[0] & 0xffff;
    if (head[0] >> 30 != 0 || head[1] != stun_be32(STUN_COOKIE) || STUN_HEADER + length > n)
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
    return head[0] >> 16 == STUN_BINDING_REQUEST ? STUN_ANSWER : STUN_OTHER;
}

size_t
stun_answer(const uint8_t *request, const struct sockaddr *source, uint8_t out[STUN_MAX_REPLY])
{
    const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)(const void *)source;
    const struct sockaddr_in *s4 = (const struct sockaddr_in *)(const void *)source;
    uint32_t question[STUN_HEADER_WORDS], word[STUN_ANSWER_WORDS(STUN_IPV6_WORDS)], ip[4];
    unsigned ip_words = STUN_IPV4_WORDS;

    memcpy(question, request, sizeof(question));
    if (source->sa_family == AF_INET) {
        memcpy(ip, &s4->sin_addr, 4);
    } else if (IN6_IS_ADDR_V4MAPPED(&s6->sin6_addr)) {
        memcpy(ip, s6->sin6_addr.s6_addr + 12, 4);
    } else {
        memcpy(ip, &s6->sin6_addr, 16);
        ip_words = STUN_IPV6_WORDS;
    }
    /* The port is at the same place in both families. */
    stun_answer_words(question, ip, ip_words, s4->sin_port, stun_crc(), word);
    memcpy(out, word, 4 * STUN_ANSWER_WORDS(ip_words));
    return 4 * STUN_ANSWER_WORDS(ip_words);
}
