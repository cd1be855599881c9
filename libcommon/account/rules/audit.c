/* See audit.h. Events wait in memory until the change is done, because only then is it known what
 * differs. */

#include "libcommon/account/rules/audit_int.h"

#include <stdlib.h>

#include "libcommon/account/rules/policy.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/jansson.h"
#include "libcommon/base/map.h"

#define MAX_HELD_BYTES ((size_t)1 << 20)

/* Of a row its columns without those that never change or say nothing. */
#define BUT " - '{id,account_id,public_id,created_at,updated_at}'::text[]"
#define PLAIN(table)                                                                               \
    "SELECT (to_jsonb(t)" BUT ")::text FROM " table " t WHERE t.account_id = $1 AND t.id = $2"

/* Each takes (account, id) and answers with one JSON object, or with no row. */
static const struct rk_pg_stmt looks[RK_WATCH_COUNT] = {
    [RK_WATCH_ACCOUNT] = { "audit_account",
                           "SELECT (settings || jsonb_build_object('network_range', net4::text, "
                           "'network_range_v6', net6::text, 'dns_disabled_groups', "
                           "to_jsonb(dns_disabled_groups), 'onboarding', onboarding))::text "
                           "FROM account WHERE id = $1 AND id = $2" },
    [RK_WATCH_PEER] = { "audit_peer",
                        "SELECT jsonb_build_object('name', name, 'ip', host(ip), 'ipv6', "
                        "host(ip6), 'dns_label', dns_label, 'user_id', user_id, 'ssh_enabled', "
                        "ssh_enabled, 'login_expiration_enabled', login_expiration_enabled, "
                        "'inactivity_expiration_enabled', inactivity_expiration_enabled, "
                        "'approval_required', requires_approval, 'login_expired', login_expired, "
                        "'groups', (SELECT coalesce(jsonb_agg(m.group_id ORDER BY m.group_id), "
                        "'[]') FROM group_peer m WHERE m.peer_id = peer.id))::text "
                        "FROM peer WHERE account_id = $1 AND id = $2" },
    [RK_WATCH_GROUP] = { "audit_group",
                         "SELECT jsonb_build_object('name', g.name, 'issued', g.issued, 'peers', "
                         "(SELECT coalesce(jsonb_agg(m.peer_id ORDER BY m.peer_id), '[]') FROM "
                         "group_peer m WHERE m.group_id = g.id), 'resources', (SELECT "
                         "coalesce(jsonb_agg(r.resource_id ORDER BY r.resource_id), '[]') FROM "
                         "group_resource r WHERE r.group_id = g.id))::text "
                         "FROM account_group g WHERE g.account_id = $1 AND g.id = $2" },
    [RK_WATCH_POLICY] = { "audit_policy", "SELECT " RK_POLICY_OBJECT
                                          " FROM policy p WHERE p.account_id = $1 AND p.id = $2" },
    [RK_WATCH_USER] = { "audit_user",
                        "SELECT jsonb_build_object('name', name, 'role', role, 'is_service_user', "
                        "is_service_user, 'is_blocked', blocked, 'pending_approval', "
                        "pending_approval, 'auto_groups', to_jsonb(auto_groups), 'issued', "
                        "issued)::text FROM users WHERE account_id = $1 AND id = $2" },
    [RK_WATCH_SETUP_KEY] = { "audit_setup_key",
                             "SELECT jsonb_build_object('name', name, 'type', type, 'key', masked, "
                             "'expires_at', expires_at, 'revoked', revoked, 'usage_limit', "
                             "usage_limit, 'auto_groups', to_jsonb(auto_groups), 'ephemeral', "
                             "ephemeral, 'allow_extra_dns_labels', allow_extra_dns_labels)::text "
                             "FROM setup_key WHERE account_id = $1 AND id = $2" },
    [RK_WATCH_TOKEN] = { "audit_token",
                         "SELECT jsonb_build_object('name', name, 'expiration_date', "
                         "expires_at)::text FROM pat WHERE account_id = $1 AND id = $2" },
    [RK_WATCH_POSTURE_CHECK] = { "audit_posture_check", PLAIN("posture_check") },
    [RK_WATCH_ROUTE] = { "audit_route", PLAIN("route") },
    [RK_WATCH_NETWORK] = { "audit_network", PLAIN("network") },
    [RK_WATCH_RESOURCE] = { "audit_resource",
                            "SELECT (to_jsonb(t)" BUT " || jsonb_build_object('groups', (SELECT "
                            "coalesce(jsonb_agg(g.group_id ORDER BY g.group_id), '[]') FROM "
                            "group_resource g WHERE g.resource_id = t.id)))::text "
                            "FROM network_resource t WHERE t.account_id = $1 AND t.id = $2" },
    [RK_WATCH_ROUTER] = { "audit_router", PLAIN("network_router") },
    [RK_WATCH_NAMESERVER_GROUP] = { "audit_nameserver_group", PLAIN("nameserver_group") },
    [RK_WATCH_ZONE] = { "audit_zone", PLAIN("zone") },
    [RK_WATCH_RECORD] = { "audit_record",
                          "SELECT (to_jsonb(t)" BUT ")::text FROM zone_record t JOIN zone z "
                          "ON z.id = t.zone_id WHERE z.account_id = $1 AND t.id = $2" },
    [RK_WATCH_PROXY_TOKEN] = { "audit_proxy_token",
                               "SELECT jsonb_build_object('name', name, 'expires_at', expires_at, "
                               "'revoked', revoked)::text FROM proxy_token WHERE account_id = $1 "
                               "AND id = $2" },
    [RK_WATCH_INVITE] = { "audit_invite",
                          "SELECT jsonb_build_object('email', email, 'name', name, 'role', role, "
                          "'auto_groups', to_jsonb(auto_groups), 'expires_at', expires_at)::text "
                          "FROM user_invite WHERE account_id = $1 AND id = $2" },
    [RK_WATCH_CONNECTOR] = { "audit_connector",
                             "SELECT jsonb_build_object('type', type, 'name', name, 'issuer', "
                             "issuer, 'client_id', client_id)::text FROM connector WHERE "
                             "account_id = $1 AND id = $2" },
};

