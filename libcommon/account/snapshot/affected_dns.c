#include "libcommon/account/snapshot/int.h"
#include "libcommon/account/snapshot/pairs.h"

/* Whose map may differ because of DNS: who gained or lost it altogether, and of each nameserver
 * group and zone who got or lost it, or everyone that has it when it is another. */

static bool content_same(const struct snap_served *a, const struct snap_served *b)
{
    return a->bytes_n == b->bytes_n &&
           (a->bytes_n == 0 || memcmp(a->bytes, b->bytes, a->bytes_n) == 0);
}

static void
changed_served(const struct snap_served *was, const struct snap_served *now, struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap moved;

    rk_bitmap_init(&moved);
    if (was)
        rk_bitmap_copy(&moved, &was->who);
    if (was && now && content_same(was, now))
        rk_bitmap_xor(&moved, &now->who);
    else if (now)
        rk_bitmap_or(&moved, &now->who);
    rk_bitmap_or(out, &moved);
}

static void changed_serving(const struct snap_serving *was,
                            const struct snap_serving *now,
                            struct rk_bitmap *out)
{
    struct pairs p = { 0, 0 };
    int c;

    while (next_pair(&p, p.was < was->n ? was->v[p.was]->row->id : NULL,
                     p.now < now->n ? now->v[p.now]->row->id : NULL, &c)) {
        const struct snap_served *a = c <= 0 ? was->v[p.was - 1] : NULL;
        const struct snap_served *b = c >= 0 ? now->v[p.now - 1] : NULL;

        if (a != b)
            changed_served(a, b, out);
    }
}

void snap_affected_dns(const struct rk_snapshot *was,
                       const struct rk_snapshot *now,
                       struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap moved;

    rk_bitmap_init(&moved);
    rk_bitmap_copy(&moved, &was->dns.off);
    rk_bitmap_xor(&moved, &now->dns.off);
    rk_bitmap_or(out, &moved);
    changed_serving(&was->dns.nsgroups, &now->dns.nsgroups, out);
    changed_serving(&was->dns.zones, &now->dns.zones, out);
}
