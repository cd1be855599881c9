#pragma once

/*
 * Servers that agents connect to, looked up by name once and kept for the life of the process: the
 * look-up blocks. One thread.
 */

#include <stdbool.h>

#include "libcommon/base/err.h"
#include "libcommon/conf/addr.h"

#define RK_TARGETS_MAX 64

struct rk_target {
    char *host;      /* for TLS */
    char *authority; /* host:port */
    struct rk_addr addr;
    bool tls;
};

struct rk_targets {
    unsigned count;
    struct rk_target *target[RK_TARGETS_MAX];
};

/* "http://", "https://", "rel://" or "rels://" and host[:port]. RK_EXHAUSTED when a deployment
 * names more than RK_TARGETS_MAX. */
int rk_targets_get(struct rk_targets *t,
                   struct rk_str url,
                   struct rk_target **out,
                   struct rk_err *err);
/* "stun:host[:port]" or "host:port": `tls` is the caller's. */
int rk_targets_get_bare(struct rk_targets *t,
                        struct rk_str text,
                        unsigned default_port,
                        bool tls,
                        int socktype,
                        struct rk_target **out,
                        struct rk_err *err);
void rk_targets_done(struct rk_targets *t);
