/* See policy.h. An update writes first and then asks whether anything differs, all in one
 * transaction. */

#include "libcommon/account/rules/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "libcommon/account/rules/refs.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/json.h"
#include "libcommon/base/map.h"

static const struct rk_pg_stmt get_stmt = {
    "policy_get", "SELECT name FROM policy WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt rules_stmt = { "policy_rule_ids",
                                              "SELECT id FROM policy_rule WHERE policy_id = $1" };
static const struct rk_pg_stmt known_groups_stmt = {
    "policy_known_groups",
    "SELECT id FROM account_group WHERE account_id = $1 AND id = ANY ($2::text[])"
};
static const struct rk_pg_stmt insert_stmt = {
    "policy_insert", "INSERT INTO policy (id, public_id, account_id, name, description, enabled, "
                     "source_posture_checks)"
                     " VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7::boolean THEN $8::text[] END)"
};
static const struct rk_pg_stmt update_stmt = {
    "policy_update", "UPDATE policy SET name = $3, description = $4, enabled = $5,"
                     " source_posture_checks = CASE WHEN $6::boolean THEN $7::text[] END WHERE "
                     "account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt delete_stmt = {
    "policy_delete", "DELETE FROM policy WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt clear_rules_stmt = {
    "policy_clear_rules", "DELETE FROM policy_rule WHERE policy_id = $1"
};
static const struct rk_pg_stmt insert_rule_stmt = {
    "policy_insert_rule", "INSERT INTO policy_rule (policy_id, position, id, name, description, "
                          "enabled, action, protocol, bidirectional, sources,"
                          " destinations, source_resource_id, source_resource_type, "
                          "destination_resource_id, destination_resource_type, ports,"
                          " port_ranges, authorized_groups) VALUES ($1, $2, $3, $4, $5, $6, $7, "
                          "$8, $9, $10::text[], $11::text[], $12, $13, $14,"
                          " $15, $16::text[], $17::text[], $18::jsonb)"
};
/* Whom temporary access was given to is nothing that a request can say; it stays with its rule. */
static const struct rk_pg_stmt guests_stmt = {
    "policy_guests",
    "SELECT id, authorized_user FROM policy_rule WHERE policy_id = $1 AND authorized_user <> ''"
};
static const struct rk_pg_stmt keep_guest_stmt = {
    "policy_keep_guest", "UPDATE policy_rule SET authorized_user = $3 WHERE policy_id = $1"
                         " AND id = $2 AND protocol = 'netbird-ssh' AND authorized_groups IS NULL"
};
/* The whole policy as one digest, to tell whether an update changed it. All of its lists are sets,
 * and an empty one is the same as none. */
