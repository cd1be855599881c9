#include "libcommon/account/snapshot/int.h"
#include "libcommon/account/snapshot/pairs.h"

/*
 * Whose map may differ because of routes and network resources. Three kinds of difference: the
 * object itself, the sets of peers around it, and how the peers in these sets look to others.
 */

/* How a routing peer sees rules: those without a source say nothing to it unless `idle` ones are
 * sent too, and what netbird-ssh allows is none of its business. */
static bool counts(const struct snap_link *l, bool idle)
{
    const struct rk_rule *r = &l->policy->code->row->rules[l->rule];

    return r->protocol != RK_PROTO_NETBIRD_SSH && (idle || !rk_bitmap_empty(snap_link_sources(l)));
}

/* One rule as it was and as it is; `within` a set of sources, unless that is NULL. */
static bool
link_same(const struct snap_link *a, const struct snap_link *b, const struct rk_bitmap *within)
{
    const struct compile_policy *x = a->policy->code, *y = b->policy->code;
    rk_auto(rk_bitmap_done) struct rk_bitmap moved = { NULL, 0 };

    if (strcmp(x->row->id, y->row->id) != 0 ||
        !compile_rule_same(&x->rules[a->rule], &y->rules[b->rule]) ||
        !x->row->rules[a->rule].source_peer[0] != !y->row->rules[b->rule].source_peer[0])
        return false;
    if (a->policy == b->policy && a->shut == b->shut)
        return true;
    rk_bitmap_copy(&moved, snap_link_sources(a));
    rk_bitmap_xor(&moved, snap_link_sources(b));
    if (within)
        rk_bitmap_and(&moved, within);
    return rk_bitmap_empty(&moved);
}

/* The same for whoever is let through? */
static bool links_same(const struct snap_links *a,
                       const struct snap_links *b,
                       bool idle,
                       const struct rk_bitmap *within)
{
    size_t i = 0, k = 0;

    while (true) {
        while (i < a->n && !counts(&a->v[i], idle))
            i++;
        while (k < b->n && !counts(&b->v[k], idle))
            k++;
        if (i == a->n || k == b->n)
            return i == a->n && k == b->n;
        if (!link_same(&a->v[i++], &b->v[k++], within))
            return false;
    }
}

/* --- routes --------------------------------------------------------------------------------- */

/* Everyone who has the route or sees the names of its routers. */
static void whole_route(const struct snap_route *r, struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap set = { NULL, 0 };
    size_t first = rk_bitmap_next(&r->routers, 0);

    if (first == SIZE_MAX)
        return;
    rk_bitmap_or(&set, &r->routers);
    if (r->row->enabled)
        rk_bitmap_or(&set, &r->members);
    rk_bitmap_or(out, &set);
}

static bool ha_same(const struct compile_target *a, const struct compile_target *b)
{
    return a->ha.n == b->ha.n && memcmp(a->bytes + a->ha.at, b->bytes + b->ha.at, a->ha.n) == 0;
}

/* Its routers, and whoever gets it from one of them; switched off, it only tells its routers what
 * they need not get from others. */
static void carriers(const struct rk_snapshot *s,
                     const struct snap_route *was,
                     const struct snap_route *r,
                     struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap seen = { NULL, 0 };

    if (r->row->enabled || !ha_same(was->target, r->target))
        rk_bitmap_or(out, &r->routers);
    if (!r->row->enabled)
        return;
    for (size_t i = rk_bitmap_next(&r->routers, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&r->routers, i + 1))
        rk_snapshot_visible(s, i, &seen);
    rk_bitmap_and(&seen, &r->members);
    rk_bitmap_or(out, &seen);
}

/* Other routers of the same route: who began or ceased, who gets it, and those of the others that
 * are not connected to them all anyway and so see names come or go. */
