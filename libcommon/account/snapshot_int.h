#pragma once

/*
 * Inside of a snapshot, for its own files and the compiler.
 *
 * Peers live in slots by dense index. Everything that has an order on the wire is ordered by object
 * id, which does not depend on how the snapshot came about: `order` lists the used indexes by peer
 * id and `rank` is its inverse; groups and policies are sorted by id. Sets of peers are bitmaps
 * over indexes.
 */

#include <stdatomic.h>

#include "libcommon/account/compile_peer.h"
#include "libcommon/account/compile_rule.h"
#include "libcommon/account/snapshot.h"
#include "libcommon/account/snapshot_rows.h"

struct snap_slot {
    struct compile_peer *peer; /* NULL: not in use */
    int64_t expires_at_us;     /* offline in others' maps from then on; INT64_MAX never */
};

struct snap_group {
    _Atomic unsigned refs;
    struct rk_group_row *row;
    struct rk_bitmap members;
};

/* The two sides of one rule: only approved peers; both empty while rule or policy is disabled. */
struct snap_sides {
    struct rk_bitmap src, dst;
    bool equal; /* src == dst */
};

struct snap_policy {
    _Atomic unsigned refs;
    struct compile_policy *code;
    struct snap_sides *sides; /* one a rule */
};

struct rk_snapshot {
    _Atomic unsigned refs;
    char account_id[RK_XID_LEN + 1];
    uint64_t serial;
    struct rk_account_row *account; /* NULL only when the account never came */
    struct snap_slot *slots;
    size_t slots_n;
    uint32_t *order;  /* used indexes by peer id */
    uint32_t *by_key; /* used indexes by WireGuard key */
    uint32_t *rank;   /* index -> place in order; slots_n of them */
    size_t peers_n;
    bool in_order; /* order is ascending: index order is id order */
    struct rk_bitmap approved;
    struct snap_group **groups;
    size_t groups_n;
    struct snap_policy **policies;
    size_t policies_n;
    struct snap_rows rows[RK_OBJ_COUNT]; /* by kind, those of objects.h */
    int64_t forwarder_port;
};

struct snap_group *snap_group_find(const struct rk_snapshot *s, const char *id);
/* Where the group is, or would be put. */
size_t snap_group_place(const struct rk_snapshot *s, const char *id, bool *out_found);
void snap_group_unref(struct snap_group *g);

/* The peers `index` exchanges this rule's traffic with: `in` from them, `out` to them; adds to
 * both, itself not left out. */
static inline void snap_sides_reach(const struct snap_sides *v,
                                    bool bidirectional,
                                    size_t index,
                                    struct rk_bitmap *in,
                                    struct rk_bitmap *out)
{
    bool at_src = rk_bitmap_test(&v->src, index), at_dst = rk_bitmap_test(&v->dst, index);

    if (at_dst || (bidirectional && at_src && v->equal))
        rk_bitmap_or(in, &v->src);
    if (bidirectional && at_src && !v->equal)
        rk_bitmap_or(in, &v->dst);
    if (at_src || (bidirectional && at_dst && v->equal))
        rk_bitmap_or(out, &v->dst);
    if (bidirectional && at_dst && !v->equal)
        rk_bitmap_or(out, &v->src);
}

/* Materialises every rule's sides after peers or groups changed; what came out equal stays shared
 * with before. */
void snap_sides_refresh(struct rk_snapshot *s);
void snap_policy_unref(struct snap_policy *p);
struct snap_policy *
snap_policy_new(struct compile_policy *code); /* takes the reference; sides empty */
