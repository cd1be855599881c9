#pragma once

/* Where an address lies, as far as a server that is told to connect to it should care. Any thread.
 */

#include <sys/socket.h>

enum rk_reach {
    RK_REACH_PUBLIC,
    RK_REACH_LOOPBACK,
    RK_REACH_PRIVATE, /* private, carrier, unique local, for documents and benchmarks */
    RK_REACH_NEVER,   /* link-local, multicast, reserved, metadata services, not IP */
};

/* IPv4 inside IPv6 (mapped, NAT64, 6to4) counts as that IPv4 address. */
enum rk_reach rk_address_reach(const struct sockaddr *sa);
