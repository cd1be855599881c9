#pragma once

/*
 * How policies change. Each call is one transaction on a worker thread. Errors carry the text that
 * goes on the wire.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"
#include "libcommon/base/jansson.h"

struct rk_policy_range {
    int64_t start, end;
};

/* One side of a rule: groups, or one resource. Both may be absent; "present" is what the request
 * said. */
struct rk_policy_side {
    bool has_groups; /* an empty list counts */
    const struct rk_str *groups;
    size_t groups_n;
    bool has_resource;
    const char *resource_id;
    const char *resource_type;
};

/* The groups that authorise, each with its users; `users` may be empty. */
struct rk_policy_authorized {
    const char *group;
    const struct rk_str *users;
    size_t users_n;
};

/* As sent; borrowed, never NULL. */
struct rk_policy_rule_input {
    const char *id; /* "" = none */
    const char *name;
    const char *description;
    bool enabled;
    const char *action;
    const char *protocol;
    bool bidirectional;
    struct rk_policy_side source, destination;
    const struct rk_str *ports;
    size_t ports_n;
    const struct rk_policy_range *ranges;
    size_t ranges_n;
    const struct rk_policy_authorized *authorized;
    size_t authorized_n;
};

struct rk_policy_input {
    const char *name;
    const char *description;
    bool enabled;
    bool has_posture_checks;
    const struct rk_str *posture_checks;
    size_t posture_checks_n;
    const struct rk_policy_rule_input *rules;
    size_t rules_n;
};

/* A policy `p` as the text of an object with a member for each column that may change, its rules
 * among them in their order (NULL without any). Text that is put together as it goes costs Postgres
 * half of what a jsonb does. */
#define RK_POLICY_OBJECT                                                                           \
    "(SELECT row_to_json(x) FROM (SELECT p.name, p.description, p.enabled, "                       \
    "p.source_posture_checks, (SELECT json_agg(y) FROM (SELECT r.id, r.name, r.description, "      \
    "r.enabled, r.action, r.protocol, r.bidirectional, r.sources, r.destinations, "                \
    "r.source_resource_id, r.source_resource_type, r.destination_resource_id, "                    \
    "r.destination_resource_type, r.ports, r.port_ranges, r.authorized_groups, "                   \
    "r.authorized_user FROM policy_rule r WHERE r.policy_id = p.id ORDER BY r.position) y) AS "    \
    "rules) x)::text"

/* The checks of a body that need no database, in their order; RK_INVALID. Any thread. */
int rk_policy_validate(const struct rk_policy_input *in, struct rk_err *err) RK_CHECKED;

/* What a change has made of a policy: RK_POLICY_OBJECT, and the groups it names as RK_GROUP_BRIEFS
 * (group.h). */
struct rk_policy_made {
    json_t *policy;
    struct rk_pg_result *groups;
};
void rk_policy_made_done(struct rk_policy_made *made);
RK_DEFINE_AUTO_DONE(struct rk_policy_made, rk_policy_made_done)

/* Ids of rules are ignored: the first rule gets the policy's id, further ones new ids. Unknown
 * groups are dropped, which lets nobody in; an unknown posture check is RK_INVALID, as without it
 * the policy would let in more than was meant. `out` may be NULL. */
int rk_policy_create(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const struct rk_policy_input *in,
                     char out_id[RK_XID_LEN + 1],
                     struct rk_policy_made *out,
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND when there is none. */
int rk_policy_exists(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *id,
                     struct rk_err *err) RK_CHECKED;
/* Replaces everything. One that changes nothing, or the order of lists alone, is not stored: it
 * raises no serial and leaves no event. `out` may be NULL. */
int rk_policy_update(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *id,
                     const struct rk_policy_input *in,
                     struct rk_policy_made *out,
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;
int rk_policy_delete(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *id,
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;
