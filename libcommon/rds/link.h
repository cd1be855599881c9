#pragma once

/*
 * One hiredis connection on a libuv loop: the adapter between the two. hiredis owns the context;
 * the poll handle outlives it by one turn. Loop thread only.
 */

#include <hiredis/async.h>

#include "libcommon/loop/loop.h"

/* Attaches `ac` to the loop. `on_closed` runs once the poll handle is gone, after hiredis has freed
 * the context. */
int link_attach(struct rk_loop *l, redisAsyncContext *ac, void (*on_closed)(void *arg), void *arg);
