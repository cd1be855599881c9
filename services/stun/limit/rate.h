#pragma once

/*
 * Cap on requests of one source prefix (IPv4 address, IPv6 /64) in one second, in a table of fixed
 * size: a prefix that shares its place with another takes it over, which can only let more through.
 * The hash is keyed, so a stranger cannot choose whom to displace. One thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "libcommon/base/attr.h"

struct rate;

/* `per_second` 0: no cap. */
struct rate *rate_new(uint32_t per_second);
void rate_free(struct rate *r);
RK_DEFINE_AUTO(struct rate, rate_free)
/* False: over the cap in this second. */
bool rate_allow(struct rate *r, const struct sockaddr *source, uint32_t now_s);
