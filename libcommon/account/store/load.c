/*
 * Loading: what changed past a serial, or everything, in one repeatable-read transaction, so that
 * all of it belongs to one serial. One query a kind, however many objects were named.
 */

#include "libcommon/account/store/store.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/account/store/int.h"
#include "libcommon/account/store/objects.h"
#include "libcommon/account/store/rows.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"

/* More named objects than this: reading the whole account is cheaper than asking for each. */
#define MAX_NAMED 5000
#define OBJECT_KEY_MAX (32 + RK_OBJECT_ID_MAX) /* kind, space, id */

/* The account's serial, and what has changed since. One row without a change when there is none. */
static const struct rk_pg_stmt look_at = {
    "load_look",
    "SELECT a.serial, c.kind, c.object_id, c.serial, c.at, c.trace, "
    "c.at < clock_timestamp() - make_interval(secs => $4::bigint) FROM account a LEFT JOIN "
    "account_change c "
    "ON c.account_id = a.id AND c.serial > $2 WHERE a.id = $1 "
    "ORDER BY c.serial, c.kind, c.object_id LIMIT $3"
};
enum {
    LOOK_SERIAL,
    LOOK_KIND,
    LOOK_OBJECT,
    LOOK_CHANGE,
    LOOK_AT,
    LOOK_TRACE,
    LOOK_OLD
};
static const struct rk_pg_stmt serial_of = {
    "load_serial", "SELECT serial, NULL, NULL, NULL, NULL, NULL, NULL FROM account WHERE id = $1"
};
static const struct rk_pg_stmt read_account = { "load_account", "SELECT " ACCOUNT_COLUMNS
                                                                " FROM account a WHERE a.id = $1" };

/* The two forms of a query: the named objects, and all of the account. */
struct queries {
    struct rk_pg_stmt some, all;
};
static const struct queries peers = {
    { "load_peers", "SELECT " PEER_COLUMNS " FROM unnest($2::text[]) i CROSS JOIN LATERAL "
                    "(SELECT * FROM peer WHERE id = i LIMIT 1) p WHERE p.account_id = $1" },
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
    "SELECT m.group_id, m.peer_id FROM unnest($1::text[], $2::text[]) AS t(g, p) CROSS JOIN "
    "LATERAL (SELECT * FROM group_peer WHERE group_id = t.g AND peer_id = t.p LIMIT 1) m"
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
    struct names named[RK_OBJ_COUNT], member_groups, member_peers;
    bool account;
    /* What was asked for, by kind; NULL: nothing. */
    struct rk_pg_result *rows[RK_OBJ_COUNT], *rule_rows;
};

static void loading_done(struct loading *l)
{
    rk_delta_free(l->d);
    rk_pg_result_free(l->changes);
    for (size_t i = 0; i < RK_OBJ_COUNT; i++) {
        rk_pg_result_free(l->rows[i]);
        free(l->named[i].v);
    }
    rk_pg_result_free(l->rule_rows);
    free(l->member_groups.v);
    free(l->member_peers.v);
}
RK_DEFINE_AUTO_DONE(struct loading, loading_done)

/* === Asking: everything travels with the COMMIT that follows === */

/* Of a full load everything, else what was named. */
static int ask_of(struct loading *l,
                  const struct rk_pg_stmt *some,
                  const struct rk_pg_stmt *all,
                  enum rk_object_kind kind,
                  struct rk_pg_result **out,
                  struct rk_err *err)
{
    const struct names *names = &l->named[kind];

    if (l->d->full)
        return rk_pg_later(l->pg, all, out, err, RK_P_C(l->account_id));
    if (names->n == 0)
        return 0;
    return rk_pg_later(l->pg, some, out, err, RK_P_C(l->account_id),
                       RK_P_ARRAY(names->v, names->n));
}

static int ask(struct loading *l,
               const struct queries *q,
               enum rk_object_kind kind,
               struct rk_pg_result **out,
               struct rk_err *err)
{
    return ask_of(l, &q->some, &q->all, kind, out, err);
}

