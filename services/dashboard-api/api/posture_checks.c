/* /api/posture-checks */

#include "libcommon/account/rules/posture.h"
#include "libcommon/geo/geo.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/posture_body.h"
#include "services/dashboard-api/api/write.h"

#define COLUMNS "SELECT id, name, description, checks FROM posture_check WHERE account_id = $1"
enum {
    ID,
    NAME,
    DESCRIPTION,
    CHECKS
};

static const struct rk_pg_stmt list_stmt = { "posture_list", COLUMNS " ORDER BY created_at, id" };
static const struct rk_pg_stmt get_stmt = { "posture_get_one", COLUMNS " AND id = $2" };

static void write_check(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_str(j, "description", rk_pg_str(res, row, DESCRIPTION));
    write_jsonb(j, "checks", res, row, CHECKS);
    rk_json_object_end(j);
}

int posture_list(struct call *c, struct rk_err *err)
{
    return answer_rows(c, &list_stmt, write_check, err);
}

static int answer(struct call *c, const char *id, struct rk_err *err)
{
    return answer_row(c, &get_stmt, "posture checks", id, write_check, err);
}

int posture_get(struct call *c, struct rk_err *err)
{
    return answer(c, c->var[0], err);
}

int posture_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_posture_input in;
    char id[RK_XID_LEN + 1];
    int r;

    r = posture_body_decode(c->body, c->arena, &body, &in, err);
    if (r < 0)
        return r;
    r = rk_posture_create(c->pg, &c->actor, &in, rk_geo_loaded(c->geo), id, &c->bell, err);
    if (r < 0)
        return r;
    return answer(c, id, err);
}

int posture_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_posture_input in;
    int r;

    r = posture_body_decode(c->body, c->arena, &body, &in, err);
    if (r == 0) {
        answer_ahead(c, c->var[0], &get_stmt, NULL);
        r = rk_posture_update(c->pg, &c->actor, c->var[0], &in, rk_geo_loaded(c->geo), &c->bell,
                              err);
    }
    return r == 0 ? answer(c, c->var[0], err) : refused(c, r, rk_posture_exists, c->var[0], err);
}

int posture_delete(struct call *c, struct rk_err *err)
{
    int r = rk_posture_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}
