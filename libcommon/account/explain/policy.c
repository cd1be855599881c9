#include "libcommon/account/explain/int.h"

/* What the policies say of two ends: every rule whose sides hold them, and why it does or does not
 * let the query through. */

#include <string.h>

#include "libcommon/account/snapshot/int.h"

/* What a rule's destination must hold: the peer, or what the ways lead to. */
struct ends {
    const struct rk_snapshot *s;
    const struct rk_explain_query *q;
    const char **resources;
    size_t resources_n;
    const struct rk_route_row **routes; /* with access control groups */
    size_t routes_n;
};

const char *rk_explain_fault_text(enum rk_explain_fault fault)
{
    switch (fault) {
    case RK_FAULT_POLICY_DISABLED:
        return "the policy is disabled";
    case RK_FAULT_RULE_DISABLED:
        return "the rule is disabled";
    case RK_FAULT_DIRECTION:
        return "the rule allows the other direction only";
    case RK_FAULT_PROTOCOL:
        return "the rule is for another protocol";
    case RK_FAULT_PORT:
        return "the rule is for other ports";
    case RK_FAULT_POSTURE:
        return "the source fails a posture check";
    case RK_FAULT_APPROVAL:
        return "a peer waits for approval";
    case RK_FAULT_COUNT:
        break;
    }
    return "";
}

/* Room for the ids of one side of a rule. */
struct found {
    const char **ids;
    size_t n;
    bool direct; /* named itself, not by a group */
};

static bool holds(const struct found *f)
{
    return f->direct || f->n > 0;
}

static struct found room(struct rk_arena *arena, size_t n)
{
    return (struct found){ .ids = rk_arena_alloc(arena, (n + 1) * sizeof(char *)) };
}

static struct found peer_side(const struct rk_snapshot *s,
                              size_t peer,
                              const char *named,
                              char (*groups)[RK_XID_LEN + 1],
                              size_t n,
                              struct rk_arena *arena)
{
    struct found f = room(arena, n);

    if (named[0]) {
        f.direct = rk_snapshot_find_id(s, rk_str(named)) == peer;
        return f;
    }
    for (size_t i = 0; i < n; i++) {
        const struct snap_group *g = snap_group_find(s, groups[i]);

        if (g && rk_bitmap_test(&g->members, peer))
            f.ids[f.n++] = g->row->id;
    }
    return f;
}

static bool ids_hold(const struct rk_ids *ids, const char *id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (strcmp(ids->v[i], id) == 0)
            return true;
    return false;
}

/* The group holds one of the resources, or is an access control group of one of the routes. */
static bool group_leads_there(const struct ends *e, const struct snap_group *g)
{
    for (size_t i = 0; i < e->resources_n; i++)
        if (ids_hold(&g->row->resources, e->resources[i]))
            return true;
    for (size_t i = 0; i < e->routes_n; i++)
        if (ids_hold(&e->routes[i]->access_groups, g->row->id))
            return true;
    return false;
}

static struct found
target_side(const struct ends *e, const struct rk_rule *r, struct rk_arena *arena)
{
    struct found f = room(arena, r->destinations_n);

    if (e->q->target == RK_EXPLAIN_PEER)
        return peer_side(e->s, e->q->peer, r->destination_peer, r->destinations, r->destinations_n,
                         arena);
    for (size_t i = 0; i < e->resources_n; i++)
        f.direct = f.direct || strcmp(r->destination_resource, e->resources[i]) == 0;
    for (size_t i = 0; i < r->destinations_n; i++) {
        const struct snap_group *g = snap_group_find(e->s, r->destinations[i]);

        if (g && group_leads_there(e, g))
            f.ids[f.n++] = g->row->id;
    }
    return f;
}

static unsigned traffic_faults(const struct rk_explain_query *q, const struct rk_rule *r)
{
    unsigned faults = RK_FAULT_PORT;

    if (explain_covers(q, r->protocol, 0, 0) == COVERS_NOTHING)
        return RK_FAULT_PROTOCOL;
    if (r->ports_n == 0 && r->ranges_n == 0)
        return 0;
    for (size_t i = 0; i < r->ports_n; i++) {
        uint64_t port = 0;

        if (rk_str_u64(rk_str(r->ports[i]), &port) &&
            explain_covers(q, r->protocol, (unsigned)port, (unsigned)port) != COVERS_NOTHING)
            faults = 0;
    }
    for (size_t i = 0; i < r->ranges_n; i++)
        if (explain_covers(q, r->protocol, r->ranges[i].start, r->ranges[i].end) != COVERS_NOTHING)
            faults = 0;
    return faults;
}

