/* Random addresses of peers. Nothing is asked first: the database's unique constraints say whether
 * one was free. */

#include <string.h>

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

void peer_random_ip6(const uint8_t net[16], uint8_t out[16])
{
    static const uint8_t zero[8] = { 0 };
    static const uint8_t one[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };

    memcpy(out, net, 8);
    do {
        rk_random(out + 8, 8);
    } while (memcmp(out + 8, zero, 8) == 0 || memcmp(out + 8, one, 8) == 0);
}
