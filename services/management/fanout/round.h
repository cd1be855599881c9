#pragma once

/*
 * Fan-out rounds: the pending sessions of a hub get their maps, oldest first, at the pace that
 * pace.h sets. A few are made here and now, within a few milliseconds of a turn; more of them by
 * the makers. Loop thread.
 */

#include <stddef.h>

#include "services/management/hub/hub.h"

struct order;

void round_arm(struct hub *h);
void round_on_timer(struct rk_timer *t);

/* For the makers: the next sessions that may be written to, which are pending no longer. */
size_t round_take(struct hub *h, struct session **out, size_t max);
/* An order of this round was made: what came of it is sent. */
void round_settle(struct hub *h, struct order *o);
/* Nobody is left who may be written to, and nothing is under way. */
void round_over(struct hub *h);
