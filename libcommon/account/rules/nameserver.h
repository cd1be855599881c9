#pragma once

/*
 * How nameserver groups change, and which groups get no DNS configuration at all. Each call is one
 * transaction on a worker thread. Errors carry the text that goes on the wire.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"

#define RK_NSGROUP_MAX_SERVERS 3
#define RK_NSGROUP_MAX_NAME 40 /* characters */

/* As sent; borrowed, never NULL. */
struct rk_nameserver_input {
    const char *ip;
    const char *ns_type;
    int64_t port;
};

struct rk_nsgroup_input {
    const char *name;
    const char *description;
    const struct rk_nameserver_input *servers;
    size_t servers_n;
    const struct rk_str *groups;
    size_t groups_n;
    bool has_domains; /* an empty list counts, and is shown as one */
    const struct rk_str *domains;
    size_t domains_n;
    bool primary;
    bool search_domains_enabled;
    bool enabled;
};

/* The checks of a body that need no database, in their order; RK_INVALID. Any thread. */
int rk_nsgroup_validate(const struct rk_nsgroup_input *in, struct rk_err *err) RK_CHECKED;

/* RK_INVALID, also for a taken name and for unknown groups. */
int rk_nsgroup_create(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const struct rk_nsgroup_input *in,
                      char out_id[RK_XID_LEN + 1],
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND: what an update answers before it looks at its body. */
int rk_nsgroup_exists(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_err *err) RK_CHECKED;
int rk_nsgroup_update(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      const struct rk_nsgroup_input *in,
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;
int rk_nsgroup_delete(struct rk_pg *pg,
                      const struct rk_actor *actor,
                      const char *id,
                      struct rk_bell *out_bell,
                      struct rk_err *err) RK_CHECKED;

/* The groups whose members get no DNS configuration, as sent. RK_INVALID for an unknown one. */
int rk_dns_settings_update(struct rk_pg *pg,
                           const struct rk_actor *actor,
                           const struct rk_str *disabled_groups,
                           size_t n,
                           struct rk_bell *out_bell,
                           struct rk_err *err) RK_CHECKED;