static int ask_all(struct loading *l, struct rk_err *err)
{
    int r = 0;

    if (l->d->full || l->account)
        r = rk_pg_later(l->pg, &read_account, &l->rows[RK_OBJ_ACCOUNT], err, RK_P_C(l->account_id));
    if (r == 0)
        r = ask(l, &peers, RK_OBJ_PEER, &l->rows[RK_OBJ_PEER], err);
    if (r == 0)
        r = ask(l, &groups, RK_OBJ_GROUP, &l->rows[RK_OBJ_GROUP], err);
    if (r == 0)
        r = ask(l, &policies, RK_OBJ_POLICY, &l->rows[RK_OBJ_POLICY], err);
    if (r == 0)
        r = ask(l, &rules, RK_OBJ_POLICY, &l->rule_rows, err);
    for (size_t i = 0; i < store_objects_count && r == 0; i++)
        r = ask_of(l, &store_objects[i].some, &store_objects[i].all, store_objects[i].kind,
                   &l->rows[store_objects[i].kind], err);
    if (r == 0 && l->member_groups.n > 0)
        r = rk_pg_later(l->pg, &members, &l->rows[RK_OBJ_GROUP_PEER], err,
                        RK_P_ARRAY(l->member_groups.v, l->member_groups.n),
                        RK_P_ARRAY(l->member_peers.v, l->member_peers.n));
    return r;
}

/* === Taking === */

/* A named object that no row answered for is gone. `found` is keyed by id. */
static void add_missing(struct loading *l, enum rk_object_kind kind, const struct rk_map *found)
{
    const struct names *names = &l->named[kind];

    for (size_t i = 0; i < names->n; i++) {
        if (!rk_map_get(found, names->v[i]))
            rk_delta_add(l->d, kind, names->v[i].p);
    }
}

static int take_account(struct loading *l, struct rk_err *err)
{
    struct rk_delta_item *it;

    if (!l->rows[RK_OBJ_ACCOUNT])
        return 0;
    if (rk_pg_rows(l->rows[RK_OBJ_ACCOUNT]) == 0)
        return rk_fail(err, RK_INTERNAL, "account %s vanished inside a snapshot", l->account_id);
    it = rk_delta_add(l->d, RK_OBJ_ACCOUNT, l->account_id);
    it->present = true;
    it->row.account = store_account_row(l->rows[RK_OBJ_ACCOUNT], 0, l->default_domain);
    return 0;
}

static void take_peers(struct loading *l)
{
    rk_auto(rk_map_free) struct rk_map *found = rk_map_new();

    for (int i = 0; l->rows[RK_OBJ_PEER] && i < rk_pg_rows(l->rows[RK_OBJ_PEER]); i++) {
        struct rk_peer_row *row = store_peer_row(l->rows[RK_OBJ_PEER], i);
        struct rk_delta_item *it = rk_delta_add(l->d, RK_OBJ_PEER, row->id);

        it->present = true;
        it->row.peer_row = row;
        if (!l->d->full)
            rk_map_put(found, rk_str(row->id), row);
    }
    add_missing(l, RK_OBJ_PEER, found);
}

static void take_groups(struct loading *l)
{
    rk_auto(rk_map_free) struct rk_map *found = rk_map_new();

    for (int i = 0; l->rows[RK_OBJ_GROUP] && i < rk_pg_rows(l->rows[RK_OBJ_GROUP]); i++) {
        struct rk_group_row *row = store_group_row(l->rows[RK_OBJ_GROUP], i);
        struct rk_delta_item *it = rk_delta_add(l->d, RK_OBJ_GROUP, row->id);

        it->present = true;
        it->row.group = row;
        if (!l->d->full)
            rk_map_put(found, rk_str(row->id), row);
    }
    add_missing(l, RK_OBJ_GROUP, found);
}

