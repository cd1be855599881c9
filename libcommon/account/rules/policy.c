/* See policy.h. An update is one transaction of two round trips: what the policy is, and what the
 * account has of what the request names; then all that is written, if anything differs. */

#include "libcommon/account/rules/policy.h"

#include <stdlib.h>

#include "libcommon/account/rules/group.h"
#include "libcommon/account/rules/refs.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/map.h"

#define MAX_NAMED ((size_t)1 << 20) /* more is asked each time */

static const struct rk_pg_stmt get_stmt = {
    "policy_get", "SELECT name FROM policy WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt known_groups_stmt = {
    "policy_known_groups", RK_GROUP_BRIEFS " AND g.id = ANY ($2::text[])" RK_GROUP_BRIEFS_ORDER
};
static const struct rk_pg_stmt insert_stmt = {
    "policy_insert", "INSERT INTO policy (id, public_id, account_id, name, description, enabled, "
                     "source_posture_checks)"
                     " VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7::boolean THEN $8::text[] END)"
};
static const struct rk_pg_stmt update_stmt = {
    "policy_update",
    "UPDATE policy SET name = $3, description = $4, enabled = $5,"
    " source_posture_checks = CASE WHEN $6::boolean THEN $7::text[] END WHERE account_id = $1 AND "
    "id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "policy_delete", "DELETE FROM policy WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt clear_rules_stmt = {
    "policy_clear_rules", "DELETE FROM policy_rule WHERE policy_id = $1 AND position >= $2"
};
/* A rule is written over the one that had its place: indexes stay as they are. */
static const struct rk_pg_stmt store_rule_stmt = {
    "policy_store_rule",
    "INSERT INTO policy_rule (policy_id, position, id, name, description, enabled, action, "
    "protocol, bidirectional, sources, destinations, source_resource_id, source_resource_type, "
    "destination_resource_id, destination_resource_type, ports, port_ranges, authorized_groups, "
    "authorized_user) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
    "$16, $17, $18, $19) "
    "ON CONFLICT (policy_id, position) DO UPDATE SET id = excluded.id, name = excluded.name, "
    "description = excluded.description, enabled = excluded.enabled, action = excluded.action, "
    "protocol = excluded.protocol, bidirectional = excluded.bidirectional, "
    "sources = excluded.sources, destinations = excluded.destinations, "
    "source_resource_id = excluded.source_resource_id, "
    "source_resource_type = excluded.source_resource_type, "
    "destination_resource_id = excluded.destination_resource_id, "
    "destination_resource_type = excluded.destination_resource_type, ports = excluded.ports, "
    "port_ranges = excluded.port_ranges, authorized_groups = excluded.authorized_groups, "
    "authorized_user = excluded.authorized_user"
};

static bool port_valid(struct rk_str s)
{
    uint64_t v;

    return rk_str_u64(s, &v) && v >= 1 && v <= 65535;
}

static bool is_ssh(const struct rk_policy_rule_input *rule)
{
    return strcmp(rule->protocol, "netbird-ssh") == 0;
}

static bool protocol_known(const char *protocol)
{
    static const char *const known[] = { "all", "tcp", "udp", "icmp", "netbird-ssh" };

    for (size_t i = 0; i < RK_COUNT(known); i++)
        if (strcmp(protocol, known[i]) == 0)
            return true;
    return false;
}

static int validate_ports(const struct rk_policy_rule_input *rule, struct rk_err *err)
{
    if (rule->ports_n > 0 && rule->ranges_n > 0)
        return rk_fail(err, RK_INVALID, "specify either individual ports or port ranges, not both");
    for (size_t i = 0; i < rule->ports_n; i++)
        if (!port_valid(rule->ports[i]))
            return rk_fail(err, RK_INVALID, "valid port value is in 1..65535 range");
    for (size_t i = 0; i < rule->ranges_n; i++)
        if (rule->ranges[i].start < 1 || rule->ranges[i].start > 65535 || rule->ranges[i].end < 1 ||
            rule->ranges[i].end > 65535)
            return rk_fail(err, RK_INVALID, "valid port value is in 1..65535 range");
    return 0;
}

static bool authorizes(const struct rk_policy_rule_input *rule, struct rk_str group)
{
    for (size_t i = 0; i < rule->authorized_n; i++)
        if (rk_str_eq(rk_str(rule->authorized[i].group), group))
            return true;
    return false;
}

static int validate_rule(const struct rk_policy_rule_input *rule, struct rk_err *err)
{
    int r;

    if (rule->source.has_groups && rule->source.has_resource)
        return rk_fail(err, RK_INVALID, "specify either sources or  source resources, not both");
    if (rule->destination.has_groups && rule->destination.has_resource)
        return rk_fail(err, RK_INVALID,
                       "specify either destinations or  destination resources, not both");
    if (!(rule->source.has_groups || rule->source.has_resource) ||
        !(rule->destination.has_groups || rule->destination.has_resource))
        return rk_fail(
            err, RK_INVALID,
            "specify either sources or source resources and destinations or destination resources");
    if (strcmp(rule->action, "accept") != 0 && strcmp(rule->action, "drop") != 0)
        return rk_fail(err, RK_INVALID, "unknown action type");
    if (!protocol_known(rule->protocol))
        return rk_fail(err, RK_INVALID, "unknown protocol type: %s", rule->protocol);
    r = validate_ports(rule, err);
    if (r < 0)
        return r;
    if (is_ssh(rule) && rule->authorized_n > 0)
        for (size_t i = 0; i < rule->source.groups_n; i++)
            if (!authorizes(rule, rule->source.groups[i]))
                return rk_fail(err, RK_INVALID,
                               "authorized group for netbird-ssh protocol should be specified for "
                               "each source group");
    if ((strcmp(rule->protocol, "all") == 0 || strcmp(rule->protocol, "icmp") == 0) &&
        rule->ports_n + rule->ranges_n > 0)
        return rk_fail(err, RK_INVALID, "for all or icmp protocol ports is not allowed");
    return 0;
}

int rk_policy_validate(const struct rk_policy_input *in, struct rk_err *err)
{
    int r = 0;

    if (in->name[0] == '\0')
        return rk_fail(err, RK_INVALID, "policy name shouldn't be empty");
    if (in->rules_n == 0)
        return rk_fail(err, RK_INVALID, "policy rules shouldn't be empty");
    for (size_t i = 0; r == 0 && i < in->rules_n; i++)
        r = validate_rule(&in->rules[i], err);
    return r;
}

/* === A policy as an object ===
 * with a member for each column, as the audit trail looks at it (audit.c). */

/* All groups that the rules name, one after the other; free them. */
static struct rk_str *named_groups(const struct rk_policy_input *in, size_t *out_n)
{
    struct rk_str *all;
    size_t n = 0;

    for (size_t i = 0; i < in->rules_n; i++)
        n += in->rules[i].source.groups_n + in->rules[i].destination.groups_n;
    all = rk_new_array(struct rk_str, n + 1);
    n = 0;
    for (size_t i = 0; i < in->rules_n; i++) {
        const struct rk_policy_side *side[] = { &in->rules[i].source, &in->rules[i].destination };

        for (size_t k = 0; k < RK_COUNT(side); k++)
            for (size_t g = 0; g < side[k]->groups_n; g++)
                all[n++] = side[k]->groups[g];
    }
    *out_n = n;
    return all;
}

/* Which of the groups that a change names the account has. */
struct found {
    struct rk_left left;
    struct rk_buf named;
    struct rk_pg_result *groups;
};

static void found_free(struct rk_left *l)
{
    struct found *f = rk_container_of(l, struct found, left);

    rk_buf_done(&f->named);
    rk_pg_result_free(f->groups);
    rk_free(f);
}

static struct found *found_new(const struct rk_str *named, size_t n)
{
    struct found *f = rk_new(struct found);

    f->left.free = found_free;
    rk_buf_init(&f->named, MAX_NAMED);
    for (size_t i = 0; i < n; i++) {
        rk_buf_put_str(&f->named, named[i]);
        rk_buf_put_u8(&f->named, 0);
    }
    return f;
}

/* What the change before found, if it named the same. */
static struct rk_pg_result *found_before(const struct rk_change *ch, const struct found *f)
{
    struct rk_left *l = rk_change_left(ch);
    const struct found *was =
        l && l->free == found_free ? rk_container_of(l, struct found, left) : NULL;

    return was && !f->named.overflow && rk_str_eq(rk_buf_str(&was->named), rk_buf_str(&f->named))
               ? was->groups
               : NULL;
}

/* What else the account has to have, read in one round trip. */
struct refs {
    struct rk_pg_result *groups, *checks;
};

static void refs_done(struct refs *refs)
{
    rk_pg_result_free(refs->groups);
    rk_pg_result_free(refs->checks);
}
RK_DEFINE_AUTO_DONE(struct refs, refs_done)

static int ask_refs(struct rk_change *ch,
                    const struct rk_actor *actor,
                    const struct rk_policy_input *in,
                    struct refs *out,
                    struct rk_err *err)
{
    size_t n = 0;
    rk_auto(rk_free) struct rk_str *named = named_groups(in, &n);
    struct found *f = found_new(named, n);
    struct rk_pg_result *before = found_before(ch, f);
    int r = 0;

    rk_change_leave(ch, &f->left);
    if (before)
        out->groups = rk_pg_result_ref(before);
    else
        r = rk_pg_later(rk_change_pg(ch), &known_groups_stmt, &out->groups, err,
                        RK_P_C(actor->account_id), RK_P_ARRAY(named, n));
    if (r == 0 && in->posture_checks_n > 0)
        r = rk_refs_ask_posture_checks(ch, in->posture_checks, in->posture_checks_n, &out->checks,
                                       err);
    if (r == 0)
        r = rk_pg_catch_up(rk_change_pg(ch), err);
    if (r == 0)
        f->groups = rk_pg_result_ref(out->groups);
    return r;
}

static json_t *text(struct rk_str s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

static json_t *list_of(const struct rk_str *items, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, text(items[i]));
    return list;
}

/* The groups of a side that the account has, in their order, each once. */
static json_t *known_groups(const struct rk_policy_side *side, const struct rk_pg_result *res)
{
    rk_auto(rk_map_free) struct rk_map *known = rk_map_new();
    json_t *list = json_array();

    for (int i = 0; i < rk_pg_rows(res); i++)
        (void)rk_map_put(known, rk_pg_str(res, i, 0), known);
    for (size_t i = 0; i < side->groups_n; i++)
        if (rk_map_del(known, side->groups[i]))
            json_array_append_new(list, text(side->groups[i]));
    return list;
}

/* A resource without id and type is none. */
static bool names_resource(const struct rk_policy_side *side)
{
    return side->has_resource && (side->resource_id[0] != '\0' || side->resource_type[0] != '\0');
}

static json_t *authorized(const struct rk_policy_rule_input *rule)
{
    json_t *groups;

    if (!is_ssh(rule) || rule->authorized_n == 0)
        return json_null();
    groups = json_object();
    for (size_t i = 0; i < rule->authorized_n; i++)
        json_object_set_new(groups, rule->authorized[i].group,
                            list_of(rule->authorized[i].users, rule->authorized[i].users_n));
    return groups;
}

static json_t *ranges(const struct rk_policy_rule_input *rule)
{
    json_t *list = json_array();

    for (size_t i = 0; i < rule->ranges_n; i++)
        json_array_append_new(list, json_sprintf("%lld-%lld", (long long)rule->ranges[i].start,
                                                 (long long)rule->ranges[i].end));
    return list;
}

static json_t *rule_of(const json_t *policy, const char *id)
{
    const json_t *rules = json_object_get(policy, "rules");
    json_t *rule;
    size_t i;

    json_array_foreach(rules, i, rule)
    {
        if (strcmp(json_string_value(json_object_get(rule, "id")), id) == 0)
            return rule;
    }
    return NULL;
}

/* Whom temporary access was given to is nothing that a request can say; it stays with its rule. */
static const char *
guest(const struct rk_policy_rule_input *rule, const char *id, const json_t *before)
{
    const char *user = json_string_value(json_object_get(rule_of(before, id), "authorized_user"));

    return user && is_ssh(rule) && rule->authorized_n == 0 ? user : "";
}

static json_t *rule_json(const struct rk_policy_rule_input *rule,
                         const char *id,
                         const struct rk_pg_result *groups,
                         const json_t *before)
{
    const struct rk_policy_side *s = &rule->source, *d = &rule->destination;

    return json_pack(
        "{s:s, s:s, s:s, s:b, s:s, s:s, s:b, s:o, s:o, s:s?, s:s?, s:s?, s:s?, s:o, s:o, s:o, s:s}",
        "id", id, "name", rule->name, "description", rule->description, "enabled", rule->enabled,
        "action", rule->action, "protocol", rule->protocol, "bidirectional", rule->bidirectional,
        "sources", known_groups(s, groups), "destinations", known_groups(d, groups),
        "source_resource_id", names_resource(s) ? s->resource_id : NULL, "source_resource_type",
        names_resource(s) ? s->resource_type : NULL, "destination_resource_id",
        names_resource(d) ? d->resource_id : NULL, "destination_resource_type",
        names_resource(d) ? d->resource_type : NULL, "ports", list_of(rule->ports, rule->ports_n),
        "port_ranges", ranges(rule), "authorized_groups", authorized(rule), "authorized_user",
        guest(rule, id, before));
}

/* Every rule keeps the id it was sent with; the first without one gets the policy's unless that is
 * taken, others new ones. */
static json_t *rules_json(const char *policy_id,
                          const struct rk_policy_input *in,
                          bool keep_ids,
                          const struct rk_pg_result *groups,
                          const json_t *before)
{
    json_t *rules = json_array();
    bool taken = false;

    for (size_t i = 0; keep_ids && i < in->rules_n; i++)
        taken |= strcmp(in->rules[i].id, policy_id) == 0;
    for (size_t i = 0; i < in->rules_n; i++) {
        char fresh[RK_XID_LEN + 1];
        const char *id = in->rules[i].id;

        if (!keep_ids || id[0] == '\0') {
            rk_xid_new(fresh);
            id = taken ? fresh : policy_id;
            taken = true;
        }
        json_array_append_new(rules, rule_json(&in->rules[i], id, groups, before));
    }
    return rules;
}

/* What the policy will be; `before` is what it was, NULL for a new one. */
static json_t *policy_json(const char *id,
                           const struct rk_policy_input *in,
                           const struct rk_pg_result *groups,
                           const json_t *before)
{
    return json_pack("{s:s, s:s, s:b, s:o, s:o}", "name", in->name, "description", in->description,
                     "enabled", in->enabled, "source_posture_checks",
                     in->has_posture_checks ? list_of(in->posture_checks, in->posture_checks_n)
                                            : json_null(),
                     "rules", rules_json(id, in, before != NULL, groups, before));
}

/* === What differs === */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **sorted(const json_t *list)
{
    size_t n = json_array_size(list);
    const char **items = rk_new_array(const char *, n + 1);

    for (size_t i = 0; i < n; i++)
        items[i] = json_string_value(json_array_get(list, i));
    qsort(items, n, sizeof(*items), by_text);
    return items;
}

static bool same_set(const json_t *a, const json_t *b)
{
    rk_auto(rk_free) const char **x = NULL;
    rk_auto(rk_free) const char **y = NULL;
    size_t n = json_array_size(a);
    bool same = n == json_array_size(b);

    if (json_equal(a, b))
        return true;
    x = sorted(a);
    y = sorted(b);
    for (size_t i = 0; same && i < n; i++)
        same = strcmp(x[i], y[i]) == 0;
    return same;
}

static bool is_none(const json_t *v)
{
    return !v || json_is_null(v) || (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0);
}

/* All lists are sets, and an empty one is the same as none. */
static bool same_value(const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value;

    if (is_none(a) || is_none(b))
        return is_none(a) && is_none(b);
    if (json_is_array(a))
        return same_set(a, b);
    if (!json_is_object(a))
        return json_equal(a, b);
    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach((json_t *)(uintptr_t)a, name, value)
    {
        if (!json_object_get(b, name) || !same_value(value, json_object_get(b, name)))
            return false;
    }
    return true;
}

static bool same_rules(const json_t *a, const json_t *b)
{
    rk_auto(rk_map_free) struct rk_map *by_id = rk_map_new();
    json_t *rule;
    size_t i;

    json_array_foreach(b, i, rule)
    {
        (void)rk_map_put(by_id, rk_str(json_string_value(json_object_get(rule, "id"))), rule);
    }
    json_array_foreach(a, i, rule)
    {
        const json_t *other =
            rk_map_del(by_id, rk_str(json_string_value(json_object_get(rule, "id"))));

        if (!other || !same_value(rule, other))
            return false;
    }
    return rk_map_count(by_id) == 0;
}

static bool same_policy(const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)a, name, value)
    {
        const json_t *other = json_object_get(b, name);

        if (strcmp(name, "rules") == 0 ? !same_rules(value, other) : !same_value(value, other))
            return false;
    }
    return true;
}