static const struct rk_pg_stmt picture_stmt = {
    "policy_picture",
    "SELECT md5(row(p.name, p.description, p.enabled, "
    "ARRAY(SELECT unnest(p.source_posture_checks) ORDER BY 1))::text || "
    "coalesce((SELECT string_agg(row(r.id, r.name, r.description, r.enabled, r.action, r.protocol,"
    " r.bidirectional, ARRAY(SELECT unnest(r.sources) ORDER BY 1), "
    "ARRAY(SELECT unnest(r.destinations) ORDER BY 1), r.source_resource_id, "
    "r.source_resource_type, r.destination_resource_id, r.destination_resource_type, "
    "ARRAY(SELECT unnest(r.ports) ORDER BY 1), ARRAY(SELECT unnest(r.port_ranges) ORDER BY 1), "
    "ARRAY(SELECT row(g.key, ARRAY(SELECT jsonb_array_elements_text(g.value) ORDER BY 1))::text "
    "FROM jsonb_each(r.authorized_groups) g ORDER BY g.key), r.authorized_user)::text, '' "
    "ORDER BY r.id, r.position)"
    " FROM policy_rule r WHERE r.policy_id = p.id), '')) FROM policy p WHERE p.account_id = $1 AND "
    "p.id = $2"
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

/* The groups of a side that the account has, in their order, each once. *out has room for all. */
static int known_groups(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const struct rk_policy_side *side,
                        struct rk_str *out,
                        size_t *out_n,
                        struct rk_err *err)
{
    rk_auto(rk_map_free) struct rk_map *known = rk_map_new();
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    *out_n = 0;
    if (side->groups_n == 0)
        return 0;
    r = rk_pg_run(pg, &known_groups_stmt, &res, err, RK_P_C(actor->account_id),
                  RK_P_ARRAY(side->groups, side->groups_n));
    if (r < 0)
        return r;
    for (int i = 0; i < rk_pg_rows(res); i++)
        (void)rk_map_put(known, rk_pg_str(res, i, 0), known);
    for (size_t i = 0; i < side->groups_n; i++)
        if (rk_map_del(known, side->groups[i]))
            out[(*out_n)++] = side->groups[i];
    return 0;
}

/* A resource without id and type is none. */
static bool names_resource(const struct rk_policy_side *side)
{
    return side->has_resource && (side->resource_id[0] != '\0' || side->resource_type[0] != '\0');
}

static void write_authorized(struct rk_buf *b, const struct rk_policy_rule_input *rule)
{
    struct rk_json j;

    rk_json_init(&j, b);
    rk_json_object(&j, NULL);
    for (size_t i = 0; i < rule->authorized_n; i++) {
        rk_json_array(&j, rule->authorized[i].group);
        for (size_t k = 0; k < rule->authorized[i].users_n; k++)
            rk_json_str(&j, NULL, rule->authorized[i].users[k]);
        rk_json_array_end(&j);
    }
    rk_json_object_end(&j);
}

/* "start-end" texts, each a NUL-terminated piece of one block. */
#define RANGE_TEXT 48
static void write_ranges(const struct rk_policy_rule_input *rule, char *texts, struct rk_str *out)
{
    for (size_t i = 0; i < rule->ranges_n; i++) {
        char *text = texts + i * RANGE_TEXT;

        snprintf(text, RANGE_TEXT, "%lld-%lld", (long long)rule->ranges[i].start,
                 (long long)rule->ranges[i].end);
        out[i] = rk_str(text);
    }
}

static int insert_rule(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const char *policy_id,
                       size_t position,
                       const char *id,
                       const struct rk_policy_rule_input *rule,
                       struct rk_err *err)
{
    rk_auto(rk_free) struct rk_str *sources =
        rk_new_array(struct rk_str, rule->source.groups_n + 1);
    rk_auto(rk_free) struct rk_str *destinations =
        rk_new_array(struct rk_str, rule->destination.groups_n + 1);
    rk_auto(rk_free) struct rk_str *ranges = rk_new_array(struct rk_str, rule->ranges_n + 1);
    rk_auto(rk_free) char *range_texts = rk_zalloc_array(rule->ranges_n + 1, RANGE_TEXT);
    rk_auto(rk_buf_done) struct rk_buf authorized = { 0 };
    const struct rk_policy_side *s = &rule->source, *d = &rule->destination;
    size_t sources_n, destinations_n;
    int r;

    r = known_groups(pg, actor, s, sources, &sources_n, err);
    if (r < 0)
        return r;
    r = known_groups(pg, actor, d, destinations, &destinations_n, err);
    if (r < 0)
        return r;
    write_ranges(rule, range_texts, ranges);
    rk_buf_init(&authorized, RK_META_MAX);
    if (is_ssh(rule) && rule->authorized_n > 0)
        write_authorized(&authorized, rule);
    return rk_pg_run(pg, &insert_rule_stmt, NULL, err, RK_P_C(policy_id),
                     RK_P_INT((int64_t)position), RK_P_C(id), RK_P_C(rule->name),
                     RK_P_C(rule->description), RK_P_BOOL(rule->enabled), RK_P_C(rule->action),
                     RK_P_C(rule->protocol), RK_P_BOOL(rule->bidirectional),
                     RK_P_ARRAY(sources, sources_n), RK_P_ARRAY(destinations, destinations_n),
                     names_resource(s) ? RK_P_C(s->resource_id) : RK_P_NULL,
                     names_resource(s) ? RK_P_C(s->resource_type) : RK_P_NULL,
                     names_resource(d) ? RK_P_C(d->resource_id) : RK_P_NULL,
                     names_resource(d) ? RK_P_C(d->resource_type) : RK_P_NULL,
                     RK_P_ARRAY(rule->ports, rule->ports_n), RK_P_ARRAY(ranges, rule->ranges_n),
                     authorized.n > 0 ? RK_P_STR(rk_buf_str(&authorized)) : RK_P_NULL);
}

/* Every rule keeps the id it was sent with; the first without one gets the policy's unless that is
 * taken, others new ones. */
static int insert_rules(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *policy_id,
                        const struct rk_policy_input *in,
                        bool keep_ids,
                        struct rk_err *err)
{
    bool taken = false;
    int r = 0;

    for (size_t i = 0; keep_ids && i < in->rules_n; i++)
        taken |= strcmp(in->rules[i].id, policy_id) == 0;
    for (size_t i = 0; r == 0 && i < in->rules_n; i++) {
        char fresh[RK_XID_LEN + 1];
        const char *id = in->rules[i].id;

        if (!keep_ids || id[0] == '\0') {
            rk_xid_new(fresh);
            id = taken ? fresh : policy_id;
            taken = true;
        }
        r = insert_rule(pg, actor, policy_id, i, id, &in->rules[i], err);
    }
    return r;
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
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    char id[RK_XID_LEN + 1], public_id[RK_XID_LEN + 1];
    int r;

    r = rk_policy_validate(in, err);
    if (r < 0)
        return r;
    rk_xid_new(id);
    r = rk_actor_begin(pg, actor, RK_WATCH_POLICY, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_refs_posture_checks(ch, in->posture_checks, in->posture_checks_n, err);
    if (r < 0)
        return r;
    rk_xid_new(public_id);
    r = rk_pg_run(pg, &insert_stmt, NULL, err, RK_P_C(id), RK_P_C(public_id),
                  RK_P_C(actor->account_id), RK_P_C(in->name), RK_P_C(in->description),
                  RK_P_BOOL(in->enabled), RK_P_BOOL(in->has_posture_checks),
                  RK_P_ARRAY(in->posture_checks, in->posture_checks_n));
    if (r < 0)
        return r;
    r = insert_rules(pg, actor, id, in, false, err);
    if (r < 0)
        return r;
    r = policy_event(ch, actor, "policy.add", id, in->name, err);
    if (r < 0)
        return r;
    r = rk_actor_commit(&ch, actor, out_bell, err);
    if (r < 0)
        return r;
    memcpy(out_id, id, sizeof(id));
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
static int check_rule_ids(struct rk_pg *pg,
                          const char *policy_id,
                          const struct rk_policy_input *in,
                          struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *rules = NULL;
    int r;

    r = rk_pg_run(pg, &rules_stmt, &rules, err, RK_P_C(policy_id));
    if (r < 0)
        return r;
    for (size_t i = 0; i < in->rules_n; i++) {
        const char *id = in->rules[i].id;
        bool known = id[0] == '\0';

        for (int k = 0; !known && k < rk_pg_rows(rules); k++)
            known = rk_str_eq(rk_pg_str(rules, k, 0), rk_str(id));
        for (size_t k = 0; known && id[0] != '\0' && k < i; k++)
            known = strcmp(in->rules[k].id, id) != 0;
        if (!known)
            return rk_fail(err, RK_INVALID, "invalid rule id: %s", id);
    }
    return 0;
}

static int picture(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_pg_result **out,
                   struct rk_err *err)
{
    return rk_pg_run(pg, &picture_stmt, out, err, RK_P_C(actor->account_id), RK_P_C(id));
}

static int
keep_guests(struct rk_pg *pg, const char *id, const struct rk_pg_result *guests, struct rk_err *err)
{
    int r = 0;

    for (int i = 0; r == 0 && i < rk_pg_rows(guests); i++)
        r = rk_pg_run(pg, &keep_guest_stmt, NULL, err, RK_P_C(id),
                      RK_P_STR(rk_pg_str(guests, i, 0)), RK_P_STR(rk_pg_str(guests, i, 1)));
    return r;
}

/* Everything of the policy but its id. */
static int replace(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   const struct rk_policy_input *in,
                   struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *guests = NULL;
    int r;

    r = rk_pg_run(pg, &update_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id),
                  RK_P_C(in->name), RK_P_C(in->description), RK_P_BOOL(in->enabled),
                  RK_P_BOOL(in->has_posture_checks),
                  RK_P_ARRAY(in->posture_checks, in->posture_checks_n));
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &guests_stmt, &guests, err, RK_P_C(id));
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &clear_rules_stmt, NULL, err, RK_P_C(id));
    if (r < 0)
        return r;
    r = insert_rules(pg, actor, id, in, true, err);
    if (r < 0)
        return r;
    return keep_guests(pg, id, guests, err);
}

