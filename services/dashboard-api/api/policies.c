/* /api/policies */

#include "libcommon/account/rules/group.h"
#include "libcommon/account/rules/policy.h"
#include "libcommon/base/alloc.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/policy_body.h"
#include "services/dashboard-api/api/write.h"

static const struct rk_pg_stmt list_stmt = { "policy_list",
                                             "SELECT p.id, " RK_POLICY_OBJECT
                                             " FROM policy p WHERE p.account_id = $1 "
                                             "ORDER BY p.created_at, p.id" };
static const struct rk_pg_stmt get_stmt = {
    "policy_get_one",
    "SELECT p.id, " RK_POLICY_OBJECT " FROM policy p WHERE p.account_id = $1 AND p.id = $2"
};
static const struct rk_pg_stmt groups_stmt = {
    "policy_groups",
    RK_GROUP_BRIEFS " AND g.id = ANY (ARRAY(SELECT unnest(sources || destinations)"
                    " FROM policy_rule WHERE policy_id = $2))" RK_GROUP_BRIEFS_ORDER
};

static struct rk_str text(const json_t *v)
{
    return rk_strn(json_string_value(v), json_string_length(v));
}

/* The texts of a list. Free it. */
static struct rk_str *texts(const json_t *list)
{
    struct rk_str *out = rk_new_array(struct rk_str, json_array_size(list) + 1);

    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = text(json_array_get(list, i));
    return out;
}

static void write_texts(struct rk_json *j, const char *key, const json_t *list)
{
    rk_json_array(j, key);
    for (size_t i = 0; i < json_array_size(list); i++)
        rk_json_str(j, NULL, text(json_array_get(list, i)));
    rk_json_array_end(j);
}

static void write_member(struct rk_json *j, const char *key, const json_t *of)
{
    rk_json_str(j, key, text(json_object_get(of, key)));
}

static void write_flag(struct rk_json *j, const char *key, const json_t *of)
{
    rk_json_bool(j, key, json_is_true(json_object_get(of, key)));
}

static void write_resource(struct rk_json *j, const char *key, const json_t *id, const json_t *type)
{
    if (!json_is_string(id))
        return;
    rk_json_object(j, key);
    rk_json_str(j, "id", text(id));
    rk_json_str(j, "type", text(type));
    rk_json_object_end(j);
}

