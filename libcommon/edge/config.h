#pragma once

/*
 * Settings of what registers itself with management: the same keys in relay and STUN. A service's
 * config struct has a `struct rk_edge_config` and RK_EDGE_SETTINGS(struct, member) in its table.
 * Start-up only; read-only afterwards.
 */

#include "libcommon/base/err.h"
#include "libcommon/conf/settings.h"
#include "libcommon/edge/claim.h"

/* Members have the names of their keys. NULL counts as empty. */
struct rk_edge_config {
    char *management_url; /* empty: not registered */
    char *management_ca_file;
    char *region;
    char *region_at;
};

#define RK_EDGE_ROW(struct_, member_, key_, help_)                                                 \
    {                                                                                              \
        .key = #key_, .type = RK_SET_STRING, .offset = offsetof(struct_, member_.key_),            \
        .help = help_                                                                              \
    }

#define RK_EDGE_SETTINGS(struct_, member_)                                                         \
    RK_EDGE_ROW(struct_, member_, management_url,                                                  \
                "http://host:port or https://host[:port] of management, which is told that this "  \
                "one is there; empty: it is not"),                                                 \
        RK_EDGE_ROW(struct_, member_, management_ca_file,                                          \
                    "certificates (PEM) that vouch for management; empty: the system's"),          \
        RK_EDGE_ROW(struct_, member_, region, "name of the region it is in: a-z, 0-9 and -"),      \
        RK_EDGE_ROW(struct_, member_, region_at,                                                   \
                    "latitude and longitude in degrees: 50.11,8.68; empty: not known")

/* Part of a service's own check. `url`: what it would register as. */
int rk_edge_config_check(const struct rk_edge_config *c,
                         const char *url,
                         enum rk_edge_kind kind,
                         const char *relay_secret,
                         struct rk_err *err);
