#include "libcommon/account/snapshot_int.h"

/*
 * The next snapshot: a copy of pointers, then the delta over it. Peers first (those that go free
 * their index and leave every group), then groups, memberships and policies, so that nothing looks
 * for a peer that is not there yet; at the end the sides of the rules, if anything they depend on
 * moved.
 */

#include <stdlib.h>

#include "libcommon/account/version.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"

enum {
    FORWARDER_NEW = 22054,
    FORWARDER_OLD = 5353
};

struct apply {
    struct rk_snapshot *s;
    const struct rk_delta *d;
    bool full;              /* what the delta does not name is gone */
    struct rk_bitmap fresh; /* indexes whose place in order and by_key must be found anew */
    bool places_moved;      /* peers came, went, or changed key */
    bool sides_moved;       /* rules must be materialised anew */
};

/* Never NULL, with room for one more. */
static void *copy_array(const void *from, size_t n, size_t size)
{
    void *to = rk_alloc((n + 1) * size);

    if (n > 0)
        memcpy(to, from, n * size);
    return to;
}

static struct rk_snapshot *copy_of(const struct rk_snapshot *base)
{
    struct rk_snapshot *s = rk_new(struct rk_snapshot);

    atomic_init(&s->refs, 1);
    if (!base)
        return s;
    memcpy(s->account_id, base->account_id, sizeof(s->account_id));
    s->serial = base->serial;
    s->account = rk_account_row_ref(base->account);
    s->slots_n = base->slots_n;
    s->slots = rk_new_array(struct snap_slot, base->slots_n);
    for (size_t i = 0; i < base->slots_n; i++) {
        s->slots[i] = base->slots[i];
        if (s->slots[i].peer)
            (void)compile_peer_ref(s->slots[i].peer);
    }
    s->peers_n = base->peers_n;
    s->order = copy_array(base->order, base->peers_n, sizeof(*s->order));
    s->by_key = copy_array(base->by_key, base->peers_n, sizeof(*s->by_key));
    s->rank = copy_array(base->rank, base->slots_n, sizeof(*s->rank));
    s->in_order = base->in_order;
    rk_bitmap_copy(&s->approved, &base->approved);
    s->groups_n = base->groups_n;
    s->groups = copy_array(base->groups, base->groups_n, sizeof(struct snap_group *));
    for (size_t i = 0; i < s->groups_n; i++)
        (void)atomic_fetch_add_explicit(&s->groups[i]->refs, 1, memory_order_relaxed);
    s->policies_n = base->policies_n;
    s->policies = copy_array(base->policies, base->policies_n, sizeof(struct snap_policy *));
    for (size_t i = 0; i < s->policies_n; i++)
        (void)atomic_fetch_add_explicit(&s->policies[i]->refs, 1, memory_order_relaxed);
    for (size_t i = RK_OBJ_FIRST_ROW; i < RK_OBJ_COUNT; i++)
        snap_rows_copy(&s->rows[i], &base->rows[i]);
    return s;
}

/* --- account
 * ------------------------------------------------------------------------------------------------------
 */

static int64_t expires_at(const struct rk_account_row *a, const struct rk_peer_row *r)
{
    if (r->login_expired) /* flagged: expired whatever the clock says, until its owner logs in again
                           */
        return INT64_MIN;
    if (!a->peer_login_expiration_enabled || !r->login_expiration_enabled ||
        rk_str(r->user_id).n == 0)
        return INT64_MAX;
    if (r->last_login_us == INT64_MIN)
        return INT64_MIN;
    return r->last_login_us + a->peer_login_expiration_s * 1000000;
}

static void apply_account(struct apply *x)
{
    struct rk_snapshot *s = x->s;
    bool domain;

    for (size_t i = 0; i < x->d->n; i++) {
        const struct rk_delta_item *it = &x->d->items[i];

        if (it->kind != RK_OBJ_ACCOUNT || !it->present)
            continue;
        domain = !s->account ||
                 !rk_str_eq(rk_str(s->account->dns_domain), rk_str(it->row.account->dns_domain));
        rk_account_row_unref(s->account);
        s->account = rk_account_row_ref(it->row.account);
        for (size_t k = 0; k < s->slots_n; k++) {
            struct compile_peer *p = s->slots[k].peer;

            if (!p)
                continue;
            s->slots[k].expires_at_us = expires_at(s->account, p->row);
            if (domain) {
                s->slots[k].peer = compile_peer_new(p->row, s->account->dns_domain);
                compile_peer_unref(p);
            }
        }
    }
    if (!s->account) {
        s->account = rk_account_row_new();
        s->account->dns_domain = rk_strdup("");
        s->account->auto_update_version = rk_strdup("disabled");
    }
}

