#include "libcommon/account/snapshot/int.h"

/*
 * Looking things up in a snapshot, and its life. How one is made from the one before:
 * apply.c.
 */

#include <stdlib.h>

#include "libcommon/base/alloc.h"

struct rk_snapshot *rk_snapshot_ref(const struct rk_snapshot *s)
{
    struct rk_snapshot *own;

    memcpy(&own, &s, sizeof(own)); /* the count is the one thing that changes in a const snapshot */
    (void)atomic_fetch_add_explicit(&own->refs, 1, memory_order_relaxed);
    return own;
}

void snap_group_unref(struct snap_group *g)
{
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
        return;
    rk_group_row_unref(g->row);
    rk_bitmap_done(&g->members);
    free(g);
}

void rk_snapshot_unref(struct rk_snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    snap_pages_done(s);
    snap_places_unref(s->places);
    for (size_t i = 0; i < s->groups_n; i++)
        snap_group_unref(s->groups[i]);
    for (size_t i = 0; i < s->policies_n; i++)
        snap_policy_unref(s->policies[i]);
    for (size_t i = RK_OBJ_FIRST_ROW; i < RK_OBJ_COUNT; i++)
        snap_rows_done(&s->rows[i]);
    snap_postures_done(&s->posture);
    snap_dns_done(&s->dns);
    snap_users_unref(s->users);
    snap_routing_unref(s->routing);
    rk_account_row_unref(s->account);
    rk_bitmap_done(&s->used);
    rk_bitmap_done(&s->approved);
    free(s->groups);
    free(s->policies);
    free(s);
}

uint64_t rk_snapshot_serial(const struct rk_snapshot *s)
{
    return s->serial;
}

const char *rk_snapshot_account_id(const struct rk_snapshot *s)
{
    return s->account_id;
}

const struct rk_account_row *rk_snapshot_account(const struct rk_snapshot *s)
{
    return s->account;
}

size_t rk_snapshot_peers(const struct rk_snapshot *s)
{
    return s->peers_n;
}

size_t rk_snapshot_peer_bound(const struct rk_snapshot *s)
{
    return s->pages_n * SNAP_PAGE;
}

const struct rk_peer_row *rk_snapshot_peer(const struct rk_snapshot *s, size_t index)
{
    return rk_bitmap_test(&s->used, index) ? snap_slot(s, index)->peer->row : NULL;
}

struct rk_row *const *
rk_snapshot_rows(const struct rk_snapshot *s, enum rk_object_kind kind, size_t *out_n)
{
    *out_n = s->rows[kind].n;
    return s->rows[kind].v;
}

bool rk_snapshot_login_expired(const struct rk_snapshot *s, size_t index, int64_t now_us)
{
    return snap_slot(s, index)->expires_at_us <= now_us;
}

const struct rk_user_row *rk_snapshot_user(const struct rk_snapshot *s, const char *id)
{
    return (const struct rk_user_row *)(const void *)snap_rows_find(&s->rows[RK_OBJ_USER], id);
}

size_t rk_snapshot_find_key(const struct rk_snapshot *s, const uint8_t key[RK_KEY_LEN])
{
    size_t lo = 0, hi = s->peers_n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = memcmp(snap_slot(s, s->by_key[mid])->peer->row->key, key, RK_KEY_LEN);

        if (c == 0)
            return s->by_key[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return RK_NO_PEER;
}

static int order_at(const struct rk_snapshot *s, size_t place, const char *id)
{
    return strcmp(snap_slot(s, s->order[place])->peer->row->id, id);
}

/* Somewhere in [lo, hi); *out_place is where it is, or would be put. */
static size_t
find_between(const struct rk_snapshot *s, size_t lo, size_t hi, const char *id, size_t *out_place)
{
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = order_at(s, mid, id);

        if (c == 0) {
            *out_place = mid;
            return s->order[mid];
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *out_place = lo;
    return RK_NO_PEER;
}

size_t rk_snapshot_find_id(const struct rk_snapshot *s, struct rk_str id)
{
    char want[RK_XID_LEN + 1];
    size_t place;

    if (!rk_str_copy(id, want, sizeof(want)))
        return RK_NO_PEER;
    return find_between(s, 0, s->peers_n, want, &place);
}

size_t snap_find_next(const struct rk_snapshot *s, const char *id, size_t *place)
{
    size_t lo = *place, hi = lo;

    if (lo >= s->peers_n || order_at(s, lo, id) > 0)
        return find_between(s, 0, lo < s->peers_n ? lo : s->peers_n, id, place);
    for (size_t step = 1; hi < s->peers_n && order_at(s, hi, id) < 0; step *= 2) {
        lo = hi + 1;
        hi += step;
    }
    return find_between(s, lo, hi < s->peers_n ? hi + 1 : s->peers_n, id, place);
}

size_t snap_group_place(const struct rk_snapshot *s, const char *id, bool *out_found)
{
    size_t lo = 0, hi = s->groups_n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(s->groups[mid]->row->id, id);

        if (c == 0) {
            *out_found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *out_found = false;
    return lo;
}

struct snap_group *snap_group_find(const struct rk_snapshot *s, const char *id)
{
    bool found;
    size_t at = snap_group_place(s, id, &found);

    return found ? s->groups[at] : NULL;
}

void rk_snapshot_visible(const struct rk_snapshot *s, size_t index, struct rk_bitmap *out)
{
    bool had = rk_bitmap_test(out, index);

    for (size_t i = 0; i < s->policies_n; i++) {
        const struct snap_policy *p = s->policies[i];

        for (size_t k = 0; k < p->code->row->rules_n; k++)
            snap_sides_reach(&p->sides[k], p->code->row->rules[k].bidirectional, index, out, out);
    }
    if (!had)
        rk_bitmap_unset(out, index);
}
