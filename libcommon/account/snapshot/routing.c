#include "libcommon/account/snapshot/int.h"

/*
 * Finding all of it anew. First the rules behind each route and resource: one walk over the rules'
 * destinations, against a list of who waits for which group; then the objects in the order of their
 * ids, each beside its own from the snapshot before.
 */

#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"

/* --- links ---------------------------------------------------------------------------------- */

static bool same_link(const struct snap_link *a, const struct snap_link *b)
{
    return a->policy == b->policy && a->rule == b->rule && a->shut == b->shut;
}

void snap_links_add(struct snap_links *l, const struct snap_link *link)
{
    if (l->n > 0 && same_link(&l->v[l->n - 1], link))
        return;
    if (l->n == l->cap) {
        l->cap = l->cap > 0 ? l->cap * 2 : 4;
        l->v = rk_realloc(l->v, l->cap * sizeof(*l->v));
    }
    (void)atomic_fetch_add_explicit(&link->policy->refs, 1, memory_order_relaxed);
    l->v[l->n++] = *link;
}

void snap_links_done(struct snap_links *l)
{
    for (size_t i = 0; i < l->n; i++)
        snap_policy_unref(l->v[i].policy);
    free(l->v);
    *l = (struct snap_links){ 0 };
}

bool snap_links_equal(const struct snap_links *a, const struct snap_links *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_link(&a->v[i], &b->v[i]))
            return false;
    return true;
}

const struct rk_bitmap *snap_link_sources(const struct snap_link *l)
{
    static const struct rk_bitmap nobody = { NULL, 0 };

    return l->shut ? &nobody : &l->policy->sides[l->rule].src;
}

/* --- who waits for rules to which group ----------------------------------------------------- */

struct waiting {
    uint32_t group; /* its place */
    uint32_t what;  /* index into links */
};

struct search {
    const struct rk_snapshot *s;
    struct waiting *v;
    size_t n, cap;
    struct snap_links *links; /* of the routes, then of the resources, each by its place in rows */
    size_t routes_n;
};

static void wait_for(struct search *x, size_t group, size_t what)
{
    if (x->n == x->cap) {
        x->cap = x->cap > 0 ? x->cap * 2 : 64;
        x->v = rk_realloc(x->v, x->cap * sizeof(*x->v));
    }
    x->v[x->n++] = (struct waiting){ (uint32_t)group, (uint32_t)what };
}

static int by_group(const void *a, const void *b)
{
    const struct waiting *x = a, *y = b;

    return x->group != y->group ? (x->group < y->group ? -1 : 1)
                                : (x->what > y->what) - (x->what < y->what);
}

static void find_waiting(struct search *x)
{
    const struct snap_rows *routes = &x->s->rows[RK_OBJ_ROUTE];
    const struct snap_rows *resources = &x->s->rows[RK_OBJ_RESOURCE];
    bool found;

    for (size_t i = 0; i < routes->n; i++) {
        const struct rk_route_row *r = (const struct rk_route_row *)routes->v[i];

        for (size_t k = 0; r->enabled && k < r->access_groups.n; k++) {
            size_t at = snap_group_place(x->s, r->access_groups.v[k], &found);

            if (found)
                wait_for(x, at, i);
        }
    }
    for (size_t g = 0; g < x->s->groups_n; g++) {
        const struct rk_ids *held = &x->s->groups[g]->row->resources;

        for (size_t k = 0; k < held->n; k++) {
            size_t at = snap_rows_place(resources, held->v[k], &found);

            if (found && ((const struct rk_resource_row *)resources->v[at])->enabled)
                wait_for(x, g, routes->n + at);
        }
    }
    if (x->n > 1)
        qsort(x->v, x->n, sizeof(*x->v), by_group);
}

static void link_group(struct search *x, size_t group, const struct snap_link *link)
{
    const struct rk_rule *rule = &link->policy->code->row->rules[link->rule];
    size_t lo = 0, hi = x->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (x->v[mid].group < group)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < x->n && x->v[lo].group == group; lo++) {
        struct snap_link l = *link;

        /* A route's routers drop what they are to drop from one peer, whatever it fails. */
        if (x->v[lo].what < x->routes_n && rule->action == RK_RULE_DROP)
            l.shut = false;
        snap_links_add(&x->links[x->v[lo].what], &l);
    }
}

/* Its one source, named directly, fails? */
static bool is_shut(const struct rk_snapshot *s, const struct snap_policy *p, size_t rule)
{
    const struct rk_policy_row *row = p->code->row;
    rk_auto(rk_bitmap_done) struct rk_bitmap source;

    rk_bitmap_init(&source);
    if (!row->rules[rule].source_peer[0] || row->posture_checks.n == 0)
        return false;
    rk_bitmap_copy(&source, &p->sides[rule].src);
    snap_posture_gate(s, &row->posture_checks, &source);
    return rk_bitmap_empty(&source);
}

static void link_rule(struct search *x, struct snap_policy *p, size_t rule)
{
    const struct rk_rule *r = &p->code->row->rules[rule];
    const struct snap_link link = { p, (uint32_t)rule, is_shut(x->s, p, rule) };
    bool found;
    size_t at;

    for (size_t i = 0; i < r->destinations_n; i++) {
        at = snap_group_place(x->s, r->destinations[i], &found);
        if (found)
            link_group(x, at, &link);
    }
    if (!r->destination_resource[0])
        return;
    at = snap_rows_place(&x->s->rows[RK_OBJ_RESOURCE], r->destination_resource, &found);
    if (found)
        snap_links_add(&x->links[x->routes_n + at], &link);
}

