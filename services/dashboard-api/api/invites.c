/* /api/users/invites: links by which people join, and what their holders may do without signing in.
 */

#include "libcommon/account/rules/invite.h"
#include "libcommon/account/rules/rate.h"
#include "libcommon/crypto/box.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/auth/caller.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, email, name, role, auto_groups, expires_at, created_at, expires_at <= now() FROM " \
    "user_invite WHERE account_id = $1"

static const struct rk_pg_stmt list_stmt = { "invite_list", COLUMNS " ORDER BY created_at, id" };
static const struct rk_pg_stmt get_stmt = { "invite_get", COLUMNS " AND id = $2" };

static void write_members(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_json_str(j, "id", rk_pg_str(res, row, 0));
    rk_json_str(j, "email", rk_pg_str(res, row, 1));
    rk_json_str(j, "name", rk_pg_str(res, row, 2));
    rk_json_str(j, "role", rk_pg_str(res, row, 3));
    write_strings(j, "auto_groups", res, row, 4);
    rk_json_time(j, "expires_at", rk_pg_time(res, row, 5));
    rk_json_time(j, "created_at", rk_pg_time(res, row, 6));
    rk_json_bool(j, "expired", rk_pg_bool(res, row, 7));
}

static int available(const struct call *c, struct rk_err *err)
{
    return api_config_local_users(c->config)
               ? 0
               : rk_fail(err, RK_PRECONDITION,
                         "invite links are only available with embedded identity provider");
}

/* The same for links that somebody is to come by. */
static int inviting(const struct call *c, struct rk_err *err)
{
    int r = available(c, err);

    if (r == 0 && c->config->local_auth_disabled)
        return rk_fail(err, RK_PRECONDITION, LOCAL_AUTH_DISABLED);
    return r;
}

static void write_row(struct rk_json *j, const struct rk_pg_result *res, int row)
{
    rk_json_object(j, NULL);
    write_members(j, res, row);
    rk_json_object_end(j);
}

int invite_list(struct call *c, struct rk_err *err)
{
    int r = available(c, err);

    return r < 0 ? r : answer_rows(c, &list_stmt, write_row, err);
}

static int64_t life(struct body *body)
{
    return body_get(body->root, "expires_in") ? body_int(body, body->root, "expires_in")
                                              : RK_INVITE_SECONDS;
}

int invite_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_invite_input in = { .name = "" };
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1] = "";
    const char *role;
    int r;

    r = inviting(c, err);
    if (r == 0)
        r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    role = body_str(&body, body.root, "role");
    in.name = body_str(&body, body.root, "name");
    in.email = body_str(&body, body.root, "email");
    in.auto_groups = body_strs(&body, body.root, "auto_groups", &in.auto_groups_n, NULL);
    in.expires_in_s = life(&body);
    r = body_check(&body, err);
    if (r < 0)
        return r;
    if (!rk_role_parse(rk_str(role), &in.role))
        return rk_fail(err, RK_INVALID, "unknown user role %.64s", role);
    r = rk_invite_create(c->pg, &c->actor, &in, id, plain, err);
    if (r == 0)
        r = rk_actor_row(c->pg, &c->actor, &get_stmt, "user invite", id, &res, err);
    if (r == 0) {
        c->no_store = true;
        rk_json_object(&c->json, NULL);
        write_members(&c->json, res, 0);
        rk_json_cstr(&c->json, "invite_token", plain);
        rk_json_object_end(&c->json);
    }
    rk_wipe(plain, sizeof(plain));
    return r;
}

int invite_regenerate(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    int64_t seconds = RK_INVITE_SECONDS, expires_us;
    char plain[RK_PAT_LEN + 1] = "";
    int r = inviting(c, err);

    if (r < 0)
        return r;
    if (c->body.n > 0) {
        r = body_parse(c->body, c->arena, &body, err);
        if (r < 0)
            return r;
        seconds = life(&body);
        r = body_check(&body, err);
    }
    if (r == 0)
        r = rk_invite_regenerate(c->pg, &c->actor, c->var[0], seconds, plain, &expires_us, err);
    if (r == 0) {
        c->no_store = true;
        rk_json_object(&c->json, NULL);
        rk_json_cstr(&c->json, "invite_token", plain);
        rk_json_time(&c->json, "invite_expires_at", expires_us);
        rk_json_object_end(&c->json);
    }
    rk_wipe(plain, sizeof(plain));
    return r;
}

int invite_delete(struct call *c, struct rk_err *err)
{
    int r = available(c, err);

    if (r == 0)
        r = rk_invite_delete(c->pg, &c->actor, c->var[0], err);
    return r < 0 ? r : write_empty(c);
}

/* Strangers are let in as often as they may. A path that holds no token at all is not theirs. */
static int let_in(struct call *c, struct rk_err *err)
{
    struct rk_str token;
    int r = inviting(c, err);

    if (r < 0)
        return r;
    if (!rk_str_starts(rk_str(c->var[0]), RK_STR(RK_INVITE_PREFIX))) {
        if (caller_credential(rk_str(c->head.authorization), &token) == CREDENTIAL_NONE)
            return rk_fail(err, RK_UNAUTHENTICATED, "no valid authentication provided");
    }
    return rk_rate_take(c->pg, &rk_invite_strangers, call_source(c), err);
}

int invite_show(struct call *c, struct rk_err *err)
{
    rk_auto(rk_invite_done) struct rk_invite invite = { .row = NULL };
    int r;

    r = let_in(c, err);
    if (r == 0)
        r = rk_invite_find(c->pg, c->var[0], &invite, err);
    if (r < 0)
        return r;
    c->no_store = true;
    rk_json_object(&c->json, NULL);
    rk_json_cstr(&c->json, "email", invite.email);
    rk_json_cstr(&c->json, "name", invite.name);
    rk_json_time(&c->json, "expires_at", invite.expires_us);
    rk_json_bool(&c->json, "valid", !invite.expired);
    rk_json_cstr(&c->json, "invited_by", invite.invited_by);
    rk_json_object_end(&c->json);
    return 0;
}

/* What is refused without a hash, to who may try at all. */
static int check_acceptance(struct call *c, const char *password, struct rk_err *err)
{
    rk_auto(rk_invite_done) struct rk_invite invite = { .row = NULL };
    int r = rk_invite_check(c->pg, c->var[0], password, &invite, err);

    return r < 0 ? r : call_may_hash(c);
}

int invite_accept(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    bool hashing = c->pool == POOL_PASSWORD; /* it was let in */
    const char *password;
    int r;

    r = hashing ? 0 : let_in(c, err);
    if (r == 0)
        r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    password = body_str(&body, body.root, "password");
    r = body_check(&body, err);
    if (r == 0 && !hashing)
        return check_acceptance(c, password, err);
    if (r == 0)
        r = rk_invite_accept(c->pg, c->var[0], password, &c->bell, err);
    if (r < 0)
        return r;
    c->no_store = true;
    rk_json_object(&c->json, NULL);
    rk_json_bool(&c->json, "success", true);
    rk_json_object_end(&c->json);
    return 0;
}
