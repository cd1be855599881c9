#pragma once

/*
 * How networks change: names under which resources and the routers that lead to them stand
 * together. Each call is one transaction on a worker thread. Errors carry the text that goes on the
 * wire.
 */

#include "libcommon/account/rules/actor.h"

/* As sent; borrowed. Any text is a name, and names may repeat. */
struct rk_network_input {
    const char *name;
    const char *description;
};

/* A network alone is in no map: creating or renaming one raises no serial. */
int rk_network_create(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const struct rk_network_input *in,
                      char out_id[RK_XID_LEN + 1],
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;
int rk_network_update(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      const struct rk_network_input *in,
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;
/* With its resources, which leave their groups, and its routers; an event each. */
int rk_network_delete(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND "failed to get network: network: X not found"; *out_name (may be NULL) is the
 * network's name, to be freed. */
int rk_network_find(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    char **out_name,
                    struct rk_err *err) RK_CHECKED;
