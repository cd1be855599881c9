#pragma once

/*
 * Inside of the compiler: what is known of one receiver while its map is written, and the parts
 * that write it. Each part has a file: walk.c (firewall rules), route.c,
 * resource.c, access.c (what routing peers let through), dns.c,
 * ssh.c, config.c; compile.c puts them together.
 */

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/snapshot/int.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"

/* A rule that the receiver is in, with those of its policy that are the same on the wire. */
struct compile_hit {
    const struct snap_policy *policy;
    size_t head; /* the first of them */
    bool alone;  /* there is no other */
};

/* What one walk over the account found out for a receiver. Sets are by index. */
struct compile_view {
    const struct rk_snapshot *s;
    const struct compile_peer *me;
    size_t index;
    int64_t now_us;
    struct compile_hit *hits; /* in the order of their policies' ids */
    size_t hits_n, hits_room;
    struct rk_bitmap seen;    /* everyone behind some rule: ACL */
    struct rk_bitmap named;   /* whose names the peers' zone has: Vis0 */
    struct rk_bitmap extra;   /* who is needed for network resources, and may not be in `seen` */
    struct rk_bitmap visible; /* whom the receiver may let through to its routes: Vis */
    struct rk_bitmap connected, offline; /* `seen`, by login expiry */
    struct rk_bitmap remote;             /* connected or extra */
    struct rk_bitmap own_ha;             /* routes that it advertises, by snap_routing.ha */
    struct rk_bitmap in, out;            /* of the rule at hand */
    struct rk_bitmap ranked;             /* scratch of compile_in_order */
    uint32_t *list;                      /* what it said last */
    size_t list_room;
    struct rk_buf sources; /* of a RouteFirewallRule */
    struct rk_buf scratch; /* of a Route, and of a RouteFirewallRule's end */
    bool grants_ssh;
};
/* Nothing is known yet. */
void compile_view_init(struct compile_view *v,
                       const struct rk_snapshot *s,
                       size_t index,
                       int64_t now_us);
void compile_view_done(struct compile_view *v);
RK_DEFINE_AUTO_DONE(struct compile_view, compile_view_done)

/* The set's indexes in the order of their peers' ids; valid until the next call. */
struct compile_list {
    const uint32_t *v;
    size_t n;
};
struct compile_list compile_in_order(struct compile_view *v, const struct rk_bitmap *set);
/* What is copied of peers lies all over the heap: while the one at `i` is, the next are fetched. */
void compile_fetch_ahead(const struct compile_view *v, struct compile_list l, size_t i);

/* Finds all sets. */
void compile_look(struct compile_view *v);
/* Finds `hits`, `seen`, `grants_ssh`. */
void compile_look_rules(struct compile_view *v);
/* Add to `named`, and find `own_ha`. */
void compile_look_routes(struct compile_view *v);
/* Add to `visible`, and find `extra`. */
void compile_look_resources(struct compile_view *v);
/* Fields of NetworkMap, with tags. */
void compile_put_rules(struct compile_view *v, struct rk_buf *b);
void compile_put_routes(struct compile_view *v, struct rk_buf *b);
void compile_put_resources(struct compile_view *v, struct rk_buf *b);
void compile_put_route_access(struct compile_view *v, struct rk_buf *b);
void compile_put_resource_access(struct compile_view *v, struct rk_buf *b);
void compile_put_dns(struct compile_view *v, struct rk_buf *b);
void compile_put_ssh_auth(struct compile_view *v, struct rk_buf *b);
/* jwtConfig(3) of SSHConfig, and the claim that holds a user's id; see rk_compile_set_ssh. */
void compile_put_jwt_config(struct rk_buf *b);
const char *compile_user_claim(void);
/* The body of PeerConfig. */
void compile_put_config(const struct rk_snapshot *s,
                        const struct compile_peer *me,
                        bool ssh,
                        bool sup6,
                        struct rk_buf *b);

/* SyncResponse.sessionExpiresAt, with its tag. */
void compile_put_session(const struct rk_snapshot *s, size_t index, struct rk_buf *out);

/* --- parts of the above --------------------------------------------------------------------- */

struct compile_piece {
    const void *p;
    size_t n;
};
/* A message from its encoded pieces, in order. */
void compile_put_pieces(struct rk_buf *b, uint8_t tag, const struct compile_piece *v, size_t n);

/* "<id>", "<id>:<peer id>" with `via`, and the twin's suffix. */
void compile_put_route_id(struct rk_buf *b,
                          unsigned field,
                          const struct compile_target *t,
                          const struct compile_peer *via,
                          unsigned form);

struct compile_route {
    const struct compile_target *target;
    bool named_after; /* the id tells the routing peer */
    uint32_t metric;
    bool masquerade;
};
/* Route through `via`, and its twin for a receiver with IPv6. */
void compile_put_route(struct compile_view *v,
                       const struct compile_route *r,
                       const struct compile_peer *via,
                       struct rk_buf *b);

/* What the receiver, as a routing peer, lets through. */
struct compile_gate {
    const struct compile_target *target;
    const struct compile_peer *via; /* NULL: the route's id is its own */
    const char *policy;             /* "" without one */
    const struct rk_rule *rule;
    bool even_for_nobody; /* a rule without sources is sent too */
};
/* Everyone, everything. */
void compile_put_open(struct compile_view *v, const struct compile_gate *g, struct rk_buf *b);
/* What its rule allows, from `sources`. */
void compile_put_gate(struct compile_view *v,
                      const struct compile_gate *g,
                      const struct rk_bitmap *sources,
                      struct rk_buf *b);
