#pragma once

/*
 * One thread with one socket: waits in the call that reads up to 64 requests, and sends the answers
 * in one call, each from the address its request came to. Nothing is shared but counters.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "services/stun/server/count.h"
#include "services/stun/server/socket.h"

struct stun_server;

/* Starts the thread; takes the socket. `prefix_rate`: see limit/rate.h. */
struct stun_server *stun_server_start(const struct udp_socket *socket, uint32_t prefix_rate);
/* Answers what has arrived, then ends. */
void stun_server_stop_free(struct stun_server *s);
void stun_server_counts(const struct stun_server *s,
                        int64_t sums[STUN_COUNT_END]); /* adds; any thread */
