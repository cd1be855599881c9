/* /api/reverse-proxies/proxy-tokens. */

#include "libcommon/account/rules/proxy_token.h"
#include "libcommon/crypto/box.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, name, expires_at, created_at, last_used, revoked FROM proxy_token WHERE "          \
    "account_id = $1"

static const struct rk_pg_stmt list_stmt = { "proxy_token_list",
                                             COLUMNS " ORDER BY created_at, id" };
static const struct rk_pg_stmt get_stmt = { "proxy_token_get", COLUMNS " AND id = $2" };

/* `plain` is shown once, to who has made the token; else NULL. */
static void
write_token(struct rk_json *j, const struct rk_pg_result *res, int row, const char *plain)
{
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, 0));
    rk_json_str(j, "name", rk_pg_str(res, row, 1));
    if (!rk_pg_null(res, row, 2))
        rk_json_time(j, "expires_at", rk_pg_time(res, row, 2));
    rk_json_time(j, "created_at", rk_pg_time(res, row, 3));
    if (!rk_pg_null(res, row, 4))
        rk_json_time(j, "last_used", rk_pg_time(res, row, 4));
    rk_json_bool(j, "revoked", rk_pg_bool(res, row, 5));
    if (plain)
        rk_json_cstr(j, "plain_token", plain);
    rk_json_object_end(j);
}

static void write_row(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    write_token(j, res, row, NULL);
}

int proxy_token_list(struct call *c, struct rk_err *err)
{
    return answer_rows(c, &list_stmt, write_row, err);
}

int proxy_token_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1] = "";
    const char *name;
    int64_t seconds;
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    name = body_str(&body, body.root, "name");
    seconds = body_int(&body, body.root, "expires_in");
    r = body_check(&body, err);
    if (r == 0)
        r = rk_proxy_token_create(c->pg, &c->actor, name, seconds, id, plain, err);
    if (r == 0)
        r = rk_actor_row(c->pg, &c->actor, &get_stmt, "token", id, &res, err);
    if (r == 0) {
        c->no_store = true;
        write_token(&c->json, res, 0, plain);
    }
    rk_wipe(plain, sizeof(plain));
    return r;
}

int proxy_token_delete(struct call *c, struct rk_err *err)
{
    int r = rk_proxy_token_revoke(c->pg, &c->actor, c->var[0], err);

    return r < 0 ? r : write_empty(c);
}
