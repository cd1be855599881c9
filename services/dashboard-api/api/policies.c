/* /api/policies */

#include "libcommon/account/rules/settings.h"
#include "libcommon/base/alloc.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/policy_body.h"
#include "services/dashboard-api/api/write.h"

#define COLUMNS                                                                                    \
    "SELECT p.id, p.name, p.description, p.enabled, p.source_posture_checks, r.id, r.name, "       \
    "r.description, r.enabled,"                                                                    \
    " r.action, r.protocol, r.bidirectional, r.sources, r.destinations, r.source_resource_id, "    \
    "r.source_resource_type,"                                                                      \
    " r.destination_resource_id, r.destination_resource_type, r.ports, r.port_ranges, "            \
    "r.authorized_groups::text"                                                                    \
    " FROM policy p JOIN policy_rule r ON r.policy_id = p.id WHERE p.account_id = $1"
enum {
    ID,
    NAME,
    DESCRIPTION,
    ENABLED,
    POSTURE,
    R_ID,
    R_NAME,
    R_DESCRIPTION,
    R_ENABLED,
    R_ACTION,
    R_PROTOCOL,
    R_BIDIRECTIONAL,
    R_SOURCES,
    R_DESTINATIONS,
    R_SOURCE_ID,
    R_SOURCE_TYPE,
    R_DESTINATION_ID,
    R_DESTINATION_TYPE,
    R_PORTS,
    R_RANGES,
    R_AUTHORIZED,
};

static const struct rk_pg_stmt list_stmt = { "policy_list",
                                             COLUMNS " ORDER BY p.created_at, p.id, r.position" };
static const struct rk_pg_stmt get_stmt = { "policy_get_one",
                                            COLUMNS " AND p.id = $2 ORDER BY r.position" };

static const struct rk_pg_stmt groups_stmt = {
    "policy_groups", GROUP_BRIEFS " AND g.id = ANY (ARRAY(SELECT unnest(sources || destinations) "
                                  "FROM policy_rule WHERE policy_id = $2))" GROUP_BRIEFS_ORDER
};

static void write_resource(
    struct rk_json *j, const char *key, const struct rk_pg_result *res, int row, int id, int type)
{
    if (rk_pg_null(res, row, id))
        return;
    rk_json_object(j, key);
    rk_json_str(j, "id", rk_pg_str(res, row, id));
    rk_json_str(j, "type", rk_pg_str(res, row, type));
    rk_json_object_end(j);
}

static void write_ports(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_auto(rk_free) struct rk_str *ports = NULL;
    rk_auto(rk_free) struct rk_str *ranges = NULL;
    size_t ports_n = 0, ranges_n = 0;

    rk_pg_array(res, row, R_PORTS, &ports, &ports_n);
    rk_pg_array(res, row, R_RANGES, &ranges, &ranges_n);
    if (ports_n > 0)
        write_strings(j, "ports", res, row, R_PORTS);
    if (ranges_n == 0)
        return;
    rk_json_array(j, "port_ranges");
    for (size_t i = 0; i < ranges_n; i++) {
        struct rk_str rest = ranges[i], start;
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

static void write_authorized(struct rk_json *j, struct rk_str stored)
{
    rk_auto(json_decref) json_t *groups = json_loadb(stored.p, stored.n, 0, NULL);
    rk_auto(rk_free) char *text = json_dumps(groups, JSON_COMPACT);

    if (text)
        rk_json_raw(j, "authorized_groups", rk_str(text));
}

static void write_rule(struct rk_json *j,
                       const struct rk_pg_result *res,
                       int row,
                       const struct group_briefs *groups)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, R_ID));
    rk_json_str(j, "name", rk_pg_str(res, row, R_NAME));
    rk_json_str(j, "description", rk_pg_str(res, row, R_DESCRIPTION));
    rk_json_bool(j, "enabled", rk_pg_bool(res, row, R_ENABLED));
    rk_json_str(j, "action", rk_pg_str(res, row, R_ACTION));
    rk_json_str(j, "protocol", rk_pg_str(res, row, R_PROTOCOL));
    rk_json_bool(j, "bidirectional", rk_pg_bool(res, row, R_BIDIRECTIONAL));
    write_group_list(j, "sources", res, row, R_SOURCES, groups);
    write_group_list(j, "destinations", res, row, R_DESTINATIONS, groups);
    write_resource(j, "sourceResource", res, row, R_SOURCE_ID, R_SOURCE_TYPE);
    write_resource(j, "destinationResource", res, row, R_DESTINATION_ID, R_DESTINATION_TYPE);
    write_ports(j, res, row);
    if (!rk_pg_null(res, row, R_AUTHORIZED))
        write_authorized(j, rk_pg_str(res, row, R_AUTHORIZED));
    rk_json_object_end(j);
}

/* The policy whose rules begin at `row`; returns the row after its last. */
static int write_policy(struct rk_json *j,
                        const struct rk_pg_result *res,
                        int row,
                        const struct group_briefs *groups)
{
    struct rk_str id = rk_pg_str(res, row, ID);

    rk_json_object(j, NULL);
    rk_json_str(j, "id", id);
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_str(j, "description", rk_pg_str(res, row, DESCRIPTION));
    rk_json_bool(j, "enabled", rk_pg_bool(res, row, ENABLED));
    if (rk_pg_null(res, row, POSTURE))
        rk_json_null(j, "source_posture_checks");
    else
        write_strings(j, "source_posture_checks", res, row, POSTURE);
    rk_json_array(j, "rules");
    for (; row < rk_pg_rows(res) && rk_str_eq(rk_pg_str(res, row, ID), id); row++)
        write_rule(j, res, row, groups);
    rk_json_array_end(j);
    rk_json_object_end(j);
    return row;
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
    for (int row = 0; row < rk_pg_rows(res);)
        row = write_policy(&c->json, res, row, &groups);
    rk_json_array_end(&c->json);
    return 0;
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    rk_auto(group_briefs_done) struct group_briefs groups = { NULL };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = find_object(c, &get_stmt, "policy", id, &res, err);
    if (r < 0)
        return r;
    r = group_briefs_of(c, &groups_stmt, id, &groups, err);
    if (r < 0)
        return r;
    (void)write_policy(&c->json, res, 0, &groups);
    return 0;
}

int policy_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[0], err);
}

int policy_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_policy_input in;
    char id[RK_XID_LEN + 1];
    int r;

    r = policy_body_decode(c->body, c->arena, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_policy_create(c->pg, &c->actor, &in, id, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, id, err);
}

int policy_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_policy_input in;
    int r;

    r = policy_body_decode(c->body, c->arena, &body, &in, err);
    if (r == 0) {
        answer_ahead(c, c->var[0], &get_stmt, &groups_stmt, NULL);
        r = rk_policy_update(c->pg, &c->actor, c->var[0], &in, &c->bell, err);
    }
    return r == 0 ? answer(c, c->var[0], err) : refused(c, r, rk_policy_exists, c->var[0], err);
}

int policy_delete(struct call *c, struct rk_err *err)
{
    int r = rk_policy_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