static void take_policies(struct loading *l)
{
    rk_auto(rk_map_free) struct rk_map *found = rk_map_new();

    for (int i = 0; l->rows[RK_OBJ_POLICY] && i < rk_pg_rows(l->rows[RK_OBJ_POLICY]); i++) {
        struct rk_policy_row *row = store_policy_row(l->rows[RK_OBJ_POLICY], i);
        struct rk_delta_item *it = rk_delta_add(l->d, RK_OBJ_POLICY, row->id);

        it->present = true;
        it->row.policy = row;
        rk_map_put(found, rk_str(row->id), row);
    }
    for (int i = 0; l->rule_rows && i < rk_pg_rows(l->rule_rows); i++) {
        struct rk_policy_row *row = rk_map_get(found, rk_pg_str(l->rule_rows, i, 0));

        if (row)
            store_add_rule(row, l->rule_rows, i);
    }
    add_missing(l, RK_OBJ_POLICY, found);
}

static void take_objects(struct loading *l, const struct store_object *o)
{
    rk_auto(rk_map_free) struct rk_map *found = rk_map_new();
    const struct rk_pg_result *res = l->rows[o->kind];

    for (int i = 0; res && i < rk_pg_rows(res); i++) {
        struct rk_row *row = o->read(res, i);
        struct rk_delta_item *it = rk_delta_add(l->d, o->kind, row->id);

        it->present = true;
        it->row.object = row;
        if (!l->d->full)
            rk_map_put(found, rk_str(row->id), row);
    }
    add_missing(l, o->kind, found);
}

static void take_members(struct loading *l)
{
    const struct rk_pg_result *res = l->rows[RK_OBJ_GROUP_PEER];
    rk_auto(rk_map_free) struct rk_map *present = rk_map_new();
    rk_auto(rk_cfree) char *keys = NULL;
    char key[2 * RK_XID_LEN + 2];

    if (!res)
        return;
    keys = rk_zalloc((size_t)rk_pg_rows(res) * sizeof(key) + 1);
    for (int k = 0; k < rk_pg_rows(res); k++) {
        char *at = keys + (size_t)k * sizeof(key);

        snprintf(at, sizeof(key), "%s:%s", rk_pg_str(res, k, 0).p, rk_pg_str(res, k, 1).p);
        rk_map_put(present, rk_str(at), at);
    }
    for (size_t i = 0; i < l->member_groups.n; i++) {
        char group[RK_XID_LEN + 1];
        struct rk_delta_item *it;

        if (!rk_str_copy(l->member_groups.v[i], group, sizeof(group)))
            continue;
        it = rk_delta_add(l->d, RK_OBJ_GROUP_PEER, group);
        (void)rk_str_copy(l->member_peers.v[i], it->peer, sizeof(it->peer));
        snprintf(key, sizeof(key), "%s:%s", group, it->peer);
        it->present = rk_map_get(present, rk_str(key)) != NULL;
    }
}

/* === What changed === */

static void sort_change(struct loading *l,
                        struct rk_str kind_name,
                        struct rk_str id,
                        const struct rk_map *whole_groups)
{
    enum rk_object_kind kind;
    struct rk_str rest = id, group;

    if (!store_kind_parse(kind_name, &kind))
        return;
    if (kind == RK_OBJ_ACCOUNT) {
        l->account = true;
    } else if (kind == RK_OBJ_GROUP_PEER) {
        /* A group that is read whole carries its members already. */
        if (!rk_str_next(&rest, ':', &group) || !rest.p || rk_map_get(whole_groups, group))
            return;
        l->member_groups.v[l->member_groups.n++] = group;
        l->member_peers.v[l->member_peers.n++] = rest;
    } else {
        l->named[kind].v[l->named[kind].n++] = id;
    }
}

/* Sorts the changes by kind, each object once. */
static void name_changes(struct loading *l)
{
    rk_auto(rk_map_free) struct rk_map *whole_groups = rk_map_new();
    rk_auto(rk_map_free) struct rk_map *seen = rk_map_new();
    int n = rk_pg_rows(l->changes);

    for (size_t i = 0; i < RK_OBJ_COUNT; i++)
        l->named[i].v = rk_new_array(struct rk_str, (size_t)n + 1);
    l->member_groups.v = rk_new_array(struct rk_str, (size_t)n + 1);
    l->member_peers.v = rk_new_array(struct rk_str, (size_t)n + 1);
    for (int k = 0; k < n; k++) {
        if (rk_str_eq(rk_pg_str(l->changes, k, LOOK_KIND), RK_STR("group")))
            rk_map_put(whole_groups, rk_pg_str(l->changes, k, LOOK_OBJECT), l);
    }
    for (int k = 0; k < n; k++) {
        struct rk_str kind = rk_pg_str(l->changes, k, LOOK_KIND);
        struct rk_str id = rk_pg_str(l->changes, k, LOOK_OBJECT);
        char key[OBJECT_KEY_MAX];

        snprintf(key, sizeof(key), "%s %s", kind.p, id.p);
        if (!rk_map_get(seen, rk_str(key))) {
            rk_map_put(seen, rk_str(key), l);
            sort_change(l, kind, id, whole_groups);
        }
    }
}

