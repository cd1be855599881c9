#pragma once

/* Settings of this service. Filled at start, read-only afterwards. */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/conf/settings.h"
#include "libcommon/oidc/config.h"
#include "libcommon/rds/config.h"

struct api_config {
    struct rk_common_config common; /* first */
    struct rk_oidc_config oidc;
    char *listen;
    char *postgres;
    char *postgres_file;
    struct rk_rds_config redis;
    char *secret_key;
    char *secret_key_file;
    char *dns_domain;
    char *geo_database;
    int64_t workers;
    int64_t password_workers;
    int64_t outbound_workers;
    char *trusted_proxies;
    bool setup_pat_enabled;
    bool token_rate_limit;
    int64_t token_rate_per_min;
    int64_t token_rate_burst;

    /* The embedded identity provider. */
    char *oauth_dashboard_redirect_urls;
    char *oauth_dashboard_logout_urls;
    int64_t oauth_dashboard_token_s;
    int64_t oauth_cli_token_s;
    int64_t oauth_session_s;
    int64_t oauth_session_idle_s;
    bool local_auth_disabled;
};

/* Whether people may be users of our own, with a password: always, but when they sign in at another
 * provider. With local_auth_disabled nobody new becomes one, and who is one cannot sign in. */
bool api_config_local_users(const struct api_config *c);

extern const struct rk_settings_table api_settings;
