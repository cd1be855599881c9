/* /api/dns/settings */

#include "libcommon/account/rules/nameserver.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "services/dashboard-api/json/body.h"

static const struct rk_pg_stmt get_stmt = { "dns_settings_get",
                                            "SELECT dns_disabled_groups FROM account WHERE id = "
                                            "$1" };

int dns_settings_get(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &get_stmt, &res, err, RK_P_C(c->actor.account_id));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "account not found: %s", c->actor.account_id);
    rk_json_object(&c->json, NULL);
    write_strings(&c->json, "disabled_management_groups", res, 0, 0);
    rk_json_object_end(&c->json);
    return 0;
}

int dns_settings_update(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    const struct rk_str *groups;
    size_t n;
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    groups = body_strs(&body, body.root, "disabled_management_groups", &n, NULL);
    r = body_check(&body, err);
    if (r < 0)
        return r;
    r = rk_dns_settings_update(c->pg, &c->actor, groups, n, &c->bell, err);
    if (r < 0)
        return r;
    return dns_settings_get(c, err);
}
