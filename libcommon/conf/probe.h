#pragma once

/*
 * Asks the admin port of a process on this machine whether it is ready: what a container's
 * HEALTHCHECK and a probe without curl are for. Blocks up to 5 s; any thread.
 */

#include "libcommon/base/err.h"

/* 0 when /readyz answers 200. `admin_listen` is the address as set, a wildcard stands for this
 * machine. RK_UNAVAILABLE when nothing answers, or another status; err names the reason the process
 * gives. RK_INVALID for port 0, which only the process knows. */
int rk_probe_ready(const char *admin_listen, struct rk_err *err);