/* What is written of the policy by itself. */
static bool equal_but_rules(const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)a, name, value)
    {
        if (strcmp(name, "rules") != 0 && !json_equal(value, json_object_get(b, name)))
            return false;
    }
    return true;
}

/* === Changes === */

static const char *member(const json_t *rule, const char *name)
{
    return json_string_value(json_object_get(rule, name));
}

static bool flag(const json_t *rule, const char *name)
{
    return json_is_true(json_object_get(rule, name));
}

/* A list of texts as a parameter, whose items are laid into *at. */
static struct rk_pg_param list(const json_t *rule, const char *name, struct rk_str **at)
{
    const json_t *items = json_object_get(rule, name);
    size_t n = json_array_size(items);
    struct rk_str *v = *at;

    for (size_t i = 0; i < n; i++)
        v[i] = rk_str(json_string_value(json_array_get(items, i)));
    *at += n;
    return RK_P_ARRAY(v, n);
}

static size_t listed(const json_t *rule)
{
    return json_array_size(json_object_get(rule, "sources")) +
           json_array_size(json_object_get(rule, "destinations")) +
           json_array_size(json_object_get(rule, "ports")) +
           json_array_size(json_object_get(rule, "port_ranges"));
}

static int store_rule(
    struct rk_pg *pg, const char *policy_id, size_t place, const json_t *rule, struct rk_err *err)
{
    const json_t *allowed = json_object_get(rule, "authorized_groups");
    rk_auto(rk_cfree) char *allowed_text =
        json_is_object(allowed) ? json_dumps(allowed, JSON_COMPACT) : NULL;
    rk_auto(rk_free) struct rk_str *items = rk_new_array(struct rk_str, listed(rule) + 1);
    struct rk_str *at = items;
    struct rk_pg_param sources = list(rule, "sources", &at),
                       destinations = list(rule, "destinations", &at),
                       ports = list(rule, "ports", &at), ranges = list(rule, "port_ranges", &at);

