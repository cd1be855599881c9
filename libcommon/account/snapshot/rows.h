#pragma once

/* Rows of one kind inside a snapshot, sorted by id and shared with the snapshot before. */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/account/model/model.h"

struct snap_rows {
    struct rk_row **v;
    size_t n;
};

void snap_rows_copy(struct snap_rows *to, const struct snap_rows *from);
void snap_rows_done(struct snap_rows *r);
/* Where the row is, or would be put. */
size_t snap_rows_place(const struct snap_rows *r, const char *id, bool *out_found);
struct rk_row *snap_rows_find(const struct snap_rows *r, const char *id); /* NULL: none */
/* What the delta says of `kind`; a full one names all there is. True when something changed. */
bool snap_rows_apply(struct snap_rows *r, const struct rk_delta *d, enum rk_object_kind kind);