int rk_policy_update(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *id,
                     const struct rk_policy_input *in,
                     struct rk_bell *out_bell,
                     struct rk_err *err)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *was = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *now = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    int r;

    r = rk_policy_validate(in, err);
    if (r < 0)
        return r;
    r = rk_actor_begin(pg, actor, RK_WATCH_POLICY, id, NULL, &ch, err);
    if (r < 0)
        return r;
    r = rk_actor_row(pg, actor, &get_stmt, "policy", id, &row, err);
    if (r < 0)
        return r;
    r = check_rule_ids(pg, id, in, err);
    if (r == 0)
        r = rk_refs_posture_checks(ch, in->posture_checks, in->posture_checks_n, err);
    if (r < 0)
        return r;
    r = picture(pg, actor, id, &was, err);
    if (r < 0)
        return r;
    r = replace(pg, actor, id, in, err);
    if (r < 0)
        return r;
    r = picture(pg, actor, id, &now, err);
    if (r < 0)
        return r;
    if (rk_str_eq(rk_pg_str(was, 0, 0), rk_pg_str(now, 0, 0)))
        return 0; /* nothing changed: the transaction is dropped */
    r = policy_event(ch, actor, "policy.update", id, in->name, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
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
    r = rk_pg_run(pg, &delete_stmt, NULL, err, RK_P_C(actor->account_id), RK_P_C(id));
    if (r < 0)
        return r;
    r = policy_event(ch, actor, "policy.delete", id, rk_pg_str(row, 0, 0).p, err);
    if (r < 0)
        return r;
    return rk_actor_commit(&ch, actor, out_bell, err);
}
