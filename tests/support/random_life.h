#pragma once

/*
 * The random life of a small account, for tests of what follows from a change: a world that holds
 * the truth, and deltas of changes to it as a store would read them. ROOKERY_TEST_SEED and kin are
 * read by given().
 */

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/random_objects.h"

enum {
    PEERS = RANDOM_PEERS,
    GROUPS = RANDOM_GROUPS,
    POLICIES = 6
};
#define NOW_US INT64_C(1700000000000000)

/* The truth: what a database would hold. */
struct world {
    uint64_t serial;
    unsigned number; /* of the newest peer */
    struct rk_account_row *account;
    struct rk_peer_row *peers[PEERS];
    struct rk_group_row *groups[GROUPS]; /* without members */
    bool member[GROUPS][PEERS];
    struct rk_policy_row *policies[POLICIES];
    struct rk_row *objects[RK_OBJ_COUNT][RANDOM_OBJECTS]; /* of the other kinds */
    bool holds[GROUPS][RANDOM_OBJECTS];                   /* network resources of a group */
};

static struct rk_peer_row *random_peer(unsigned i, unsigned number)
{
    static const char *const versions[] = { "0.77.1", "0.77.1", "0.77.1",
                                            "0.58.0", "0.47.0", "development" };
    char id[RK_XID_LEN + 1];
    struct rk_peer_row *p;

    random_peer_id(i, id);
    p = rows_peer(id, number);
    rows_set(&p->version, versions[below(below(8) ? 1 : RK_COUNT(versions))]);
    p->capabilities = below(8) << 1 & (RK_CAP_SOURCE_PREFIXES | RK_CAP_IPV6);
    p->has_ip6 = below(2);
    memcpy(p->ip6 + 12, p->ip4, 4);
    p->ip6[0] = 0xfd;
    p->flag_disable_ipv6 = below(8) == 0;
    p->ssh_enabled = below(2);
    p->flag_server_ssh_allowed = below(2);
    p->requires_approval = below(8) == 0;
    p->login_expired = below(16) == 0;
    rows_set(&p->kernel_version, below(2) ? "6.1.0-18-amd64" : "6.6.1");
    rows_set(&p->country_code, below(2) ? "DE" : "");
    if (below(2))
        rows_string(&p->processes, "/bin/a");
    if (below(2)) {
        rows_set(&p->user_id, "user");
        p->login_expiration_enabled = below(2);
        p->last_login_us = NOW_US - (int64_t)below(3) * 20 * 3600 * 1000000;
    }
    if (below(4) == 0) {
        p->extra_dns_labels = rk_alloc(sizeof(char *));
        p->extra_dns_labels[0] = rk_strdup("extra");
        p->extra_dns_labels_n = 1;
    }
    return p;
}

static void side(char (**ids)[RK_XID_LEN + 1], size_t *n, char peer[RK_XID_LEN + 1])
{
    char id[RK_XID_LEN + 1];

    if (below(5) == 0) {
        random_peer_id(below(PEERS), peer);
        return;
    }
    for (unsigned i = below(3); i > 0; i--) {
        (void)snprintf(id, sizeof(id), "g%u", below(GROUPS + 1)); /* the last never exists */
        rows_ids_add(ids, n, id);
    }
}

static struct rk_policy_row *random_policy(unsigned i)
{
    static const enum rk_rule_protocol protocols[] = { RK_PROTO_ALL, RK_PROTO_TCP, RK_PROTO_UDP,
                                                       RK_PROTO_ICMP, RK_PROTO_NETBIRD_SSH };
    char id[RK_XID_LEN + 1];
    struct rk_policy_row *p;

    (void)snprintf(id, sizeof(id), "pol%u", i);
    p = rows_policy(id);
    p->enabled = below(6) > 0;
    for (unsigned k = below(3) == 0 ? 1 + below(2) : 0; k > 0; k--) {
        char check[RK_XID_LEN + 1];

        random_object_id(RK_OBJ_POSTURE_CHECK, below(RANDOM_OBJECTS), check); /* there or not */
        rows_ids_add(&p->posture_checks.v, &p->posture_checks.n, check);
    }
    for (unsigned k = 1 + below(3); k > 0; k--) {
        struct rk_rule *r = rows_rule(p, protocols[below(RK_COUNT(protocols))], below(2));

        r->enabled = below(6) > 0;
        r->action = below(5) == 0 ? RK_RULE_DROP : RK_RULE_ACCEPT;
        if (below(3) == 0)
            (void)snprintf(r->id, sizeof(r->id), "r%u", below(3));
        side(&r->sources, &r->sources_n, r->source_peer);
        if (below(5) == 0)
            random_object_id(RK_OBJ_RESOURCE, below(RANDOM_OBJECTS), r->destination_resource);
        else
            side(&r->destinations, &r->destinations_n, r->destination_peer);
        if (r->protocol == RK_PROTO_NETBIRD_SSH)
            random_authorized(r);
        if (r->protocol == RK_PROTO_ALL || r->protocol == RK_PROTO_ICMP)
            continue;
        if (below(3) == 0)
            rows_port(r, below(2) ? "22" : "443");
        else if (below(2))
            rows_range(r, 20, (uint16_t)(below(2) ? 20 : 30));
    }
    return p;
}

