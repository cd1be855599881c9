#pragma once

/*
 * How the resources of a network change: an address, a subnet or a domain that is reached through
 * the network's routers, by whoever a policy lets at it or at a group that holds it. Each call is
 * one transaction on a worker thread. Errors carry the text that goes on the wire.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/account/rules/actor.h"

/* As sent; borrowed. */
struct rk_resource_input {
    const char *name;
    const char *description;
    const char *address;
    const struct rk_str *groups; /* all that shall hold it */
    size_t groups_n;
    bool enabled;
};

/* RK_INVALID for an address that is none and for a name that is taken in the account; RK_NOT_FOUND
 * for an unknown network or group. */
int rk_resource_create(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const char *network_id,
                       const struct rk_resource_input *in,
                       char out_id[RK_XID_LEN + 1],
                       struct rk_bell *out_bell,
                       struct rk_err *err) RK_CHECKED;
/* Replaces everything; a resource of another network moves to this one. */
int rk_resource_update(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const char *network_id,
                       const char *id,
                       const struct rk_resource_input *in,
                       struct rk_bell *out_bell,
                       struct rk_err *err) RK_CHECKED;
int rk_resource_delete(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const char *network_id,
                       const char *id,
                       struct rk_bell *out_bell,
                       struct rk_err *err) RK_CHECKED;

/* Deletes every resource of a network inside a change: out of their groups, with their events. */
int rk_resources_drop(struct rk_change *ch,
                      const struct rk_actor *actor,
                      const char *network_id,
                      const char *network_name,
                      struct rk_err *err) RK_CHECKED;
