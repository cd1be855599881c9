#pragma once

/*
 * How the routers of a network change: a peer, or all peers of some groups, that lead to its
 * resources. Each call is one transaction on a worker thread. Errors carry the text that goes on
 * the wire.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"

#define RK_ROUTER_MAX_METRIC INT32_MAX

/* As sent; borrowed. A peer "" and an empty list are none. */
struct rk_router_input {
    const char *peer;
    const struct rk_str *peer_groups;
    size_t peer_groups_n;
    int64_t metric;
    bool masquerade, enabled;
};

/* RK_BAD_REQUEST unless there is exactly one of peer and groups: what is looked at before anything
 * else. */
int rk_router_validate(const struct rk_router_input *in, struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND for an unknown network, RK_INVALID for an unknown peer or group. */
int rk_router_create(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *network_id,
                     const struct rk_router_input *in,
                     char out_id[RK_XID_LEN + 1],
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND also for a router of another network. */
int rk_router_update(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *network_id,
                     const char *id,
                     const struct rk_router_input *in,
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;
int rk_router_delete(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *network_id,
                     const char *id,
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;

/* Deletes every router of a network inside a change, with their events. */
int rk_routers_drop(struct rk_change *ch,
                    const struct rk_actor *actor,
                    const char *network_id,
                    const char *network_name,
                    struct rk_err *err) RK_CHECKED;
