/* /api/instance, /api/instance/version and /api/setup. */

#include "libcommon/account/rules/account_create.h"
#include "libcommon/account/rules/pat.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/obs/log.h"
#include "libcommon/crypto/password.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/setup_body.h"

#define DAY_US (86400LL * 1000000)

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
    char password_hash[RK_PASSWORD_LEN], pat[RK_PAT_LEN + 1] = "", pat_hash[45];
    bool any;
    int r;

    r = setup_body_decode(c->body, c->arena, c->config->setup_pat_enabled, &body, &in, err);
    if (r < 0)
        return r;
    /* Elsewhere it is the first who signs in that owns the account. */
    if (!api_config_local_users(c->config))
        return rk_fail(err, RK_PRECONDITION,
                       "setup is only available with embedded identity provider");
    /* The costly hash is not for strangers who come too late. */
    r = rk_account_any(c->pg, &any, err);
    if (r < 0)
        return r;
    if (any)
        return rk_fail(err, RK_PRECONDITION, "setup already completed");
    rk_password_hash(rk_str(in.password), password_hash);
    if (in.create_pat) {
        rk_pat_new(RK_PAT_PREFIX, pat);
        rk_sha256_b64(rk_str(pat), pat_hash);
    }
    r = rk_account_setup(
        c->pg,
        &(struct rk_account_setup){ .domain = c->config->dns_domain,
                                    .email = in.email,
                                    .name = in.name,
                                    .password_hash = password_hash,
                                    .pat_name = in.create_pat ? "setup-token" : NULL,
                                    .pat_hash = in.create_pat ? pat_hash : NULL,
                                    .pat_expires_us =
                                        in.create_pat ? rk_wall_us() + in.pat_days * DAY_US : 0 },
        &created, err);
    if (r == 0) {
        rk_info(NULL, "set up by %s, who owns account %s now", c->remote_ip, created.account_id);
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
