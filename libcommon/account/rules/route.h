#pragma once

/*
 * How routes change: a network or a list of domains behind a peer, or behind any peer of some
 * groups. Each call is one transaction on a worker thread. Errors carry the text that goes on the
 * wire.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"

#define RK_ROUTE_MAX_DOMAINS 32
#define RK_ROUTE_MAX_NET_ID 40 /* characters */
#define RK_ROUTE_MAX_METRIC 9999
/* What a domain route shows as its network. */
#define RK_ROUTE_DOMAIN_NETWORK "192.0.2.0/32"

/* A list as sent: an empty one that is there is not the same as none. */
struct rk_route_list {
    const struct rk_str *v;
    size_t n;
    bool sent;
};

/* As sent; borrowed. Strings are never NULL but for `network` and `peer`, which may be absent. */
struct rk_route_input {
    const char *net_id;
    const char *description;
    const char *network;
    struct rk_route_list domains;
    const char *peer;
    struct rk_route_list peer_groups, groups, access_groups;
    int64_t metric;
    bool masquerade, keep_route, skip_auto_apply, enabled;
};

/* RK_INVALID for what cannot be; RK_EXISTS when another route leads to the same place by the same
 * peers. */
int rk_route_create(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const struct rk_route_input *in,
                    char out_id[RK_XID_LEN + 1],
                    struct rk_bell *out_bell,
                    struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND when there is none. */
int rk_route_exists(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    struct rk_err *err) RK_CHECKED;
/* Replaces everything. */
int rk_route_update(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    const struct rk_route_input *in,
                    struct rk_bell *out_bell,
                    struct rk_err *err) RK_CHECKED;
int rk_route_delete(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    struct rk_bell *out_bell,
                    struct rk_err *err) RK_CHECKED;
