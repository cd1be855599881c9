#pragma once

/*
 * Posture checks inside a snapshot: of each the set of peers that pass. Kept by whoever changes: a
 * peer's metadata is looked at by every check, a changed check at every peer, nothing else moves.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "libcommon/account/model/model.h"
#include "libcommon/base/bitmap.h"

struct rk_snapshot;
struct snap_dirty;

struct snap_posture {
    _Atomic unsigned refs;
    struct rk_posture_row *row;
    struct rk_bitmap passes;
    /* a Checks message, without a tag: the files an agent is to look for; empty when none */
    uint8_t *files;
    size_t files_n;
};
/* Sorted by id. */
struct snap_postures {
    struct snap_posture **v;
    size_t n;
};

void snap_postures_copy(struct snap_postures *to, const struct snap_postures *from);
void snap_postures_done(struct snap_postures *p);
/* After rows and peers of `s` were applied; `peers` are the indexes whose metadata moved. Checks
 * that pass others, came or went are put on record in `dirty`. */
void snap_postures_refresh(struct rk_snapshot *s,
                           const struct rk_bitmap *peers,
                           struct snap_dirty *dirty);

/* Where the check is, or would be. */
size_t snap_posture_place(const struct rk_snapshot *s, const char *id, bool *out_found);
struct snap_posture *snap_posture_find(const struct rk_snapshot *s, const char *id);
/* Leaves in `set` those that pass all of the checks; an id that is none is skipped. */
void snap_posture_gate(const struct rk_snapshot *s,
                       const struct rk_ids *checks,
                       struct rk_bitmap *set);
