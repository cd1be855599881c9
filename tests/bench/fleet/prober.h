#pragma once

/*
 * Binding requests from one socket of the process, as agents send them: never repeated. What is
 * answered must be an answer to one of them and name the address of all others. Loop thread only.
 */

#include "tests/bench/fleet/fleet.h"

struct prober;

/* Never NULL: a process without a UDP socket ends. */
struct prober *prober_new(struct fleet *f);
void prober_ask(struct prober *p);
