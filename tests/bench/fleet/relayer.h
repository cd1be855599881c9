#pragma once

/*
 * An agent at a relay: WebSocket, AUTH with the token that management gave it, health checks
 * answered, and packets to its partner, which is the neighbour by number in its group; two partners
 * meet at one relay, as agents do by an address in their offers. Loop thread only.
 */

#include "tests/bench/fleet/agent.h"

void relayer_init(struct agent *a);
void relayer_start(struct agent *a);
void relayer_stop(struct agent *a);
void relayer_cut(struct agent *a); /* as if the connection had broken */
void relayer_sweep(struct agent *a, uint32_t now_s);
bool relayer_is_ready(const struct agent *a);
/* False: not now, as it or its partner is not there. */
bool relayer_packet(struct agent *a);
/* The other one of the pair, which may be another process's; the agent itself when it has none. */
uint32_t relayer_partner(const struct plan *p, uint32_t number);
