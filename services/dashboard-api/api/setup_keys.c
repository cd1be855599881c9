/* /api/setup-keys */

#include "libcommon/account/rules/setup_key.h"
#include "libcommon/crypto/box.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

#define COLUMNS                                                                                    \
    "SELECT id, name, type, masked, coalesce(expires_at < now(), false), revoked, used_times, "    \
    "usage_limit, expires_at,"                                                                     \
    " last_used, updated_at, ephemeral, allow_extra_dns_labels, auto_groups FROM setup_key WHERE " \
    "account_id = $1"
enum {
    ID,
    NAME,
    TYPE,
    MASKED,
    EXPIRED,
    REVOKED,
    USED,
    LIMIT,
    EXPIRES,
    LAST_USED,
    UPDATED,
    EPHEMERAL,
    EXTRA_LABELS,
    GROUPS
};

static const struct rk_pg_stmt list_stmt = { "setup_key_list", COLUMNS " ORDER BY created_at, id" };
static const struct rk_pg_stmt get_stmt = { "setup_key_get", COLUMNS " AND id = $2" };

static const char *state_of(const struct rk_pg_result *res, int row)
{
    int64_t limit = rk_pg_int(res, row, LIMIT);

    if (rk_pg_bool(res, row, EXPIRED))
        return "expired";
    if (rk_pg_bool(res, row, REVOKED))
        return "revoked";
    if (limit > 0 && rk_pg_int(res, row, USED) >= limit)
        return "overused";
    return "valid";
}

/* `plain` is the key itself, shown once; NULL writes the masked form. */
static void write_key(struct rk_json *j, const struct rk_pg_result *res, int row, const char *plain)
{
    const char *state = state_of(res, row);

    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, row, ID));
    rk_json_str(j, "name", rk_pg_str(res, row, NAME));
    rk_json_time(j, "expires", rk_pg_time(res, row, EXPIRES));
    rk_json_str(j, "type", rk_pg_str(res, row, TYPE));
    rk_json_bool(j, "valid", strcmp(state, "valid") == 0);
    rk_json_bool(j, "revoked", rk_pg_bool(res, row, REVOKED));
    rk_json_int(j, "used_times", rk_pg_int(res, row, USED));
    rk_json_time(j, "last_used", rk_pg_time(res, row, LAST_USED));
    rk_json_cstr(j, "state", state);
    write_strings(j, "auto_groups", res, row, GROUPS);
    rk_json_time(j, "updated_at", rk_pg_time(res, row, UPDATED));
    rk_json_int(j, "usage_limit", rk_pg_int(res, row, LIMIT));
    rk_json_bool(j, "ephemeral", rk_pg_bool(res, row, EPHEMERAL));
    rk_json_bool(j, "allow_extra_dns_labels", rk_pg_bool(res, row, EXTRA_LABELS));
    rk_json_str(j, "key", plain ? rk_str(plain) : rk_pg_str(res, row, MASKED));
    rk_json_object_end(j);
}

static int answer(struct call *c, const char *id, const char *plain, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = find_object(c, &get_stmt, "setup key", id, &res, err);
    if (r < 0)
        return r;
    write_key(&c->json, res, 0, plain);
    return 0;
}

int setup_key_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id));
    if (r < 0)
        return r;
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++)
        write_key(&c->json, res, i, NULL);
    rk_json_array_end(&c->json);
    return 0;
}

int setup_key_get(struct call *c, struct rk_err *err)
{
    c->content_type = "application/json";
    return answer(c, c->var[0], NULL, err);
}

int setup_key_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_setup_key_input in = { 0 };
    char id[RK_XID_LEN + 1], secret[RK_UUID_LEN + 1] = "";
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    in.name = body_str(&body, body.root, "name");
    in.type = body_str(&body, body.root, "type");
    in.expires_in_s = body_int(&body, body.root, "expires_in");
    in.usage_limit = body_int(&body, body.root, "usage_limit");
    in.ephemeral = body_bool(&body, body.root, "ephemeral");
    in.allow_extra_dns_labels = body_bool(&body, body.root, "allow_extra_dns_labels");
    in.auto_groups = body_strs(&body, body.root, "auto_groups", &in.auto_groups_n, NULL);
    r = body_check(&body, err);
    if (r < 0)
        return r;
    r = rk_setup_key_create(c->pg, &c->actor, &in, id, secret, err);
    if (r == 0)
        r = answer(c, id, secret, err);
    c->no_store = true;
    rk_wipe(secret, sizeof(secret));
    return r;
}

int setup_key_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_str *groups;
    size_t groups_n;
    bool revoked, present;
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    revoked = body_bool(&body, body.root, "revoked");
    groups = body_strs(&body, body.root, "auto_groups", &groups_n, &present);
    r = body_check(&body, err);
    if (r < 0)
        return r;
    if (!present)
        return rk_fail(err, RK_INVALID, "setup key autogroups field is invalid");
    answer_ahead(c, c->var[0], &get_stmt, NULL);
    r = rk_setup_key_update(c->pg, &c->actor, c->var[0], revoked, groups, groups_n, err);
    if (r < 0)
        return r;
    c->content_type = "application/json";
    return answer(c, c->var[0], NULL, err);
}

int setup_key_delete(struct call *c, struct rk_err *err)
{
    int r = rk_setup_key_delete(c->pg, &c->actor, c->var[0], err);

    return r < 0 ? r : write_empty(c);
}
