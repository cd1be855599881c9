#pragma once

/* An IP address with a prefix length. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/str.h"

struct rk_prefix {
    int family; /* AF_INET or AF_INET6; 0 = none */
    unsigned bits;
    uint8_t addr[16]; /* IPv4: the first four; host bits are kept */
};

/* "10.0.0.0/16" and "fd00::/64" fit */
#define RK_PREFIX_LEN 64

/* "address/bits", or an address alone (then all bits). False when it is neither; *out is none. */
bool rk_prefix_parse(struct rk_str text, struct rk_prefix *out);
void rk_prefix_format(const struct rk_prefix *p, char out[RK_PREFIX_LEN]);
/* Clears the host bits. */
void rk_prefix_mask(struct rk_prefix *p);
/* Same family, `outer` not longer than `inner`, and its bits agree. Host bits do not matter. */
bool rk_prefix_contains(const struct rk_prefix *outer, const struct rk_prefix *inner);
