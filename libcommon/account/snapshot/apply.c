#include "libcommon/account/snapshot/int.h"

/*
 * The next snapshot: a copy of pointers, then the delta over it. Peers first (those that go free
 * their index and leave every group), then groups, memberships and policies, so that nothing looks
 * for a peer that is not there yet; at the end the sides of the rules, if anything they depend on
 * moved.
 */

#include <stdlib.h>

#include "libcommon/account/model/posture.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"

enum {
    FORWARDER_NEW = 22054,
    FORWARDER_OLD = 5353
};

struct apply {
    struct rk_snapshot *s;
    const struct rk_delta *d;
    bool full;               /* what the delta does not name is gone */
    struct rk_bitmap fresh;  /* indexes whose place in order and by_key must be found anew */
    bool places_moved;       /* peers came, went, or changed key */
    struct rk_bitmap looked; /* indexes whose posture must be looked at anew */
    struct snap_dirty dirty;
    bool routing_moved; /* routes, networks, or what leads to them */
};

static void mark(struct apply *x, const char *id)
{
    snap_dirty_add(&x->dirty, id);
}

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
    snap_pages_copy(s, base);
    if (base->places)
        snap_places_share(s, base->places);
    rk_bitmap_copy(&s->used, &base->used);
    rk_bitmap_copy(&s->approved, &base->approved);
    s->old_forwarders = base->old_forwarders;
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
    snap_postures_copy(&s->posture, &base->posture);
    snap_dns_copy(&s->dns, &base->dns);
    s->users = snap_users_ref(base->users);
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

/* Every peer's expiry anew, and everything with a name in it when the domain is another. */
static void refresh_peers(struct rk_snapshot *s, bool domain)
{
    for (size_t i = rk_bitmap_next(&s->used, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&s->used, i + 1)) {
        int64_t at = expires_at(s->account, snap_slot(s, i)->peer->row);
        struct snap_slot *slot;

        if (!domain && at == snap_slot(s, i)->expires_at_us)
            continue;
        slot = snap_slot_own(s, i);
        slot->expires_at_us = at;
        if (domain) {
            struct compile_peer *was = slot->peer;

            snap_slot_fill(slot, compile_peer_new(was->row, s->account->dns_domain));
            compile_peer_unref(was);
        }
    }
}

