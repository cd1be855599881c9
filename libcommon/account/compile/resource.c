#include "libcommon/account/compile/int.h"

/*
 * Network resources. A router of the network gets the resource as a route of its own with rules for
 * its clients, and the clients as remote peers; a client gets a route through every router, and the
 * routers as remote peers. No rule between peers is needed, and none is made.
 */

enum role {
    NOBODY,
    ROUTER,
    CLIENT
};

static enum role role_of(const struct compile_view *v, const struct snap_resource *r)
{
    if (!r->network)
        return NOBODY;
    if (rk_bitmap_test(&r->network->peers, v->index))
        return ROUTER;
    return rk_bitmap_test(&r->clients, v->index) ? CLIENT : NOBODY;
}

void compile_look_resources(struct compile_view *v)
{
    const struct snap_routing *all = v->s->routing;

    for (size_t i = 0; i < all->resources_n; i++) {
        const struct snap_resource *r = all->resources[i];

        switch (role_of(v, r)) {
        case NOBODY:
            break;
        case ROUTER:
            rk_bitmap_or(&v->visible, &r->network->peers);
            rk_bitmap_or(&v->extra, &r->clients);
            break;
        case CLIENT:
            rk_bitmap_or(&v->extra, &r->network->peers);
            break;
        }
    }
    rk_bitmap_unset(&v->extra, v->index);
    rk_bitmap_or(&v->visible, &v->extra);
}

static struct compile_route as_route(const struct snap_resource *r, const struct rk_router_row *via)
{
    return (struct compile_route){ .target = r->target,
                                   .named_after = true,
                                   .metric = via->metric,
                                   .masquerade = via->masquerade };
}

static void put_own(struct compile_view *v, const struct snap_resource *r, struct rk_buf *b)
{
    for (size_t i = 0; i < r->network->routers_n; i++) {
        const struct snap_router *router = &r->network->routers[i];
        const struct compile_route as = as_route(r, router->row);

        if (rk_bitmap_test(&router->peers, v->index))
            compile_put_route(v, &as, v->me, b);
    }
}

static void put_through_all(struct compile_view *v, const struct snap_resource *r, struct rk_buf *b)
{
    for (size_t i = 0; i < r->network->routers_n; i++) {
        const struct snap_router *router = &r->network->routers[i];
        const struct compile_route as = as_route(r, router->row);
        struct compile_list l = compile_in_order(v, &router->peers);

        for (size_t k = 0; k < l.n; k++)
            compile_put_route(v, &as, snap_slot(v->s, l.v[k])->peer, b);
    }
}

void compile_put_resources(struct compile_view *v, struct rk_buf *b)
{
    const struct snap_routing *all = v->s->routing;

    for (size_t i = 0; i < all->resources_n; i++) {
        const struct snap_resource *r = all->resources[i];

        switch (role_of(v, r)) {
        case NOBODY:
            break;
        case ROUTER:
            if (r->rules.n > 0)
                put_own(v, r, b);
            break;
        case CLIENT:
            put_through_all(v, r, b);
            break;
        }
    }
}

void compile_put_resource_access(struct compile_view *v, struct rk_buf *b)
{
    const struct snap_routing *all = v->s->routing;

    for (size_t i = 0; i < all->resources_n; i++) {
        const struct snap_resource *r = all->resources[i];
        struct compile_gate g = { .target = r->target, .via = v->me };

        if (role_of(v, r) != ROUTER)
            continue;
        for (size_t k = 0; k < r->rules.n; k++) {
            const struct snap_link *l = &r->rules.v[k];

            g.policy = l->policy->code->row->id;
            g.rule = &l->policy->code->row->rules[l->rule];
            rk_bitmap_copy(&v->in, snap_link_sources(l));
            if (!g.rule->source_peer[0])
                rk_bitmap_unset(&v->in, v->index);
            compile_put_gate(v, &g, &v->in, b);
        }
    }
}