static const struct rk_pg_stmt add_events = {
    "audit_events",
    "INSERT INTO event (account_id, code, initiator_id, target_id, meta, changes) "
    "SELECT $1, x.code, x.initiator, x.target, x.meta::jsonb, nullif(x.changes, '')::jsonb "
    "FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) "
    "AS x(code, initiator, target, meta, changes)"
};

struct watch {
    struct watch *next;
    enum rk_watched kind;
    const char *id, *also;
    struct rk_pg_result *before, *now;
    json_t *was;   /* what `before` says, once somebody wants to know */
    json_t *after; /* where `known` */
    bool known;    /* rk_change_becomes */
    char *changes; /* JSON; NULL when nothing differs */
};

struct audit_event {
    struct audit_event *next;
    char *code, *initiator, *target, *meta;
    char *changes; /* NULL: none */
};

struct audit {
    struct watch *watches;
};

/* === Events that wait === */

void audit_events_init(struct audit_events *e)
{
    *e = (struct audit_events){ .last = &e->first };
}

static void events_free(struct audit_event *v)
{
    struct audit_event *next;

    for (; v; v = next) {
        next = v->next;
        rk_free(v->code);
        rk_free(v->initiator);
        rk_free(v->target);
        rk_free(v->meta);
        rk_free(v->changes);
        rk_free(v);
    }
}

void audit_events_done(struct audit_events *e)
{
    events_free(e->first);
}

bool audit_events_hold(struct audit_events *e,
                       const char *code,
                       const char *initiator_id,
                       const char *target_id,
                       struct rk_str meta)
{
    size_t n = sizeof(struct audit_event) + strlen(code) + strlen(initiator_id) +
               strlen(target_id) + meta.n;
    struct audit_event *v;

    if (n > MAX_HELD_BYTES || e->bytes > MAX_HELD_BYTES - n)
        return false;
    v = rk_new(struct audit_event);
    v->code = rk_strdup(code);
    v->initiator = rk_strdup(initiator_id);
    v->target = rk_strdup(target_id);
    v->meta = rk_strndup(meta.p, meta.n);
    e->bytes += n;
    e->n++;
    *e->last = v;
    e->last = &v->next;
    return true;
}