    return rk_pg_later(pg, &store_rule_stmt, NULL, err, RK_P_C(policy_id), RK_P_INT((int64_t)place),
                       RK_P_C(member(rule, "id")), RK_P_C(member(rule, "name")),
                       RK_P_C(member(rule, "description")), RK_P_BOOL(flag(rule, "enabled")),
                       RK_P_C(member(rule, "action")), RK_P_C(member(rule, "protocol")),
                       RK_P_BOOL(flag(rule, "bidirectional")), sources, destinations,
                       RK_P_C(member(rule, "source_resource_id")),
                       RK_P_C(member(rule, "source_resource_type")),
                       RK_P_C(member(rule, "destination_resource_id")),
                       RK_P_C(member(rule, "destination_resource_type")), ports, ranges,
                       RK_P_C(allowed_text), RK_P_C(member(rule, "authorized_user")));
}

/* Writes the rules that will be others in their places, behind the policy. */
static int store_rules(
    struct rk_pg *pg, const char *id, const json_t *before, const json_t *after, struct rk_err *err)
{
    const json_t *were = json_object_get(before, "rules"), *rules = json_object_get(after, "rules");
    size_t n = json_array_size(rules);
    int r = 0;

    if (json_array_size(were) > n)
        r = rk_pg_later(pg, &clear_rules_stmt, NULL, err, RK_P_C(id), RK_P_INT((int64_t)n));
    for (size_t i = 0; r == 0 && i < n; i++) {
        const json_t *rule = json_array_get(rules, i);

        if (!json_equal(rule, json_array_get(were, i)))
            r = store_rule(pg, id, i, rule, err);
    }
    return r;
}

