/* /api/accounts */

#include <stdlib.h>

#include "libcommon/account/rules/settings.h"
#include "libcommon/base/alloc.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

static const struct rk_pg_stmt get_stmt = {
    "account_get", "SELECT id, domain, domain_category, created_at, created_by, settings::text,"
                   " coalesce((onboarding->>'signup_form_pending')::boolean, false),"
                   " coalesce((onboarding->>'onboarding_flow_pending')::boolean, false),"
                   " net4::text, net6::text FROM account WHERE id = $1"
};
enum {
    ID,
    DOMAIN,
    CATEGORY,
    CREATED,
    CREATED_BY,
    SETTINGS,
    SIGNUP,
    FLOW,
    NET4,
    NET6
};

/* There is no traffic log here, and it says so. */
static json_t *effective_extra(const json_t *stored)
{
    return json_pack("{s:b, s:b, s:b, s:n, s:b}", "peer_approval_enabled",
                     json_is_true(json_object_get(stored, "peer_approval_enabled")),
                     "user_approval_required",
                     json_is_true(json_object_get(stored, "user_approval_required")),
                     "network_traffic_logs_enabled", 0, "network_traffic_logs_groups",
                     "network_traffic_packet_counter_enabled", 0);
}

/* Stored settings as they are shown: every member there, and facts of the server added. */
static json_t *shown_settings(const struct call *c, const struct rk_pg_result *res)
{
    rk_auto(json_decref) json_t *stored = json_loads(rk_pg_str(res, 0, SETTINGS).p, 0, NULL);
    json_t *out;

    if (!rk_settings_decode(stored, &out))
        return NULL;
    json_object_set_new(out, "extra", effective_extra(json_object_get(stored, "extra")));
    json_object_set_new(out, "network_range", json_string(rk_pg_str(res, 0, NET4).p));
    if (rk_pg_null(res, 0, NET6))
        json_object_del(out, "network_range_v6");
    else
        json_object_set_new(out, "network_range_v6", json_string(rk_pg_str(res, 0, NET6).p));
    json_object_set_new(out, "embedded_idp_enabled", json_true());
    json_object_set_new(out, "local_auth_disabled", json_boolean(c->config->local_auth_disabled));
    return out;
}

/* The answer of a PUT says what was asked for, and explicit ranges only. */
static json_t *echoed_settings(const struct rk_pg_result *res, const json_t *asked)
{
    json_t *extra = json_object_get(asked, "extra");
    rk_auto(json_decref) json_t *stored = json_loads(rk_pg_str(res, 0, SETTINGS).p, 0, NULL);
    json_t *out;

    if (!rk_settings_decode(stored, &out))
        return NULL;
    if (!json_object_get(stored, "network_range"))
        json_object_del(out, "network_range");
    if (!json_object_get(stored, "network_range_v6"))
        json_object_del(out, "network_range_v6");
    if (extra)
        json_object_set(out, "extra", extra);
    else
        json_object_set_new(out, "extra", effective_extra(json_object_get(stored, "extra")));
    json_object_set_new(out, "embedded_idp_enabled", json_false());
    json_object_set_new(out, "local_auth_disabled", json_false());
    return out;
}

/* `asked`: the settings of a PUT; NULL: all of them are shown. */
static int write_account(struct call *c, const json_t *asked, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(json_decref) json_t *settings = NULL;
    rk_auto(rk_free) char *text = NULL;
    struct rk_json *j = &c->json;
    int r;

    r = rk_pg_run(c->pg, &get_stmt, &res, err, RK_P_C(c->actor.account_id));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "account not found: %s", c->actor.account_id);
    settings = asked ? echoed_settings(res, asked) : shown_settings(c, res);
    if (!settings)
        return rk_fail(err, RK_INTERNAL, "settings of account %s are unreadable",
                       c->actor.account_id);
    text = json_dumps(settings, JSON_COMPACT);
    rk_json_object(j, NULL);
    rk_json_str(j, "id", rk_pg_str(res, 0, ID));
    rk_json_raw(j, "settings", rk_str(text));
    rk_json_str(j, "domain", rk_pg_str(res, 0, DOMAIN));
    rk_json_str(j, "domain_category", rk_pg_str(res, 0, CATEGORY));
    rk_json_time(j, "created_at", rk_pg_time(res, 0, CREATED));
    rk_json_str(j, "created_by", rk_pg_str(res, 0, CREATED_BY));
    rk_json_object(j, "onboarding");
    rk_json_bool(j, "signup_form_pending", rk_pg_bool(res, 0, SIGNUP));
    rk_json_bool(j, "onboarding_flow_pending", rk_pg_bool(res, 0, FLOW));
    rk_json_object_end(j);
    rk_json_object_end(j);
    return 0;
}

int account_list(struct call *c, struct rk_err *err)
{
    int r;

    rk_json_array(&c->json, NULL);
    r = write_account(c, NULL, err);
    rk_json_array_end(&c->json);
    return r;
}

int account_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    rk_auto(json_decref) json_t *settings = NULL;
    struct rk_onboarding onboarding;
    const json_t *asked;
    int r;

    if (strcmp(c->var[0], c->actor.account_id) != 0)
        return rk_fail(err, RK_DENIED,
                       "failed to validate user permissions: user is not part of this account");
    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    if (!rk_settings_decode(body_object(&body, body.root, "settings"), &settings))
        body.bad = true;
    asked = body_object(&body, body.root, "onboarding");
    onboarding.signup_form_pending = body_bool(&body, asked, "signup_form_pending");
    onboarding.onboarding_flow_pending = body_bool(&body, asked, "onboarding_flow_pending");
    r = body_check(&body, err);
    if (r < 0)
        return r;
    r = rk_settings_validate(settings, err);
    if (r < 0)
        return r;
    r = rk_settings_update(c->pg, &c->actor, settings, asked ? &onboarding : NULL, &c->bell, err);
    if (r < 0)
        return r;
    return write_account(c, settings, err);
}

int account_delete(struct call *c, struct rk_err *err)
{
    int r;

    if (strcmp(c->var[0], c->actor.account_id) != 0)
        return rk_fail(err, RK_DENIED,
                       "failed to validate user permissions: user is not part of this account");
    r = rk_account_delete(c->pg, &c->actor, &c->bell, err);
    return r < 0 ? r : write_empty(c);
}
