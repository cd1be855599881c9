/* See setup.h. */

#include "services/dashboard-api/api/setup.h"

#include "libcommon/base/clock.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/crypto/password.h"
#include "libcommon/obs/log.h"

#define DAY_US (86400LL * 1000000)

int setup_open(struct rk_pg *pg, const struct api_config *config, struct rk_err *err)
{
    bool any;
    int r;

    /* Elsewhere it is the first who signs in that owns the account. */
    if (!api_config_local_users(config))
        return rk_fail(err, RK_PRECONDITION,
                       "setup is only available with embedded identity provider");
    r = rk_account_any(pg, &any, err);
    if (r == 0 && any)
        return rk_fail(err, RK_PRECONDITION, "setup already completed");
    return r;
}

int setup_first_account(struct rk_pg *pg,
                        const struct api_config *config,
                        const struct setup_body *in,
                        const char *token,
                        struct rk_account_created *out,
                        struct rk_err *err)
{
    char password_hash[RK_PASSWORD_LEN], token_hash[45] = "";
    int r = setup_open(pg, config, err);

    if (r < 0)
        return r;
    rk_password_hash(rk_str(in->password), password_hash);
    if (token)
        rk_sha256_b64(rk_str(token), token_hash);
    return rk_account_setup(
        pg,
        &(struct rk_account_setup){ .domain = config->dns_domain,
                                    .email = in->email,
                                    .name = in->name,
                                    .password_hash = password_hash,
                                    .pat_name = token ? "setup-token" : NULL,
                                    .pat_hash = token ? token_hash : NULL,
                                    .pat_expires_us =
                                        token ? rk_wall_us() + in->pat_days * DAY_US : 0 },
        out, err);
}

void setup_log(const struct call *c, const struct rk_account_created *a)
{
    rk_info(NULL, "account %s was set up from %s", a->account_id, c->remote_ip);
}
