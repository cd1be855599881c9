#include "libcommon/account/snapshot_int.h"
#include "libcommon/account/snapshot_pairs.h"

/*
 * Whose map may differ because of routes and network resources. Three kinds of difference: the
 * object itself, the sets of peers around it, and how the peers in these sets look to others.
 */

/* The same for whoever is let through, as far as the rules themselves go. */
static bool rules_same(const struct snap_links *a, const struct snap_links *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct compile_policy *x = a->v[i].policy->code, *y = b->v[i].policy->code;
        size_t k = a->v[i].rule, m = b->v[i].rule;

        if (strcmp(x->row->id, y->row->id) != 0 || !compile_rule_same(&x->rules[k], &y->rules[m]) ||
            !x->row->rules[k].source_peer[0] != !y->row->rules[m].source_peer[0])
            return false;
    }
    return true;
}

/* The same sources of each rule; `within` a set, unless that is NULL. */
static bool
sources_same(const struct snap_links *a, const struct snap_links *b, const struct rk_bitmap *within)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap moved;

    rk_bitmap_init(&moved);
    for (size_t i = 0; i < a->n; i++) {
        if (a->v[i].policy == b->v[i].policy && a->v[i].shut == b->v[i].shut)
            continue;
        rk_bitmap_copy(&moved, snap_link_sources(&a->v[i]));
        rk_bitmap_xor(&moved, snap_link_sources(&b->v[i]));
        if (within)
            rk_bitmap_and(&moved, within);
        if (!rk_bitmap_empty(&moved))
            return false;
    }
    return true;
}

/* --- routes --------------------------------------------------------------------------------- */

static void whole_route(const struct snap_route *r, struct rk_bitmap *out)
{
    rk_bitmap_or(out, &r->routers);
    if (r->row->enabled)
        rk_bitmap_or(out, &r->members);
}

static bool route_same(const struct rk_route_row *a, const struct rk_route_row *b)
{
    return a == b ||
           (a->enabled == b->enabled && a->metric == b->metric && a->masquerade == b->masquerade &&
            !a->peer[0] == !b->peer[0] && !a->access_groups.n == !b->access_groups.n);
}

static void changed_route(const struct snap_route *was,
                          const struct snap_route *now,
                          const struct rk_bitmap *looks,
                          struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap moved;

    rk_bitmap_init(&moved);
    if (!was || !now || !route_same(was->row, now->row) ||
        !compile_target_same(was->target, now->target) ||
        (was != now && !rk_bitmap_equal(&was->routers, &now->routers))) {
        if (was)
            whole_route(was, out);
        if (now)
            whole_route(now, out);
        return;
    }
    if (rk_bitmap_intersects(&now->routers, looks))
        whole_route(now, out);
    if (!now->row->enabled)
        return;
    if (was != now) {
        rk_bitmap_copy(&moved, &was->members);
        rk_bitmap_xor(&moved, &now->members);
        rk_bitmap_or(out, &moved);
    }
    if (now->access.n == 0 && was->access.n == 0)
        return;
    if (!rk_bitmap_empty(&moved) || rk_bitmap_intersects(&now->members, looks) ||
        !rules_same(&was->access, &now->access) ||
        !sources_same(&was->access, &now->access, &now->members))
        rk_bitmap_or(out, &now->routers);
}

static void changed_routes(const struct snap_routing *was,
                           const struct snap_routing *now,
                           const struct rk_bitmap *looks,
                           struct rk_bitmap *out)
{
    bool nobody = rk_bitmap_empty(looks);
    struct pairs p = { 0, 0 };
    int c;

    while (next_pair(&p, p.was < was->routes_n ? was->routes[p.was]->row->row.id : NULL,
                     p.now < now->routes_n ? now->routes[p.now]->row->row.id : NULL, &c)) {
        const struct snap_route *a = c <= 0 ? was->routes[p.was - 1] : NULL;
        const struct snap_route *b = c >= 0 ? now->routes[p.now - 1] : NULL;

        if (a != b || !nobody)
            changed_route(a, b, looks, out);
    }
}