static void other_advertisers(const struct snap_change *c,
                              const struct snap_route *was,
                              const struct snap_route *now,
                              struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap moved = { NULL, 0 };
    rk_auto(rk_bitmap_done) struct rk_bitmap know_all = { NULL, 0 };
    rk_auto(rk_bitmap_done) struct rk_bitmap seen = { NULL, 0 };
    rk_auto(rk_bitmap_done) struct rk_bitmap hit = { NULL, 0 };

    rk_bitmap_copy(&moved, &was->routers);
    rk_bitmap_xor(&moved, &now->routers);
    rk_bitmap_copy(&know_all, &now->routers);
    for (size_t i = rk_bitmap_next(&moved, 0); i != SIZE_MAX; i = rk_bitmap_next(&moved, i + 1)) {
        rk_bitmap_clear(&seen);
        rk_snapshot_visible(c->now, i, &seen);
        rk_bitmap_and(&know_all, &seen);
    }
    rk_bitmap_andnot(&know_all, &moved);
    whole_route(was, &hit);
    whole_route(now, &hit);
    rk_bitmap_andnot(&hit, &know_all);
    rk_bitmap_or(out, &hit);
}

static bool route_same(const struct snap_route *a, const struct snap_route *b)
{
    const struct rk_route_row *x = a->row, *y = b->row;

    return x == y || (x->metric == y->metric && x->masquerade == y->masquerade &&
                      !x->peer[0] == !y->peer[0] && !x->access_groups.n == !y->access_groups.n &&
                      compile_target_same(a->target, b->target));
}

static bool some_source(const struct snap_links *l, const struct rk_bitmap *set)
{
    for (size_t i = 0; i < l->n; i++)
        if (rk_bitmap_intersects(snap_link_sources(&l->v[i]), set))
            return true;
    return false;
}

/* Do its routers let others through, as far as rules, members and their addresses go? */
static bool access_moved(const struct snap_route *was,
                         const struct snap_route *now,
                         const struct rk_bitmap *moved,
                         const struct rk_bitmap *looks)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap changed = { NULL, 0 };

    if (now->access.n == 0 && was->access.n == 0)
        return false;
    if (!links_same(&was->access, &now->access, true, &now->members))
        return true;
    rk_bitmap_or(&changed, looks);
    rk_bitmap_and(&changed, &now->members);
    rk_bitmap_or(&changed, moved);
    return some_source(&was->access, &changed) || some_source(&now->access, &changed);
}

static void changed_route(const struct snap_change *c,
                          const struct snap_route *was,
                          const struct snap_route *now,
                          struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap moved = { NULL, 0 };
    size_t router;

    bool others = was && now && was != now && !rk_bitmap_equal(&was->routers, &now->routers);

    if (!was || !now || was->row->enabled != now->row->enabled ||
        (others && !route_same(was, now))) {
        if (was)
            whole_route(was, out);
        if (now)
            whole_route(now, out);
        return;
    }
    if (others)
        other_advertisers(c, was, now, out);
    if (!route_same(was, now))
        carriers(c->now, was, now, out);
    if (rk_bitmap_intersects(&now->routers, c->names))
        whole_route(now, out);
    router = rk_bitmap_next(&now->routers, 0);
    if (!now->row->enabled || router == SIZE_MAX)
        return;
    if (was != now) {
        rk_bitmap_copy(&moved, &was->members);
        rk_bitmap_xor(&moved, &now->members);
    }
    if (access_moved(was, now, &moved, c->looks))
        rk_bitmap_or(out, &now->routers);
    rk_bitmap_andnot(&moved, &now->routers); /* they have and see it as routers */
    rk_bitmap_or(out, &moved);
}

static void changed_routes(const struct snap_change *ch, struct rk_bitmap *out)
{
    const struct snap_routing *was = ch->was->routing, *now = ch->now->routing;
    bool nobody = rk_bitmap_empty(ch->looks) && rk_bitmap_empty(ch->names);
    struct pairs p = { 0, 0 };
    int c;

    while (next_pair(&p, p.was < was->routes_n ? was->routes[p.was]->row->row.id : NULL,
                     p.now < now->routes_n ? now->routes[p.now]->row->row.id : NULL, &c)) {
        const struct snap_route *a = c <= 0 ? was->routes[p.was - 1] : NULL;
        const struct snap_route *b = c >= 0 ? now->routes[p.now - 1] : NULL;

        if (a != b || !nobody)
            changed_route(ch, a, b, out);
    }
}

