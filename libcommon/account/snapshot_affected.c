#include "libcommon/account/snapshot_int.h"

/*
 * Whose map may differ between two snapshots. Three sources: what is in every map (account
 * settings, forwarder port); a peer whose own row changed (itself, and who sees it when that is
 * visible outside); a rule whose side changed (who entered or left it, and the opposite side).
 * Routes and network resources: snapshot_affected_routing.c.
 */

/* Settings that reach every map of the account. metrics_push_enabled does not: it travels with the
 * first response. */
static bool account_same(const struct rk_account_row *a, const struct rk_account_row *b)
{
    return a == b ||
           (a->net4_bits == b->net4_bits && a->has_net6 == b->has_net6 &&
            a->net6_bits == b->net6_bits &&
            rk_str_eq(rk_str(a->dns_domain), rk_str(b->dns_domain)) &&
            a->peer_login_expiration_enabled == b->peer_login_expiration_enabled &&
            a->peer_login_expiration_s == b->peer_login_expiration_s &&
            a->routing_peer_dns_resolution_enabled == b->routing_peer_dns_resolution_enabled &&
            a->lazy_connection_enabled == b->lazy_connection_enabled &&
            rk_str_eq(rk_str(a->auto_update_version), rk_str(b->auto_update_version)) &&
            a->auto_update_always == b->auto_update_always);
}

/* What a peer's own map is made of, beyond what others see of it. */
static bool own_same(const struct compile_peer *a, const struct compile_peer *b)
{
    const struct rk_peer_row *x = a->row, *y = b->row;

    return a->cls == b->cls && a->v6 == b->v6 && a->source_prefixes == b->source_prefixes &&
           a->duplicate_peers == b->duplicate_peers && x->ssh_enabled == y->ssh_enabled &&
           x->requires_approval == y->requires_approval && x->last_login_us == y->last_login_us &&
           x->login_expiration_enabled == y->login_expiration_enabled &&
           (rk_str(x->user_id).n > 0) == (rk_str(y->user_id).n > 0);
}

static void everyone(const struct rk_snapshot *s, struct rk_bitmap *out)
{
    rk_bitmap_or(out, &s->used);
}

static const struct snap_slot *slot_of(const struct rk_snapshot *s, size_t index)
{
    static const struct snap_slot none = { NULL, 0 };

    return index / SNAP_PAGE < s->pages_n ? snap_slot(s, index) : &none;
}

static void changed_peer(const struct rk_snapshot *was,
                         const struct rk_snapshot *now,
                         size_t i,
                         struct rk_bitmap *looks,
                         struct rk_bitmap *out)
{
    const struct snap_slot *x = slot_of(was, i), *y = slot_of(now, i);
    const struct compile_peer *a = x->peer, *b = y->peer;

    if (a == b && (!a || x->expires_at_us == y->expires_at_us))
        return;
    if (a && b && strcmp(a->row->id, b->row->id) == 0) {
        bool outside = compile_peer_same_outside(a, b) && x->expires_at_us == y->expires_at_us;

        if (!outside || !own_same(a, b))
            rk_bitmap_set(out, i);
        if (outside)
            return;
    }
    /* It came, changed its looks, or took over another's index: sight goes both ways, so who it
     * sees sees it. Whom only the one before saw, or one that went, shows in the sides of their
     * rules. */
    if (b) {
        rk_bitmap_set(out, i);
        rk_bitmap_set(looks, i);
        rk_snapshot_visible(now, i, out);
    }
}

static void changed_peers(const struct rk_snapshot *was,
                          const struct rk_snapshot *now,
                          struct rk_bitmap *looks,
                          struct rk_bitmap *out)
{
    size_t pages = was->pages_n > now->pages_n ? was->pages_n : now->pages_n;

    for (size_t i = 0; i < pages; i++) {
        if (i < was->pages_n && i < now->pages_n && was->pages[i] == now->pages[i])
            continue;
        for (size_t k = 0; k < SNAP_PAGE; k++)
            changed_peer(was, now, i * SNAP_PAGE + k, looks, out);
    }
}

