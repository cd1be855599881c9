/* /api/users: people and service users. */

#include "libcommon/account/rules/pre_invite.h"
#include "libcommon/account/rules/subject.h"
#include "libcommon/account/rules/password.h"
#include "libcommon/account/rules/user.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/password.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/auth/caller.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, name, email, role, is_service_user, blocked, pending_approval, issued, "           \
    "last_login, auto_groups,"                                                                     \
    " invited FROM users WHERE account_id = $1"
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
    INVITED
};

static const struct rk_pg_stmt list_stmt = {
    "user_list",
    COLUMNS " AND ($2::boolean IS NULL OR is_service_user = $2::boolean) AND ($3::text IS NULL OR "
            "id = $3) ORDER BY created_at, id"
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

/* Who vouches for a user of the embedded provider is in the id. */
static void write_provider(struct call *c, const struct rk_pg_result *res, int row)
{
    char user[RK_SUBJECT_PART_MAX], connector[RK_SUBJECT_PART_MAX];

    if (!rk_pg_bool(res, row, SERVICE) && api_config_local_users(c->config) &&
        rk_subject_decode(rk_pg_str(res, row, ID).p, user, connector))
        rk_json_cstr(&c->json, "idp_id", connector);
}

/* `password` is shown once, to who has made the user; else NULL. */
static void write_user(
    struct call *c, const struct rk_pg_result *res, int row, bool permissions, const char *password)
{
    struct rk_json *j = &c->json;
    bool service = rk_pg_bool(res, row, SERVICE);

    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "email", service ? RK_STR("") : rk_pg_str(res, row, EMAIL));
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_str(j, "role", rk_pg_str(res, row, ROLE));
    rk_json_cstr(j, "status",
                 rk_pg_bool(res, row, BLOCKED)   ? "blocked"
                 : rk_pg_bool(res, row, INVITED) ? "invited"
                                                 : "active");
    rk_json_time(j, "last_login", rk_pg_time(res, row, LAST_LOGIN));
    write_strings(j, "auto_groups", res, row, AUTO_GROUPS);
    rk_json_bool(j, "is_current", rk_str_eq(rk_pg_str(res, row, ID), rk_str(c->caller.user_id)));
    rk_json_bool(j, "is_service_user", service);
    rk_json_bool(j, "is_blocked", rk_pg_bool(res, row, BLOCKED));
    rk_json_bool(j, "pending_approval", rk_pg_bool(res, row, PENDING));
    rk_json_str(j, "issued", rk_pg_str(res, row, ISSUED));
    if (password)
        rk_json_cstr(j, "password", password);
    else
        write_provider(c, res, row);
    if (permissions)
        write_permissions(j, &c->caller);
    rk_json_object_end(j);
}

static int load_self(struct call *c, struct rk_pg_result **out, struct rk_err *err)
{
    return rk_actor_row(c->pg, &c->actor, &get_stmt, "user", c->caller.user_id, out, err);
}

static int answer(struct call *c, const char *id, const char *password, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_actor_row(c->pg, &c->actor, &get_stmt, "user", id, &res, err);

    if (r == 0)
        write_user(c, res, 0, false, password);
    return r;
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
    r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id), service,
                  c->permitted ? RK_P_NULL : RK_P_C(c->caller.user_id));
    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++)
        write_user(c, res, i, false, NULL);
    rk_json_array_end(&c->json);
    return 0;
}

int user_current(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = load_self(c, &res, err);

    if (r < 0)
        return r;
    write_user(c, res, 0, true, NULL);
    return 0;
}

int user_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_user_input in = { .name = "" };
    char id[RK_USER_ID_MAX], password[RK_PASSWORD_DRAWN + 1] = "", hash[RK_PASSWORD_LEN] = "";
    const char *role;
    bool service;
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    role = body_str(&body, body.root, "role");
    service = body_bool(&body, body.root, "is_service_user");
    in.name = body_str(&body, body.root, "name");
    in.email = body_str(&body, body.root, "email");
    in.auto_groups = body_strs(&body, body.root, "auto_groups", &in.auto_groups_n, NULL);
    r = body_check(&body, err);
    if (r < 0)
        return r;
    if (!rk_role_parse(rk_str(role), &in.role))
        return rk_fail(err, RK_INVALID, "unknown user role %.64s", role);
    if (!service && c->config->local_auth_disabled)
        return rk_fail(err, RK_PRECONDITION, LOCAL_AUTH_DISABLED);
    in.invited = !service && !api_config_local_users(c->config);
    in.password_hash = service || in.invited ? NULL : hash;
    r = rk_user_validate(&in, err); /* before the costly hash */
    if (r < 0)
        return r;
    if (in.password_hash) {
        r = call_may_hash(c);
        if (r != 0)
            return r;
        rk_password_draw(password);
        rk_password_hash(rk_str(password), hash);
    }
    r = rk_user_create(c->pg, &c->actor, &in, id, &c->bell, err);
    if (r == 0)
        r = answer(c, id, in.password_hash ? password : NULL, err);
    c->no_store = in.password_hash != NULL;
    rk_wipe(password, sizeof(password));
    return r;
}

int user_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_user_input in = { .name = "" };
    const char *role;
    bool present;
    int r;

    r = rk_user_exists(c->pg, &c->actor, c->var[0], err);
    if (r < 0)
        return r;
    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    role = body_str(&body, body.root, "role");
    in.blocked = body_bool(&body, body.root, "is_blocked");
    in.auto_groups = body_strs(&body, body.root, "auto_groups", &in.auto_groups_n, &present);
    r = body_check(&body, err);
    if (r < 0)
        return r;
    if (!present)
        return rk_fail(err, RK_BAD_REQUEST, "auto_groups field can't be absent");
    if (!rk_role_parse(rk_str(role), &in.role))
        return rk_fail(err, RK_INVALID, "invalid user role");
    r = rk_user_update(c->pg, &c->actor, c->var[0], &in, &c->bell, err);
    return r < 0 ? r : answer(c, c->var[0], NULL, err);
}

int user_delete(struct call *c, struct rk_err *err)
{
    int r = rk_user_delete(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}

int user_approve(struct call *c, struct rk_err *err)
{
    int r = rk_user_approve(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : answer(c, c->var[0], NULL, err);
}

int user_reject(struct call *c, struct rk_err *err)
{
    int r = rk_user_reject(c->pg, &c->actor, c->var[0], &c->bell, err);

    return r < 0 ? r : write_empty(c);
}

int user_invite(struct call *c, struct rk_err *err)
{
    int r = rk_pre_invite_again(c->pg, &c->actor, c->var[0], err);

    return r < 0 ? r : write_empty(c);
}

int user_password(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    const char *old_password, *new_password;
    int r;

    if (!api_config_local_users(c->config))
        return rk_fail(err, RK_PRECONDITION,
                       "password change is only available with embedded identity provider");
    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    old_password = body_str(&body, body.root, "old_password");
    new_password = body_str(&body, body.root, "new_password");
    r = body_check(&body, err);
    if (r == 0)
        r = call_may_hash(c);
    if (r != 0)
        return r;
    r = rk_user_set_password(c->pg, &c->actor, c->caller.grant, c->var[0], old_password,
                             new_password, err);
    return r < 0 ? r : write_empty(c);
}