/* --- groups
 * -------------------------------------------------------------------------------------------------------
 */

/* The group at this place, not shared with any other snapshot. */
static struct snap_group *group_own(struct rk_snapshot *s, size_t at)
{
    struct snap_group *g = s->groups[at], *own;

    if (atomic_load_explicit(&g->refs, memory_order_acquire) == 1)
        return g;
    own = rk_new(struct snap_group);
    atomic_init(&own->refs, 1);
    own->row = rk_group_row_ref(g->row);
    rk_bitmap_copy(&own->members, &g->members);
    snap_group_unref(g);
    s->groups[at] = own;
    return own;
}

static void group_remove(struct apply *x, size_t at)
{
    struct rk_snapshot *s = x->s;

    snap_group_unref(s->groups[at]);
    memmove(&s->groups[at], &s->groups[at + 1], (s->groups_n - at - 1) * sizeof(*s->groups));
    s->groups_n--;
    x->sides_moved = true;
}

static void group_put(struct apply *x, struct rk_group_row *row)
{
    struct rk_snapshot *s = x->s;
    struct snap_group *g = rk_new(struct snap_group);
    bool found;
    size_t at;

    atomic_init(&g->refs, 1);
    g->row = rk_group_row_ref(row);
    for (size_t i = 0; i < row->members_n; i++) {
        size_t index = rk_snapshot_find_id(s, rk_str(row->members[i]));

        if (index != RK_NO_PEER)
            rk_bitmap_set(&g->members, index);
    }
    at = snap_group_place(s, row->id, &found);
    if (found) {
        x->sides_moved = x->sides_moved || !rk_bitmap_equal(&s->groups[at]->members, &g->members);
        snap_group_unref(s->groups[at]);
    } else {
        s->groups = rk_realloc(s->groups, (s->groups_n + 1) * sizeof(*s->groups));
        memmove(&s->groups[at + 1], &s->groups[at], (s->groups_n - at) * sizeof(*s->groups));
        s->groups_n++;
        x->sides_moved = true;
    }
    s->groups[at] = g;
}

static void membership_put(struct apply *x, const struct rk_delta_item *it)
{
    struct rk_snapshot *s = x->s;
    size_t index = rk_snapshot_find_id(s, rk_str(it->peer));
    bool found;
    size_t at = snap_group_place(s, it->id, &found);

    if (!found || index == RK_NO_PEER ||
        rk_bitmap_test(&s->groups[at]->members, index) == it->present)
        return;
    if (it->present)
        rk_bitmap_set(&group_own(s, at)->members, index);
    else
        rk_bitmap_unset(&group_own(s, at)->members, index);
    x->sides_moved = true;
}

/* Ids of one kind that the delta names, for what a full one leaves out. Any pointer will do as the
 * value. */
static struct rk_map *named(const struct rk_delta *d, enum rk_object_kind kind)
{
    struct rk_map *m = rk_map_new();

    for (size_t i = 0; i < d->n; i++)
        if (d->items[i].kind == kind && d->items[i].present)
            (void)rk_map_put(m, rk_str(d->items[i].id), &d->items[i]);
    return m;
}

static void apply_groups(struct apply *x)
{
    struct rk_snapshot *s = x->s;
    bool found;

    if (x->full) {
        rk_auto(rk_map_free) struct rk_map *keep = named(x->d, RK_OBJ_GROUP);

        for (size_t i = s->groups_n; i-- > 0;)
            if (!rk_map_get(keep, rk_str(s->groups[i]->row->id)))
                group_remove(x, i);
    }
    for (size_t i = 0; i < x->d->n; i++) {
        const struct rk_delta_item *it = &x->d->items[i];

        if (it->kind != RK_OBJ_GROUP)
            continue;
        if (it->present) {
            group_put(x, it->row.group);
        } else {
            size_t at = snap_group_place(s, it->id, &found);

            if (found)
                group_remove(x, at);
        }
    }
    for (size_t i = 0; i < x->d->n; i++)
        if (x->d->items[i].kind == RK_OBJ_GROUP_PEER)
            membership_put(x, &x->d->items[i]);
}

/* --- peers
 * --------------------------------------------------------------------------------------------------------
 */

static void peer_remove(struct apply *x, size_t index)
{
    struct rk_snapshot *s = x->s;

    compile_peer_unref(s->slots[index].peer);
    s->slots[index] = (struct snap_slot){ NULL, 0 };
    rk_bitmap_unset(&s->approved, index);
    for (size_t i = 0; i < s->groups_n; i++)
        if (rk_bitmap_test(&s->groups[i]->members, index))
            rk_bitmap_unset(&group_own(s, i)->members, index);
    x->places_moved = x->sides_moved = true;
}