static void apply_account(struct apply *x)
{
    struct rk_snapshot *s = x->s;

    for (size_t i = 0; i < x->d->n; i++) {
        const struct rk_delta_item *it = &x->d->items[i];
        bool domain;

        if (it->kind != RK_OBJ_ACCOUNT || !it->present)
            continue;
        domain = !s->account ||
                 !rk_str_eq(rk_str(s->account->dns_domain), rk_str(it->row.account->dns_domain));
        rk_account_row_unref(s->account);
        s->account = rk_account_row_ref(it->row.account);
        refresh_peers(s, domain);
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

    x->routing_moved = true;
    mark(x, s->groups[at]->row->id);
    snap_group_unref(s->groups[at]);
    memmove(&s->groups[at], &s->groups[at + 1], (s->groups_n - at - 1) * sizeof(*s->groups));
    s->groups_n--;
}

static void group_put(struct apply *x, struct rk_group_row *row)
{
    struct rk_snapshot *s = x->s;
    struct snap_group *g = rk_new(struct snap_group);
    size_t at, place = 0;
    bool found;

    atomic_init(&g->refs, 1);
    g->row = rk_group_row_ref(row);
    for (size_t i = 0; i < row->members_n; i++) {
        size_t index = snap_find_next(s, row->members[i], &place);

        if (index != RK_NO_PEER)
            rk_bitmap_set(&g->members, index);
    }
    at = snap_group_place(s, row->id, &found);
    x->routing_moved = true; /* it may hold other resources */
    if (found) {
        if (!rk_bitmap_equal(&s->groups[at]->members, &g->members))
            mark(x, row->id);
        snap_group_unref(s->groups[at]);
    } else {
        s->groups = rk_realloc(s->groups, (s->groups_n + 1) * sizeof(*s->groups));
        memmove(&s->groups[at + 1], &s->groups[at], (s->groups_n - at) * sizeof(*s->groups));
        s->groups_n++;
        mark(x, row->id);
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
    mark(x, it->id);
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

/* Its groups are other sets of approved peers now. */
static void mark_peer(struct apply *x, size_t index, const char *id)
{
    struct rk_snapshot *s = x->s;

    mark(x, id);
    for (size_t i = 0; i < s->groups_n; i++)
        if (rk_bitmap_test(&s->groups[i]->members, index))
            mark(x, s->groups[i]->row->id);
}

static void peer_remove(struct apply *x, size_t index, const char *id)
{
    struct rk_snapshot *s = x->s;
    struct snap_slot *slot = snap_slot_own(s, index);

    mark_peer(x, index, id);
    s->old_forwarders -= !slot->peer->new_forwarder;
    compile_peer_unref(slot->peer);
    *slot = (struct snap_slot){ .peer = NULL };
    rk_bitmap_unset(&s->used, index);
    rk_bitmap_unset(&s->approved, index);
    rk_bitmap_set(&x->looked, index);
    for (size_t i = 0; i < s->groups_n; i++)
        if (rk_bitmap_test(&s->groups[i]->members, index))
            rk_bitmap_unset(&group_own(s, i)->members, index);
    x->places_moved = true;
}

static void peer_put(struct apply *x, size_t index, struct rk_peer_row *row)
{
    struct rk_snapshot *s = x->s;
    struct snap_slot *slot = snap_slot_own(s, index);
    struct compile_peer *was = slot->peer;

    snap_slot_fill(slot, compile_peer_new(row, s->account->dns_domain));
    slot->expires_at_us = expires_at(s->account, row);
    rk_bitmap_set(&s->used, index);
    s->old_forwarders += !slot->peer->new_forwarder;
    if (was)
        s->old_forwarders -= !was->new_forwarder;
    if (!was || !rk_posture_same_peer(was->row, row))
        rk_bitmap_set(&x->looked, index);
    if (!was || memcmp(was->row->key, row->key, RK_KEY_LEN) != 0) {
        rk_bitmap_set(&x->fresh, index);
        x->places_moved = true;
    }
    if (!was || rk_bitmap_test(&s->approved, index) == row->requires_approval)
        mark_peer(x, index, row->id);
    if (row->requires_approval)
        rk_bitmap_unset(&s->approved, index);
    else
        rk_bitmap_set(&s->approved, index);
    compile_peer_unref(was);
}

static void place_peers(struct apply *x)
{
    if (x->places_moved)
        snap_places_refresh(x->s, &x->fresh);
}

static void apply_peers(struct apply *x)
{
    struct rk_snapshot *s = x->s;
    rk_auto(rk_map_free) struct rk_map *keep = named(x->d, RK_OBJ_PEER);
    rk_auto(rk_bitmap_done) struct rk_bitmap gone;
    size_t hint = 0, index;

    rk_bitmap_init(&gone);
    for (size_t i = 0; x->full && i < s->peers_n; i++)
        if (!rk_map_get(keep, rk_str(snap_slot(s, s->order[i])->peer->row->id)))
            rk_bitmap_set(&gone, s->order[i]);
    for (size_t i = 0; i < x->d->n; i++) {
        const struct rk_delta_item *it = &x->d->items[i];

        if (it->kind != RK_OBJ_PEER || it->present || rk_map_get(keep, rk_str(it->id)))
            continue;
        index = rk_snapshot_find_id(s, rk_str(it->id));
        if (index != RK_NO_PEER)
            rk_bitmap_set(&gone, index);
    }
    for (size_t i = rk_bitmap_next(&gone, 0); i != SIZE_MAX; i = rk_bitmap_next(&gone, i + 1))
        peer_remove(x, i, snap_slot(s, i)->peer->row->id);
    place_peers(x); /* so that looking up finds only those that are still there */
    for (size_t i = 0; i < x->d->n; i++) {
        const struct rk_delta_item *it = &x->d->items[i];

        if (it->kind != RK_OBJ_PEER || !it->present)
            continue;
        if (rk_map_get(keep, rk_str(it->id)) != it)
            continue; /* named twice: the last one counts */
        index = rk_snapshot_find_id(s, rk_str(it->id));
        if (index == RK_NO_PEER) {
            index = snap_index_free(s, hint);
            hint = index + 1;
        }
        peer_put(x, index, it->row.peer_row);
    }
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

static void policy_remove(struct apply *x, size_t at)
{
    struct rk_snapshot *s = x->s;

    x->routing_moved = true;
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
    mark(x, row->id);
}

static void apply_policies(struct apply *x)
{
    struct rk_snapshot *s = x->s;
    bool found;

    if (x->full) {
        rk_auto(rk_map_free) struct rk_map *keep = named(x->d, RK_OBJ_POLICY);

        for (size_t i = s->policies_n; i-- > 0;)
            if (!rk_map_get(keep, rk_str(s->policies[i]->code->row->id)))
                policy_remove(x, i);
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
                policy_remove(x, at);
        }
    }
}

/* --- the other objects
 * --------------------------------------------------------------------------------------------
 */

static void users_moved(struct rk_snapshot *s)
{
    struct snap_users *was = s->users;

    s->users = snap_users_new(&s->rows[RK_OBJ_USER], was);
    snap_users_unref(was);
}

static void apply_rows(struct apply *x)
{
    struct rk_snapshot *s = x->s;

    for (size_t i = RK_OBJ_FIRST_ROW; i < RK_OBJ_COUNT; i++) {
        bool moved = snap_rows_apply(&s->rows[i], x->d, (enum rk_object_kind)i);

        if (i == RK_OBJ_USER && (moved || !s->users))
            users_moved(s);
        if (moved && (i == RK_OBJ_ROUTE || i == RK_OBJ_RESOURCE || i == RK_OBJ_ROUTER))
            x->routing_moved = true;
    }
}

/* --- all of it
 * ----------------------------------------------------------------------------------------------------
 */

struct rk_snapshot *rk_snapshot_apply(const struct rk_snapshot *base, const struct rk_delta *delta)
{
    struct apply x = { .s = copy_of(base), .d = delta, .full = delta->full || delta->account_gone };

    rk_bitmap_init(&x.fresh);
    rk_bitmap_init(&x.looked);
    x.dirty.ids = rk_map_new();
    x.dirty.all = !base || x.full;
    memcpy(x.s->account_id, delta->account_id, sizeof(x.s->account_id));
    if (delta->serial > x.s->serial)
        x.s->serial = delta->serial;
    apply_account(&x);
    apply_rows(&x);
    apply_peers(&x);
    apply_groups(&x);
    apply_policies(&x);
    snap_postures_refresh(x.s, &x.looked, &x.dirty);
    snap_dns_refresh(x.s, &x.dirty);
    if (x.dirty.some)
        snap_sides_refresh(x.s, &x.dirty);
    x.s->routing = base && !x.dirty.some && !x.routing_moved
                       ? snap_routing_ref(base->routing)
                       : snap_routing_new(x.s, base ? base->routing : NULL);
    x.s->forwarder_port =
        x.s->peers_n > 0 && x.s->old_forwarders == 0 ? FORWARDER_NEW : FORWARDER_OLD;
    rk_bitmap_done(&x.fresh);
    rk_bitmap_done(&x.looked);
    rk_map_free(x.dirty.ids);
    return x.s;
}
