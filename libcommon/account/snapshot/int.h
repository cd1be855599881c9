#pragma once

/*
 * Inside of a snapshot, for its own files and the compiler.
 *
 * Peers live in slots by dense index, the slots in pages that successive snapshots share until a
 * peer of the page changes. Everything that has an order on the wire is ordered by object id, which
 * does not depend on how the snapshot came about: `order` lists the used indexes by peer id and
 * `rank` is its inverse; groups and policies are sorted by id. Sets of peers are bitmaps over
 * indexes.
 */

#include <stdatomic.h>

#include "libcommon/account/compile/peer.h"
#include "libcommon/account/compile/rule.h"
#include "libcommon/account/snapshot/snapshot.h"
#include "libcommon/account/snapshot/routing.h"
#include "libcommon/account/snapshot/dns.h"
#include "libcommon/account/snapshot/posture.h"
#include "libcommon/account/snapshot/rows.h"
#include "libcommon/account/snapshot/users.h"
#include "libcommon/base/map.h"

struct snap_slot {
    struct compile_peer *peer; /* NULL: not in use */
    int64_t expires_at_us;     /* offline in others' maps from then on; INT64_MAX never */
    /* What most maps have most of, side by side: the peer's FirewallRule.PeerIP, at SNAP_PREFIX4
     * its sourcePrefixes, at SNAP_IP4_LEN the length of the first; the second has 7 bytes. */
    uint8_t rule4[32];
};
enum {
    SNAP_PREFIX4 = 24,
    SNAP_PREFIX4_LEN = 7,
    SNAP_IP4_LEN = SNAP_PREFIX4 + SNAP_PREFIX4_LEN
};
/* Takes the reference; the one before is not given up. */
void snap_slot_fill(struct snap_slot *slot, struct compile_peer *peer);

#define SNAP_PAGE 64
struct snap_page {
    _Atomic unsigned refs;
    struct snap_slot slots[SNAP_PAGE];
};

/* Where peers are found; shared until peers come, go or change key. */
struct snap_places {
    _Atomic unsigned refs;
    uint32_t *order, *by_key, *rank;
    size_t n;
    bool in_order;
};

struct snap_group {
    _Atomic unsigned refs;
    struct rk_group_row *row;
    struct rk_bitmap members;
};

/* The two sides of one rule: only approved peers, and as sources only those that pass the policy's
 * posture checks unless named directly; both empty while rule or policy is disabled. */
struct snap_sides {
    struct rk_bitmap src, dst;
    bool equal; /* src == dst */
};

struct snap_policy {
    _Atomic unsigned refs;
    struct compile_policy *code;
    struct snap_sides *sides; /* one a rule */
    /* Who must look for the files of its process checks: all members of the rules' source groups */
    struct rk_bitmap checked;
};

struct rk_snapshot {
    _Atomic unsigned refs;
    char account_id[RK_XID_LEN + 1];
    uint64_t serial;
    struct rk_account_row *account; /* NULL only when the account never came */
    struct snap_page **pages;
    size_t pages_n;
    struct snap_places *places;
    const uint32_t *order;  /* of places: used indexes by peer id */
    const uint32_t *by_key; /* used indexes by WireGuard key */
    const uint32_t *rank;   /* index -> place in order; one a slot */
    size_t peers_n;
    bool in_order; /* order is ascending: index order is id order */
    struct rk_bitmap used, approved;
    size_t old_forwarders; /* peers that know only the old ForwarderPort */
    struct snap_group **groups;
    size_t groups_n;
    struct snap_policy **policies;
    size_t policies_n;
    struct snap_rows rows[RK_OBJ_COUNT]; /* by kind, those of objects.h */
    struct snap_postures posture;
    struct snap_dns dns;
    struct snap_users *users;
    struct snap_routing *routing; /* what follows from routes and network resources */
    int64_t forwarder_port;
};

/* The slot of an index below the bound. */
static inline const struct snap_slot *snap_slot(const struct rk_snapshot *s, size_t index)
{
    return &s->pages[index / SNAP_PAGE]->slots[index % SNAP_PAGE];
}
/* The same, not shared with any other snapshot. */
struct snap_slot *snap_slot_own(struct rk_snapshot *s, size_t index);
void snap_pages_copy(struct rk_snapshot *to, const struct rk_snapshot *from);
void snap_pages_done(struct rk_snapshot *s);
/* The lowest index not in use; there is a slot for it. */
size_t snap_index_free(struct rk_snapshot *s, size_t from);
/* As rk_snapshot_find_id, for ids that mostly come in order: it begins at *place, which is at first
 * 0 and then where the last one was. */
size_t snap_find_next(const struct rk_snapshot *s, const char *id, size_t *place);
void snap_places_unref(struct snap_places *p);
void snap_places_share(struct rk_snapshot *s, struct snap_places *p);
/* Finds places anew; `fresh` are the used indexes that have none or the wrong one yet. */
void snap_places_refresh(struct rk_snapshot *s, const struct rk_bitmap *fresh);

struct snap_group *snap_group_find(const struct rk_snapshot *s, const char *id);
/* Where the group is, or would be put. */
size_t snap_group_place(const struct rk_snapshot *s, const char *id, bool *out_found);
void snap_group_unref(struct snap_group *g);
/* The peer named directly (it replaces the groups, unless "") or the members of the groups; only
 * approved ones, directly named or not. Whatever is not there is nobody. */
void snap_set_of(const struct rk_snapshot *s,
                 const char *peer,
                 const struct rk_ids *groups,
                 struct rk_bitmap *out);

/* What an apply has moved: ids of groups with other members, of peers that came, went or changed
 * approval, of posture checks that pass others, and of new policies. */
struct snap_dirty {
    bool all; /* everything is to be found anew */
    bool some;
    struct rk_map *ids;
};
/* `id` outlives the apply: it is the delta's, or of a row that the snapshot before has too. */
void snap_dirty_add(struct snap_dirty *d, const char *id);
bool snap_dirty_has(const struct snap_dirty *d, const char *id);
bool snap_dirty_any(const struct snap_dirty *d, const struct rk_ids *ids);

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

/* What became different between two snapshots, as far as peers themselves go. */
struct snap_change {
    const struct rk_snapshot *was, *now;
    const struct rk_bitmap *looks; /* indexes whose peer is another or looks different to others */
    const struct rk_bitmap *names; /* of these, in the peers' zone */
};
/* Whom routes and network resources concern that changed, or whose peers did. Adds to *out. */
void snap_affected_routing(const struct snap_change *c, struct rk_bitmap *out);
/* Those of `set` that have SSH on. */
void snap_ssh_servers(const struct rk_snapshot *s,
                      const struct rk_bitmap *set,
                      struct rk_bitmap *out);
void snap_affected_ssh(const struct rk_snapshot *was,
                       const struct rk_snapshot *now,
                       struct rk_bitmap *out);
void snap_affected_checks(const struct rk_snapshot *was,
                          const struct rk_snapshot *now,
                          struct rk_bitmap *out);
void snap_affected_dns(const struct rk_snapshot *was,
                       const struct rk_snapshot *now,
                       struct rk_bitmap *out);

/* Materialises the sides of the policies that name something dirty; what came out equal stays
 * shared with before. */
void snap_sides_refresh(struct rk_snapshot *s, const struct snap_dirty *dirty);
void snap_policy_unref(struct snap_policy *p);
struct snap_policy *
snap_policy_new(struct compile_policy *code); /* takes the reference; sides empty */
