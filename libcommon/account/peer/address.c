/* Random addresses of peers. Nothing is asked first: the database's unique constraints say whether
 * one was free. */

#include "libcommon/account/store/int.h"
#include "libcommon/base/id.h"

bool peer_random_ip4(const uint8_t net[4], unsigned bits, uint8_t out[4])
{
    uint32_t base =
        (uint32_t)net[0] << 24 | (uint32_t)net[1] << 16 | (uint32_t)net[2] << 8 | net[3];
    uint64_t size = bits <= 32 ? (uint64_t)1 << (32 - bits) : 0;
    uint32_t ip;

    /* Offsets 1 .. size-3: without the network, the second-to-last and the broadcast address. */
    if (size < 4)
        return false;
    ip = (uint32_t)((base & ~(uint32_t)(size - 1)) + 1 + rk_random_below(size - 3));
    out[0] = (uint8_t)(ip >> 24);
    out[1] = (uint8_t)(ip >> 16);
    out[2] = (uint8_t)(ip >> 8);
    out[3] = (uint8_t)ip;
    return true;
}

bool peer_random_ip6(const uint8_t net[16], unsigned bits, uint8_t out[16])
{
    bool zeros, ones;

    if (bits > 126)
        return false;
    do {
        rk_random(out, 16);
        zeros = ones = true;
        for (unsigned i = 0; i < 16; i++) {
            unsigned fixed = bits > 8 * i ? bits - 8 * i : 0;
            uint8_t mask = (uint8_t)(fixed < 8 ? 0xff >> fixed : 0);
            uint8_t host = out[i] & mask;

            zeros = zeros && host == 0;
            ones = ones && host == mask;
            out[i] = (uint8_t)((net[i] & ~mask) | host);
        }
    } while (zeros || ones);
    return true;
}
