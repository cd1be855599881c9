/* /api/networks/{}/resources, and all of the account at /api/networks/resources */

#include "libcommon/account/rules/resource.h"
#include "libcommon/base/alloc.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT o.id, o.type, o.name, o.description,"                                                  \
    " coalesce(host(o.prefix) || '/' || masklen(o.prefix), o.domain), o.enabled,"                  \
    " array(SELECT r.group_id FROM group_resource r JOIN account_group g ON g.id = r.group_id"     \
    " WHERE r.resource_id = o.id ORDER BY g.created_at, g.id)"                                     \
    " FROM network_resource o WHERE o.account_id = $1"
#define ORDER " ORDER BY o.created_at, o.id"
enum {
    ID,
    TYPE,
    NAME,
    DESCRIPTION,
    ADDRESS,
    ENABLED,
    GROUPS
};

static const struct rk_pg_stmt all_stmt = { "resource_list_all", COLUMNS ORDER };
static const struct rk_pg_stmt list_stmt = { "resource_list",
                                             COLUMNS " AND o.network_id = $2" ORDER };
static const struct rk_pg_stmt get_stmt = { "resource_get_one",
                                            COLUMNS " AND o.network_id = $2 AND o.id = $3" };

static void write_resource(struct rk_json *j,
                           const struct rk_pg_result *res,
                           int row,
                           const struct group_briefs *groups)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "type", rk_pg_str(res, row, TYPE));
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_str(j, "description", rk_pg_str(res, row, DESCRIPTION));
    rk_json_str(j, "address", rk_pg_str(res, row, ADDRESS));
    rk_json_bool(j, "enabled", rk_pg_bool(res, row, ENABLED));
    write_group_list(j, "groups", res, row, GROUPS, groups);
    rk_json_object_end(j);
}

static int write_list(struct call *c, const struct rk_pg_result *res, struct rk_err *err)
{
    rk_auto(group_briefs_done) struct group_briefs groups = { NULL };
    int r = group_briefs_load(c, &groups, err);

    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++)
        write_resource(&c->json, res, i, &groups);
    rk_json_array_end(&c->json);
    return 0;
}

int resource_list_all(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &all_stmt, &res, err, RK_P_C(c->actor.account_id));

    return r < 0 ? r : write_list(c, res, err);
}

int resource_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_C(c->var[0]));

    return r < 0 ? r : write_list(c, res, err);
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    rk_auto(group_briefs_done) struct group_briefs groups = { NULL };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = find_inside(c, &get_stmt, "failed to get network resource: network resource", id, &res,
                    err);
    if (r < 0)
        return r;
    r = group_briefs_load(c, &groups, err);
    if (r < 0)
        return r;
    write_resource(&c->json, res, 0, &groups);
    return 0;
}

int resource_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[1], err);
}

static int
decode(struct call *c, struct body *body, struct rk_resource_input *out, struct rk_err *err)
{
    int r = body_parse(c->body, c->arena, body, err);

    if (r < 0)
        return r;
    *out = (struct rk_resource_input){
        .name = body_str(body, body->root, "name"),
        .description = body_str(body, body->root, "description"),
        .address = body_str(body, body->root, "address"),
        .enabled = body_bool(body, body->root, "enabled"),
    };
    out->groups = body_strs(body, body->root, "groups", &out->groups_n, NULL);
    return body_check(body, err);
}

int resource_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_resource_input in;
    char id[RK_XID_LEN + 1];
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_resource_create(c->pg, &c->actor, c->var[0], &in, id, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, id, err);
}

int resource_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_resource_input in;
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_resource_update(c->pg, &c->actor, c->var[0], c->var[1], &in, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, c->var[1], err);
}

int resource_delete(struct call *c, struct rk_err *err)
{
    int r = rk_resource_delete(c->pg, &c->actor, c->var[0], c->var[1], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