/* --- network resources ---------------------------------------------------------------------- */

static void whole_resource(const struct snap_resource *r, struct rk_bitmap *out)
{
    rk_bitmap_or(out, &r->clients);
    if (r->network)
        rk_bitmap_or(out, &r->network->peers);
}

static const struct snap_router *router_of(const struct snap_network *n, const char *id)
{
    for (size_t i = 0; n && i < n->routers_n; i++)
        if (strcmp(n->routers[i].row->row.id, id) == 0)
            return &n->routers[i];
    return NULL;
}

/* Peers that came to route for `a`, or do it in another way than in `b`. */
static void
other_routers(const struct snap_network *a, const struct snap_network *b, struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap moved;

    rk_bitmap_init(&moved);
    for (size_t i = 0; a && i < a->routers_n; i++) {
        const struct snap_router *x = &a->routers[i], *y = router_of(b, x->row->row.id);

        rk_bitmap_copy(&moved, &x->peers);
        if (y && x->row->metric == y->row->metric && x->row->masquerade == y->row->masquerade)
            rk_bitmap_andnot(&moved, &y->peers);
        rk_bitmap_or(out, &moved);
    }
}

static void changed_resource(const struct snap_resource *was,
                             const struct snap_resource *now,
                             const struct rk_bitmap *looks,
                             bool gated,
                             struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap routers, clients;
    bool routers_too;

    rk_bitmap_init(&routers);
    rk_bitmap_init(&clients);
    if (!was || !now || !compile_target_same(was->target, now->target)) {
        if (was)
            whole_resource(was, out);
        if (now)
            whole_resource(now, out);
        return;
    }
    if (was->network != now->network) {
        other_routers(was->network, now->network, &routers);
        other_routers(now->network, was->network, &routers);
        rk_bitmap_or(out, &routers);
    }
    if (was != now) {
        rk_bitmap_copy(&clients, &was->clients);
        rk_bitmap_xor(&clients, &now->clients);
        rk_bitmap_or(out, &clients);
    }
    if (!rk_bitmap_empty(&routers) ||
        (now->network && rk_bitmap_intersects(&now->network->peers, looks)))
        rk_bitmap_or(out, &now->clients);
    /* A router sees the others only where access to a route of its own is in question. */
    routers_too = (gated && !rk_bitmap_empty(&routers)) || !rk_bitmap_empty(&clients) ||
                  rk_bitmap_intersects(&now->clients, looks) ||
                  !rules_same(&was->rules, &now->rules) ||
                  !sources_same(&was->rules, &now->rules, NULL);
    if (routers_too && now->network)
        rk_bitmap_or(out, &now->network->peers);
}

static void changed_resources(const struct snap_routing *was,
                              const struct snap_routing *now,
                              const struct rk_bitmap *looks,
                              struct rk_bitmap *out)
{
    bool nobody = rk_bitmap_empty(looks);
    struct pairs p = { 0, 0 };
    int c;

    while (next_pair(&p, p.was < was->resources_n ? was->resources[p.was]->row->row.id : NULL,
                     p.now < now->resources_n ? now->resources[p.now]->row->row.id : NULL, &c)) {
        const struct snap_resource *a = c <= 0 ? was->resources[p.was - 1] : NULL;
        const struct snap_resource *b = c >= 0 ? now->resources[p.now - 1] : NULL;

        if (a != b || !nobody)
            changed_resource(a, b, looks, was->gated || now->gated, out);
    }
}

void snap_affected_routing(const struct rk_snapshot *was,
                           const struct rk_snapshot *now,
                           const struct rk_bitmap *looks,
                           struct rk_bitmap *out)
{
    if (was->routing == now->routing && rk_bitmap_empty(looks))
        return;
    changed_routes(was->routing, now->routing, looks, out);
    changed_resources(was->routing, now->routing, looks, out);
}