static struct rk_group_row *group_with_members(const struct world *w, unsigned g)
{
    struct rk_group_row *row = rows_group(w->groups[g]->id, w->groups[g]->name);

    for (unsigned i = 0; i < PEERS; i++)
        if (w->member[g][i] && w->peers[i])
            rows_member(row, w->peers[i]->id);
    for (unsigned i = 0; i < RANDOM_OBJECTS; i++) {
        char id[RK_XID_LEN + 1];

        random_object_id(RK_OBJ_RESOURCE, i, id); /* there or not */
        if (w->holds[g][i])
            rows_ids_add(&row->resources.v, &row->resources.n, id);
    }
    return row;
}

static RK_UNUSED struct rk_delta *full_of(const struct world *w)
{
    struct rk_delta *d = rows_full(w->serial);

    rows_add_account(d, rk_account_row_ref(w->account));
    for (unsigned i = 0; i < POLICIES; i++)
        if (w->policies[i])
            rows_add_policy(d, rk_policy_row_ref(w->policies[i]));
    for (unsigned g = 0; g < GROUPS; g++)
        if (w->groups[g])
            rows_add_group(d, group_with_members(w, g));
    for (unsigned i = 0; i < PEERS; i++)
        if (w->peers[i])
            rows_add_peer(d, rk_peer_row_ref(w->peers[i]));
    for (unsigned kind = RK_OBJ_FIRST_ROW; kind < RK_OBJ_COUNT; kind++)
        for (unsigned i = 0; i < RANDOM_OBJECTS; i++)
            if (w->objects[kind][i])
                rows_add_object(d, rk_row_ref(w->objects[kind][i]));
    return d;
}

/* --- changes: each is made in the world and named in the delta
 * ------------------------------------------------------- */

static void change_peer(struct world *w, struct rk_delta *d)
{
    unsigned i = below(PEERS);
    char id[RK_XID_LEN + 1];

    random_peer_id(i, id);
    for (size_t k = 0; k < d->n; k++) /* an id never comes back, so not within one delta either */
        if (d->items[k].kind == RK_OBJ_PEER && strcmp(d->items[k].id, id) == 0)
            return;
    if (w->peers[i] && below(3) == 0) {
        rk_peer_row_unref(w->peers[i]);
        w->peers[i] = NULL;
        for (unsigned g = 0; g < GROUPS; g++)
            w->member[g][i] = false;
        (void)rk_delta_add(d, RK_OBJ_PEER, id);
        return;
    }
    if (!w->peers[i])
        w->number++;
    {
        struct rk_peer_row *row =
            random_peer(i, 1 + (w->peers[i] && below(4) ? w->peers[i]->ip4[3] : w->number) % 250);

        if (w->peers[i]) /* a peer keeps its key */
            memcpy(row->key, w->peers[i]->key, sizeof(row->key));
        rk_b64_encode(row->key, RK_KEY_LEN, row->key_b64);
        rk_peer_row_unref(w->peers[i]);
        w->peers[i] = row;
    }
    rows_add_peer(d, rk_peer_row_ref(w->peers[i]));
}

static void change_group(struct world *w, struct rk_delta *d)
{
    unsigned g = below(GROUPS);
    char id[RK_XID_LEN + 1];

    (void)snprintf(id, sizeof(id), "g%u", g);
    if (w->groups[g] && below(4) == 0) {
        rk_group_row_unref(w->groups[g]);
        w->groups[g] = NULL;
        memset(w->member[g], 0, sizeof(w->member[g]));
        (void)rk_delta_add(d, RK_OBJ_GROUP, id);
        return;
    }
    if (!w->groups[g])
        w->groups[g] = rows_group(id, g == 0 ? "All" : id);
    for (unsigned i = 0; i < PEERS; i++)
        if (w->peers[i] && below(4) == 0)
            w->member[g][i] = !w->member[g][i];
    for (unsigned i = 0; i < RANDOM_OBJECTS; i++)
        if (below(4) == 0)
            w->holds[g][i] = !w->holds[g][i];
    rows_add_group(d, group_with_members(w, g));
}

static void change_membership(struct world *w, struct rk_delta *d)
{
    unsigned g = below(GROUPS), i = below(PEERS);

    if (!w->groups[g] || !w->peers[i])
        return;
    w->member[g][i] = !w->member[g][i];
    rows_add_membership(d, w->groups[g]->id, w->peers[i]->id, w->member[g][i]);
}

static void change_policy(struct world *w, struct rk_delta *d)
{
    unsigned i = below(POLICIES);

    if (w->policies[i] && below(4) == 0) {
        (void)rk_delta_add(d, RK_OBJ_POLICY, w->policies[i]->id);
        rk_policy_row_unref(w->policies[i]);
        w->policies[i] = NULL;
        return;
    }
    rk_policy_row_unref(w->policies[i]);
    w->policies[i] = random_policy(i);
    rows_add_policy(d, rk_policy_row_ref(w->policies[i]));
}

