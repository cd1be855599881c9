#include "libcommon/account/snapshot/int.h"
#include "libcommon/account/snapshot/pairs.h"

/*
 * Whose map may differ between two snapshots. Three sources: what is in every map (account
 * settings, forwarder port); a peer whose own row changed (itself, and who sees it when that is
 * visible outside); a rule whose side changed (who entered or left it, and the opposite side).
 * Routes and network resources: affected_routing.c.
 */

/* Settings that reach every map of the account. metrics_push_enabled does not: it travels with the
 * first response. */
static bool account_same(const struct rk_account_row *a, const struct rk_account_row *b)
{
    return a == b ||
           (a->net4_bits == b->net4_bits &&
            rk_str_eq(rk_str(a->dns_domain), rk_str(b->dns_domain)) &&
            a->routing_peer_dns_resolution_enabled == b->routing_peer_dns_resolution_enabled &&
            a->lazy_connection_enabled == b->lazy_connection_enabled &&
            rk_str_eq(rk_str(a->auto_update_version), rk_str(b->auto_update_version)) &&
            a->auto_update_always == b->auto_update_always);
}

/* Settings that reach some: IPv6 those that have it, login expiry those whose owner has to log in
 * again, and both everyone that works its map out of components. */
static void
changed_account(const struct rk_snapshot *was, const struct rk_snapshot *now, struct rk_bitmap *out)
{
    const struct rk_account_row *a = was->account, *b = now->account;
    bool net6 = a->has_net6 != b->has_net6 || a->net6_bits != b->net6_bits ||
                memcmp(a->net6, b->net6, sizeof(a->net6)) != 0;
    bool expiry = a->peer_login_expiration_enabled != b->peer_login_expiration_enabled ||
                  a->peer_login_expiration_s != b->peer_login_expiration_s;

    if (!net6 && !expiry)
        return;
    for (size_t i = rk_bitmap_next(&now->used, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&now->used, i + 1)) {
        const struct compile_peer *p = snap_slot(now, i)->peer;

        if (p->row->sync_message_version > 0 || (net6 && p->v6) ||
            (expiry && p->row->login_expiration_enabled && rk_str(p->row->user_id).n > 0))
            rk_bitmap_set(out, i);
    }
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
    static const struct snap_slot none;

    return index / SNAP_PAGE < s->pages_n ? snap_slot(s, index) : &none;
}

/* Those that see the peer, or only those of them with IPv6. */
static void
who_sees(const struct rk_snapshot *s, size_t index, bool only_dual, struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap seen = { NULL, 0 };

    if (!only_dual) {
        rk_snapshot_visible(s, index, out);
        return;
    }
    rk_snapshot_visible(s, index, &seen);
    for (size_t i = rk_bitmap_next(&seen, 0); i != SIZE_MAX; i = rk_bitmap_next(&seen, i + 1))
        if (rk_bitmap_test(&s->used, i) && snap_slot(s, i)->peer->v6)
            rk_bitmap_set(out, i);
}

/* Peers that are others, or look or are called different. */
struct looks {
    struct rk_bitmap all, names;
};

static void looks_done(struct looks *l)
{
    rk_bitmap_done(&l->all);
    rk_bitmap_done(&l->names);
}
RK_DEFINE_AUTO_DONE(struct looks, looks_done)

static void changed_peer(const struct rk_snapshot *was,
                         const struct rk_snapshot *now,
                         size_t i,
                         struct looks *looks,
                         struct rk_bitmap *out)
{
    const struct snap_slot *x = slot_of(was, i), *y = slot_of(now, i);
    const struct compile_peer *a = x->peer, *b = y->peer;
    bool same = a && b && strcmp(a->row->id, b->row->id) == 0;
    bool four = false; /* is it what it was to those without IPv6? */

    if (a == b && (!a || x->expires_at_us == y->expires_at_us))
        return;
    if (same) {
        bool six;

        four = compile_peer_same_outside(a, b, false) && x->expires_at_us == y->expires_at_us;
        six = four && compile_peer_same_outside(a, b, true);
        if (!six || !own_same(a, b))
            rk_bitmap_set(out, i);
        if (six)
            return;
    }
    /* It came, changed its looks, or took over another's index: sight goes both ways, so who it
     * sees sees it. Whom only the one before saw, or one that went, shows in the sides of their
     * rules. */
    if (b) {
        rk_bitmap_set(out, i);
        rk_bitmap_set(&looks->all, i);
        if (!same || !compile_peer_same_names(a, b))
            rk_bitmap_set(&looks->names, i);
        who_sees(now, i, four, out);
    }
}

