// links: stun
/* Any frame, or any datagram in a good one, before the program that answers in the kernel: what it
 * answers a thread answers with the same bytes, and what it drops a thread would not answer. */

#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/xdp_frame.h"
#include "tests/support/xdp_machine.h"

#define RAW 2 /* of the first byte: the rest is a frame, not a datagram */
#define IPV6 1
#define PORT 3478

static const uint8_t here4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
static const uint8_t here6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
static const uint8_t there4[16] = { [10] = 0xff, 0xff, 198, 51, 100, 7 };
static const uint8_t there6[16] = { 0xfd, [15] = 9 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static size_t frame_of(uint8_t kind, const uint8_t *p, size_t n, uint8_t *out)
{
    struct frame f = { .ipv6 = kind & IPV6,
                       .from_port = (uint16_t)(1 + kind),
                       .to_port = PORT,
                       .payload = p,
                       .n = n };

    if (kind & RAW) {
        memcpy(out, p, n);
        return n;
    }
    memcpy(f.from, f.ipv6 ? there6 : there4, 16);
    memcpy(f.to, f.ipv6 ? here6 : here4, 16);
    return frame_make(&f, out);
}

/* The datagram in a frame that the program has not passed. */
static size_t payload_of(const uint8_t *frame, size_t n, const uint8_t **out)
{
    const uint8_t *udp = frame + FRAME_ETH + frame_ip(frame_get16(frame + 12) == 0x86dd);
    size_t bytes = frame_get16(udp + 4), there = (size_t)(frame + n - udp);

    *out = udp + FRAME_UDP;
    if (bytes > there)
        bytes = there;
    return bytes < FRAME_UDP ? 0 : bytes - FRAME_UDP;
}

static void source_of(const uint8_t *frame, bool ipv6, struct sockaddr_in6 *out)
{
    *out = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
    memcpy(&out->sin6_port, frame + FRAME_ETH + frame_ip(ipv6), 2);
    if (ipv6) {
        memcpy(&out->sin6_addr, frame + FRAME_ETH + 8, 16);
    } else {
        memcpy(&out->sin6_addr, here4, 16);
        memcpy(out->sin6_addr.s6_addr + 12, frame + FRAME_ETH + 12, 4);
    }
}

static void is_a_threads(const uint8_t *question, const uint8_t *answered, size_t n, bool ipv6)
{
    size_t head = FRAME_ETH + frame_ip(ipv6) + FRAME_UDP, want_n;
    uint8_t want[STUN_MAX_REPLY];
    struct sockaddr_in6 source;

    source_of(question, ipv6, &source);
    want_n = stun_answer(question + head, (const struct sockaddr *)&source, want);
    assert(frame_is_right(answered, n, ipv6));
    assert(n == head + want_n);
    assert(memcmp(answered + head, want, want_n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint8_t frame[FRAME_MAX + FRAME_ETH + FRAME_IP6 + FRAME_UDP];
    const uint8_t *out, *payload;
    size_t frame_n, out_n;

    if (n == 0 || n > FRAME_MAX)
        return 0;
    machine_set_up(0);
    machine_answer_at(here4, PORT);
    machine_answer_at(here6, PORT);
    frame_n = frame_of(p[0], p + 1, n - 1, frame);
    switch (machine_run(frame, frame_n, &out, &out_n)) {
    case XDP_TX:
        assert(stun_check(frame + frame_n - STUN_HEADER, STUN_HEADER) == STUN_ANSWER);
        is_a_threads(frame, out, out_n, frame_get16(frame + 12) == 0x86dd);
        break;
    case XDP_DROP:
        frame_n = payload_of(frame, frame_n, &payload);
        assert(stun_check(payload, frame_n) != STUN_ANSWER);
        break;
    case XDP_PASS:
        break;
    default:
        assert(false);
    }
    return 0;
}