static void change_account(struct world *w, struct rk_delta *d)
{
    rk_account_row_unref(w->account);
    w->account = rows_account();
    w->account->has_net6 = below(2);
    w->account->lazy_connection_enabled = below(2);
    if (below(2))
        random_groups(&w->account->dns_disabled_groups, 2);
    w->account->peer_login_expiration_enabled = below(4) > 0;
    if (below(4) == 0)
        rows_set(&w->account->dns_domain, below(2) ? "" : "other.test");
    rows_add_account(d, rk_account_row_ref(w->account));
}

static void change_object(struct world *w, struct rk_delta *d)
{
    unsigned kind, i = below(RANDOM_OBJECTS);
    char id[RK_XID_LEN + 1];
    struct rk_row **at;

    do {
        kind = below(RK_OBJ_COUNT);
    } while (!random_makers[kind]);
    random_object_id((enum rk_object_kind)kind, i, id);
    at = &w->objects[kind][i];
    if (*at && below(4) == 0) {
        rk_row_unref(*at);
        *at = NULL;
        (void)rk_delta_add(d, (enum rk_object_kind)kind, id);
        return;
    }
    rk_row_unref(*at);
    *at = random_makers[kind](id);
    rows_add_object(d, rk_row_ref(*at));
}

static void change(struct world *w, struct rk_delta *d)
{
    unsigned what = below(30);

    if (what < 6)
        change_peer(w, d);
    else if (what < 9)
        change_group(w, d);
    else if (what < 14)
        change_membership(w, d);
    else if (what < 19)
        change_policy(w, d);
    else if (what < 29)
        change_object(w, d);
    else
        change_account(w, d);
}

static const struct rk_delta_item *
item_of(const struct rk_delta *d, enum rk_object_kind kind, const char *id)
{
    for (size_t k = 0; k < d->n; k++)
        if (d->items[k].kind == kind && strcmp(d->items[k].id, id) == 0)
            return &d->items[k];
    return NULL;
}

static bool has_member(const struct rk_delta_item *group, const char *peer)
{
    for (size_t k = 0; group && k < group->row.group->members_n; k++)
        if (strcmp(group->row.group->members[k], peer) == 0)
            return true;
    return false;
}

/* What a store reads is the state after all changes, so an object named twice is the same twice. */
static void settle(struct rk_delta *d, const struct rk_delta *truth)
{
    for (size_t i = 0; i < d->n; i++) {
        struct rk_delta_item *it = &d->items[i];
        const struct rk_delta_item *now = item_of(truth, it->kind, it->id);

        switch (it->kind) {
        case RK_OBJ_ACCOUNT:
            rk_account_row_unref(it->row.account);
            it->row.account = rk_account_row_ref(now->row.account);
            continue;
        case RK_OBJ_GROUP_PEER:
            it->present = has_member(item_of(truth, RK_OBJ_GROUP, it->id), it->peer);
            continue;
        case RK_OBJ_GROUP:
            rk_group_row_unref(it->row.group);
            it->row.group = now ? rk_group_row_ref(now->row.group) : NULL;
            break;
        case RK_OBJ_PEER:
            rk_peer_row_unref(it->row.peer_row);
            it->row.peer_row = now ? rk_peer_row_ref(now->row.peer_row) : NULL;
            break;
        case RK_OBJ_POLICY:
            rk_policy_row_unref(it->row.policy);
            it->row.policy = now ? rk_policy_row_ref(now->row.policy) : NULL;
            break;
        default:
            rk_row_unref(it->row.object);
            it->row.object = now ? rk_row_ref(now->row.object) : NULL;
            break;
        }
        it->present = now != NULL;
    }
}

/* One delta of a few changes, or everything over what is there; at the world's serial. */
static RK_UNUSED struct rk_delta *some_changes(struct world *w)
{
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, w->serial);
    rk_auto(rk_delta_free) struct rk_delta *truth = NULL;

    for (unsigned n = 1 + below(below(4) == 0 ? 4 : 1); n > 0; n--)
        change(w, d);
    truth = full_of(w);
    if (below(50) == 0) { /* a gap */
        rk_delta_free(d);
        return rk_steal(truth);
    }
    settle(d, truth);
    return d;
}

static RK_UNUSED void world_done(struct world *w)
{
    rk_account_row_unref(w->account);
    for (unsigned i = 0; i < PEERS; i++)
        rk_peer_row_unref(w->peers[i]);
    for (unsigned g = 0; g < GROUPS; g++)
        rk_group_row_unref(w->groups[g]);
    for (unsigned i = 0; i < POLICIES; i++)
        rk_policy_row_unref(w->policies[i]);
    for (unsigned kind = RK_OBJ_FIRST_ROW; kind < RK_OBJ_COUNT; kind++)
        for (unsigned i = 0; i < RANDOM_OBJECTS; i++)
            rk_row_unref(w->objects[kind][i]);
}

static RK_UNUSED uint64_t given(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);

    return v ? strtoull(v, NULL, 10) : otherwise;
}