static void changed_peers(const struct rk_snapshot *was,
                          const struct rk_snapshot *now,
                          struct looks *looks,
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

/* Who entered or left one side, and the other side that sees it; nobody exchanges anything with
 * itself. */
static void moved_side(const struct rk_bitmap *moved,
                       const struct rk_bitmap *was_other,
                       const struct rk_bitmap *now_other,
                       struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap set = { NULL, 0 };
    size_t first = rk_bitmap_next(moved, 0), other;

    if (first == SIZE_MAX)
        return;
    rk_bitmap_copy(&set, now_other);
    if (rk_bitmap_next(moved, first + 1) == SIZE_MAX)
        rk_bitmap_unset(&set, first);
    rk_bitmap_or(out, &set);
    rk_bitmap_copy(&set, was_other);
    rk_bitmap_or(&set, now_other);
    other = rk_bitmap_next(&set, 0);
    if (other == SIZE_MAX)
        return;
    if (rk_bitmap_next(&set, other + 1) != SIZE_MAX)
        other = SIZE_MAX;
    rk_bitmap_copy(&set, moved);
    if (other != SIZE_MAX)
        rk_bitmap_unset(&set, other);
    rk_bitmap_or(out, &set);
}

/* Where the rule starts, or lets somebody into, an SSH server; that takes no source. */
static void ssh_side(const struct rk_snapshot *s,
                     const struct compile_rule *code,
                     const struct rk_bitmap *dst,
                     struct rk_bitmap *out)
{
    if (code->ssh == COMPILE_SSH_IMPLIED)
        snap_ssh_servers(s, dst, out);
    else if (code->ssh != COMPILE_SSH_NONE)
        rk_bitmap_or(out, dst);
}

/* A rule in one of two snapshots; `code` NULL = it is not there. */
struct rule_in {
    const struct rk_snapshot *s;
    const struct compile_rule *code;
    const struct snap_sides *sides;
};

static void moved_rule(const struct rule_in *was, const struct rule_in *now, struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap src, dst;

    rk_bitmap_init(&src);
    rk_bitmap_init(&dst);
    rk_bitmap_copy(&src, &was->sides->src);
    rk_bitmap_xor(&src, &now->sides->src);
    rk_bitmap_copy(&dst, &was->sides->dst);
    rk_bitmap_xor(&dst, &now->sides->dst);
    moved_side(&src, &was->sides->dst, &now->sides->dst, out);
    moved_side(&dst, &was->sides->src, &now->sides->src, out);
    ssh_side(was->s, was->code, &dst, out);
    ssh_side(now->s, now->code, &dst, out);
    if (!compile_rule_same_ssh(was->code, now->code)) {
        ssh_side(was->s, was->code, &was->sides->dst, out);
        ssh_side(now->s, now->code, &now->sides->dst, out);
    }
}

static void whole_rule(const struct rule_in *r, struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap all = { NULL, 0 };

    if (!r->code)
        return;
    ssh_side(r->s, r->code, &r->sides->dst, out);
    if (rk_bitmap_empty(&r->sides->src) || rk_bitmap_empty(&r->sides->dst))
        return;
    rk_bitmap_or(&all, &r->sides->src);
    rk_bitmap_or(&all, &r->sides->dst);
    if (rk_bitmap_count(&all) > 1)
        rk_bitmap_or(out, &all);
}

static void
changed_rule(const struct rule_in *was, const struct rule_in *now, struct rk_bitmap *out)
{
    if (was->code && now->code && was->code->row->bidirectional == now->code->row->bidirectional &&
        compile_rule_same(was->code, now->code)) {
        moved_rule(was, now, out);
        return;
    }
    whole_rule(was, out);
    whole_rule(now, out);
}

static struct rule_in rule_of(const struct rk_snapshot *s, const struct snap_policy *p, size_t i)
{
    static const struct snap_sides nobody = { .equal = true };

    if (!p || i >= p->code->row->rules_n)
        return (struct rule_in){ s, NULL, &nobody };
    return (struct rule_in){ s, &p->code->rules[i], &p->sides[i] };
}

static void changed_policy(const struct rk_snapshot *was,
                           const struct snap_policy *a,
                           const struct rk_snapshot *now,
                           const struct snap_policy *b,
                           struct rk_bitmap *out)
{
    size_t a_n = a ? a->code->row->rules_n : 0, b_n = b ? b->code->row->rules_n : 0;

    for (size_t i = 0; i < a_n || i < b_n; i++) {
        const struct rule_in x = rule_of(was, a, i), y = rule_of(now, b, i);

        changed_rule(&x, &y, out);
    }
}

static void changed_policies(const struct rk_snapshot *was,
                             const struct rk_snapshot *now,
                             struct rk_bitmap *out)
{
    struct pairs p = { 0, 0 };
    int c;

    while (next_pair(&p, p.was < was->policies_n ? was->policies[p.was]->code->row->id : NULL,
                     p.now < now->policies_n ? now->policies[p.now]->code->row->id : NULL, &c)) {
        const struct snap_policy *a = c <= 0 ? was->policies[p.was - 1] : NULL;
        const struct snap_policy *b = c >= 0 ? now->policies[p.now - 1] : NULL;

        if (a != b)
            changed_policy(was, a, now, b, out);
    }
}

void rk_snapshot_affected(const struct rk_snapshot *was,
                          const struct rk_snapshot *now,
                          struct rk_bitmap *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap hit = { NULL, 0 };
    rk_auto(looks_done) struct looks looks = { { NULL, 0 }, { NULL, 0 } };
    const struct snap_change c = { was, now, &looks.all, &looks.names };

    if (!account_same(was->account, now->account) || was->forwarder_port != now->forwarder_port) {
        everyone(now, out);
        return;
    }
    changed_account(was, now, &hit);
    changed_peers(was, now, &looks, &hit);
    changed_policies(was, now, &hit);
    snap_affected_routing(&c, &hit);
    snap_affected_dns(was, now, &hit);
    snap_affected_ssh(was, now, &hit);
    snap_affected_checks(was, now, &hit);
    rk_bitmap_and(&hit, &now->used);
    rk_bitmap_or(out, &hit);
}