static size_t free_index(struct rk_snapshot *s, size_t *hint)
{
    size_t i = *hint;

    while (i < s->slots_n && s->slots[i].peer)
        i++;
    if (i == s->slots_n) {
        size_t n = s->slots_n < 8 ? 8 : s->slots_n + s->slots_n / 4;

        s->slots = rk_realloc(s->slots, n * sizeof(*s->slots));
        memset(&s->slots[s->slots_n], 0, (n - s->slots_n) * sizeof(*s->slots));
        s->slots_n = n;
    }
    *hint = i + 1;
    return i;
}

static void peer_put(struct apply *x, size_t index, struct rk_peer_row *row)
{
    struct rk_snapshot *s = x->s;
    struct snap_slot *slot = &s->slots[index];
    struct compile_peer *was = slot->peer;

    slot->peer = compile_peer_new(row, s->account->dns_domain);
    slot->expires_at_us = expires_at(s->account, row);
    if (!was || memcmp(was->row->key, row->key, RK_KEY_LEN) != 0) {
        rk_bitmap_set(&x->fresh, index);
        x->places_moved = x->sides_moved = true;
    }
    if (rk_bitmap_test(&s->approved, index) == row->requires_approval) {
        x->sides_moved = true;
        if (row->requires_approval)
            rk_bitmap_unset(&s->approved, index);
        else
            rk_bitmap_set(&s->approved, index);
    }
    compile_peer_unref(was);
}

static int by_id(const void *a, const void *b, void *arg)
{
    const struct rk_snapshot *s = arg;
    const uint32_t *x = a, *y = b;

    return strcmp(s->slots[*x].peer->row->id, s->slots[*y].peer->row->id);
}

static int by_key(const void *a, const void *b, void *arg)
{
    const struct rk_snapshot *s = arg;
    const uint32_t *x = a, *y = b;

    return memcmp(s->slots[*x].peer->row->key, s->slots[*y].peer->row->key, RK_KEY_LEN);
}

/* `sorted` without the indexes that went or are fresh, merged with the fresh ones: linear for the
 * usual few. */
static uint32_t *merge_places(const struct apply *x,
                              const uint32_t *sorted,
                              size_t n,
                              uint32_t *fresh,
                              size_t fresh_n,
                              int (*cmp)(const void *, const void *, void *),
                              size_t *out_n)
{
    struct rk_snapshot *s = x->s;
    uint32_t *out = rk_new_array(uint32_t, n + fresh_n + 1);
    size_t k = 0, o = 0;

    qsort_r(fresh, fresh_n, sizeof(*fresh), cmp, s);
    for (size_t i = 0; i < n; i++) {
        if (!s->slots[sorted[i]].peer || rk_bitmap_test(&x->fresh, sorted[i]))
            continue;
        while (k < fresh_n && cmp(&fresh[k], &sorted[i], s) < 0)
            out[o++] = fresh[k++];
        out[o++] = sorted[i];
    }
    while (k < fresh_n)
        out[o++] = fresh[k++];
    *out_n = o;
    return out;
}

static void place_peers(struct apply *x)
{
    struct rk_snapshot *s = x->s;
    size_t fresh_n = 0, n = 0, keys_n = 0;
    uint32_t *fresh = rk_new_array(uint32_t, rk_bitmap_count(&x->fresh) + 1), *order, *keys;

    for (size_t i = rk_bitmap_next(&x->fresh, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&x->fresh, i + 1))
        fresh[fresh_n++] = (uint32_t)i;
    order = merge_places(x, s->order, s->peers_n, fresh, fresh_n, by_id, &n);
    keys = merge_places(x, s->by_key, s->peers_n, fresh, fresh_n, by_key, &keys_n);
    free(fresh);
    free(s->order);
    free(s->by_key);
    s->order = order;
    s->by_key = keys;
    s->peers_n = n;
    s->rank = rk_realloc(s->rank, (s->slots_n + 1) * sizeof(*s->rank));
    memset(s->rank, 0, (s->slots_n + 1) * sizeof(*s->rank));
    s->in_order = true;
    for (size_t i = 0; i < n; i++) {
        s->rank[order[i]] = (uint32_t)i;
        s->in_order = s->in_order && (i == 0 || order[i - 1] < order[i]);
    }
}

