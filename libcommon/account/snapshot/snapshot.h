#pragma once

/*
 * Immutable counted picture of one account at one serial, made for compiling maps: peers have dense
 * indexes that stay the same from snapshot to snapshot (freed ones are reused), groups are bitmaps,
 * each rule's two sides are materialised bitmaps, each peer's wire fragments are encoded once. Made
 * on a worker, read on any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/model/model.h"
#include "libcommon/base/attr.h"
#include "libcommon/base/bitmap.h"
#include "libcommon/base/buf.h"

struct rk_snapshot;

/* `base` is NULL for the first one (the delta is full). Never fails: an unknown reference is
 * ignored. Shares with `base` what the delta does not touch. */
struct rk_snapshot *rk_snapshot_apply(const struct rk_snapshot *base, const struct rk_delta *delta);
struct rk_snapshot *rk_snapshot_ref(const struct rk_snapshot *s);
void rk_snapshot_unref(struct rk_snapshot *s);
RK_DEFINE_AUTO(struct rk_snapshot, rk_snapshot_unref)

uint64_t rk_snapshot_serial(const struct rk_snapshot *s);
const char *rk_snapshot_account_id(const struct rk_snapshot *s);
const struct rk_account_row *rk_snapshot_account(const struct rk_snapshot *s);
size_t rk_snapshot_peers(const struct rk_snapshot *s); /* how many exist */

#define RK_NO_PEER SIZE_MAX
size_t rk_snapshot_find_key(const struct rk_snapshot *s,
                            const uint8_t key[RK_KEY_LEN]); /* index or RK_NO_PEER */
size_t rk_snapshot_find_id(const struct rk_snapshot *s, struct rk_str id);
const struct rk_peer_row *rk_snapshot_peer(const struct rk_snapshot *s,
                                           size_t index); /* NULL: index not in use */
/* Flagged, or too long ago at that time: the peer has to log in again. */
bool rk_snapshot_login_expired(const struct rk_snapshot *s, size_t index, int64_t now_us);
const struct rk_user_row *rk_snapshot_user(const struct rk_snapshot *s,
                                           const char *id); /* or NULL */
size_t rk_snapshot_peer_bound(const struct rk_snapshot *s); /* all indexes are below this */

/* All rows of one kind of objects.h, by id; borrowed. */
struct rk_row *const *
rk_snapshot_rows(const struct rk_snapshot *s, enum rk_object_kind kind, size_t *out_n);

/*
 * Peers (indexes of `now`) whose map may differ between the two snapshots: exact for rule and
 * membership changes (a rule's side that changed reaches the peers that entered or left it and the
 * opposite side), everyone for account settings that are in every map. Peers that are new in `now`
 * are included. Adds to *out (initialised).
 */
void rk_snapshot_affected(const struct rk_snapshot *was,
                          const struct rk_snapshot *now,
                          struct rk_bitmap *out);

/*
 * The indexes of `set`, those of a group side by side: its members see mostly the same others, so
 * whoever makes their maps one after the other finds in the cache what they are made of. `out` has
 * room for all.
 */
void rk_snapshot_kin(const struct rk_snapshot *s, const struct rk_bitmap *set, uint32_t *out);

/* The peers `index` is connected to by policy (2.2: union of all IN and OUT sets), itself excluded.
 * Adds to *out. */
void rk_snapshot_visible(const struct rk_snapshot *s, size_t index, struct rk_bitmap *out);
