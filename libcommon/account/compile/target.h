#pragma once

/*
 * What a route or a network resource leads to, encoded once: everything of Route and of
 * RouteFirewallRule that depends neither on the routing peer nor on the receiver. Counted (atomic),
 * immutable. Any thread.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/compile/peer.h"
#include "libcommon/account/model/objects.h"

/* Of a target that has a twin: 0.0.0.0/0, whose receivers with IPv6 get ::/0 as well. */
enum {
    COMPILE_PLAIN = 0,
    COMPILE_TWIN = 1,
    COMPILE_FORMS = 2
};
#define COMPILE_TWIN_SUFFIX "-v6-default"

struct compile_target {
    _Atomic unsigned refs;
    char id[RK_XID_LEN + 1]; /* the route's or the resource's */
    bool v6;                 /* an IPv6 network: for receivers with IPv6 alone */
    bool twin;
    bool dynamic;                                   /* domains */
    struct compile_span net[COMPILE_FORMS];         /* Route.Network, NetworkType */
    struct compile_span tail[COMPILE_FORMS];        /* Route.NetID .. skipAutoApply */
    struct compile_span destination[COMPILE_FORMS]; /* of RouteFirewallRule, with tag */
    struct compile_span domains;                    /* RouteFirewallRule.isDynamic, domains */
    struct compile_span ha; /* no wire form: equal for the routes that back one another up */
    uint8_t *bytes;
    size_t bytes_n;
};

struct compile_target *compile_target_of_route(const struct rk_route_row *r);
struct compile_target *compile_target_of_resource(const struct rk_resource_row *r);
struct compile_target *compile_target_ref(struct compile_target *t);
void compile_target_unref(struct compile_target *t);

/* The same on the wire? */
bool compile_target_same(const struct compile_target *a, const struct compile_target *b);
