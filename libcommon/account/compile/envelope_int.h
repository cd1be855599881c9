#pragma once

/*
 * Inside of the component envelope: what one receiver is shipped, and the parts that write it.
 * envelope.c decides and puts together, envelope_rules.c writes policies, posture
 * and SSH users, envelope_routes.c writes routes and network resources.
 */

#include "libcommon/account/compile/int.h"

struct envelope {
    struct compile_view *v;
    uint32_t *number;         /* of each shipped peer, by index: its place in `peers` */
    struct rk_bitmap groups;  /* by place */
    struct rk_bitmap rules;   /* by envelope_rule() */
    struct rk_bitmap guards;  /* of these, those that lead to a route of the receiver's */
    struct rk_bitmap opens;   /* and those that lead to a resource */
    size_t *first_rule;       /* of each policy: its first rule's number */
    struct rk_bitmap checks;  /* posture checks, by place */
    struct rk_bitmap routes;  /* by place in snap_routing */
    struct rk_bitmap reached; /* network resources, likewise */
};
void envelope_done(struct envelope *e);
RK_DEFINE_AUTO_DONE(struct envelope, envelope_done)

void envelope_want_group(struct envelope *e, const char *id);
void envelope_want_groups(struct envelope *e, char (*ids)[RK_XID_LEN + 1], size_t n);
/* The public ids of those that are shipped, as a repeated field. */
void envelope_put_groups(const struct envelope *e,
                         unsigned field,
                         char (*ids)[RK_XID_LEN + 1],
                         size_t n,
                         struct rk_buf *b);
/* A peer among those shipped, as two fields; nothing when it is not. */
void envelope_put_peer(const struct envelope *e,
                       const char *id,
                       unsigned set_field,
                       unsigned index_field,
                       struct rk_buf *b);
/* Those of the set that are shipped, in their order, as a packed field. */
void envelope_put_set(const struct envelope *e,
                      unsigned field,
                      const struct rk_bitmap *set,
                      struct rk_buf *b);

/* Finds the rules, their groups and checks. */
void envelope_look_rules(struct envelope *e);
void envelope_want_link(struct envelope *e, const struct snap_link *l, bool guards);
void envelope_put_rule_id(unsigned field,
                          const struct snap_policy *p,
                          size_t rule,
                          struct rk_buf *b);
void envelope_put_policies(const struct envelope *e, struct rk_buf *b);
void envelope_put_users(const struct envelope *e, struct rk_buf *b);
void envelope_put_posture(const struct envelope *e, struct rk_buf *b);

/* Finds routes and resources, their rules and groups. */
void envelope_look_routes(struct envelope *e);
void envelope_put_router_peers(const struct envelope *e, struct rk_buf *b);
void envelope_put_routes(const struct envelope *e, struct rk_buf *b);
void envelope_put_resources(const struct envelope *e, struct rk_buf *b);
