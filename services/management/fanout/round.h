#pragma once

/*
 * Fan-out rounds: the pending sessions of a hub get their maps, oldest first, a few milliseconds of
 * work a turn, at the pace that pace.h sets. Loop thread.
 */

#include "services/management/hub/hub.h"

void round_arm(struct hub *h);
void round_on_timer(struct rk_timer *t);