static void write_ranges(struct rk_json *j, const json_t *ranges)
{
    if (json_array_size(ranges) == 0)
        return;
    rk_json_array(j, "port_ranges");
    for (size_t i = 0; i < json_array_size(ranges); i++) {
        struct rk_str rest = text(json_array_get(ranges, i)), start;
        uint64_t a = 0, b = 0;

        if (!rk_str_next(&rest, '-', &start) || !rk_str_u64(start, &a) || !rk_str_u64(rest, &b))
            continue; /* not written by us */
        rk_json_object(j, NULL);
        rk_json_uint(j, "start", a);
        rk_json_uint(j, "end", b);
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
}

static void write_group_texts(struct rk_json *j,
                              const char *key,
                              const json_t *rule,
                              const struct group_briefs *groups)
{
    const json_t *list = json_object_get(rule, key);
    rk_auto(rk_free) struct rk_str *ids = texts(list);

    write_group_ids(j, key, ids, json_array_size(list), groups);
}

static void write_rule(struct rk_json *j, const json_t *rule, const struct group_briefs *groups)
{
    const json_t *ports = json_object_get(rule, "ports");
    const json_t *authorized = json_object_get(rule, "authorized_groups");

    rk_json_object(j, NULL);
    write_member(j, "id", rule);
    write_member(j, "name", rule);
    write_member(j, "description", rule);
    write_flag(j, "enabled", rule);
    write_member(j, "action", rule);
    write_member(j, "protocol", rule);
    write_flag(j, "bidirectional", rule);
    write_group_texts(j, "sources", rule, groups);
    write_group_texts(j, "destinations", rule, groups);
    write_resource(j, "sourceResource", json_object_get(rule, "source_resource_id"),
                   json_object_get(rule, "source_resource_type"));
    write_resource(j, "destinationResource", json_object_get(rule, "destination_resource_id"),
                   json_object_get(rule, "destination_resource_type"));
    if (json_array_size(ports) > 0)
        write_texts(j, "ports", ports);
    write_ranges(j, json_object_get(rule, "port_ranges"));
    if (json_is_object(authorized)) {
        rk_auto(rk_cfree) char *dump = json_dumps(authorized, JSON_COMPACT);

        rk_json_raw(j, "authorized_groups", rk_str(dump));
    }
    rk_json_object_end(j);
}

/* `policy` is RK_POLICY_OBJECT. */
static void write_policy(struct rk_json *j,
                         struct rk_str id,
                         const json_t *policy,
                         const struct group_briefs *groups)
{
    const json_t *checks = json_object_get(policy, "source_posture_checks");
    const json_t *rules = json_object_get(policy, "rules");

    rk_json_object(j, NULL);
    rk_json_str(j, "id", id);
    write_member(j, "name", policy);
    write_member(j, "description", policy);
    write_flag(j, "enabled", policy);
    if (json_is_array(checks))
        write_texts(j, "source_posture_checks", checks);
    else
        rk_json_null(j, "source_posture_checks");
    rk_json_array(j, "rules");
    for (size_t i = 0; i < json_array_size(rules); i++)
        write_rule(j, json_array_get(rules, i), groups);
    rk_json_array_end(j);
    rk_json_object_end(j);
}

static void write_row(struct rk_json *j,
                      const struct rk_pg_result *res,
                      int row,
                      const struct group_briefs *groups)
{
    struct rk_str stored = rk_pg_str(res, row, 1);
    rk_auto(json_decref) json_t *policy = json_loadb(stored.p, stored.n, 0, NULL);

    write_policy(j, rk_pg_str(res, row, 0), policy, groups);
}

int policy_list(struct call *c, struct rk_err *err)
{
    rk_auto(group_briefs_done) struct group_briefs groups = { NULL };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = group_briefs_load(c, &groups, err);
    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id));
    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int row = 0; row < rk_pg_rows(res); row++)
        write_row(&c->json, res, row, &groups);
    rk_json_array_end(&c->json);
    return 0;
}

int policy_get(struct call *c, struct rk_err *err)
{
    rk_auto(group_briefs_done) struct group_briefs groups = { NULL };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = find_object(c, &get_stmt, "policy", c->var[0], &res, err);
    if (r == 0)
        r = group_briefs_of(c, &groups_stmt, c->var[0], &groups, err);
    if (r == 0)
        write_row(&c->json, res, 0, &groups);
    return r;
}

/* What a change has made is known without asking. */
static int answer(struct call *c, const char *id, const struct rk_policy_made *made)
{
    rk_auto(group_briefs_done) struct group_briefs groups = { NULL };

    group_briefs_take(c, made->groups, &groups);
    write_policy(&c->json, rk_str(id), made->policy, &groups);
    return 0;
}

int policy_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_policy_input in;
    rk_auto(rk_policy_made_done) struct rk_policy_made made = { .policy = NULL };
    char id[RK_XID_LEN + 1];
    int r;

    r = policy_body_decode(c->body, c->arena, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_policy_create(c->pg, &c->actor, &in, id, &made, &c->bell, err);
    return r == 0 ? answer(c, id, &made) : r;
}

int policy_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    rk_auto(rk_policy_made_done) struct rk_policy_made made = { .policy = NULL };
    struct rk_policy_input in;
    int r;

    r = policy_body_decode(c->body, c->arena, &body, &in, err);
    if (r == 0)
        r = rk_policy_update(c->pg, &c->actor, c->var[0], &in, &made, &c->bell, err);
    return r == 0 ? answer(c, c->var[0], &made) : refused(c, r, rk_policy_exists, c->var[0], err);
}

int policy_delete(struct call *c, struct rk_err *err)
{
    int r = rk_policy_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