static const struct snap_sides nobody = { .equal = true };

/* One rule before and after; NULL code = no such rule on that side. */
static void changed_rule(const struct compile_rule *was_code,
                         const struct snap_sides *was,
                         const struct compile_rule *now_code,
                         const struct snap_sides *now,
                         bool same_direction,
                         struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap src, dst;
    bool same = was_code && now_code && same_direction && compile_rule_same(was_code, now_code);

    rk_bitmap_init(&src);
    rk_bitmap_init(&dst);
    if (same) {
        rk_bitmap_copy(&src, &was->src);
        rk_bitmap_xor(&src, &now->src);
        rk_bitmap_copy(&dst, &was->dst);
        rk_bitmap_xor(&dst, &now->dst);
        if (!rk_bitmap_empty(&src))
            rk_bitmap_or(out, &now->dst);
        if (!rk_bitmap_empty(&dst))
            rk_bitmap_or(out, &now->src);
        rk_bitmap_or(out, &src);
        rk_bitmap_or(out, &dst);
        return;
    }
    for (int i = 0; i < 2; i++) {
        const struct compile_rule *code = i == 0 ? was_code : now_code;
        const struct snap_sides *v = i == 0 ? was : now;
        bool links = !rk_bitmap_empty(&v->src) && !rk_bitmap_empty(&v->dst);

        if (!code)
            continue;
        if (links)
            rk_bitmap_or(out, &v->src);
        if (links || code->grants_ssh) /* an SSH rule starts the server even with nobody to come */
            rk_bitmap_or(out, &v->dst);
    }
}

static void
changed_policy(const struct snap_policy *was, const struct snap_policy *now, struct rk_bitmap *out)
{
    size_t was_n = was ? was->code->row->rules_n : 0, now_n = now ? now->code->row->rules_n : 0;

    for (size_t i = 0; i < was_n || i < now_n; i++) {
        bool a = i < was_n, b = i < now_n;
        bool same_direction =
            a && b &&
            was->code->row->rules[i].bidirectional == now->code->row->rules[i].bidirectional;

        changed_rule(a ? &was->code->rules[i] : NULL, a ? &was->sides[i] : &nobody,
                     b ? &now->code->rules[i] : NULL, b ? &now->sides[i] : &nobody, same_direction,
                     out);
    }
}

static void changed_policies(const struct rk_snapshot *was,
                             const struct rk_snapshot *now,
                             struct rk_bitmap *out)
{
    size_t i = 0, k = 0;

    while (i < was->policies_n || k < now->policies_n) {
        const struct snap_policy *a = i < was->policies_n ? was->policies[i] : NULL;
        const struct snap_policy *b = k < now->policies_n ? now->policies[k] : NULL;
        int c = !a ? 1 : !b ? -1 : strcmp(a->code->row->id, b->code->row->id);

        if (c <= 0)
            i++;
        if (c >= 0)
            k++;
        if (a != b)
            changed_policy(c <= 0 ? a : NULL, c >= 0 ? b : NULL, out);
    }
}

void rk_snapshot_affected(const struct rk_snapshot *was,
                          const struct rk_snapshot *now,
                          struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap hit, looks;

    rk_bitmap_init(&hit);
    rk_bitmap_init(&looks);
    if (!account_same(was->account, now->account) || was->forwarder_port != now->forwarder_port) {
        everyone(now, out);
        return;
    }
    changed_peers(was, now, &looks, &hit);
    changed_policies(was, now, &hit);
    snap_affected_routing(was, now, &looks, &hit);
    snap_affected_dns(was, now, &hit);
    for (size_t i = rk_bitmap_next(&hit, 0); i != SIZE_MAX; i = rk_bitmap_next(&hit, i + 1))
        if (rk_snapshot_peer(now, i))
            rk_bitmap_set(out, i);
}
