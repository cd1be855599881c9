/* /api/integrations/scim-idp: the directories that provision users over SCIM. */

#include "libcommon/account/rules/scim.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, enabled, prefix, provider, group_prefixes, user_group_prefixes, connector_id, "    \
    "token_masked, last_synced_at FROM scim_integration WHERE account_id = $1"
enum {
    ID,
    ENABLED,
    PREFIX,
    PROVIDER,
    GROUP_PREFIXES,
    USER_GROUP_PREFIXES,
    CONNECTOR,
    TOKEN,
    LAST_SYNCED,
};
static const struct rk_pg_stmt list_stmt = { "scim_idp_list", COLUMNS " ORDER BY id" };
static const struct rk_pg_stmt get_stmt = { "scim_idp_get", COLUMNS " AND id = $2" };
static const struct rk_pg_stmt logs_stmt = {
    "scim_idp_logs",
    "SELECT id, level, at, message FROM scim_log WHERE integration_id = $1 ORDER BY id DESC"
};

/* `token` is shown once, to who has made it; else NULL. */
static void
write_integration(struct rk_json *j, const struct rk_pg_result *res, int row, const char *token)
{
    rk_json_object(j, NULL);
    rk_json_int(j, "id", rk_pg_int(res, row, ID));
    rk_json_bool(j, "enabled", rk_pg_bool(res, row, ENABLED));
    rk_json_str(j, "prefix", rk_pg_str(res, row, PREFIX));
    rk_json_str(j, "provider", rk_pg_str(res, row, PROVIDER));
    write_strings(j, "group_prefixes", res, row, GROUP_PREFIXES);
    write_strings(j, "user_group_prefixes", res, row, USER_GROUP_PREFIXES);
    rk_json_str(j, "connector_id", rk_pg_str(res, row, CONNECTOR));
    rk_json_str(j, "auth_token", token ? rk_str(token) : rk_pg_str(res, row, TOKEN));
    rk_json_time(j, "last_synced_at", rk_pg_time(res, row, LAST_SYNCED));
    rk_json_object_end(j);
}

static int missing(struct rk_err *err)
{
    return rk_fail(err, RK_NOT_FOUND, "scim integration not found");
}

static int find(struct call *c, int64_t *out_id, struct rk_pg_result **out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    if (!rk_str_i64(rk_str(c->var[0]), out_id))
        return missing(err);
    r = rk_pg_run(c->pg, &get_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_INT(*out_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return missing(err);
    *out = rk_steal(res);
    return 0;
}

static int answer(struct call *c, int64_t id, const char *token, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &get_stmt, &res, err, RK_P_C(c->actor.account_id), RK_P_INT(id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return missing(err);
    write_integration(&c->json, res, 0, token);
    return 0;
}

int scim_idp_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id));

    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++)
        write_integration(&c->json, res, i, NULL);
    rk_json_array_end(&c->json);
    return 0;
}

int scim_idp_get(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int64_t id;
    int r = find(c, &id, &res, err);

    if (r == 0)
        write_integration(&c->json, res, 0, NULL);
    return r;
}

static int
read_input(struct body *body, struct rk_scim_input *in, bool *enabled, struct rk_err *err)
{
    const json_t *root = body->root;

    *in = (struct rk_scim_input){
        .prefix = body_str_opt(body, root, "prefix"),
        .provider = body_str_opt(body, root, "provider"),
        .connector_id = body_str_opt(body, root, "connector_id"),
    };
    *enabled = body_bool(body, root, "enabled");
    if (body_get(root, "enabled"))
        in->enabled = enabled;
    in->group_prefixes =
        body_strs(body, root, "group_prefixes", &in->group_prefixes_n, &in->has_group_prefixes);
    in->user_group_prefixes = body_strs(body, root, "user_group_prefixes",
                                        &in->user_group_prefixes_n, &in->has_user_group_prefixes);
    return body_check(body, err);
}

int scim_idp_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_scim_input in;
    char token[RK_PAT_LEN + 1] = "";
    bool enabled;
    int64_t id;
    int r = body_parse(c->body, c->arena, &body, err);

    if (r == 0)
        r = read_input(&body, &in, &enabled, err);
    if (r < 0)
        return r;
    if (!in.provider || in.provider[0] == '\0')
        return rk_fail(err, RK_INVALID, "provider is required");
    r = rk_scim_create(c->pg, &c->actor, &in, &id, token, err);
    if (r == 0)
        r = answer(c, id, token, err);
    c->no_store = true;
    rk_wipe(token, sizeof(token));
    return r;
}

int scim_idp_update(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(body_done) struct body body = { 0 };
    struct rk_scim_input in;
    bool enabled;
    int64_t id;
    int r = find(c, &id, &res, err);

    if (r == 0)
        r = body_parse(c->body, c->arena, &body, err);
    if (r == 0)
        r = read_input(&body, &in, &enabled, err);
    if (r == 0)
        r = rk_scim_update(c->pg, &c->actor, id, &in, &c->bell, err);
    return r < 0 ? r : answer(c, id, NULL, err);
}

int scim_idp_delete(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int64_t id;
    int r = find(c, &id, &res, err);

    if (r == 0)
        r = rk_scim_delete(c->pg, &c->actor, id, err);
    return r < 0 ? r : write_empty(c);
}

int scim_idp_rotate(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    char token[RK_PAT_LEN + 1] = "";
    int64_t id;
    int r = find(c, &id, &res, err);

    if (r == 0)
        r = rk_scim_rotate(c->pg, &c->actor, id, token, err);
    if (r < 0)
        return r;
    rk_json_object(&c->json, NULL);
    rk_json_cstr(&c->json, "auth_token", token);
    rk_json_object_end(&c->json);
    c->no_store = true;
    rk_wipe(token, sizeof(token));
    return 0;
}

int scim_idp_logs(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *found = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_json *j = &c->json;
    int64_t id;
    int r = find(c, &id, &found, err);

    if (r == 0)
        r = rk_pg_run(c->pg, &logs_stmt, &res, err, RK_P_INT(id));
    if (r < 0)
        return r;
    rk_json_array(j, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++) {
        rk_json_object(j, NULL);
        rk_json_int(j, "id", rk_pg_int(res, i, 0));
        rk_json_str(j, "level", rk_pg_str(res, i, 1));
        rk_json_time(j, "timestamp", rk_pg_time(res, i, 2));
        rk_json_str(j, "message", rk_pg_str(res, i, 3));
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
    return 0;
}
