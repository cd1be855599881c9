/* /api/instance, /api/instance/version and /api/setup. */

#include "libcommon/account/rules/account_create.h"
#include "libcommon/account/rules/pat.h"
#include "libcommon/crypto/box.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/setup.h"

int instance_status(struct call *c, struct rk_err *err)
{
    bool any;
    int r;

    r = rk_account_any(c->pg, &any, err);
    if (r < 0)
        return r;
    rk_json_object(&c->json, NULL);
    rk_json_bool(&c->json, "setup_required", !any && api_config_local_users(c->config));
    rk_json_object_end(&c->json);
    return 0;
}

int instance_version(struct call *c, struct rk_err *err)
{
    (void)err;
    rk_json_object(&c->json, NULL);
    rk_json_cstr(&c->json, "management_current_version", RK_VERSION);
    rk_json_bool(&c->json, "management_update_available", false);
    rk_json_object_end(&c->json);
    return 0;
}

int setup_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct setup_body in;
    struct rk_account_created created;
    char pat[RK_PAT_LEN + 1] = "";
    int r;

    r = setup_body_decode(c->body, c->arena, c->config->setup_pat_enabled, &body, &in, err);
    if (r == 0)
        r = setup_open(c->pg, c->config, err);
    if (r == 0)
        r = call_may_hash(c);
    if (r != 0)
        return r;
    if (in.create_pat)
        rk_pat_new(RK_PAT_PREFIX, pat);
    r = setup_first_account(c->pg, c->config, &in, in.create_pat ? pat : NULL, &created, err);
    if (r == 0) {
        setup_log(c, &created);
        c->no_store = true;
        rk_json_object(&c->json, NULL);
        rk_json_cstr(&c->json, "user_id", created.user_id);
        rk_json_cstr(&c->json, "email", in.email);
        if (in.create_pat)
            rk_json_cstr(&c->json, "personal_access_token", pat);
        rk_json_object_end(&c->json);
    }
    rk_wipe(pat, sizeof(pat));
    return r;
}
