/*
 * Loading: what changed past a serial, or everything, in one repeatable-read transaction, so that
 * all of it belongs to one serial. One query a kind, however many objects were named.
 */

#include "libcommon/account/store.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/account/store_int.h"
#include "libcommon/account/store_rows.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"

/* More named objects than this: reading the whole account is cheaper than asking for each. */
#define MAX_NAMED 5000
#define MAX_NAMED_TEXT "5000"

static const struct rk_pg_stmt serial_of = { "load_serial",
                                             "SELECT serial FROM account WHERE id = $1" };
static const struct rk_pg_stmt count_changes = {
    "load_count", "SELECT count(DISTINCT serial), count(*), min(at) FROM account_change "
                  "WHERE account_id = $1 AND serial > $2"
};
static const struct rk_pg_stmt list_changes = {
    "load_changes", "SELECT DISTINCT kind, object_id FROM account_change "
                    "WHERE account_id = $1 AND serial > $2 ORDER BY kind, object_id "
                    "LIMIT " MAX_NAMED_TEXT
};
static const struct rk_pg_stmt read_account = { "load_account", "SELECT " ACCOUNT_COLUMNS
                                                                " FROM account a WHERE a.id = $1" };

/* The two forms of a query: the named objects, and all of the account. */
struct queries {
    struct rk_pg_stmt some, all;
};
static const struct queries peers = {
    { "load_peers",
      "SELECT " PEER_COLUMNS " FROM peer p WHERE p.account_id = $1 AND p.id = ANY($2::text[])" },
    { "load_all_peers",
      "SELECT " PEER_COLUMNS " FROM peer p WHERE p.account_id = $1 ORDER BY p.id" },
};
static const struct queries groups = {
    { "load_groups", "SELECT " GROUP_COLUMNS
                     " FROM account_group g WHERE g.account_id = $1 AND g.id = ANY($2::text[])" },
    { "load_all_groups",
      "SELECT " GROUP_COLUMNS " FROM account_group g WHERE g.account_id = $1 ORDER BY g.id" },
};
static const struct queries policies = {
    { "load_policies", "SELECT " POLICY_COLUMNS
                       " FROM policy p WHERE p.account_id = $1 AND p.id = ANY($2::text[])" },
    { "load_all_policies",
      "SELECT " POLICY_COLUMNS " FROM policy p WHERE p.account_id = $1 ORDER BY p.id" },
};
static const struct queries rules = {
    { "load_rules",
      "SELECT " RULE_COLUMNS " FROM policy_rule r JOIN policy p ON p.id = r.policy_id "
      "WHERE p.account_id = $1 AND p.id = ANY($2::text[]) ORDER BY r.policy_id, r.position" },
    { "load_all_rules",
      "SELECT " RULE_COLUMNS " FROM policy_rule r JOIN policy p ON p.id = r.policy_id "
      "WHERE p.account_id = $1 ORDER BY r.policy_id, r.position" },
};
static const struct rk_pg_stmt members = {
    "load_members",
    "SELECT m.group_id, m.peer_id FROM group_peer m JOIN unnest($1::text[], $2::text[]) AS t(g, p) "
    "ON m.group_id = t.g AND m.peer_id = t.p"
};

struct names {
    struct rk_str *v;
    size_t n;
};

struct loading {
    struct rk_pg *pg;
    const char *account_id;
    const char *default_domain;
    struct rk_delta *d;
    struct rk_pg_result *changes; /* owns the names' text */
    struct names peer, group, policy, member_groups, member_peers;
    bool account;
};

static void loading_done(struct loading *l)
{
    rk_delta_free(l->d);
    rk_pg_result_free(l->changes);
    free(l->peer.v);
    free(l->group.v);
    free(l->policy.v);
    free(l->member_groups.v);
    free(l->member_peers.v);
}
RK_DEFINE_AUTO_DONE(struct loading, loading_done)

/* `names` NULL: all of them. */
static int ask(struct loading *l,
               const struct queries *q,
               const struct names *names,
               struct rk_pg_result **out,
               struct rk_err *err)
{
    if (!names)
        return rk_pg_run(l->pg, &q->all, out, err, RK_P_C(l->account_id));
    return rk_pg_run(l->pg, &q->some, out, err, RK_P_C(l->account_id),
                     RK_P_ARRAY(names->v, names->n));
}

/* A named object that no row answered for is gone. `found` is keyed by id. */
static void add_missing(struct loading *l,
                        enum rk_object_kind kind,
                        const struct names *names,
                        const struct rk_map *found)
{
    size_t i;

    for (i = 0; names && i < names->n; i++) {
        if (!rk_map_get(found, names->v[i]))
            rk_delta_add(l->d, kind, names->v[i].p);
    }
}