void audit_events_move(struct audit_events *to, struct audit_events *from)
{
    if (!from->first)
        return;
    *to->last = from->first;
    to->last = from->last;
    to->n += from->n;
    audit_events_init(from);
}

void audit_events_cut(struct audit_events *e, size_t n)
{
    e->n = n;
    for (e->last = &e->first; n > 0; n--)
        e->last = &(*e->last)->next;
    events_free(rk_steal(*e->last));
}

int audit_events_write(const struct audit_events *e,
                       struct rk_pg *pg,
                       const char *account_id,
                       struct rk_err *err)
{
    rk_auto(rk_cfree) char *block = rk_alloc((5 * e->n + 1) * sizeof(struct rk_str));
    struct rk_str *codes = (struct rk_str *)(void *)block, *initiators = codes + e->n,
                  *targets = initiators + e->n, *metas = targets + e->n, *changes = metas + e->n;
    size_t i = 0;

    if (e->n == 0)
        return 0;
    for (const struct audit_event *v = e->first; v; v = v->next, i++) {
        codes[i] = rk_str(v->code);
        initiators[i] = rk_str(v->initiator);
        targets[i] = rk_str(v->target);
        metas[i] = rk_str(v->meta);
        changes[i] = rk_str(v->changes);
    }
    return rk_pg_later(pg, &add_events, NULL, err, RK_P_C(account_id), RK_P_ARRAY(codes, e->n),
                       RK_P_ARRAY(initiators, e->n), RK_P_ARRAY(targets, e->n),
                       RK_P_ARRAY(metas, e->n), RK_P_ARRAY(changes, e->n));
}

/* === Differences === */

static bool all_texts(const json_t *list)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item) if (!json_is_string(item)) return false;
    return true;
}

/* {"count": n, <word>: what `list` has and `other` has not}. */
static json_t *shorten(const json_t *list, const json_t *other, const char *word)
{
    rk_auto(rk_map_free) struct rk_map *known = rk_map_new();
    json_t *only = json_array(), *item;
    size_t i;

    json_array_foreach(other, i, item)(void)
        rk_map_put(known, rk_str(json_string_value(item)), item);
    json_array_foreach(list, i, item) if (json_array_size(only) < RK_AUDIT_MAX_LIST &&
                                          !rk_map_get(known, rk_str(json_string_value(item))))
        json_array_append(only, item);
    return json_pack("{s:I, s:o}", "count", (json_int_t)json_array_size(list), word, only);
}

static json_t *pair(json_t *before, json_t *after)
{
    size_t a = json_array_size(before), b = json_array_size(after);

    if ((a > RK_AUDIT_MAX_LIST || b > RK_AUDIT_MAX_LIST) && all_texts(before) && all_texts(after))
        return json_pack("{s:o, s:o}", "before", shorten(before, after, "removed"), "after",
                         shorten(after, before, "added"));
    return json_pack("{s:O, s:O}", "before", before, "after", after);
}

static bool same(const json_t *a, const json_t *b)
{
    bool no_a = !a || json_is_null(a), no_b = !b || json_is_null(b);

    return no_a || no_b ? no_a && no_b : json_equal(a, b) != 0;
}

static void add(json_t *to, const char *name, const json_t *before, const json_t *after)
{
    json_t *b = before ? (json_t *)(uintptr_t)before : json_null();
    json_t *a = after ? (json_t *)(uintptr_t)after : json_null();

    json_object_set_new(to, name, pair(b, a));
}

json_t *rk_audit_diff(const json_t *before, const json_t *after)
{
    json_t *out = json_object(), *value;
    const char *name;

    json_object_foreach((json_t *)(uintptr_t)before, name, value)
    {
        if (!same(value, json_object_get(after, name)))
            add(out, name, value, json_object_get(after, name));
    }
    json_object_foreach((json_t *)(uintptr_t)after, name, value)
    {
        if (!json_object_get(before, name) && !same(NULL, value))
            add(out, name, NULL, value);
    }
    if (json_object_size(out) > 0)
        return out;
    json_decref(out);
    return NULL;
}

/* === Watching === */

