#pragma once

/* Blocking UDP sockets that share one address, one for each loop (SO_REUSEPORT); the kernel spreads
 * agents over them. */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/conf/addr.h"

struct udp_socket {
    int fd;
    bool pktinfo; /* bound to a wildcard: the reply names its source address itself */
};

/* `v6only`: the IPv4 side of this port is served by another address. Port 0 is resolved into *addr.
 */
int udp_socket_open(struct rk_addr *addr, bool v6only, struct udp_socket *out, struct rk_err *err);
