#include <stdlib.h>

#include "libcommon/account/snapshot/int.h"
#include "libcommon/base/alloc.h"

/* A small group says more of who its members see than a large one: the smallest that a peer is in
 * decides where it stands. */

enum {
    FEW = 16 /* peers are not worth looking at the groups */
};

struct kin {
    const struct rk_bitmap *members;
    size_t n;
};

static int smaller(const void *a, const void *b)
{
    const struct kin *x = a, *y = b;

    return (x->n > y->n) - (x->n < y->n);
}

static size_t put(const struct rk_bitmap *set, uint32_t *out)
{
    size_t n = 0;

    for (size_t i = rk_bitmap_next(set, 0); i != SIZE_MAX; i = rk_bitmap_next(set, i + 1))
        out[n++] = (uint32_t)i;
    return n;
}

void rk_snapshot_kin(const struct rk_snapshot *s, const struct rk_bitmap *set, uint32_t *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap left, mine;
    size_t left_n = rk_bitmap_count(set), n, groups_n = left_n > FEW ? s->groups_n : 0;
    struct kin *v = rk_new_array(struct kin, groups_n);

    rk_bitmap_init(&left);
    rk_bitmap_init(&mine);
    rk_bitmap_copy(&left, set);
    for (size_t i = 0; i < groups_n; i++)
        v[i] = (struct kin){ &s->groups[i]->members, rk_bitmap_count(&s->groups[i]->members) };
    qsort(v, groups_n, sizeof(*v), smaller);
    for (size_t i = 0; i < groups_n && left_n > 0; i++) {
        rk_bitmap_copy(&mine, v[i].members);
        rk_bitmap_and(&mine, &left);
        rk_bitmap_andnot(&left, &mine);
        n = put(&mine, out);
        out += n;
        left_n -= n;
    }
    (void)put(&left, out);
    free(v);
}
