/* /api/users/{userId}/tokens: personal access tokens. */

#include "libcommon/account/rules/pat.h"
#include "libcommon/crypto/box.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, name, created_by, created_at, expires_at, last_used FROM pat WHERE account_id = "  \
    "$1 AND user_id = $2"

static const struct rk_pg_stmt list_stmt = { "token_list", COLUMNS " ORDER BY created_at, id" };
static const struct rk_pg_stmt get_stmt = { "token_get", COLUMNS " AND id = $3" };

static void write_token(struct rk_json *j, const char *key, const struct rk_pg_result *res, int row)
{
    rk_json_object(j, key);
    rk_json_str(j, "id", rk_pg_str(res, row, 0));
    rk_json_str(j, "name", rk_pg_str(res, row, 1));
    rk_json_str(j, "created_by", rk_pg_str(res, row, 2));
    rk_json_time(j, "created_at", rk_pg_time(res, row, 3));
    rk_json_time(j, "expiration_date", rk_pg_time(res, row, 4));
    if (!rk_pg_null(res, row, 5))
        rk_json_time(j, "last_used", rk_pg_time(res, row, 5));
    rk_json_object_end(j);
}

static void write_row(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    write_token(j, NULL, res, row);
}

int token_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pat_check_owner(c->pg, &c->actor, c->var[0], err);
    if (r < 0)
        return r;
    r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_C(c->var[0]));
    if (r < 0)
        return r;
    write_rows(&c->json, res, write_row);
    return 0;
}

int token_get(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pat_check_owner(c->pg, &c->actor, c->var[0], err);
    if (r < 0)
        return r;
    r = find_inside(c, &get_stmt, "pat", c->var[1], &res, err);
    if (r == 0)
        write_row(&c->json, res, 0);
    return r;
}

int token_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1] = "";
    const char *name;
    int64_t days;
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    name = body_str(&body, body.root, "name");
    days = body_int(&body, body.root, "expires_in");
    r = body_check(&body, err);
    if (r < 0)
        return r;
    r = rk_pat_create(c->pg, &c->actor, c->var[0], name, days, id, plain, err);
    if (r == 0)
        r = find_inside(c, &get_stmt, "pat", id, &res, err);
    if (r == 0) {
        c->no_store = true;
        rk_json_object(&c->json, NULL);
        rk_json_cstr(&c->json, "plain_token", plain);
        write_token(&c->json, "personal_access_token", res, 0);
        rk_json_object_end(&c->json);
    }
    rk_wipe(plain, sizeof(plain));
    return r;
}

int token_delete(struct call *c, struct rk_err *err)
{
    int r = rk_pat_delete(c->pg, &c->actor, c->var[0], c->var[1], err);

    return r < 0 ? r : write_empty(c);
}
