#pragma once

/*
 * One place in a table of sources (rate.h), and how a source finds its own. The threads have such a
 * table each, and so has each core in the kernel (xdp/answer.bpf.c), where there is neither a C
 * library nor anything of libcommon.
 */

#include <stdbool.h>
#include <stdint.h>

#define RATE_PLACES 16384

struct place {
    uint64_t tag;
    uint32_t second;
    uint32_t count;
};

static inline uint64_t place_rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static inline void place_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = place_rotate(v[1], 13) ^ v[0];
    v[3] = place_rotate(v[3], 16) ^ v[2];
    v[0] = place_rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = place_rotate(v[1], 17) ^ v[2];
    v[3] = place_rotate(v[3], 21) ^ v[0];
    v[2] = place_rotate(v[2], 32);
}

/* Of an IPv4 address (mapped: 1 << 32 and the address) or an IPv6 /64: SipHash-1-3 of one word,
 * without the block that tells lengths apart. A stranger cannot choose whom to displace. */
static inline uint64_t place_tag(const uint64_t key[2], uint64_t prefix)
{
    uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                      key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573 };

    v[3] ^= prefix;
    place_round(v);
    v[0] ^= prefix;
    v[2] ^= 0xff;
    place_round(v);
    place_round(v);
    place_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* At the place `tag % RATE_PLACES`. False: over the cap in this second. */
static inline bool place_take(struct place *p, uint64_t tag, uint32_t now_s, uint32_t per_second)
{
    if (p->tag != tag || p->second != now_s)
        *p = (struct place){ .tag = tag, .second = now_s };
    if (p->count >= per_second)
        return false;
    p->count++;
    return true;
}