static int load_account(struct loading *l, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_delta_item *it;
    int r = rk_pg_run(l->pg, &read_account, &res, err, RK_P_C(l->account_id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_INTERNAL, "account %s vanished inside a snapshot", l->account_id);
    it = rk_delta_add(l->d, RK_OBJ_ACCOUNT, l->account_id);
    it->present = true;
    it->row.account = store_account_row(res, 0, l->default_domain);
    return 0;
}

static int load_peers(struct loading *l, const struct names *names, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_map_free) struct rk_map *found = rk_map_new();
    int i, r = ask(l, &peers, names, &res, err);

    if (r < 0)
        return r;
    for (i = 0; i < rk_pg_rows(res); i++) {
        struct rk_peer_row *row = store_peer_row(res, i);
        struct rk_delta_item *it = rk_delta_add(l->d, RK_OBJ_PEER, row->id);

        it->present = true;
        it->row.peer_row = row;
        if (names)
            rk_map_put(found, rk_str(row->id), row);
    }
    add_missing(l, RK_OBJ_PEER, names, found);
    return 0;
}

static int load_groups(struct loading *l, const struct names *names, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_map_free) struct rk_map *found = rk_map_new();
    int i, r = ask(l, &groups, names, &res, err);

    if (r < 0)
        return r;
    for (i = 0; i < rk_pg_rows(res); i++) {
        struct rk_group_row *row = store_group_row(res, i);
        struct rk_delta_item *it = rk_delta_add(l->d, RK_OBJ_GROUP, row->id);

        it->present = true;
        it->row.group = row;
        if (names)
            rk_map_put(found, rk_str(row->id), row);
    }
    add_missing(l, RK_OBJ_GROUP, names, found);
    return 0;
}

static int load_policies(struct loading *l, const struct names *names, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL, *rule_rows = NULL;
    rk_auto(rk_map_free) struct rk_map *found = rk_map_new();
    int i, r = ask(l, &policies, names, &res, err);

    if (r < 0)
        return r;
    r = ask(l, &rules, names, &rule_rows, err);
    if (r < 0)
        return r;
    for (i = 0; i < rk_pg_rows(res); i++) {
        struct rk_policy_row *row = store_policy_row(res, i);
        struct rk_delta_item *it = rk_delta_add(l->d, RK_OBJ_POLICY, row->id);

        it->present = true;
        it->row.policy = row;
        rk_map_put(found, rk_str(row->id), row);
    }
    for (i = 0; i < rk_pg_rows(rule_rows); i++) {
        struct rk_policy_row *row = rk_map_get(found, rk_pg_str(rule_rows, i, 0));

        if (row)
            store_add_rule(row, rule_rows, i);
    }
    add_missing(l, RK_OBJ_POLICY, names, found);
    return 0;
}

static int load_members(struct loading *l, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_map_free) struct rk_map *present = rk_map_new();
    rk_auto(rk_cfree) char *keys = NULL;
    char key[2 * RK_XID_LEN + 2];
    size_t i;
    int k, r;

    r = rk_pg_run(l->pg, &members, &res, err, RK_P_ARRAY(l->member_groups.v, l->member_groups.n),
                  RK_P_ARRAY(l->member_peers.v, l->member_peers.n));
    if (r < 0)
        return r;
    keys = rk_zalloc((size_t)rk_pg_rows(res) * sizeof(key) + 1);
    for (k = 0; k < rk_pg_rows(res); k++) {
        char *at = keys + (size_t)k * sizeof(key);

        snprintf(at, sizeof(key), "%s:%s", rk_pg_str(res, k, 0).p, rk_pg_str(res, k, 1).p);
        rk_map_put(present, rk_str(at), at);
    }
    for (i = 0; i < l->member_groups.n; i++) {
        char group[RK_XID_LEN + 1];
        struct rk_delta_item *it;

        if (!rk_str_copy(l->member_groups.v[i], group, sizeof(group)))
            continue;
        it = rk_delta_add(l->d, RK_OBJ_GROUP_PEER, group);
        (void)rk_str_copy(l->member_peers.v[i], it->peer, sizeof(it->peer));
        snprintf(key, sizeof(key), "%s:%s", group, it->peer);
        it->present = rk_map_get(present, rk_str(key)) != NULL;
    }
    return 0;
}

static int load_all(struct loading *l, struct rk_err *err)
{
    int r;

    l->d->full = true;
    l->d->committed_at_us = RK_TIME_UNSET;
    r = load_account(l, err);
    if (r == 0)
        r = load_peers(l, NULL, err);
    if (r == 0)
        r = load_groups(l, NULL, err);
    if (r == 0)
        r = load_policies(l, NULL, err);
    return r;
}