static void find_links(struct search *x)
{
    find_waiting(x);
    for (size_t i = 0; i < x->s->policies_n; i++) {
        struct snap_policy *p = x->s->policies[i];
        const struct rk_policy_row *row = p->code->row;

        for (size_t k = 0; row->enabled && k < row->rules_n; k++)
            if (row->rules[k].enabled)
                link_rule(x, p, k);
    }
    free(x->v);
}

/* --- the objects ---------------------------------------------------------------------------- */

static void make_routes(struct snap_routing *r, struct search *x, const struct snap_routing *was)
{
    const struct snap_rows *rows = &x->s->rows[RK_OBJ_ROUTE];
    rk_auto(rk_map_free) struct rk_map *first = rk_map_new();
    size_t old = 0, old_n = was ? was->routes_n : 0;

    r->routes = rk_new_array(struct snap_route *, rows->n + 1);
    r->ha = rk_new_array(uint32_t, rows->n + 1);
    for (size_t i = 0; i < rows->n; i++) {
        struct rk_route_row *row = (struct rk_route_row *)rows->v[i];
        struct snap_route *route, **head;
        struct rk_str ha;

        while (old < old_n && strcmp(was->routes[old]->row->row.id, row->row.id) < 0)
            old++;
        route =
            snap_route_new(x->s, row, &x->links[i],
                           old < old_n && strcmp(was->routes[old]->row->row.id, row->row.id) == 0
                               ? was->routes[old]
                               : NULL);
        r->routes[i] = route;
        r->gated = r->gated || route->access.n > 0;
        ha = rk_strn(route->target->bytes + route->target->ha.at, route->target->ha.n);
        head = rk_map_get(first, ha);
        r->ha[i] = (uint32_t)(head ? head - r->routes : (ptrdiff_t)i);
        if (!head)
            (void)rk_map_put(first, ha, &r->routes[i]);
    }
    r->routes_n = rows->n;
}

static struct snap_network *find_network(const struct snap_routing *r, const char *id)
{
    size_t lo = 0, hi = r ? r->networks_n : 0;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(r->networks[mid]->id, id);

        if (c == 0)
            return r->networks[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static int by_network(const void *a, const void *b)
{
    const struct rk_router_row *const *x = a, *const *y = b;
    int c = strcmp((*x)->network, (*y)->network);

    return c != 0 ? c : strcmp((*x)->row.id, (*y)->row.id);
}

static void
make_networks(struct snap_routing *r, const struct rk_snapshot *s, const struct snap_routing *was)
{
    const struct snap_rows *rows = &s->rows[RK_OBJ_ROUTER];
    struct rk_router_row **on = rk_new_array(struct rk_router_row *, rows->n + 1);
    size_t n = 0;

    for (size_t i = 0; i < rows->n; i++) {
        struct rk_router_row *row = (struct rk_router_row *)rows->v[i];

        if (row->enabled)
            on[n++] = row;
    }
    qsort(on, n, sizeof(struct rk_router_row *), by_network);
    r->networks = rk_new_array(struct snap_network *, n + 1);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && strcmp(on[end]->network, on[i]->network) == 0;)
            end++;
        r->networks[r->networks_n++] =
            snap_network_new(s, &on[i], end - i, find_network(was, on[i]->network));
    }
    free(on);
}

static void make_resources(struct snap_routing *r, struct search *x, const struct snap_routing *was)
{
    const struct snap_rows *rows = &x->s->rows[RK_OBJ_RESOURCE];
    size_t old = 0, old_n = was ? was->resources_n : 0;

    r->resources = rk_new_array(struct snap_resource *, rows->n + 1);
    for (size_t i = 0; i < rows->n; i++) {
        struct rk_resource_row *row = (struct rk_resource_row *)rows->v[i];
        struct snap_links *links = &x->links[x->routes_n + i];

        if (!row->enabled) {
            snap_links_done(links); /* named directly */
            continue;
        }
        while (old < old_n && strcmp(was->resources[old]->row->row.id, row->row.id) < 0)
            old++;
        r->resources[r->resources_n++] = snap_resource_new(
            row, find_network(r, row->network), links,
            old < old_n && strcmp(was->resources[old]->row->row.id, row->row.id) == 0
                ? was->resources[old]
                : NULL);
    }
}

struct snap_routing *snap_routing_new(const struct rk_snapshot *s, const struct snap_routing *was)
{
    struct snap_routing *r = rk_new(struct snap_routing);
    struct search x = { .s = s, .routes_n = s->rows[RK_OBJ_ROUTE].n };

    atomic_init(&r->refs, 1);
    x.links = rk_new_array(struct snap_links, x.routes_n + s->rows[RK_OBJ_RESOURCE].n + 1);
    find_links(&x);
    make_routes(r, &x, was);
    make_networks(r, s, was);
    make_resources(r, &x, was);
    free(x.links);
    return r;
}

struct snap_routing *snap_routing_ref(struct snap_routing *r)
{
    (void)atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void snap_routing_unref(struct snap_routing *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < r->routes_n; i++)
        snap_route_unref(r->routes[i]);
    for (size_t i = 0; i < r->resources_n; i++)
        snap_resource_unref(r->resources[i]);
    for (size_t i = 0; i < r->networks_n; i++)
        snap_network_unref(r->networks[i]);
    free(r->routes);
    free(r->ha);
    free(r->resources);
    free(r->networks);
    free(r);
}
