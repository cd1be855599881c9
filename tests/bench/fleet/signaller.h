#pragma once

/*
 * An agent at signal: its ConnectStream, the probe to itself that tells whether the stream is
 * alive, and offers to others, each of which is answered. The bodies are sealed for nobody, as the
 * server is blind: they hold who, whom, when, and a sum that only the fleet can make. Loop thread
 * only.
 */

#include "tests/bench/fleet/agent.h"

void signaller_init(struct agent *a);
void signaller_start(struct agent *a);
void signaller_sweep(struct agent *a, uint32_t now_s);
void signaller_offer(struct agent *a, uint32_t to);
