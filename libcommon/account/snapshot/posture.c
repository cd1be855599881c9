#include "libcommon/account/snapshot/posture.h"

/* The rows come sorted by id, and so do these; a walk over both finds what came, went or changed.
 */

#include <stdlib.h>

#include "libcommon/account/model/posture.h"
#include "libcommon/account/snapshot/int.h"
#include "libcommon/account/snapshot/pairs.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"

enum {
    FILES_BYTES_MAX = 16 * 1024 * 1024
};

static void put_path(struct rk_buf *b, const char *path)
{
    rk_wire_str(b, 1, rk_str(path));
}

static void encode_files(struct snap_posture *p)
{
    struct rk_buf b;

    if (!p->row->has_processes)
        return;
    rk_buf_init(&b, FILES_BYTES_MAX);
    for (size_t i = 0; i < p->row->processes_n; i++) {
        put_path(&b, p->row->processes[i].linux_path);
        put_path(&b, p->row->processes[i].mac_path);
        put_path(&b, p->row->processes[i].windows_path);
    }
    if (b.n > 0 && !b.overflow) {
        p->files_n = b.n;
        p->files = rk_memdup(b.p, b.n);
    }
    rk_buf_done(&b);
}

static struct snap_posture *posture_new(struct rk_row *row)
{
    struct snap_posture *p = rk_new(struct snap_posture);

    atomic_init(&p->refs, 1);
    p->row = (struct rk_posture_row *)rk_row_ref(row);
    encode_files(p);
    return p;
}

static void posture_unref(struct snap_posture *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    rk_row_unref(&p->row->row);
    rk_bitmap_done(&p->passes);
    free(p->files);
    free(p);
}

void snap_postures_copy(struct snap_postures *to, const struct snap_postures *from)
{
    to->n = from->n;
    to->v = rk_new_array(struct snap_posture *, from->n + 1);
    for (size_t i = 0; i < from->n; i++) {
        to->v[i] = from->v[i];
        (void)atomic_fetch_add_explicit(&to->v[i]->refs, 1, memory_order_relaxed);
    }
}

void snap_postures_done(struct snap_postures *p)
{
    for (size_t i = 0; i < p->n; i++)
        posture_unref(p->v[i]);
    free(p->v);
    *p = (struct snap_postures){ NULL, 0 };
}

/* Evaluates for these indexes, into a copy when something comes out different. Tells whether it
 * did. */
static bool
evaluate(const struct rk_snapshot *s, struct snap_posture **slot, const struct rk_bitmap *peers)
{
    struct snap_posture *p = *slot;
    bool moved = false;

    for (size_t i = rk_bitmap_next(peers, 0); i != SIZE_MAX; i = rk_bitmap_next(peers, i + 1)) {
        bool passes =
            rk_bitmap_test(&s->used, i) && rk_posture_passes(p->row, snap_slot(s, i)->peer->row);

        if (passes == rk_bitmap_test(&p->passes, i))
            continue;
        moved = true;
        if (atomic_load_explicit(&p->refs, memory_order_acquire) > 1) {
            struct snap_posture *own = posture_new(&p->row->row);

            rk_bitmap_copy(&own->passes, &p->passes);
            posture_unref(p);
            *slot = p = own;
        }
        if (passes)
            rk_bitmap_set(&p->passes, i);
        else
            rk_bitmap_unset(&p->passes, i);
    }
    return moved;
}

static struct snap_posture *add(struct rk_snapshot *s, struct rk_row *row)
{
    struct snap_posture *p = posture_new(row);

    (void)evaluate(s, &p, &s->used);
    return p;
}

void snap_postures_refresh(struct rk_snapshot *s,
                           const struct rk_bitmap *peers,
                           struct snap_dirty *dirty)
{
    const struct snap_rows *rows = &s->rows[RK_OBJ_POSTURE_CHECK];
    struct snap_postures was = s->posture;
    struct pairs p = { 0, 0 };
    int c;

    s->posture = (struct snap_postures){ rk_new_array(struct snap_posture *, rows->n + 1), 0 };
    while (next_pair(&p, p.was < was.n ? was.v[p.was]->row->row.id : NULL,
                     p.now < rows->n ? rows->v[p.now]->id : NULL, &c)) {
        struct snap_posture *old = c <= 0 ? was.v[p.was - 1] : NULL;
        struct rk_row *row = c >= 0 ? rows->v[p.now - 1] : NULL;

        if (old && &old->row->row == row) {
            if (evaluate(s, &old, peers))
                snap_dirty_add(dirty, row->id);
            s->posture.v[s->posture.n++] = old;
            continue;
        }
        snap_dirty_add(dirty, row ? row->id : old->row->row.id);
        if (row)
            s->posture.v[s->posture.n++] = add(s, row);
        posture_unref(old);
    }
    free(was.v);
}

size_t snap_posture_place(const struct rk_snapshot *s, const char *id, bool *out_found)
{
    size_t lo = 0, hi = s->posture.n;

    *out_found = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(s->posture.v[mid]->row->row.id, id);

        if (c == 0) {
            *out_found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct snap_posture *snap_posture_find(const struct rk_snapshot *s, const char *id)
{
    bool found;
    size_t at = snap_posture_place(s, id, &found);

    return found ? s->posture.v[at] : NULL;
}

void snap_posture_gate(const struct rk_snapshot *s,
                       const struct rk_ids *checks,
                       struct rk_bitmap *set)
{
    for (size_t i = 0; i < checks->n; i++) {
        const struct snap_posture *p = snap_posture_find(s, checks->v[i]);

        if (p)
            rk_bitmap_and(set, &p->passes);
    }
}