/* `source`: the peer that stands on the rule's source side. */
static void checks_of(const struct rk_snapshot *s,
                      size_t source,
                      struct rk_arena *arena,
                      struct rk_explain_policy *p)
{
    const struct rk_ids *ids = &p->policy->posture_checks;

    p->checks = rk_arena_alloc(arena, (ids->n + 1) * sizeof(*p->checks));
    for (size_t i = 0; i < ids->n; i++) {
        const struct snap_posture *check = snap_posture_find(s, ids->v[i]);

        if (!check)
            continue; /* a dangling id gates nothing */
        p->checks[p->checks_n].id = ids->v[i];
        p->checks[p->checks_n].passed = rk_bitmap_test(&check->passes, source);
        if (!p->checks[p->checks_n++].passed)
            p->faults |= RK_FAULT_POSTURE;
    }
}

static void explain_rule(const struct ends *e,
                         const struct rk_policy_row *policy,
                         size_t rule,
                         struct rk_arena *arena,
                         struct rk_explanation *out)
{
    const struct rk_rule *r = &policy->rules[rule];
    const struct rk_explain_query *q = e->q;
    struct rk_explain_policy *p = &out->policies[out->policies_n];
    bool peers = q->target == RK_EXPLAIN_PEER, forward;
    struct found src = peer_side(e->s, q->from, r->source_peer, r->sources, r->sources_n, arena);
    struct found dst = target_side(e, r, arena);
    size_t source = q->from;

    forward = holds(&src) && holds(&dst);
    if (!forward && peers) {
        src = peer_side(e->s, q->peer, r->source_peer, r->sources, r->sources_n, arena);
        dst = peer_side(e->s, q->from, r->destination_peer, r->destinations, r->destinations_n,
                        arena);
        source = q->peer;
    }
    if (!holds(&src) || !holds(&dst))
        return;
    *p = (struct rk_explain_policy){
        .policy = policy,
        .rule = rule,
        .faults = traffic_faults(q, r),
        .sources = src.ids,
        .sources_n = src.n,
        .destinations = dst.ids,
        .destinations_n = dst.n,
    };
    if (!policy->enabled)
        p->faults |= RK_FAULT_POLICY_DISABLED;
    if (!r->enabled)
        p->faults |= RK_FAULT_RULE_DISABLED;
    if (!forward && !r->bidirectional)
        p->faults |= RK_FAULT_DIRECTION;
    if (!rk_bitmap_test(&e->s->approved, q->from) ||
        (peers && !rk_bitmap_test(&e->s->approved, q->peer)))
        p->faults |= RK_FAULT_APPROVAL;
    if (!src.direct || (!peers && r->action == RK_RULE_ACCEPT))
        checks_of(e->s, source, arena, p);
    out->policies_n++;
}

/* What the routes of the ways stand for: "<resource>:<peer>", "<route>" or "<route>:<peer>". */
static void find_ends(struct ends *e, const struct rk_explanation *out, struct rk_arena *arena)
{
    e->resources = rk_arena_alloc(arena, (out->ways_n + 1) * sizeof(char *));
    e->routes = rk_arena_alloc(arena, (out->ways_n + 1) * sizeof(*e->routes));
    if (e->q->target == RK_EXPLAIN_RESOURCE)
        e->resources[e->resources_n++] = e->q->resource;
    for (size_t i = 0; i < out->ways_n && e->q->target != RK_EXPLAIN_RESOURCE; i++) {
        struct rk_str rest = rk_str(out->ways[i].route), part;
        const struct rk_row *row;
        char id[RK_XID_LEN + 1];

        if (!rk_str_next(&rest, ':', &part) || !rk_str_copy(part, id, sizeof(id)))
            continue;
        row = snap_rows_find(&e->s->rows[RK_OBJ_RESOURCE], id);
        if (row)
            e->resources[e->resources_n++] = row->id;
        row = snap_rows_find(&e->s->rows[RK_OBJ_ROUTE], id);
        if (row)
            e->routes[e->routes_n++] = (const struct rk_route_row *)row;
    }
}

void explain_policies(const struct rk_snapshot *s,
                      const struct rk_explain_query *q,
                      struct rk_arena *arena,
                      struct rk_explanation *out)
{
    struct ends e = { .s = s, .q = q };
    size_t rules = 0;

    find_ends(&e, out, arena);
    for (size_t i = 0; i < s->policies_n; i++)
        rules += s->policies[i]->code->row->rules_n;
    out->policies = rk_arena_alloc(arena, (rules + 1) * sizeof(*out->policies));
    for (size_t i = 0; i < s->policies_n; i++)
        for (size_t k = 0; k < s->policies[i]->code->row->rules_n; k++)
            explain_rule(&e, s->policies[i]->code->row, k, arena, out);
}
