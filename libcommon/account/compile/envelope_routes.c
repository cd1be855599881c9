#include "libcommon/account/compile/envelope_int.h"

/* Routes and network resources of the envelope, with the rules that lead to them. */

#include <string.h>

void envelope_look_routes(struct envelope *e)
{
    const struct snap_routing *all = e->v->s->routing;

    for (size_t i = 0; i < all->routes_n; i++) {
        const struct snap_route *r = all->routes[i];
        bool own = rk_bitmap_test(&r->routers, e->v->index);

        if (!own && !(r->row->enabled && rk_bitmap_test(&r->members, e->v->index)))
            continue;
        rk_bitmap_set(&e->routes, i);
        envelope_want_groups(e, r->row->peer_groups.v, r->row->peer_groups.n);
        envelope_want_groups(e, r->row->groups.v, r->row->groups.n);
        if (!own || !r->row->enabled)
            continue; /* who may use it is its routers' business */
        envelope_want_groups(e, r->row->access_groups.v, r->row->access_groups.n);
        for (size_t k = 0; k < r->access.n; k++)
            envelope_want_link(e, &r->access.v[k], true);
    }
    for (size_t i = 0; i < all->resources_n; i++) {
        const struct snap_resource *r = all->resources[i];

        if (!r->network || (!rk_bitmap_test(&r->network->peers, e->v->index) &&
                            !rk_bitmap_test(&r->clients, e->v->index)))
            continue;
        rk_bitmap_set(&e->reached, i);
        for (size_t k = 0; k < r->rules.n; k++)
            envelope_want_link(e, &r->rules.v[k], false);
    }
}

static void put_route(const struct envelope *e, const struct rk_route_row *r, struct rk_buf *b)
{
    char network[RK_PREFIX_LEN];
    size_t at = rk_wire_begin(b, 13);

    rk_prefix_format(&r->network, network);
    rk_wire_str(b, 1, rk_str(r->public_id));
    rk_wire_str(b, 2, rk_str(r->net_id));
    rk_wire_str(b, 3, rk_str(r->description));
    rk_wire_str(b, 4, rk_str(network));
    for (size_t i = 0; r->type == RK_NET_DOMAIN && i < r->domains.n; i++)
        rk_wire_str(b, 5, rk_str(r->domains.v[i]));
    rk_wire_bool(b, 6, r->keep_route);
    if (r->peer[0])
        envelope_put_peer(e, r->peer, 7, 8, b);
    else
        envelope_put_groups(e, 9, r->peer_groups.v, r->peer_groups.n, b);
    rk_wire_uint(b, 10, r->type);
    rk_wire_bool(b, 11, r->masquerade);
    rk_wire_uint(b, 12, r->metric);
    rk_wire_bool(b, 13, r->enabled);
    envelope_put_groups(e, 14, r->groups.v, r->groups.n, b);
    envelope_put_groups(e, 15, r->access_groups.v, r->access_groups.n, b);
    rk_wire_bool(b, 16, r->skip_auto_apply);
    rk_wire_end(b, at);
}

void envelope_put_routes(const struct envelope *e, struct rk_buf *b)
{
    for (size_t i = rk_bitmap_next(&e->routes, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&e->routes, i + 1))
        put_route(e, e->v->s->routing->routes[i]->row, b);
}

/* --- network resources ---------------------------------------------------------------------- */

static const char *network_key(const struct rk_snapshot *s, const char *id)
{
    const struct rk_network_row *n =
        (const struct rk_network_row *)snap_rows_find(&s->rows[RK_OBJ_NETWORK], id);

    return n ? n->public_id : id;
}

static void
put_resource(const struct rk_snapshot *s, const struct rk_resource_row *r, struct rk_buf *b)
{
    static const char *const names[] = { "host", "subnet", "domain" };
    char prefix[RK_PREFIX_LEN] = "";
    size_t at = rk_wire_begin(b, 17);

    if (r->type != RK_RESOURCE_DOMAIN)
        rk_prefix_format(&r->prefix, prefix);
    rk_wire_str(b, 1, rk_str(r->public_id));
    rk_wire_str(b, 2, rk_str(network_key(s, r->network)));
    rk_wire_str(b, 3, rk_str(r->name));
    rk_wire_str(b, 4, rk_str(r->description));
    rk_wire_str(b, 5, rk_str(names[r->type]));
    if (r->type == RK_RESOURCE_DOMAIN)
        rk_wire_str(b, 7, rk_str(r->domain));
    rk_wire_str(b, 8, rk_str(prefix));
    rk_wire_bool(b, 9, true);
    rk_wire_end(b, at);
}

/* One entry for each peer that routes, in the order of routers and then of peers. */
static void put_network(const struct envelope *e, const struct snap_network *n, struct rk_buf *b)
{
    size_t entry = rk_wire_begin(b, 18), list, at;

    rk_wire_str(b, 1, rk_str(network_key(e->v->s, n->id)));
    list = rk_wire_begin(b, 2);
    for (size_t i = 0; i < n->routers_n; i++) {
        const struct rk_router_row *r = n->routers[i].row;
        struct compile_list l = compile_in_order(e->v, &n->routers[i].peers);

        for (size_t k = 0; k < l.n; k++) {
            at = rk_wire_begin(b, 1);
            rk_wire_str(b, 1, rk_str(r->public_id));
            rk_wire_uint(b, 2, e->number[l.v[k]]);
            rk_wire_bool(b, 3, true);
            envelope_put_groups(e, 4, r->peer_groups.v, r->peer_groups.n, b);
            rk_wire_bool(b, 5, r->masquerade);
            rk_wire_uint(b, 6, r->metric);
            rk_wire_bool(b, 7, true);
            rk_wire_end(b, at);
        }
    }
    rk_wire_end(b, list);
    rk_wire_end(b, entry);
}

static void put_resource_rules(const struct snap_resource *r, struct rk_buf *b)
{
    size_t entry, list;

    if (r->rules.n == 0)
        return;
    entry = rk_wire_begin(b, 19);
    rk_wire_str(b, 1, rk_str(r->row->public_id));
    list = rk_wire_begin(b, 2);
    for (size_t i = 0; i < r->rules.n; i++)
        envelope_put_rule_id(1, r->rules.v[i].policy, r->rules.v[i].rule, b);
    rk_wire_end(b, list);
    rk_wire_end(b, entry);
}

/* Is a resource of that network reached? */
static bool reached(const struct envelope *e, const struct snap_network *n)
{
    for (size_t i = rk_bitmap_next(&e->reached, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&e->reached, i + 1))
        if (e->v->s->routing->resources[i]->network == n)
            return true;
    return false;
}

void envelope_put_router_peers(const struct envelope *e, struct rk_buf *b)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap peers;

    rk_bitmap_init(&peers);
    for (size_t i = rk_bitmap_next(&e->reached, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&e->reached, i + 1))
        rk_bitmap_or(&peers, &e->v->s->routing->resources[i]->network->peers);
    if (!rk_bitmap_empty(&peers))
        envelope_put_set(e, 10, &peers, b);
}

void envelope_put_resources(const struct envelope *e, struct rk_buf *b)
{
    const struct snap_routing *all = e->v->s->routing;

    for (size_t i = rk_bitmap_next(&e->reached, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&e->reached, i + 1))
        put_resource(e->v->s, all->resources[i]->row, b);
    for (size_t i = 0; i < all->networks_n; i++)
        if (reached(e, all->networks[i]))
            put_network(e, all->networks[i], b);
    for (size_t i = rk_bitmap_next(&e->reached, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&e->reached, i + 1))
        put_resource_rules(all->resources[i], b);
}
