#pragma once

/*
 * Where traffic may leave the overlay: an account's routes and network resources with their sets of
 * peers, found once for all receivers. One object of each kind is shared by successive snapshots as
 * long as neither it nor its sets change, and all of them together while nothing does.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/compile/target.h"
#include "libcommon/account/model/objects.h"
#include "libcommon/base/bitmap.h"

struct rk_snapshot;
struct snap_policy;

/* An enabled rule of an enabled policy, with the sides it has in this snapshot. */
struct snap_link {
    struct snap_policy *policy; /* counted */
    uint32_t rule;
    bool shut; /* its source is one peer, named directly, that fails the policy's posture checks; of
                * a route's links only one that accepts */
};
struct snap_links {
    struct snap_link *v;
    size_t n, cap;
};
void snap_links_add(struct snap_links *l, const struct snap_link *link); /* once in a row */
void snap_links_done(struct snap_links *l);
bool snap_links_equal(const struct snap_links *a, const struct snap_links *b);
/* Who may use it. Other than between peers, posture counts for a peer named directly too. */
const struct rk_bitmap *snap_link_sources(const struct snap_link *l);

struct snap_route {
    _Atomic unsigned refs;
    struct rk_route_row *row;
    struct compile_target *target;
    struct rk_bitmap routers; /* who advertises it; only approved peers, here and below */
    struct rk_bitmap members; /* of its distribution groups */
    struct snap_links access; /* rules whose destinations are among its access groups */
};

struct snap_router {
    struct rk_router_row *row;
    struct rk_bitmap peers; /* without those that a later router of the network names */
};
struct snap_network {
    _Atomic unsigned refs;
    char id[RK_XID_LEN + 1];
    struct snap_router *routers; /* the enabled ones */
    size_t routers_n;
    struct rk_bitmap peers; /* of all of them */
};

struct snap_resource {
    _Atomic unsigned refs;
    struct rk_resource_row *row;
    struct compile_target *target;
    struct snap_network *network; /* NULL: no enabled router */
    struct snap_links rules;      /* those that lead to it */
    struct rk_bitmap clients;     /* the sources of them all */
};

/* All of it, each kind sorted by id. */
struct snap_routing {
    _Atomic unsigned refs;
    struct snap_route **routes;
    size_t routes_n;
    uint32_t *ha; /* of each route: equal when they back one another up */
    struct snap_network **networks;
    size_t networks_n;
    struct snap_resource **resources; /* the enabled ones */
    size_t resources_n;
    bool gated; /* some route has access rules */
};

/* Finds everything anew after peers, groups, rules or the objects themselves changed. What came out
 * equal is shared with `was`, which may be NULL. */
struct snap_routing *snap_routing_new(const struct rk_snapshot *s, const struct snap_routing *was);
struct snap_routing *snap_routing_ref(struct snap_routing *r);
void snap_routing_unref(struct snap_routing *r);

/* Parts of the above: route.c */
void snap_route_unref(struct snap_route *r);
/* `links` is used up. */
struct snap_route *snap_route_new(const struct rk_snapshot *s,
                                  struct rk_route_row *row,
                                  struct snap_links *links,
                                  struct snap_route *was);
/* resource.c */
void snap_network_unref(struct snap_network *n);
void snap_resource_unref(struct snap_resource *r);
/* The network that these routers, sorted by id, belong to. */
struct snap_network *snap_network_new(const struct rk_snapshot *s,
                                      struct rk_router_row **routers,
                                      size_t n,
                                      struct snap_network *was);
/* `links` is used up; `network` is not. */
struct snap_resource *snap_resource_new(struct rk_resource_row *row,
                                        struct snap_network *network,
                                        struct snap_links *links,
                                        struct snap_resource *was);
