#pragma once

/*
 * How groups change. Each call is one transaction on a worker thread. Errors carry the text that
 * goes on the wire, in the case it has there; RK_BAD_REQUEST is what deletion refuses.
 */

#include <stddef.h>

#include "libcommon/account/rules/actor.h"

#define RK_GROUP_ALL "All"

struct rk_group_resource {
    const char *id;
    const char *type;
};

/* Groups as they appear inside other objects, the oldest first: id, name, how many peers and
 * resources. The rest of the condition stands between the two. */
#define RK_GROUP_BRIEFS                                                                            \
    "SELECT g.id, g.name, (SELECT count(*) FROM group_peer m WHERE m.group_id = g.id),"            \
    " (SELECT count(*) FROM group_resource r WHERE r.group_id = g.id) FROM account_group g WHERE " \
    "g.account_id = $1"
#define RK_GROUP_BRIEFS_ORDER " ORDER BY g.created_at, g.id"

/* As sent; borrowed. The lists are the whole membership. */
struct rk_group_input {
    const char *name;
    const struct rk_str *peers;
    size_t peers_n;
    const struct rk_group_resource *resources;
    size_t resources_n;
};

/* RK_EXISTS for a taken name, RK_INVALID for an empty one or an unknown peer or resource. */
int rk_group_create(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const struct rk_group_input *in,
                    char out_id[RK_XID_LEN + 1],
                    struct rk_bell *out_bell,
                    struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND, or RK_INVALID for the group All: what an update answers before it looks at its
 * body. */
int rk_group_check_editable(struct rk_pg *pg,
                            const struct rk_actor *actor,
                            const char *id,
                            struct rk_err *err) RK_CHECKED;
int rk_group_update(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    const struct rk_group_input *in,
                    struct rk_bell *out_bell,
                    struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND; RK_BAD_REQUEST "group has been linked to ..." while something uses it. */
int rk_group_delete(struct rk_pg *pg,
                    const struct rk_actor *actor,
                    const char *id,
                    struct rk_bell *out_bell,
                    struct rk_err *err) RK_CHECKED;
