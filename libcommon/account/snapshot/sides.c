#include "libcommon/account/snapshot/int.h"

/* The sides of rules: groups and directly named peers become two bitmaps. */

#include <stdlib.h>

#include "libcommon/base/alloc.h"

struct snap_policy *snap_policy_new(struct compile_policy *code)
{
    struct snap_policy *p = rk_new(struct snap_policy);

    atomic_init(&p->refs, 1);
    p->code = code;
    p->sides = rk_new_array(struct snap_sides, code->row->rules_n);
    for (size_t i = 0; i < code->row->rules_n; i++)
        p->sides[i].equal = true;
    return p;
}

void snap_policy_unref(struct snap_policy *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < p->code->row->rules_n; i++) {
        rk_bitmap_done(&p->sides[i].src);
        rk_bitmap_done(&p->sides[i].dst);
    }
    free(p->sides);
    rk_bitmap_done(&p->checked);
    compile_policy_unref(p->code);
    free(p);
}

void snap_set_of(const struct rk_snapshot *s,
                 const char *peer,
                 const struct rk_ids *groups,
                 struct rk_bitmap *out)
{
    rk_bitmap_clear(out);
    if (peer[0]) {
        size_t index = rk_snapshot_find_id(s, rk_str(peer));

        if (index != RK_NO_PEER)
            rk_bitmap_set(out, index);
    } else {
        for (size_t i = 0; i < groups->n; i++) {
            const struct snap_group *g = snap_group_find(s, groups->v[i]);

            if (g)
                rk_bitmap_or(out, &g->members);
        }
    }
    rk_bitmap_and(out, &s->approved);
}

void snap_dirty_add(struct snap_dirty *d, const char *id)
{
    d->some = true;
    if (!d->all)
        (void)rk_map_put(d->ids, rk_str(id), d);
}

bool snap_dirty_has(const struct snap_dirty *d, const char *id)
{
    return d->all || (id[0] && rk_map_get(d->ids, rk_str(id)));
}

bool snap_dirty_any(const struct snap_dirty *d, const struct rk_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        if (snap_dirty_has(d, ids->v[i]))
            return true;
    return d->all;
}

static bool rule_dirty(const struct rk_rule *r, const struct snap_dirty *dirty)
{
    const struct rk_ids from = { r->sources, r->sources_n };
    const struct rk_ids to = { r->destinations, r->destinations_n };

    return snap_dirty_has(dirty, r->source_peer) || snap_dirty_has(dirty, r->destination_peer) ||
           snap_dirty_any(dirty, &from) || snap_dirty_any(dirty, &to);
}

static bool policy_dirty(const struct rk_policy_row *p, const struct snap_dirty *dirty)
{
    if (snap_dirty_has(dirty, p->id) || snap_dirty_any(dirty, &p->posture_checks))
        return true;
    for (size_t i = 0; i < p->rules_n; i++)
        if (rule_dirty(&p->rules[i], dirty))
            return true;
    return false;
}

/* The policy at this place, not shared with any other snapshot. */
static struct snap_policy *policy_own(struct snap_policy **slot)
{
    struct snap_policy *p = *slot, *own;

    if (atomic_load_explicit(&p->refs, memory_order_acquire) == 1)
        return p;
    own = snap_policy_new(compile_policy_ref(p->code));
    for (size_t k = 0; k < p->code->row->rules_n; k++) {
        rk_bitmap_copy(&own->sides[k].src, &p->sides[k].src);
        rk_bitmap_copy(&own->sides[k].dst, &p->sides[k].dst);
        own->sides[k].equal = p->sides[k].equal;
    }
    rk_bitmap_copy(&own->checked, &p->checked);
    snap_policy_unref(p);
    return *slot = own;
}

static void refresh_rule(const struct rk_snapshot *s,
                         struct snap_policy **slot,
                         size_t i,
                         struct rk_bitmap *src,
                         struct rk_bitmap *dst)
{
    const struct rk_policy_row *row = (*slot)->code->row;
    const struct rk_rule *r = &row->rules[i];
    struct snap_sides *v = &(*slot)->sides[i];

    rk_bitmap_clear(src);
    rk_bitmap_clear(dst);
    if (row->enabled && r->enabled) {
        const struct rk_ids from = { r->sources, r->sources_n };
        const struct rk_ids to = { r->destinations, r->destinations_n };

        snap_set_of(s, r->source_peer, &from, src);
        if (!r->source_peer[0])
            snap_posture_gate(s, &row->posture_checks, src);
        snap_set_of(s, r->destination_peer, &to, dst);
    }
    if (rk_bitmap_equal(src, &v->src) && rk_bitmap_equal(dst, &v->dst))
        return;
    v = &policy_own(slot)->sides[i];
    rk_bitmap_copy(&v->src, src);
    rk_bitmap_copy(&v->dst, dst);
    v->equal = rk_bitmap_equal(src, dst);
}

static bool looks_for_files(const struct rk_snapshot *s, const struct rk_policy_row *row)
{
    for (size_t i = 0; row->enabled && i < row->posture_checks.n; i++) {
        const struct snap_posture *p = snap_posture_find(s, row->posture_checks.v[i]);

        if (p && p->files_n > 0)
            return true;
    }
    return false;
}

/* Neither approval nor the checks themselves matter: who fails one must look to pass it. */
static void
refresh_checked(const struct rk_snapshot *s, struct snap_policy **slot, struct rk_bitmap *set)
{
    const struct rk_policy_row *row = (*slot)->code->row;
    bool any = looks_for_files(s, row);

    rk_bitmap_clear(set);
    for (size_t i = 0; any && i < row->rules_n; i++) {
        const struct rk_rule *r = &row->rules[i];

        for (size_t k = 0; r->enabled && k < r->sources_n; k++) {
            const struct snap_group *g = snap_group_find(s, r->sources[k]);

            if (g)
                rk_bitmap_or(set, &g->members);
        }
    }
    if (!rk_bitmap_equal(set, &(*slot)->checked))
        rk_bitmap_copy(&policy_own(slot)->checked, set);
}

void snap_sides_refresh(struct rk_snapshot *s, const struct snap_dirty *dirty)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap src, dst;

    rk_bitmap_init(&src);
    rk_bitmap_init(&dst);
    for (size_t i = 0; i < s->policies_n; i++)
        if (policy_dirty(s->policies[i]->code->row, dirty)) {
            for (size_t k = 0; k < s->policies[i]->code->row->rules_n; k++)
                refresh_rule(s, &s->policies[i], k, &src, &dst);
            refresh_checked(s, &s->policies[i], &src);
        }
}
