/* /api/dns/zones; records have a file of their own. */

#include "libcommon/account/rules/zone.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

/* One row a record; a zone without records is one row too. */
#define COLUMNS                                                                                    \
    "SELECT z.id, z.name, z.domain, z.enabled, z.enable_search_domain, z.distribution_groups, "    \
    "r.id, r.name, r.type, r.content, r.ttl FROM zone z LEFT JOIN zone_record r ON r.zone_id = "   \
    "z.id WHERE z.account_id = $1"
enum {
    ID,
    NAME,
    DOMAIN,
    ENABLED,
    SEARCH,
    GROUPS,
    R_ID
};

static const struct rk_pg_stmt list_stmt = { "zone_list", COLUMNS
                                             " ORDER BY z.created_at, z.id, r.created_at, r.id" };
static const struct rk_pg_stmt get_stmt = { "zone_get_one",
                                            COLUMNS " AND z.id = $2 ORDER BY r.created_at, r.id" };

/* The zone that begins at `row`; returns the row after its last. */
static int write_zone(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    struct rk_str id = rk_pg_str(res, row, ID);

    rk_json_object(j, NULL);
    rk_json_str(j, "id", id);
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_str(j, "domain", rk_pg_str(res, row, DOMAIN));
    rk_json_bool(j, "enabled", rk_pg_bool(res, row, ENABLED));
    rk_json_bool(j, "enable_search_domain", rk_pg_bool(res, row, SEARCH));
    write_strings(j, "distribution_groups", res, row, GROUPS);
    rk_json_array(j, "records");
    for (; row < rk_pg_rows(res) && rk_str_eq(rk_pg_str(res, row, ID), id); row++)
        if (!rk_pg_null(res, row, R_ID))
            write_record(j, res, row, R_ID);
    rk_json_array_end(j);
    rk_json_object_end(j);
    return row;
}

int zone_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id));

    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int row = 0; row < rk_pg_rows(res);)
        row = write_zone(&c->json, res, row);
    rk_json_array_end(&c->json);
    return 0;
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = find_object(c, &get_stmt, "zone", id, &res, err);

    if (r < 0)
        return r;
    (void)write_zone(&c->json, res, 0);
    return 0;
}

int zone_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[0], err);
}

/* Strings are borrowed from the body. */
static int decode(struct call *c, struct body *body, struct rk_zone_input *out, struct rk_err *err)
{
    int r = body_parse(c->body, c->arena, body, err);

    if (r < 0)
        return r;
    *out = (struct rk_zone_input){
        .name = body_str(body, body->root, "name"),
        .domain = body_str(body, body->root, "domain"),
        .enabled = !body_get(body->root, "enabled") || body_bool(body, body->root, "enabled"),
        .enable_search_domain = body_bool(body, body->root, "enable_search_domain"),
    };
    out->groups = body_strs(body, body->root, "distribution_groups", &out->groups_n, NULL);
    return body_check(body, err);
}

int zone_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_zone_input in;
    char id[RK_XID_LEN + 1];
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_zone_create(c->pg, &c->actor, &in, id, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, id, err);
}

int zone_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_zone_input in;
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    answer_ahead(c, c->var[0], &get_stmt, NULL);
    r = rk_zone_update(c->pg, &c->actor, c->var[0], &in, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, c->var[0], err);
}

int zone_delete(struct call *c, struct rk_err *err)
{
    int r = rk_zone_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