void rk_policy_made_done(struct rk_policy_made *made)
{
    json_decref(made->policy);
    rk_pg_result_free(made->groups);
}

static void hand_out(struct rk_policy_made *out, json_t *policy, struct refs *refs)
{
    if (out)
        *out = (struct rk_policy_made){ json_incref(policy), rk_steal(refs->groups) };
}

static int policy_event(struct rk_change *ch,
                        const struct rk_actor *actor,
                        const char *code,
                        const char *id,
                        const char *name,
                        struct rk_err *err)
{
    int r;

    r = rk_actor_tell(ch, actor, code, id, err, "name", name, NULL);
    if (r < 0)
        return r;
    return rk_change_touch(ch, RK_OBJ_POLICY, id, err);
}

int rk_policy_create(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const struct rk_policy_input *in,
                     char out_id[RK_XID_LEN + 1],
                     struct rk_policy_made *out,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(refs_done) struct refs refs = { .groups = NULL };
    rk_auto(json_decref) json_t *after = NULL;
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    int r;

    r = rk_policy_validate(in, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_POLICY, id, NULL, &ch, err);
    if (r == 0)
        r = ask_refs(ch, actor, in, &refs, err);
    if (r == 0)
        r = rk_refs_posture_checks(refs.checks, err);
    if (r < 0)
        return r;
    after = policy_json(id, in, refs.groups, NULL);
    rk_change_becomes(ch, id, after);
    rk_xid_new(public_id);
    r = rk_pg_later(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(public_id),
                    RK_P_C(actor->account_id), RK_P_C(in->name), RK_P_C(in->description),
                    RK_P_BOOL(in->enabled), RK_P_BOOL(in->has_posture_checks),
                    RK_P_ARRAY(in->posture_checks, in->posture_checks_n));
    if (r == 0)
        r = store_rules(pg, id, NULL, after, err);
    if (r < 0)
        return r;
    r = policy_event(ch, actor, "policy.add", id, in->name, err);
    if (r < 0)
        return r;
    r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
    hand_out(out, after, &refs);
    return 0;
}