int audit_watch(struct audit **audit,
                struct rk_pg *pg,
                const char *account_id,
                enum rk_watched kind,
                const char *id,
                const char *also,
                struct rk_err *err)
{
    struct audit *a = *audit;
    struct watch *w;

    if (!a)
        a = *audit = rk_new(struct audit);
    w = rk_new(struct watch);
    w->next = a->watches;
    a->watches = w;
    w->kind = kind;
    w->id = rk_strdup(id);
    w->also = also ? rk_strdup(also) : NULL;
    return rk_pg_later(pg, &looks[kind], &w->before, err, RK_P_C(account_id), RK_P_C(id));
}

static json_t *seen(const struct rk_pg_result *res)
{
    return res && rk_pg_rows(res) > 0 ? json_loads(rk_pg_str(res, 0, 0).p, 0, NULL) : NULL;
}

static struct watch *watch_of(const struct audit *a, const char *id)
{
    for (struct watch *w = a->watches; w; w = w->next)
        if (strcmp(w->id, id) == 0)
            return w;
    return NULL;
}

static json_t *was(struct watch *w)
{
    if (!w->was)
        w->was = seen(w->before);
    return w->was;
}

json_t *audit_seen(const struct audit *a, const char *id)
{
    return json_incref(was(watch_of(a, id)));
}

void audit_becomes(struct audit *a, const char *id, json_t *after)
{
    struct watch *w = watch_of(a, id);

    json_decref(w->after);
    w->after = json_incref(after);
    w->known = true;
}

static int look_again(struct audit *a, struct rk_pg *pg, const char *account_id, struct rk_err *err)
{
    bool asked = false;
    int r = 0;

    for (struct watch *w = a->watches; r == 0 && w; w = w->next) {
        if (w->known)
            continue;
        asked = true;
        r = rk_pg_later(pg, &looks[w->kind], &w->now, err, RK_P_C(account_id), RK_P_C(w->id));
    }
    return r == 0 && asked ? rk_pg_catch_up(pg, err) : r;
}

static void compare(struct watch *w)
{
    rk_auto(json_decref) json_t *after = w->known ? json_incref(w->after) : seen(w->now);
    rk_auto(json_decref) json_t *diff = rk_audit_diff(was(w), after);

    w->changes = diff ? json_dumps(diff, JSON_COMPACT) : NULL;
}

static bool tells_of(const struct audit_event *v, const struct watch *w)
{
    return strcmp(v->target, w->id) == 0 || (w->also && strcmp(v->target, w->also) == 0);
}

static bool told(const struct audit_events *e, const struct watch *w)
{
    for (const struct audit_event *v = e->first; v; v = v->next)
        if (tells_of(v, w))
            return true;
    return false;
}

static const char *
changes_of(const struct audit *a, const struct audit_events *e, const struct audit_event *v)
{
    for (const struct watch *w = a->watches; w; w = w->next)
        if (w->changes && tells_of(v, w))
            return w->changes;
    /* The first event speaks for what no event names. */
    for (const struct watch *w = a->watches; w && v == e->first; w = w->next)
        if (w->changes && !told(e, w))
            return w->changes;
    return NULL;
}

int audit_compare(struct audit *a,
                  struct audit_events *events,
                  struct rk_pg *pg,
                  const char *account_id,
                  struct rk_err *err)
{
    int r;

    if (!events->first)
        return 0;
    r = look_again(a, pg, account_id, err);
    if (r < 0)
        return r;
    for (struct watch *w = a->watches; w; w = w->next)
        compare(w);
    for (struct audit_event *v = events->first; v; v = v->next) {
        const char *changes = changes_of(a, events, v);

        v->changes = changes ? rk_strdup(changes) : NULL;
    }
    return 0;
}

void audit_free(struct audit *a)
{
    struct watch *w, *next;

    if (!a)
        return;
    for (w = a->watches; w; w = next) {
        next = w->next;
        rk_pg_result_free(w->before);
        rk_pg_result_free(w->now);
        json_decref(w->was);
        json_decref(w->after);
        rk_free((char *)(uintptr_t)w->id);
        rk_free((char *)(uintptr_t)w->also);
        free(w->changes);
        rk_free(w);
    }
    rk_free(a);
}
