/* /api/dns/zones/{zoneId}/records */

#include "libcommon/account/rules/zone.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

static const struct rk_pg_stmt zone_stmt = {
    "record_zone", "SELECT 1 FROM zone WHERE account_id = $1 AND id = $2"
};
static const struct rk_pg_stmt list_stmt = {
    "record_list",
    "SELECT id, name, type, content, ttl FROM zone_record WHERE zone_id = $1 ORDER BY created_at, "
    "id"
};
static const struct rk_pg_stmt get_stmt = {
    "record_get_one",
    "SELECT r.id, r.name, r.type, r.content, r.ttl FROM zone_record r JOIN zone z ON z.id = "
    "r.zone_id WHERE z.account_id = $1 AND z.id = $2 AND r.id = $3"
};

void write_record(struct rk_json *j, const struct rk_pg_result *res, int row, int col)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, col));
    rk_json_str(j, "name", rk_pg_str(res, row, col + 1));
    rk_json_str(j, "type", rk_pg_str(res, row, col + 2));
    rk_json_str(j, "content", rk_pg_str(res, row, col + 3));
    rk_json_int(j, "ttl", rk_pg_int(res, row, col + 4));
    rk_json_object_end(j);
}

int record_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *zone = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_actor_row(c->pg, &c->actor, &zone_stmt, "zone", c->var[0], &zone, err);
    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->var[0]));
    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++)
        write_record(&c->json, res, i, 0);
    rk_json_array_end(&c->json);
    return 0;
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = find_inside(c, &get_stmt, "dns record", id, &res, err);

    if (r < 0)
        return r;
    write_record(&c->json, res, 0, 0);
    return 0;
}

int record_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[1], err);
}

/* Strings are borrowed from the body. */
static int
decode(struct call *c, struct body *body, struct rk_record_input *out, struct rk_err *err)
{
    int r = body_parse(c->body, c->arena, body, err);

    if (r < 0)
        return r;
    *out = (struct rk_record_input){ .name = body_str(body, body->root, "name"),
                                     .type = body_str(body, body->root, "type"),
                                     .content = body_str(body, body->root, "content"),
                                     .ttl = body_int(body, body->root, "ttl") };
    return body_check(body, err);
}

int record_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_record_input in;
    char id[RK_XID_LEN + 1];
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_record_create(c->pg, &c->actor, c->var[0], &in, id, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, id, err);
}

int record_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_record_input in;
    int r;

    r = decode(c, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_record_update(c->pg, &c->actor, c->var[0], c->var[1], &in, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, c->var[1], err);
}

int record_delete(struct call *c, struct rk_err *err)
{
    int r = rk_record_delete(c->pg, &c->actor, c->var[0], c->var[1], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