/* --- network resources ---------------------------------------------------------------------- */

static bool served(const struct snap_resource *r)
{
    return r->network && !rk_bitmap_empty(&r->network->peers);
}

/* Those of the routers that are among `only`, or all of them. */
static void
add_routers(const struct rk_bitmap *routers, const struct rk_bitmap *only, struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap set = { NULL, 0 };

    rk_bitmap_copy(&set, routers);
    if (only)
        rk_bitmap_and(&set, only);
    rk_bitmap_or(out, &set);
}

/* Without routers nobody has it. One that nobody may use is only known to its routers, and matters
 * to them when access to a route of their own may depend on whom they see. */
static void
whole_resource(const struct snap_resource *r, const struct rk_bitmap *gated, struct rk_bitmap *out)
{
    if (!served(r))
        return;
    rk_bitmap_or(out, &r->clients);
    add_routers(&r->network->peers, r->rules.n > 0 ? NULL : gated, out);
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
                             const struct rk_bitmap *gated,
                             struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap routers, clients;
    bool routers_too;

    rk_bitmap_init(&routers);
    rk_bitmap_init(&clients);
    if (!was || !now || !compile_target_same(was->target, now->target)) {
        if (was)
            whole_resource(was, gated, out);
        if (now)
            whole_resource(now, gated, out);
        return;
    }
    if (was->network != now->network) {
        other_routers(was->network, now->network, &routers);
        other_routers(now->network, was->network, &routers);
        add_routers(&routers, was->rules.n > 0 || now->rules.n > 0 ? NULL : gated, out);
    }
    if (was != now) {
        rk_bitmap_copy(&clients, &was->clients);
        rk_bitmap_xor(&clients, &now->clients);
        if (served(was) || served(now))
            rk_bitmap_or(out, &clients);
    }
    if (!rk_bitmap_empty(&routers) ||
        (now->network && rk_bitmap_intersects(&now->network->peers, looks)))
        rk_bitmap_or(out, &now->clients);
    /* A router sees the others only where access to a route of its own is in question. */
    if (now->network && !rk_bitmap_empty(&routers))
        add_routers(&now->network->peers, gated, out);
    routers_too = !rk_bitmap_empty(&clients) || rk_bitmap_intersects(&now->clients, looks) ||
                  !was->rules.n != !now->rules.n ||
                  !links_same(&was->rules, &now->rules, false, NULL);
    if (routers_too && now->network)
        rk_bitmap_or(out, &now->network->peers);
}

/* Who routes by access rules, and so lets through whom it sees. */
static void gatekeepers(const struct snap_routing *r, struct rk_bitmap *out)
{
    for (size_t i = 0; r->gated && i < r->routes_n; i++)
        if (r->routes[i]->access.n > 0)
            rk_bitmap_or(out, &r->routes[i]->routers);
}

static void changed_resources(const struct snap_change *ch, struct rk_bitmap *out)
{
    const struct snap_routing *was = ch->was->routing, *now = ch->now->routing;
    rk_auto(rk_bitmap_done) struct rk_bitmap gated = { NULL, 0 };
    bool nobody = rk_bitmap_empty(ch->looks);
    struct pairs p = { 0, 0 };
    int c;

    gatekeepers(was, &gated);
    gatekeepers(now, &gated);
    while (next_pair(&p, p.was < was->resources_n ? was->resources[p.was]->row->row.id : NULL,
                     p.now < now->resources_n ? now->resources[p.now]->row->row.id : NULL, &c)) {
        const struct snap_resource *a = c <= 0 ? was->resources[p.was - 1] : NULL;
        const struct snap_resource *b = c >= 0 ? now->resources[p.now - 1] : NULL;

        if (a != b || !nobody)
            changed_resource(a, b, ch->looks, &gated, out);
    }
}

void snap_affected_routing(const struct snap_change *c, struct rk_bitmap *out)
{
    if (c->was->routing == c->now->routing && rk_bitmap_empty(c->looks) &&
        rk_bitmap_empty(c->names))
        return;
    changed_routes(c, out);
    changed_resources(c, out);
}
