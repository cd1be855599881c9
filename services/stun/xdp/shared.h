#pragma once

/* What the program in the kernel (answer.bpf.c) and its loader (xdp.c) both know. */

#include <stdint.h>

#include "services/stun/limit/place.h"
#include "services/stun/message/answer.h"
#include "services/stun/server/count.h"

#define XDP_MAX_ADDRESSES 256

/* Written once, before the program is loaded. */
struct xdp_terms {
    struct stun_crc crc;
    uint64_t key[2];      /* of place_tag() */
    uint32_t prefix_rate; /* rate.h, of each core */
};

/* Where questions are answered, as on the wire. An IPv4 address is mapped: ::ffff:a.b.c.d. */
struct xdp_address {
    uint32_t ip[4];
    uint16_t port;
    uint16_t zero;
};

struct xdp_counts {
    uint64_t of[STUN_COUNT_END];
};
