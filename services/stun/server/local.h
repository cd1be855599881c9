#pragma once

/*
 * The machine's own addresses behind a wildcard. A socket bound to one of them is cheaper than one
 * on the wildcard: the kernel finds it first, and no control message has to name the address on the
 * way in and out. The wildcard's socket stays beside them, for addresses that come later.
 */

#include <stdbool.h>

#include "libcommon/conf/addr.h"

/* How many of `out`: addresses of devices that are up, with the wildcard's port, each once; no
 * loopback, nothing link-local. `v6only`: as in socket.h. 0 when `a` is no wildcard. */
unsigned local_addresses(const struct rk_addr *a, bool v6only, struct rk_addr *out, unsigned max);
bool local_is_wildcard(const struct rk_addr *a);
