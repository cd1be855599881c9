#include "libcommon/account/snapshot/int.h"
#include "libcommon/account/snapshot/pairs.h"

/* Whose list of files to look for may differ: who became or ceased to be a source of a policy with
 * process checks, and all its sources when the files are others. */

static const struct snap_posture *with_files(const struct rk_snapshot *s, const char *id)
{
    const struct snap_posture *p = snap_posture_find(s, id);

    return p && p->files_n > 0 ? p : NULL;
}

static bool files_same(const struct snap_posture *a, const struct snap_posture *b)
{
    if (a == b)
        return true;
    return a && b && a->files_n == b->files_n &&
           (a->files_n == 0 || memcmp(a->files, b->files, a->files_n) == 0);
}

/* Ids that name the same files in both, one after another. */
static bool lists_same(const struct rk_snapshot *was,
                       const struct rk_ids *a,
                       const struct rk_snapshot *now,
                       const struct rk_ids *b)
{
    size_t i = 0, k = 0;

    while (true) {
        while (i < a->n && !with_files(was, a->v[i]))
            i++;
        while (k < b->n && !with_files(now, b->v[k]))
            k++;
        if (i == a->n || k == b->n)
            return i == a->n && k == b->n;
        if (strcmp(a->v[i], b->v[k]) != 0 ||
            !files_same(with_files(was, a->v[i]), with_files(now, b->v[k])))
            return false;
        i++;
        k++;
    }
}

/* Is some check's list of files another than before? */
static bool some_files_moved(const struct rk_snapshot *was, const struct rk_snapshot *now)
{
    struct pairs p = { 0, 0 };
    int c;

    while (next_pair(&p, p.was < was->posture.n ? was->posture.v[p.was]->row->row.id : NULL,
                     p.now < now->posture.n ? now->posture.v[p.now]->row->row.id : NULL, &c)) {
        const struct snap_posture *a = c <= 0 ? was->posture.v[p.was - 1] : NULL;
        const struct snap_posture *b = c >= 0 ? now->posture.v[p.now - 1] : NULL;

        if (a && b ? !files_same(a, b) : (a ? a : b)->files_n > 0)
            return true;
    }
    return false;
}

static void changed_policy(const struct rk_snapshot *was,
                           const struct snap_policy *a,
                           const struct rk_snapshot *now,
                           const struct snap_policy *b,
                           struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap moved;

    rk_bitmap_init(&moved);
    if (a)
        rk_bitmap_copy(&moved, &a->checked);
    if (a && b &&
        lists_same(was, &a->code->row->posture_checks, now, &b->code->row->posture_checks))
        rk_bitmap_xor(&moved, &b->checked);
    else if (b)
        rk_bitmap_or(&moved, &b->checked);
    rk_bitmap_or(out, &moved);
}

void snap_affected_checks(const struct rk_snapshot *was,
                          const struct rk_snapshot *now,
                          struct rk_bitmap *out)
{
    bool files = some_files_moved(was, now);
    struct pairs p = { 0, 0 };
    int c;

    while (next_pair(&p, p.was < was->policies_n ? was->policies[p.was]->code->row->id : NULL,
                     p.now < now->policies_n ? now->policies[p.now]->code->row->id : NULL, &c)) {
        const struct snap_policy *a = c <= 0 ? was->policies[p.was - 1] : NULL;
        const struct snap_policy *b = c >= 0 ? now->policies[p.now - 1] : NULL;

        if (a != b || files)
            changed_policy(was, a, now, b, out);
    }
}
