#include "libcommon/account/snapshot/rows.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"

void snap_rows_copy(struct snap_rows *to, const struct snap_rows *from)
{
    to->n = from->n;
    to->v = rk_new_array(struct rk_row *, from->n + 1);
    for (size_t i = 0; i < from->n; i++)
        to->v[i] = rk_row_ref(from->v[i]);
}

void snap_rows_done(struct snap_rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        rk_row_unref(r->v[i]);
    free(r->v);
    *r = (struct snap_rows){ NULL, 0 };
}

size_t snap_rows_place(const struct snap_rows *r, const char *id, bool *out_found)
{
    size_t lo = 0, hi = r->n;

    *out_found = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(r->v[mid]->id, id);

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

struct rk_row *snap_rows_find(const struct snap_rows *r, const char *id)
{
    bool found;
    size_t at = snap_rows_place(r, id, &found);

    return found ? r->v[at] : NULL;
}

static void put(struct snap_rows *r, struct rk_row *row)
{
    bool found;
    size_t at = snap_rows_place(r, row->id, &found);

    if (found) {
        rk_row_unref(r->v[at]);
    } else {
        r->v = rk_realloc(r->v, (r->n + 1) * sizeof(struct rk_row *));
        memmove(&r->v[at + 1], &r->v[at], (r->n - at) * sizeof(struct rk_row *));
        r->n++;
    }
    r->v[at] = rk_row_ref(row);
}

static bool drop(struct snap_rows *r, const char *id)
{
    bool found;
    size_t at = snap_rows_place(r, id, &found);

    if (!found)
        return false;
    rk_row_unref(r->v[at]);
    memmove(&r->v[at], &r->v[at + 1], (r->n - at - 1) * sizeof(struct rk_row *));
    r->n--;
    return true;
}

bool snap_rows_apply(struct snap_rows *r, const struct rk_delta *d, enum rk_object_kind kind)
{
    bool moved = false;

    if (d->full || d->account_gone) {
        moved = r->n > 0;
        snap_rows_done(r);
    }
    for (size_t i = 0; i < d->n; i++) {
        const struct rk_delta_item *it = &d->items[i];

        if (it->kind != kind)
            continue;
        if (it->present) {
            put(r, it->row.object);
            moved = true;
        } else if (drop(r, it->id)) {
            moved = true;
        }
    }
    return moved;
}
