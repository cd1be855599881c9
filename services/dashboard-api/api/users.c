/* /api/users and /api/users/current, reading. */

#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/auth/caller.h"

#define COLUMNS                                                                                    \
    "SELECT id, name, email, role, is_service_user, blocked, pending_approval, issued, "           \
    "last_login, auto_groups,"                                                                     \
    " password_hash IS NOT NULL FROM users WHERE account_id = $1"
enum {
    ID,
    NAME,
    EMAIL,
    ROLE,
    SERVICE,
    BLOCKED,
    PENDING,
    ISSUED,
    LAST_LOGIN,
    AUTO_GROUPS,
    IS_LOCAL
};

static const struct rk_pg_stmt list_stmt = {
    "user_list",
    COLUMNS " AND ($2::boolean IS NULL OR is_service_user = $2::boolean) ORDER BY created_at, id"
};
static const struct rk_pg_stmt get_stmt = { "user_get", COLUMNS " AND id = $2" };

static void write_permissions(struct rk_json *j, const struct caller *who)
{
    static const struct {
        const char *name;
        unsigned op;
    } ops[] = { { "read", RK_OP_READ },
                { "create", RK_OP_CREATE },
                { "update", RK_OP_UPDATE },
                { "delete", RK_OP_DELETE } };
    bool restricted = who->role == RK_ROLE_USER || who->role == RK_ROLE_BILLING_ADMIN;

    rk_json_object(j, "permissions");
    rk_json_bool(j, "is_restricted", restricted && who->view_blocked);
    rk_json_object(j, "modules");
    for (unsigned m = 0; rk_role_has_table(who->role) && m < RK_MOD_COUNT; m++) {
        rk_json_object(j, rk_module_name((enum rk_module)m));
        for (size_t i = 0; i < RK_COUNT(ops); i++)
            rk_json_bool(j, ops[i].name, caller_may(who, (enum rk_module)m, ops[i].op));
        rk_json_object_end(j);
    }
    rk_json_object_end(j);
    rk_json_object_end(j);
}

static void write_user(struct call *c, const struct rk_pg_result *res, int row, bool permissions)
{
    struct rk_json *j = &c->json;
    bool service = rk_pg_bool(res, row, SERVICE);

    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "email", service ? RK_STR("") : rk_pg_str(res, row, EMAIL));
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_str(j, "role", rk_pg_str(res, row, ROLE));
    rk_json_cstr(j, "status", rk_pg_bool(res, row, BLOCKED) ? "blocked" : "active");
    rk_json_time(j, "last_login", rk_pg_time(res, row, LAST_LOGIN));
    write_strings(j, "auto_groups", res, row, AUTO_GROUPS);
    rk_json_bool(j, "is_current", rk_str_eq(rk_pg_str(res, row, ID), rk_str(c->caller.user_id)));
    rk_json_bool(j, "is_service_user", service);
    rk_json_bool(j, "is_blocked", rk_pg_bool(res, row, BLOCKED));
    rk_json_bool(j, "pending_approval", rk_pg_bool(res, row, PENDING));
    rk_json_str(j, "issued", rk_pg_str(res, row, ISSUED));
    if (rk_pg_bool(res, row, IS_LOCAL))
        rk_json_cstr(j, "idp_id", "local");
    if (permissions)
        write_permissions(j, &c->caller);
    rk_json_object_end(j);
}

static int load_self(struct call *c, struct rk_pg_result **out, struct rk_err *err)
{
    int r = rk_pg_run(c->pg, &get_stmt, out, err, RK_P_C(c->actor.account_id),
                      RK_P_C(c->caller.user_id));

    if (r < 0)
        return r;
    if (rk_pg_rows(*out) == 0)
        return rk_fail(err, RK_NOT_FOUND, "user: %s not found", c->caller.user_id);
    return 0;
}

int user_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const char *filter = call_query(c, "service_user");
    struct rk_pg_param service = RK_P_NULL;
    int r;

    if (filter && filter[0] != '\0') {
        if (strcmp(filter, "true") != 0 && strcmp(filter, "false") != 0)
            return rk_fail(err, RK_INVALID, "invalid service_user query parameter");
        service = RK_P_BOOL(strcmp(filter, "true") == 0);
    }
    if (c->permitted)
        r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id), service);
    else
        r = load_self(c, &res, err);
    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++)
        write_user(c, res, i, false);
    rk_json_array_end(&c->json);
    return 0;
}

int user_current(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = load_self(c, &res, err);

    if (r < 0)
        return r;
    write_user(c, res, 0, true);
    return 0;
}