static void apply_peers(struct apply *x)
{
    struct rk_snapshot *s = x->s;
    rk_auto(rk_map_free) struct rk_map *keep = named(x->d, RK_OBJ_PEER);
    rk_auto(rk_bitmap_done) struct rk_bitmap gone;
    size_t hint = 0, index;

    rk_bitmap_init(&gone);
    for (size_t i = 0; x->full && i < s->slots_n; i++)
        if (s->slots[i].peer && !rk_map_get(keep, rk_str(s->slots[i].peer->row->id)))
            rk_bitmap_set(&gone, i);
    for (size_t i = 0; i < x->d->n; i++) {
        const struct rk_delta_item *it = &x->d->items[i];

        if (it->kind != RK_OBJ_PEER || it->present || rk_map_get(keep, rk_str(it->id)))
            continue;
        index = rk_snapshot_find_id(s, rk_str(it->id));
        if (index != RK_NO_PEER)
            rk_bitmap_set(&gone, index);
    }
    for (size_t i = rk_bitmap_next(&gone, 0); i != SIZE_MAX; i = rk_bitmap_next(&gone, i + 1))
        peer_remove(x, i);
    if (x->places_moved) /* so that looking up finds only those that are still there */
        place_peers(x);
    for (size_t i = 0; i < x->d->n; i++) {
        const struct rk_delta_item *it = &x->d->items[i];

        if (it->kind != RK_OBJ_PEER || !it->present)
            continue;
        if (rk_map_get(keep, rk_str(it->id)) != it)
            continue; /* named twice: the last one counts */
        index = rk_snapshot_find_id(s, rk_str(it->id));
        peer_put(x, index == RK_NO_PEER ? free_index(s, &hint) : index, it->row.peer_row);
    }
    if (x->places_moved)
        place_peers(x);
}

/* --- policies
 * -----------------------------------------------------------------------------------------------------
 */

static size_t policy_place(const struct rk_snapshot *s, const char *id, bool *out_found)
{
    size_t lo = 0, hi = s->policies_n;

    *out_found = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(s->policies[mid]->code->row->id, id);

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

static void policy_remove(struct rk_snapshot *s, size_t at)
{
    snap_policy_unref(s->policies[at]);
    memmove(&s->policies[at], &s->policies[at + 1],
            (s->policies_n - at - 1) * sizeof(*s->policies));
    s->policies_n--;
}

static void policy_put(struct apply *x, struct rk_policy_row *row)
{
    struct rk_snapshot *s = x->s;
    bool found;
    size_t at = policy_place(s, row->id, &found);

    if (found) {
        snap_policy_unref(s->policies[at]);
    } else {
        s->policies = rk_realloc(s->policies, (s->policies_n + 1) * sizeof(*s->policies));
        memmove(&s->policies[at + 1], &s->policies[at],
                (s->policies_n - at) * sizeof(*s->policies));
        s->policies_n++;
    }
    s->policies[at] = snap_policy_new(compile_policy_new(row));
    x->sides_moved = true;
}

static void apply_policies(struct apply *x)
{
    struct rk_snapshot *s = x->s;
    bool found;

    if (x->full) {
        rk_auto(rk_map_free) struct rk_map *keep = named(x->d, RK_OBJ_POLICY);

        for (size_t i = s->policies_n; i-- > 0;)
            if (!rk_map_get(keep, rk_str(s->policies[i]->code->row->id)))
                policy_remove(s, i);
    }
    for (size_t i = 0; i < x->d->n; i++) {
        const struct rk_delta_item *it = &x->d->items[i];

        if (it->kind != RK_OBJ_POLICY)
            continue;
        if (it->present) {
            policy_put(x, it->row.policy);
        } else {
            size_t at = policy_place(s, it->id, &found);

            if (found)
                policy_remove(s, at);
        }
    }
}

/* --- all of it
 * ----------------------------------------------------------------------------------------------------
 */

static int64_t forwarder_port(const struct rk_snapshot *s)
{
    for (size_t i = 0; i < s->peers_n; i++)
        if (!s->slots[s->order[i]].peer->new_forwarder)
            return FORWARDER_OLD;
    return s->peers_n > 0 ? FORWARDER_NEW : FORWARDER_OLD;
}

struct rk_snapshot *rk_snapshot_apply(const struct rk_snapshot *base, const struct rk_delta *delta)
{
    struct apply x = { .s = copy_of(base), .d = delta, .full = delta->full || delta->account_gone };

    rk_bitmap_init(&x.fresh);
    memcpy(x.s->account_id, delta->account_id, sizeof(x.s->account_id));
    if (delta->serial > x.s->serial)
        x.s->serial = delta->serial;
    apply_account(&x);
    for (size_t i = RK_OBJ_FIRST_ROW; i < RK_OBJ_COUNT; i++)
        (void)snap_rows_apply(&x.s->rows[i], delta, (enum rk_object_kind)i);
    apply_peers(&x);
    apply_groups(&x);
    apply_policies(&x);
    if (x.sides_moved)
        snap_sides_refresh(x.s);
    x.s->forwarder_port = forwarder_port(x.s);
    rk_bitmap_done(&x.fresh);
    return x.s;
}
