#include "libcommon/account/snapshot/int.h"

/* Networks with their routers, and resources with their clients. */

#include <stdlib.h>

#include "libcommon/base/alloc.h"

void snap_network_unref(struct snap_network *n)
{
    if (!n || atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < n->routers_n; i++) {
        rk_row_unref(&n->routers[i].row->row);
        rk_bitmap_done(&n->routers[i].peers);
    }
    free(n->routers);
    rk_bitmap_done(&n->peers);
    free(n);
}

static bool same_network(const struct snap_network *a, const struct snap_network *b)
{
    if (a->routers_n != b->routers_n)
        return false;
    for (size_t i = 0; i < a->routers_n; i++)
        if (a->routers[i].row != b->routers[i].row ||
            !rk_bitmap_equal(&a->routers[i].peers, &b->routers[i].peers))
            return false;
    return true;
}

struct snap_network *snap_network_new(const struct rk_snapshot *s,
                                      struct rk_router_row **routers,
                                      size_t n,
                                      struct snap_network *was)
{
    struct snap_network *net = rk_new(struct snap_network);

    atomic_init(&net->refs, 1);
    memcpy(net->id, routers[0]->network, sizeof(net->id));
    net->routers = rk_new_array(struct snap_router, n);
    net->routers_n = n;
    for (size_t i = n; i-- > 0;) { /* of two that name one peer the later counts */
        struct snap_router *r = &net->routers[i];

        (void)rk_row_ref(&routers[i]->row);
        r->row = routers[i];
        snap_set_of(s, r->row->peer, &r->row->peer_groups, &r->peers);
        rk_bitmap_andnot(&r->peers, &net->peers);
        rk_bitmap_or(&net->peers, &r->peers);
    }
    if (was && same_network(was, net)) {
        (void)atomic_fetch_add_explicit(&was->refs, 1, memory_order_relaxed);
        snap_network_unref(net);
        return was;
    }
    return net;
}

void snap_resource_unref(struct snap_resource *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    rk_row_unref(&r->row->row);
    compile_target_unref(r->target);
    snap_network_unref(r->network);
    snap_links_done(&r->rules);
    rk_bitmap_done(&r->clients);
    free(r);
}

struct snap_resource *snap_resource_new(struct rk_resource_row *row,
                                        struct snap_network *network,
                                        struct snap_links *links,
                                        struct snap_resource *was)
{
    struct snap_resource *r;

    /* The clients follow from the rules. */
    if (was && was->row == row && was->network == network && snap_links_equal(&was->rules, links)) {
        (void)atomic_fetch_add_explicit(&was->refs, 1, memory_order_relaxed);
        snap_links_done(links);
        return was;
    }
    r = rk_new(struct snap_resource);
    atomic_init(&r->refs, 1);
    (void)rk_row_ref(&row->row);
    r->row = row;
    r->network = network;
    if (network)
        (void)atomic_fetch_add_explicit(&network->refs, 1, memory_order_relaxed);
    r->rules = *links;
    *links = (struct snap_links){ 0 };
    for (size_t i = 0; i < r->rules.n; i++)
        rk_bitmap_or(&r->clients, snap_link_sources(&r->rules.v[i]));
    r->target =
        was && was->row == row ? compile_target_ref(was->target) : compile_target_of_resource(row);
    return r;
}
