#pragma once

/*
 * Servers that agents connect to, looked up by name once and kept for the life of the process: the
 * look-up blocks. One thread.
 */

#include <stdbool.h>

#include "libcommon/base/err.h"
#include "libcommon/conf/addr.h"

#define TARGETS_MAX 64

struct target {
    char *host;      /* for TLS */
    char *authority; /* host:port */
    struct rk_addr addr;
    bool tls;
};

struct targets {
    unsigned count;
    struct target *target[TARGETS_MAX];
};

/* "http://", "https://", "rel://" or "rels://" and host[:port]. RK_EXHAUSTED when a deployment
 * names more than TARGETS_MAX. */
int targets_get(struct targets *t, struct rk_str url, struct target **out, struct rk_err *err);
/* "stun:host[:port]" or "host:port": `tls` is the caller's. */
int targets_get_bare(struct targets *t,
                     struct rk_str text,
                     unsigned default_port,
                     bool tls,
                     int socktype,
                     struct target **out,
                     struct rk_err *err);
void targets_done(struct targets *t);
