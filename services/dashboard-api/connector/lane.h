#pragma once

/*
 * Lanes: how many threads may wait for one upstream provider at once. There are few threads that
 * wait for others, and a provider that is slow must hold up its own users only: it gets half of the
 * threads at most, and one once it has failed to answer, until it does again. Any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"

struct lanes;
struct lane;

/* `threads` is how many there are in all. When a lane is full, a few more wait for `patience_ms`;
 * not longer, and not at all once it has been full for as long. */
struct lanes *lanes_new(unsigned threads, uint64_t patience_ms);
void lanes_free(struct lanes *l); /* nobody is inside */
RK_DEFINE_AUTO(struct lanes, lanes_free)

/* RK_UNAVAILABLE: enough threads wait for it already. */
int lane_enter(struct lanes *l, const char *name, struct lane **out, struct rk_err *err) RK_CHECKED;
/* `answered`: in time, whatever it was. */
void lane_leave(struct lanes *l, struct lane *lane, bool answered);
