#pragma once

/*
 * Keeps the program at its devices: tries every few seconds where it is not, until whoever was
 * there has gone or the device is back, and says in the log what has changed. Loop thread.
 */

#include "libcommon/base/err.h"
#include "libcommon/loop/loop.h"
#include "services/stun/xdp/xdp.h"

struct xdp_keep {
    struct xdp *xdp;
    struct rk_timer timer;
    int last; /* what the last attempt came to */
};

/* `x` stays the caller's. An error is a mistake to be told at once, as a device that is not there;
 * that another process, which this one may be to replace, is at a device is none. */
int xdp_keep_start(struct xdp_keep *k, struct rk_loop *l, struct xdp *x, struct rk_err *err);
void xdp_keep_close(struct xdp_keep *k); /* started or not */
