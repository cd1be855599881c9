#include "libcommon/account/snapshot/int.h"

/* A route with its sets. */

#include <stdlib.h>

#include "libcommon/base/alloc.h"

void snap_route_unref(struct snap_route *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    rk_row_unref(&r->row->row);
    compile_target_unref(r->target);
    rk_bitmap_done(&r->routers);
    rk_bitmap_done(&r->members);
    snap_links_done(&r->access);
    free(r);
}

static bool same(const struct snap_route *a, const struct snap_route *b)
{
    return a->row == b->row && rk_bitmap_equal(&a->routers, &b->routers) &&
           rk_bitmap_equal(&a->members, &b->members) && snap_links_equal(&a->access, &b->access);
}

struct snap_route *snap_route_new(const struct rk_snapshot *s,
                                  struct rk_route_row *row,
                                  struct snap_links *links,
                                  struct snap_route *was)
{
    struct snap_route *r = rk_new(struct snap_route);

    atomic_init(&r->refs, 1);
    (void)rk_row_ref(&row->row);
    r->row = row;
    r->access = *links;
    *links = (struct snap_links){ 0 };
    snap_set_of(s, row->peer, &row->peer_groups, &r->routers);
    snap_set_of(s, "", &row->groups, &r->members);
    if (was && same(was, r)) {
        (void)atomic_fetch_add_explicit(&was->refs, 1, memory_order_relaxed);
        snap_route_unref(r);
        return was;
    }
    r->target =
        was && was->row == row ? compile_target_ref(was->target) : compile_target_of_route(row);
    return r;
}
