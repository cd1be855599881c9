#include "libcommon/account/compile/envelope_int.h"

/*
 * Policies of the envelope, one for each rule, as agents know no policy with several. A rule is
 * shipped with the groups that matter to the receiver: the opposite side, or both sides when it
 * decides what a routing peer lets through.
 */

#include <stdlib.h>
#include <string.h>

static size_t policy_place(const struct rk_snapshot *s, const struct snap_policy *p)
{
    size_t lo = 0, hi = s->policies_n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strcmp(s->policies[mid]->code->row->id, p->code->row->id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool port_of(const char *text, uint64_t *out)
{
    return rk_str_u64(rk_str(text), out) && *out > 0 && *out <= UINT16_MAX;
}

/* A rule whose ports cannot be said would be one for every port. */
static bool can_be_said(const struct rk_rule *r)
{
    uint64_t port;

    for (size_t i = 0; i < r->ports_n; i++)
        if (port_of(r->ports[i], &port))
            return true;
    return r->ports_n == 0;
}

static void
want_rule(struct envelope *e, size_t policy, size_t rule, bool sources, bool destinations)
{
    const struct rk_policy_row *row = e->v->s->policies[policy]->code->row;
    const struct rk_rule *r = &row->rules[rule];
    bool found;

    if (!can_be_said(r))
        return;
    rk_bitmap_set(&e->rules, e->first_rule[policy] + rule);
    if (sources)
        envelope_want_groups(e, r->sources, r->sources_n);
    if (destinations)
        envelope_want_groups(e, r->destinations, r->destinations_n);
    for (size_t i = 0; i < row->posture_checks.n; i++) {
        size_t at = snap_posture_place(e->v->s, row->posture_checks.v[i], &found);

        if (found)
            rk_bitmap_set(&e->checks, at);
    }
}

void envelope_want_link(struct envelope *e, const struct snap_link *l, bool guards)
{
    size_t policy = policy_place(e->v->s, l->policy);

    want_rule(e, policy, l->rule, true, true);
    rk_bitmap_set(guards ? &e->guards : &e->opens, e->first_rule[policy] + l->rule);
}

void envelope_look_rules(struct envelope *e)
{
    const struct rk_snapshot *s = e->v->s;

    for (size_t i = 0; i < s->policies_n; i++) {
        const struct snap_policy *p = s->policies[i];

        for (size_t k = 0; k < p->code->row->rules_n; k++) {
            bool at_src = rk_bitmap_test(&p->sides[k].src, e->v->index);
            bool at_dst = rk_bitmap_test(&p->sides[k].dst, e->v->index);

            if (at_src || at_dst)
                want_rule(e, i, k, at_dst, at_src);
        }
    }
}

static void put_rule_id(
    unsigned field, const struct snap_policy *p, size_t rule, const char *tail, struct rk_buf *b)
{
    size_t at = rk_wire_begin(b, field);

    (void)rk_buf_put_c(b, p->code->row->public_id);
    if (rule > 0)
        (void)rk_buf_printf(b, ":%zu", rule);
    (void)rk_buf_put_c(b, tail);
    rk_wire_end(b, at);
}

void envelope_put_rule_id(unsigned field,
                          const struct snap_policy *p,
                          size_t rule,
                          struct rk_buf *b)
{
    put_rule_id(field, p, rule, "", b);
}

/* --- one rule ------------------------------------------------------------------------------- */

static void put_ports(const struct rk_rule *r, struct rk_buf *b)
{
    uint64_t port;
    size_t at;

    if (r->protocol == RK_PROTO_NETBIRD_SSH && r->ports_n == 0 && r->ranges_n == 0) {
        at = rk_wire_begin(b, 5); /* SSH is what it allows, not every TCP port */
        rk_wire_varint(b, 22);
        rk_wire_end(b, at);
    }
    if (r->ports_n > 0) {
        at = rk_wire_begin(b, 5);
        for (size_t i = 0; i < r->ports_n; i++)
            if (port_of(r->ports[i], &port))
                rk_wire_varint(b, port);
        rk_wire_end(b, at);
    }
    for (size_t i = 0; r->ports_n == 0 && i < r->ranges_n; i++) {
        at = rk_wire_begin(b, 6);
        rk_wire_uint(b, 1, r->ranges[i].start);
        rk_wire_uint(b, 2, r->ranges[i].end);
        rk_wire_end(b, at);
    }
}

static void put_group_key(const struct rk_snapshot *s, const char *id, struct rk_buf *b)
{
    const struct snap_group *g = snap_group_find(s, id);

    rk_wire_str(b, 1, rk_str(g ? g->row->public_id : id));
}

static void put_authorized(const struct envelope *e, const struct rk_rule *r, struct rk_buf *b)
{
    size_t entry, names;

    for (size_t i = 0; i < r->authorized_n; i++) {
        const struct rk_authorized *a = &r->authorized[i];

        entry = rk_wire_begin(b, 9);
        put_group_key(e->v->s, a->group, b);
        names = rk_wire_begin(b, 2);
        for (size_t k = 0; k < a->local_users.n; k++)
            rk_wire_bytes_always(b, 1, rk_str(a->local_users.v[k]));
        rk_wire_end(b, names);
        rk_wire_end(b, entry);
    }
    if (r->authorized_n > 0 || !r->authorized_user[0])
        return;
    if (snap_user_find(e->v->s->users, r->authorized_user) != SNAP_NO_USER) {
        rk_wire_str(b, 10, rk_str(r->authorized_user));
        return;
    }
    entry = rk_wire_begin(b, 9); /* a group of nobody: naming no one at all would admit everyone */
    rk_wire_str(b, 1, RK_STR("-"));
    names = rk_wire_begin(b, 2);
    rk_wire_end(b, names);
    rk_wire_end(b, entry);
}

static void put_end(const struct envelope *e, unsigned field, const char *peer, struct rk_buf *b)
{
    size_t at;

    if (!peer[0])
        return;
    at = rk_wire_begin(b, field);
    rk_wire_str(b, 1, RK_STR("peer"));
    envelope_put_peer(e, peer, 2, 3, b);
    rk_wire_end(b, at);
}

/* How a resource is called where a policy names it. */
static const char *kind_of(const struct rk_snapshot *s, const char *resource)
{
    static const char *const names[] = { "host", "subnet", "domain" };
    const struct rk_resource_row *r =
        (const struct rk_resource_row *)snap_rows_find(&s->rows[RK_OBJ_RESOURCE], resource);

    return r ? names[r->type] : "host";
}

/* What a route's router drops from one peer it drops whether or not that fails a check. */
static bool is_blunt(const struct envelope *e, size_t policy, size_t rule)
{
    const struct rk_rule *r = &e->v->s->policies[policy]->code->row->rules[rule];

    return r->source_peer[0] && r->action == RK_RULE_DROP &&
           rk_bitmap_test(&e->guards, e->first_rule[policy] + rule);
}

/* With its checks, or as a policy of its own for what it means without them. */
enum part {
    PART_ALL,
    PART_RESOURCES, /* leads nowhere else */
    PART_UNCHECKED,
};

static void
put_rule(const struct envelope *e, size_t policy, size_t rule, enum part part, struct rk_buf *b)
{
    const struct snap_policy *p = e->v->s->policies[policy];
    const struct rk_policy_row *row = p->code->row;
    const struct rk_rule *r = &row->rules[rule];
    size_t at = rk_wire_begin(b, 11), end;

    put_rule_id(1, p, rule, part == PART_UNCHECKED ? "!" : "", b);
    rk_wire_uint(b, 2, r->action);
    rk_wire_uint(b, 3, r->protocol);
    rk_wire_bool(b, 4, r->bidirectional);
    put_ports(r, b);
    if (!r->source_peer[0])
        envelope_put_groups(e, 7, r->sources, r->sources_n, b);
    if (!r->destination_peer[0] && part != PART_RESOURCES)
        envelope_put_groups(e, 8, r->destinations, r->destinations_n, b);
    if (rk_bitmap_test(&p->sides[rule].dst, e->v->index)) /* nobody else's business */
        put_authorized(e, r, b);
    put_end(e, 11, r->source_peer, b);
    put_end(e, 12, r->destination_peer, b);
    if (!r->destination_peer[0] && r->destination_resource[0]) {
        end = rk_wire_begin(b, 12);
        rk_wire_str(b, 1, rk_str(kind_of(e->v->s, r->destination_resource)));
        rk_wire_end(b, end);
    }
    for (size_t i = 0; part != PART_UNCHECKED && i < row->posture_checks.n; i++) {
        const struct snap_posture *c = snap_posture_find(e->v->s, row->posture_checks.v[i]);

        if (c)
            rk_wire_str(b, 13, rk_str(c->row->public_id));
    }
    rk_wire_end(b, at);
}

void envelope_put_policies(const struct envelope *e, struct rk_buf *b)
{
    const struct rk_snapshot *s = e->v->s;

    for (size_t i = 0; i < s->policies_n; i++) {
        for (size_t k = 0; k < s->policies[i]->code->row->rules_n; k++) {
            bool blunt = is_blunt(e, i, k);

            if (!rk_bitmap_test(&e->rules, e->first_rule[i] + k))
                continue;
            if (!blunt)
                put_rule(e, i, k, PART_ALL, b);
            else if (rk_bitmap_test(&e->opens, e->first_rule[i] + k))
                put_rule(e, i, k, PART_RESOURCES, b);
            if (blunt)
                put_rule(e, i, k, PART_UNCHECKED, b);
        }
    }
}

/* --- users ---------------------------------------------------------------------------------- */

static void put_user(const struct snap_users *u, size_t i, unsigned field, struct rk_buf *b)
{
    rk_wire_str(b, field, rk_str(u->v[i].row->row.id));
}

static void put_usergroup(const struct envelope *e, const char *id, struct rk_buf *b)
{
    const struct rk_snapshot *s = e->v->s;
    const struct snap_group *group = snap_group_find(s, id);
    const struct snap_usergroup *g = snap_usergroup_find(s->users, id);
    bool all = group && group->row->is_all;
    size_t entry, list;

    if (!g && !(all && s->users->n > 0))
        return;
    entry = rk_wire_begin(b, 20);
    put_group_key(s, id, b);
    list = rk_wire_begin(b, 2);
    for (size_t i = 0; all && i < s->users->n; i++)
        put_user(s->users, i, 1, b);
    for (size_t i = 0; !all && i < g->n; i++)
        put_user(s->users, g->users[i], 1, b);
    rk_wire_end(b, list);
    rk_wire_end(b, entry);
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

/* Which groups of users are named by the rules that lead to the receiver; true when some rule lets
 * in everyone. */
static bool named_users(const struct envelope *e, const char **groups, size_t *n)
{
    const struct compile_view *v = e->v;
    bool anyone = false;

    for (size_t i = 0; i < v->s->policies_n; i++) {
        const struct snap_policy *p = v->s->policies[i];

        for (size_t k = 0; p->code->ssh && k < p->code->row->rules_n; k++) {
            const struct compile_rule *code = &p->code->rules[k];

            if (!rk_bitmap_test(&p->sides[k].dst, v->index))
                continue;
            anyone = anyone || code->ssh == COMPILE_SSH_ANYONE ||
                     (code->ssh == COMPILE_SSH_IMPLIED && v->me->row->ssh_enabled);
            if (code->ssh != COMPILE_SSH_GROUPS)
                continue;
            for (size_t g = 0; g < code->row->authorized_n; g++) {
                if (groups)
                    groups[*n] = code->row->authorized[g].group;
                (*n)++;
            }
        }
    }
    return anyone;
}

void envelope_put_users(const struct envelope *e, struct rk_buf *b)
{
    size_t n = 0, filled = 0;
    bool anyone = named_users(e, NULL, &n);
    const char **groups = rk_new_array(const char *, n + 1);

    (void)named_users(e, groups, &filled);
    if (n > 1)
        qsort(groups, n, sizeof(*groups), by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(groups[i - 1], groups[i]) != 0)
            put_usergroup(e, groups[i], b);
    free(groups);
    for (size_t i = 0; anyone && i < e->v->s->users->n; i++)
        put_user(e->v->s->users, i, 21, b);
}

/* --- posture -------------------------------------------------------------------------------- */

void envelope_put_posture(const struct envelope *e, struct rk_buf *b)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap failed;

    rk_bitmap_init(&failed);
    for (size_t i = rk_bitmap_next(&e->checks, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&e->checks, i + 1)) {
        const struct snap_posture *c = e->v->s->posture.v[i];
        size_t entry, set;

        rk_bitmap_copy(&failed, &e->v->visible);
        rk_bitmap_andnot(&failed, &c->passes);
        if (rk_bitmap_empty(&failed))
            continue;
        entry = rk_wire_begin(b, 22);
        rk_wire_str(b, 1, rk_str(c->row->public_id));
        set = rk_wire_begin(b, 2);
        envelope_put_set(e, 1, &failed, b);
        rk_wire_end(b, set);
        rk_wire_end(b, entry);
    }
}
