#pragma once

/* Frames with a datagram, and what is right about them, apart from the program under test. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FRAME_ETH 14
#define FRAME_IP4 20
#define FRAME_IP6 40
#define FRAME_UDP 8
#define FRAME_MAX 1500

struct frame {
    bool ipv6;
    uint8_t from[16], to[16]; /* of IPv4 the mapped address */
    uint16_t from_port, to_port;
    const uint8_t *payload;
    size_t n;
};

static inline void frame_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline uint16_t frame_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 1071, byte by byte; `sum` of what came before, an even number of bytes. */
static inline uint32_t frame_sum(uint32_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static inline size_t frame_ip(bool ipv6)
{
    return ipv6 ? FRAME_IP6 : FRAME_IP4;
}

/* Of the datagram with its pseudo-header: 0xffff where its checksum is right. */
static inline uint32_t frame_udp_sum(const uint8_t *frame, bool ipv6)
{
    const uint8_t *udp = frame + FRAME_ETH + frame_ip(ipv6);
    uint16_t bytes = frame_get16(udp + 4);
    uint8_t rest[4] = { (uint8_t)(bytes >> 8), (uint8_t)bytes, 0, 17 };
    uint32_t sum =
        ipv6 ? frame_sum(0, frame + FRAME_ETH + 8, 32) : frame_sum(0, frame + FRAME_ETH + 12, 8);

    return frame_sum(frame_sum(sum, rest, sizeof(rest)), udp, bytes);
}

/* Into `out` of FRAME_MAX and more; its length. */
static inline size_t frame_make(const struct frame *f, uint8_t *out)
{
    uint8_t *ip = out + FRAME_ETH, *udp = ip + frame_ip(f->ipv6);
    uint16_t bytes = (uint16_t)(FRAME_UDP + f->n);

    memset(out, 0, FRAME_ETH + frame_ip(f->ipv6) + FRAME_UDP);
    memcpy(out, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
    if (f->ipv6) {
        frame_put16(out + 12, 0x86dd);
        ip[0] = 0x60;
        frame_put16(ip + 4, bytes);
        ip[6] = 17;
        ip[7] = 50;
        memcpy(ip + 8, f->from, 16);
        memcpy(ip + 24, f->to, 16);
    } else {
        frame_put16(out + 12, 0x0800);
        ip[0] = 0x45;
        frame_put16(ip + 2, (uint16_t)(FRAME_IP4 + bytes));
        ip[8] = 50;
        ip[9] = 17;
        memcpy(ip + 12, f->from + 12, 4);
        memcpy(ip + 16, f->to + 12, 4);
        frame_put16(ip + 10, (uint16_t)~frame_sum(0, ip, FRAME_IP4));
    }
    frame_put16(udp, f->from_port);
    frame_put16(udp + 2, f->to_port);
    frame_put16(udp + 4, bytes);
    memcpy(udp + FRAME_UDP, f->payload, f->n);
    frame_put16(udp + 6, (uint16_t)~frame_udp_sum(out, f->ipv6));
    if (frame_get16(udp + 6) == 0)
        frame_put16(udp + 6, 0xffff);
    return FRAME_ETH + frame_ip(f->ipv6) + bytes;
}

/* Lengths and checksums of all layers. */
static inline bool frame_is_right(const uint8_t *frame, size_t n, bool ipv6)
{
    const uint8_t *ip = frame + FRAME_ETH, *udp = ip + frame_ip(ipv6);

    if (n < FRAME_ETH + frame_ip(ipv6) + FRAME_UDP ||
        n != FRAME_ETH + frame_ip(ipv6) + frame_get16(udp + 4) ||
        frame_get16(frame + 12) != (ipv6 ? 0x86dd : 0x0800) || frame_udp_sum(frame, ipv6) != 0xffff)
        return false;
    if (ipv6)
        return ip[0] == 0x60 && ip[6] == 17 && ip[7] > 0 &&
               frame_get16(ip + 4) == frame_get16(udp + 4);
    return ip[0] == 0x45 && ip[9] == 17 && ip[8] > 0 &&
           frame_get16(ip + 2) == FRAME_IP4 + frame_get16(udp + 4) &&
           frame_sum(0, ip, FRAME_IP4) == 0xffff;
}