int rk_policy_exists(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *id,
                     struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    return rk_actor_row(pg, actor, &get_stmt, "policy", id, &res, err);
}

/* Each id that was sent belongs to a rule of the policy, and to one only. */
static int
check_rule_ids(const struct rk_policy_input *in, const json_t *policy, struct rk_err *err)
{
    rk_auto(rk_map_free) struct rk_map *known = rk_map_new();
    const json_t *rules = json_object_get(policy, "rules");
    json_t *rule;
    size_t i;

    json_array_foreach(rules, i, rule)
    {
        (void)rk_map_put(known, rk_str(json_string_value(json_object_get(rule, "id"))), rule);
    }
    for (i = 0; i < in->rules_n; i++)
        if (in->rules[i].id[0] != '\0' && !rk_map_del(known, rk_str(in->rules[i].id)))
            return rk_fail(err, RK_INVALID, "invalid rule id: %s", in->rules[i].id);
    return 0;
}

/* The transaction is dropped when nothing changes. */
int rk_policy_update(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *id,
                     const struct rk_policy_input *in,
                     struct rk_policy_made *out,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(refs_done) struct refs refs = { .groups = NULL };
    rk_auto(json_decref) json_t *before = NULL;
    rk_auto(json_decref) json_t *after = NULL;
    int r;

    r = rk_policy_validate(in, err);
    if (r < 0)
        return r;
    r = rk_actor_begin(pg, actor, RK_WATCH_POLICY, id, NULL, &ch, err);
    if (r == 0)
        r = ask_refs(ch, actor, in, &refs, err);
    if (r < 0)
        return r;
    before = rk_change_seen(ch, id);
    if (!before)
        return rk_fail(err, RK_NOT_FOUND, "policy: %s not found", id);
    r = check_rule_ids(in, before, err);
    if (r == 0)
        r = rk_refs_posture_checks(refs.checks, err);
    if (r < 0)
        return r;
    after = policy_json(id, in, refs.groups, before);
    if (same_policy(before, after)) {
        hand_out(out, before, &refs);
        return 0;
    }
    rk_change_becomes(ch, id, after);
    if (!equal_but_rules(before, after))
        r = rk_pg_later(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                        RK_P_C(in->name), RK_P_C(in->description), RK_P_BOOL(in->enabled),
                        RK_P_BOOL(in->has_posture_checks),
                        RK_P_ARRAY(in->posture_checks, in->posture_checks_n));
    if (r == 0)
        r = store_rules(pg, id, before, after, err);
    if (r == 0)
        r = policy_event(ch, actor, "policy.update", id, in->name, err);
    if (r == 0)
        r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r == 0)
        hand_out(out, after, &refs);
    return r;
}

int rk_policy_delete(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *id,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r;

    r = rk_actor_begin(pg, actor, RK_WATCH_POLICY, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_actor_row(pg, actor, &get_stmt, "policy", id, &row, err);
    if (r < 0)
        return r;
    r = rk_pg_later(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = policy_event(ch, actor, "policy.delete", id, rk_pg_str(row, 0, 0).p, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}
