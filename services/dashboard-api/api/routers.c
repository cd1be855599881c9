/* /api/networks/{}/routers, and all of the account at /api/networks/routers */

#include "libcommon/account/rules/router.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, peer_id, peer_groups, metric, masquerade, enabled FROM network_router"             \
    " WHERE account_id = $1"
#define ORDER " ORDER BY created_at, id"
enum {
    ID,
    PEER,
    PEER_GROUPS,
    METRIC,
    MASQUERADE,
    ENABLED
};

static const struct rk_pg_stmt all_stmt = { "router_list_all", COLUMNS ORDER };
static const struct rk_pg_stmt list_stmt = { "router_list", COLUMNS " AND network_id = $2" ORDER };
static const struct rk_pg_stmt get_stmt = { "router_get_one",
                                            COLUMNS " AND network_id = $2 AND id = $3" };

static void write_router(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "peer", rk_pg_str(res, row, PEER));
    if (rk_str_eq(rk_pg_str(res, row, PEER_GROUPS), RK_STR("{}")))
        rk_json_null(j, "peer_groups");
    else
        write_strings(j, "peer_groups", res, row, PEER_GROUPS);
    rk_json_int(j, "metric", rk_pg_int(res, row, METRIC));
    rk_json_bool(j, "masquerade", rk_pg_bool(res, row, MASQUERADE));
    rk_json_bool(j, "enabled", rk_pg_bool(res, row, ENABLED));
    rk_json_object_end(j);
}

int router_list_all(struct call *c, struct rk_err *err)
{
    return answer_rows(c, &all_stmt, write_router, err);
}

int router_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_C(c->var[0]));

    if (r < 0)
        return r;
    write_rows(&c->json, res, write_router);
    return 0;
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r =
        find_inside(c, &get_stmt, "failed to get network router: network router", id, &res, err);

    if (r < 0)
        return r;
    write_router(&c->json, res, 0);
    return 0;
}

int router_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[1], err);
}

static int
decode(struct call *c, struct body *body, struct rk_router_input *out, struct rk_err *err)
{
    int r = body_parse(c->body, c->arena, body, err);

    if (r < 0)
        return r;
    *out = (struct rk_router_input){
        .peer = body_str(body, body->root, "peer"),
        .metric = body_int(body, body->root, "metric"),
        .masquerade = body_bool(body, body->root, "masquerade"),
        .enabled = body_bool(body, body->root, "enabled"),
    };
    out->peer_groups = body_strs(body, body->root, "peer_groups", &out->peer_groups_n, NULL);
    return body_check(body, err);
}

int router_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_router_input in;
    char id[RK_XID_LEN + 1];
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    if (!body_get(body.root, "enabled"))
        in.enabled = true;
    r = rk_router_create(c->pg, &c->actor, c->var[0], &in, id, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, id, err);
}

int router_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_router_input in;
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_router_update(c->pg, &c->actor, c->var[0], c->var[1], &in, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, c->var[1], err);
}

int router_delete(struct call *c, struct rk_err *err)
{
    int r = rk_router_delete(c->pg, &c->actor, c->var[0], c->var[1], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