static void sort_change(struct loading *l,
                        struct rk_str kind_name,
                        struct rk_str id,
                        const struct rk_map *whole_groups)
{
    enum rk_object_kind kind;
    struct rk_str rest = id, group;

    if (!store_kind_parse(kind_name, &kind))
        return;
    switch (kind) {
    case RK_OBJ_ACCOUNT:
        l->account = true;
        break;
    case RK_OBJ_PEER:
        l->peer.v[l->peer.n++] = id;
        break;
    case RK_OBJ_GROUP:
        l->group.v[l->group.n++] = id;
        break;
    case RK_OBJ_POLICY:
        l->policy.v[l->policy.n++] = id;
        break;
    case RK_OBJ_GROUP_PEER:
        /* A group that is read whole carries its members already. */
        if (!rk_str_next(&rest, ':', &group) || !rest.p || rk_map_get(whole_groups, group))
            break;
        l->member_groups.v[l->member_groups.n++] = group;
        l->member_peers.v[l->member_peers.n++] = rest;
        break;
    }
}

static void name_changes(struct loading *l)
{
    rk_auto(rk_map_free) struct rk_map *whole_groups = rk_map_new();
    struct names *const lists[] = { &l->peer, &l->group, &l->policy, &l->member_groups,
                                    &l->member_peers };
    size_t i;
    int k;

    for (i = 0; i < RK_COUNT(lists); i++)
        lists[i]->v = rk_new_array(struct rk_str, (size_t)rk_pg_rows(l->changes) + 1);
    for (k = 0; k < rk_pg_rows(l->changes); k++) {
        if (rk_str_eq(rk_pg_str(l->changes, k, 0), RK_STR("group")))
            rk_map_put(whole_groups, rk_pg_str(l->changes, k, 1), l);
    }
    for (k = 0; k < rk_pg_rows(l->changes); k++)
        sort_change(l, rk_pg_str(l->changes, k, 0), rk_pg_str(l->changes, k, 1), whole_groups);
}

static int load_named(struct loading *l, struct rk_err *err)
{
    int r = 0;

    name_changes(l);
    if (l->account)
        r = load_account(l, err);
    if (r == 0 && l->peer.n)
        r = load_peers(l, &l->peer, err);
    if (r == 0 && l->group.n)
        r = load_groups(l, &l->group, err);
    if (r == 0 && l->policy.n)
        r = load_policies(l, &l->policy, err);
    if (r == 0 && l->member_groups.n)
        r = load_members(l, err);
    return r;
}

/* Where the account is, and what has happened since: one round trip. */
static int look(struct loading *l, uint64_t since, bool *out_full, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *serial = NULL, *counts = NULL;
    int r;

    if (since == 0) {
        r = rk_pg_run(l->pg, &serial_of, &serial, err, RK_P_C(l->account_id));
    } else {
        r = rk_pg_later(l->pg, &serial_of, &serial, err, RK_P_C(l->account_id));
        if (r == 0)
            r = rk_pg_later(l->pg, &count_changes, &counts, err, RK_P_C(l->account_id),
                            RK_P_INT((int64_t)since));
        if (r == 0)
            r = rk_pg_run(l->pg, &list_changes, &l->changes, err, RK_P_C(l->account_id),
                          RK_P_INT((int64_t)since));
    }
    if (r < 0)
        return r;
    l->d = rk_delta_new(l->account_id, rk_pg_rows(serial) ? (uint64_t)rk_pg_int(serial, 0, 0) : 0);
    l->d->account_gone = rk_pg_rows(serial) == 0;
    /* Every serial past ours must still be there; a missing one was pruned, and with it what it
     * named. */
    *out_full = !counts || since > l->d->serial ||
                (uint64_t)rk_pg_int(counts, 0, 0) != l->d->serial - since ||
                rk_pg_int(counts, 0, 1) > MAX_NAMED;
    if (!*out_full)
        l->d->committed_at_us = rk_pg_time(counts, 0, 2);
    return 0;
}

int rk_store_load(struct rk_pg *pg,
                  const char *account_id,
                  uint64_t since,
                  const char *default_domain,
                  struct rk_delta **out,
                  struct rk_err *err)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    rk_auto(loading_done) struct loading l = { .pg = pg,
                                               .account_id = account_id,
                                               .default_domain = default_domain };
    bool full = true;
    int r;

    r = rk_pg_begin(pg, RK_PG_REPEATABLE_READ_ONLY, &tx, err);
    if (r < 0)
        return r;
    r = look(&l, since, &full, err);
    if (r == 0 && !l.d->account_gone)
        r = full ? load_all(&l, err) : load_named(&l, err);
    if (r < 0)
        return r;
    r = rk_pg_commit(&tx, err);
    if (r < 0)
        return r;
    *out = rk_steal(l.d);
    return 0;
}
