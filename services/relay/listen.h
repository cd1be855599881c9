#pragma once

/* The sockets agents connect to: one for each loop, on one address; the kernel spreads connections
 * over them. */

#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/conf/addr.h"

/* Fills out_fds[0..count) with listening non-blocking sockets and out_bound with "host:port" (port
 * 0 is resolved once and shared). On error none is left open. Any thread. */
int listen_open(const struct rk_addr *addr,
                uint32_t count,
                int *out_fds,
                char out_bound[RK_ADDR_LEN],
                struct rk_err *err);