/* Each change once; its rows stand together. */
static void name_traces(struct loading *l)
{
    int n = rk_pg_rows(l->changes);

    l->d->traces = rk_alloc((size_t)n * sizeof(*l->d->traces));
    for (int k = 0; k < n; k++) {
        struct rk_str trace = rk_pg_str(l->changes, k, LOOK_TRACE);
        bool again = k > 0 && rk_pg_int(l->changes, k, LOOK_CHANGE) ==
                                  rk_pg_int(l->changes, k - 1, LOOK_CHANGE);

        if (!again && trace.n == RK_TRACE_LEN)
            (void)rk_str_copy(trace, l->d->traces[l->d->traces_n++], sizeof(*l->d->traces));
    }
}

/*
 * Are all serials past ours still there? A missing one was pruned, and with it what it named. So
 * may be part of one that is old: its rows have times of their own, and pruning goes by those.
 */
static bool complete(const struct rk_pg_result *changes, uint64_t since, uint64_t until)
{
    uint64_t last = since;

    for (int k = 0; k < rk_pg_rows(changes) && !rk_pg_null(changes, k, LOOK_CHANGE); k++) {
        uint64_t serial = (uint64_t)rk_pg_int(changes, k, LOOK_CHANGE);

        if (serial > last + 1 || rk_pg_bool(changes, k, LOOK_OLD))
            return false;
        last = serial;
    }
    return last == until;
}

/* Where the account is, and what has happened since. */
static int look(struct loading *l, uint64_t since, struct rk_err *err)
{
    int r = since == 0 ? rk_pg_run(l->pg, &serial_of, &l->changes, err, RK_P_C(l->account_id))
                       : rk_pg_run(l->pg, &look_at, &l->changes, err, RK_P_C(l->account_id),
                                   RK_P_INT((int64_t)since), RK_P_INT(MAX_NAMED + 1),
                                   RK_P_INT(RK_CHANGES_KEEP_S / 2));

    if (r < 0)
        return r;
    l->d = rk_delta_new(l->account_id, 0);
    l->d->full = true;
    l->d->committed_at_us = RK_TIME_UNSET;
    l->d->account_gone = rk_pg_rows(l->changes) == 0;
    if (l->d->account_gone)
        return 0;
    l->d->serial = (uint64_t)rk_pg_int(l->changes, 0, LOOK_SERIAL);
    if (since == 0 || rk_pg_rows(l->changes) > MAX_NAMED ||
        !complete(l->changes, since, l->d->serial))
        return 0;
    l->d->full = false;
    l->d->committed_at_us = rk_pg_time(l->changes, 0, LOOK_AT);
    name_changes(l);
    name_traces(l);
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
    int r;

    r = rk_pg_begin(pg, RK_PG_REPEATABLE_READ_ONLY, &tx, err);
    if (r < 0)
        return r;
    r = look(&l, since, err);
    if (r == 0 && !l.d->account_gone)
        r = ask_all(&l, err);
    if (r < 0)
        return r;
    r = rk_pg_commit(&tx, err);
    if (r < 0)
        return r;
    r = take_account(&l, err);
    if (r < 0)
        return r;
    take_peers(&l);
    take_groups(&l);
    take_policies(&l);
    for (size_t i = 0; i < store_objects_count; i++)
        take_objects(&l, &store_objects[i]);
    take_members(&l);
    *out = rk_steal(l.d);
    return 0;
}
