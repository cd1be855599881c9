#include "libcommon/account/compile/int.h"

/* Routes: those that the receiver advertises, those that it gets from peers it is connected to, and
 * what it lets through to its own. */

enum {
    TAG_MAP_ROUTE = 5 << 3 | 2,
    TAG_ROUTE_PEER = 4 << 3 | 2
};

void compile_put_route(struct compile_view *v,
                       const struct compile_route *r,
                       const struct compile_peer *via,
                       struct rk_buf *b)
{
    const struct compile_target *t = r->target;
    struct rk_buf *x = &v->scratch;

    if (t->v6 && !v->me->v6)
        return;
    for (unsigned form = COMPILE_PLAIN; form <= (t->twin && v->me->v6 ? COMPILE_TWIN : 0); form++) {
        size_t id;

        rk_buf_clear(x);
        compile_put_route_id(x, 1, t, r->named_after ? via : NULL, form);
        id = x->n;
        (void)rk_buf_put(x, via->bytes + via->key.at, via->key.n);
        rk_wire_uint(x, 5, r->metric);
        rk_wire_bool(x, 6, r->masquerade);
        if (x->overflow)
            return;
        x->p[id] = TAG_ROUTE_PEER;
        compile_put_pieces(b, TAG_MAP_ROUTE,
                           (const struct compile_piece[]){
                               { x->p, id },
                               { t->bytes + t->net[form].at, t->net[form].n },
                               { x->p + id, x->n - id },
                               { t->bytes + t->tail[form].at, t->tail[form].n },
                           },
                           4);
    }
}

void compile_look_routes(struct compile_view *v)
{
    const struct snap_routing *all = v->s->routing;

    for (size_t i = 0; i < all->routes_n; i++) {
        const struct snap_route *r = all->routes[i];
        bool own = rk_bitmap_test(&r->routers, v->index);

        if (own)
            rk_bitmap_set(&v->own_ha, all->ha[i]); /* switched off or not */
        if (own || (r->row->enabled && rk_bitmap_test(&r->members, v->index)))
            rk_bitmap_or(&v->named, &r->routers);
    }
}

static struct compile_route as_route(const struct snap_route *r)
{
    return (struct compile_route){ .target = r->target,
                                   .named_after = !r->row->peer[0],
                                   .metric = r->row->metric,
                                   .masquerade = r->row->masquerade };
}

void compile_put_routes(struct compile_view *v, struct rk_buf *b)
{
    const struct snap_routing *all = v->s->routing;

    for (size_t i = 0; i < all->routes_n; i++) {
        const struct snap_route *r = all->routes[i];
        const struct compile_route as = as_route(r);
        struct compile_list l;

        if (!r->row->enabled)
            continue;
        if (rk_bitmap_test(&r->routers, v->index)) {
            compile_put_route(v, &as, v->me, b);
            continue;
        }
        if (!rk_bitmap_test(&r->members, v->index) || rk_bitmap_test(&v->own_ha, all->ha[i]))
            continue;
        rk_bitmap_copy(&v->in, &r->routers);
        rk_bitmap_and(&v->in, &v->connected);
        l = compile_in_order(v, &v->in);
        for (size_t k = 0; k < l.n; k++)
            compile_put_route(v, &as, snap_slot(v->s, l.v[k])->peer, b);
    }
}

void compile_put_route_access(struct compile_view *v, struct rk_buf *b)
{
    const struct snap_routing *all = v->s->routing;

    for (size_t i = 0; i < all->routes_n; i++) {
        const struct snap_route *r = all->routes[i];
        struct compile_gate g = { .target = r->target,
                                  .via = r->row->peer[0] ? NULL : v->me,
                                  .policy = "",
                                  .even_for_nobody = true };

        if (!r->row->enabled || !rk_bitmap_test(&r->routers, v->index))
            continue;
        if (r->row->access_groups.n == 0)
            compile_put_open(v, &g, b);
        for (size_t k = 0; k < r->access.n; k++) {
            const struct snap_link *l = &r->access.v[k];

            g.policy = l->policy->code->row->id;
            g.rule = &l->policy->code->row->rules[l->rule];
            rk_bitmap_copy(&v->in, snap_link_sources(l));
            rk_bitmap_and(&v->in, &r->members);
            rk_bitmap_and(&v->in, &v->visible);
            if (!g.rule->source_peer[0])
                rk_bitmap_unset(&v->in, v->index);
            compile_put_gate(v, &g, &v->in, b);
        }
    }
}
