#pragma once

/*
 * Asks the admin port of a process on this machine whether it is ready: what a container's
 * HEALTHCHECK and a probe without curl are for. Blocks up to 5 s; any thread.
 */

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/conf/addr.h"

/* The whole answer to GET `path`, status line first. RK_UNAVAILABLE: there is none, or more than
 * *out takes. */
int rk_probe_get(const struct rk_addr *at,
                 const char *path,
                 struct rk_buf *out,
                 struct rk_err *err);
/* What stands behind the headers of such an answer. */
struct rk_str rk_probe_body(struct rk_str answer);

/* 0 when /readyz answers 200. `admin_listen` is the address as set, a wildcard stands for this
 * machine. RK_UNAVAILABLE when nothing answers, or another status; err names the reason the process
 * gives. RK_INVALID for port 0, which only the process knows. */
int rk_probe_ready(const char *admin_listen, struct rk_err *err);
