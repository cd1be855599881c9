/* /api/routes */

#include "libcommon/account/model/domain.h"
#include "libcommon/account/rules/route.h"
#include "libcommon/base/alloc.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, net_id, description, network::text, family(network), domains, peer_id,"            \
    " peer_groups, groups, access_control_groups, metric, masquerade, keep_route,"                 \
    " skip_auto_apply, enabled FROM route WHERE account_id = $1"
enum {
    ID,
    NET_ID,
    DESCRIPTION,
    NETWORK,
    FAMILY,
    DOMAINS,
    PEER,
    PEER_GROUPS,
    GROUPS,
    ACCESS_GROUPS,
    METRIC,
    MASQUERADE,
    KEEP_ROUTE,
    SKIP_AUTO_APPLY,
    ENABLED,
};

static const struct rk_pg_stmt list_stmt = { "route_list", COLUMNS " ORDER BY created_at, id" };
static const struct rk_pg_stmt get_stmt = { "route_get_one", COLUMNS " AND id = $2" };

static void write_domains(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_auto(rk_free) struct rk_str *list = NULL;
    size_t n = 0;

    rk_pg_array(res, row, DOMAINS, &list, &n);
    rk_json_array(j, "domains");
    for (size_t i = 0; i < n; i++) {
        rk_auto(rk_cfree) char *stored = rk_strndup(list[i].p, list[i].n);
        rk_auto(rk_cfree) char *shown = rk_domain_show(stored);

        rk_json_cstr(j, NULL, shown);
    }
    rk_json_array_end(j);
}

/* Where it leads. A client takes an empty list of domains for a domain route, so it is null. */
static void write_place(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    if (rk_pg_null(res, row, NETWORK)) {
        rk_json_cstr(j, "network_type", "Domain");
        rk_json_cstr(j, "network", RK_ROUTE_DOMAIN_NETWORK);
        write_domains(j, res, row);
        return;
    }
    rk_json_cstr(j, "network_type", rk_pg_int(res, row, FAMILY) == 6 ? "IPv6" : "IPv4");
    rk_json_str(j, "network", rk_pg_str(res, row, NETWORK));
    rk_json_null(j, "domains");
}

static void
write_if_any(struct rk_json *j, const char *key, const struct rk_pg_result *res, int row, int col)
{
    if (!rk_str_eq(rk_pg_str(res, row, col), RK_STR("{}")))
        write_strings(j, key, res, row, col);
}

static void write_route(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "network_id", rk_pg_str(res, row, NET_ID));
    rk_json_str(j, "description", rk_pg_str(res, row, DESCRIPTION));
    rk_json_bool(j, "enabled", rk_pg_bool(res, row, ENABLED));
    write_place(j, res, row);
    rk_json_str(j, "peer", rk_pg_str(res, row, PEER));
    write_if_any(j, "peer_groups", res, row, PEER_GROUPS);
    rk_json_int(j, "metric", rk_pg_int(res, row, METRIC));
    rk_json_bool(j, "masquerade", rk_pg_bool(res, row, MASQUERADE));
    write_strings(j, "groups", res, row, GROUPS);
    rk_json_bool(j, "keep_route", rk_pg_bool(res, row, KEEP_ROUTE));
    write_if_any(j, "access_control_groups", res, row, ACCESS_GROUPS);
    rk_json_bool(j, "skip_auto_apply", rk_pg_bool(res, row, SKIP_AUTO_APPLY));
    rk_json_object_end(j);
}

int route_list(struct call *c, struct rk_err *err)
{
    return answer_rows(c, &list_stmt, write_route, err);
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    return answer_row(c, &get_stmt, "route", id, write_route, err);
}

int route_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[0], err);
}

static struct rk_route_list read_list(struct body *b, const char *name)
{
    struct rk_route_list list;

    list.v = body_strs(b, b->root, name, &list.n, &list.sent);
    return list;
}

static int decode(struct call *c, struct body *body, struct rk_route_input *out, struct rk_err *err)
{
    int r = body_parse(c->body, c->arena, body, err);

    if (r < 0)
        return r;
    *out = (struct rk_route_input){
        .net_id = body_str(body, body->root, "network_id"),
        .description = body_str(body, body->root, "description"),
        .network = body_str_opt(body, body->root, "network"),
        .domains = read_list(body, "domains"),
        .peer = body_str_opt(body, body->root, "peer"),
        .peer_groups = read_list(body, "peer_groups"),
        .groups = read_list(body, "groups"),
        .access_groups = read_list(body, "access_control_groups"),
        .metric = body_int(body, body->root, "metric"),
        .masquerade = body_bool(body, body->root, "masquerade"),
        .keep_route = body_bool(body, body->root, "keep_route"),
        .skip_auto_apply = body_bool(body, body->root, "skip_auto_apply"),
        .enabled = body_bool(body, body->root, "enabled"),
    };
    return body_check(body, err);
}

int route_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_route_input in;
    char id[RK_XID_LEN + 1];
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_route_create(c->pg, &c->actor, &in, id, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, id, err);
}

int route_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_route_input in;
    int r;

    r = decode(c, &body, &in, err);
    if (r == 0) {
        answer_ahead(c, c->var[0], &get_stmt, NULL);
        r = rk_route_update(c->pg, &c->actor, c->var[0], &in, &c->bell, err);
    }
    return r == 0 ? answer(c, c->var[0], err) : refused(c, r, rk_route_exists, c->var[0], err);
}

int route_delete(struct call *c, struct rk_err *err)
{
    int r = rk_route_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
