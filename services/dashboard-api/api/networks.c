/* /api/networks */

#include "libcommon/account/rules/network.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

/* Policies of a network are those in force that let somebody at one of its resources, directly or
 * by a group that holds it. A peer that two routers name counts twice. */
#define COLUMNS                                                                                    \
    "SELECT n.id, n.name, n.description,"                                                          \
    " array(SELECT r.id FROM network_router r WHERE r.network_id = n.id"                           \
    " ORDER BY r.created_at, r.id),"                                                               \
    " array(SELECT s.id FROM network_resource s WHERE s.network_id = n.id"                         \
    " ORDER BY s.created_at, s.id),"                                                               \
    " array(SELECT p.id FROM policy p WHERE p.account_id = $1 AND p.enabled AND EXISTS"            \
    " (SELECT 1 FROM policy_rule u JOIN network_resource s ON s.network_id = n.id"                 \
    " WHERE u.policy_id = p.id AND u.enabled AND (u.destination_resource_id = s.id"                \
    " OR EXISTS (SELECT 1 FROM group_resource g WHERE g.resource_id = s.id"                        \
    " AND g.group_id = ANY (u.destinations)))) ORDER BY p.created_at, p.id),"                      \
    " (SELECT coalesce(sum(CASE WHEN r.peer_id <> '' THEN 1 ELSE (SELECT count(*)"                 \
    " FROM group_peer m WHERE m.group_id = ANY (r.peer_groups)) END), 0)::bigint"                  \
    " FROM network_router r WHERE r.network_id = n.id)"                                            \
    " FROM network n WHERE n.account_id = $1"
enum {
    ID,
    NAME,
    DESCRIPTION,
    ROUTERS,
    RESOURCES,
    POLICIES,
    ROUTING_PEERS
};

static const struct rk_pg_stmt list_stmt = { "network_list",
                                             COLUMNS " ORDER BY n.created_at, n.id" };
static const struct rk_pg_stmt get_stmt = { "network_get_one", COLUMNS " AND n.id = $2" };

static void write_network(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_str(j, "description", rk_pg_str(res, row, DESCRIPTION));
    write_strings(j, "routers", res, row, ROUTERS);
    write_strings(j, "resources", res, row, RESOURCES);
    write_strings(j, "policies", res, row, POLICIES);
    rk_json_int(j, "routing_peers_count", rk_pg_int(res, row, ROUTING_PEERS));
    rk_json_object_end(j);
}

int network_list(struct call *c, struct rk_err *err)
{
    return answer_rows(c, &list_stmt, write_network, err);
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    return answer_row(c, &get_stmt, "network", id, write_network, err);
}

int network_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[0], err);
}

static int
decode(struct call *c, struct body *body, struct rk_network_input *out, struct rk_err *err)
{
    int r = body_parse(c->body, c->arena, body, err);

    if (r < 0)
        return r;
    out->name = body_str(body, body->root, "name");
    out->description = body_str(body, body->root, "description");
    return body_check(body, err);
}

int network_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_network_input in;
    char id[RK_XID_LEN + 1];
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_network_create(c->pg, &c->actor, &in, id, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, id, err);
}

int network_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_network_input in;
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    answer_ahead(c, c->var[0], &get_stmt, NULL);
    r = rk_network_update(c->pg, &c->actor, c->var[0], &in, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, c->var[0], err);
}

int network_delete(struct call *c, struct rk_err *err)
{
    int r = rk_network_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
