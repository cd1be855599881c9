#pragma once

/*
 * Fan-out rounds: the pending sessions of a hub get their maps, oldest first, a few milliseconds of
 * work a turn. The first change after quiet goes out at once; the next round waits four times as
 * long as the last one took (at least 50 ms, at most 1 s), so that a burst costs one map a peer and
 * the fan-out never takes more than a fifth of the loop. Loop thread.
 */

#include "services/management/hub/hub.h"

void round_arm(struct hub *h);
void round_on_timer(struct rk_timer *t);
