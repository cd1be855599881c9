#pragma once

/*
 * Inside of the compiler: what is known of one receiver while its map is written, and the parts
 * that write it. Each part has a file: compile_walk.c (firewall rules), compile_dns.c,
 * compile_ssh.c, compile_config.c; compile.c puts them together.
 */

#include "libcommon/account/compile.h"
#include "libcommon/account/snapshot_int.h"
#include "libcommon/account/wire.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"

/* What one walk over the account found out for a receiver. Sets are by index. */
struct compile_view {
    const struct rk_snapshot *s;
    const struct compile_peer *me;
    size_t index;
    int64_t now_us;
    struct rk_bitmap seen;    /* everyone behind some rule: ACL */
    struct rk_bitmap named;   /* whose names the peers' zone has: Vis0 */
    struct rk_bitmap in, out; /* of the rule at hand */
    struct rk_bitmap ranked;  /* scratch of compile_by_rank */
    struct rk_buf rules;      /* FirewallRules, with tags */
    bool grants_ssh;
};
void compile_view_done(struct compile_view *v);
RK_DEFINE_AUTO_DONE(struct compile_view, compile_view_done)

/* The set by rank instead of index, so that its walk is in id order; valid until the next call.
 * Costs nothing while both orders agree. */
const struct rk_bitmap *compile_by_rank(struct compile_view *v, const struct rk_bitmap *set);
static inline const struct snap_slot *compile_slot_at(const struct rk_snapshot *s, size_t place)
{
    return snap_slot(s, s->in_order ? place : s->order[place]);
}

/* Finds `seen` and writes `rules`. */
void compile_walk_rules(struct compile_view *v);
/* Fields of NetworkMap, with tags. */
void compile_put_dns(struct compile_view *v, struct rk_buf *b);
void compile_put_ssh_auth(struct compile_view *v, struct rk_buf *b);
/* The body of PeerConfig. */
void compile_put_config(const struct rk_snapshot *s,
                        const struct compile_peer *me,
                        bool ssh,
                        bool sup6,
                        struct rk_buf *b);
