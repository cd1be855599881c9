/* The settings table: parser, --help and --check-config in one. */

#include "services/dashboard-api/config.h"

#include <stddef.h>

#include "libcommon/account/rules/rate.h"
#include "libcommon/conf/addr.h"
#include "libcommon/crypto/seal.h"

#define AT(member) offsetof(struct api_config, member)

static const struct rk_setting rows[] = {
    { "listen", RK_SET_STRING, AT(listen), "127.0.0.1:8085", "address of the REST API, host:port",
      0, 0, 0, false },
    { "postgres", RK_SET_SECRET, AT(postgres), "host=/run/postgresql dbname=rookery",
      "libpq connection string; several hosts may be listed", 0, 0, 0, false },
    { "postgres_file", RK_SET_SECRET_FILE, AT(postgres_file), NULL, "file that holds postgres", 0,
      0, AT(postgres), false },
    RK_RDS_SETTINGS(struct api_config, redis),
    { "secret_key", RK_SET_SECRET, AT(secret_key), NULL,
      "32 bytes in base64; seals secrets stored in Postgres", 0, 0, 0, true },
    { "secret_key_file", RK_SET_SECRET_FILE, AT(secret_key_file), NULL,
      "file that holds secret_key", 0, 0, AT(secret_key), false },
    { "dns_domain", RK_SET_STRING, AT(dns_domain), "netbird.selfhosted",
      "domain of the peers' names unless the account has its own", 0, 0, 0, false },
    { "geo_database", RK_SET_STRING, AT(geo_database), "",
      "city database in MaxMind's format (.mmdb); read again when the file changes; empty = none",
      0, 0, 0, false },
    { "workers", RK_SET_INT, AT(workers), "4", "threads, one Postgres connection each", 1, 256, 0,
      false },
    { "password_workers", RK_SET_INT, AT(password_workers), "0",
      "threads that hash passwords, one Postgres connection and 64 MiB each while they do; 0: half "
      "as many as there are cores, at least one and at most four",
      0, 64, 0, false },
    { "outbound_workers", RK_SET_INT, AT(outbound_workers), "8",
      "threads that ask identity providers, one Postgres connection each", 1, 64, 0, false },
    { "trusted_proxies", RK_SET_STRING, AT(trusted_proxies), "",
      "comma-separated addresses or networks whose X-Forwarded-For is believed", 0, 0, 0, false },
    RK_OIDC_SETTINGS(struct api_config, oidc),
    { "setup_pat_enabled", RK_SET_BOOL, AT(setup_pat_enabled), "false",
      "POST /api/setup may create an access token", 0, 0, 0, false },
    { "token_rate_limit", RK_SET_BOOL, AT(token_rate_limit), "false",
      "requests with one access token are limited, all replicas together; Terraform's are not", 0,
      0, 0, false },
    { "token_rate_per_min", RK_SET_INT, AT(token_rate_per_min), "6", "how many a minute", 1, 60000,
      0, false },
    { "token_rate_burst", RK_SET_INT, AT(token_rate_burst), "500",
      "and how many at once, of a token that was not used for a while", 1, 1000000, 0, false },
    { "oauth_dashboard_redirect_urls", RK_SET_STRING, AT(oauth_dashboard_redirect_urls), "",
      "where the dashboard takes its codes, comma-separated; empty = /nb-auth and /nb-silent-auth "
      "at public_url",
      0, 0, 0, false },
    { "oauth_dashboard_logout_urls", RK_SET_STRING, AT(oauth_dashboard_logout_urls), "",
      "where people may go after signing out, besides public_url; comma-separated", 0, 0, 0,
      false },
    { "oauth_dashboard_token_s", RK_SET_INT, AT(oauth_dashboard_token_s), "1800",
      "seconds that the dashboard's tokens live", 60, 86400, 0, false },
    { "oauth_cli_token_s", RK_SET_INT, AT(oauth_cli_token_s), "600",
      "seconds that tokens of agents on the command line live", 60, 86400, 0, false },
    { "oauth_session_s", RK_SET_INT, AT(oauth_session_s), "86400",
      "seconds until somebody who has signed in must do so again", 600, 7776000, 0, false },
    { "oauth_session_idle_s", RK_SET_INT, AT(oauth_session_idle_s), "3600",
      "the same for a browser that has not been back meanwhile", 600, 7776000, 0, false },
    { "local_auth_disabled", RK_SET_BOOL, AT(local_auth_disabled), "false",
      "the embedded provider takes no passwords of its own: people sign in by the identity "
      "providers that were entered, of which there must be one",
      0, 0, 0, false },
};

static int check(const void *config, struct rk_err *err)
{
    const struct api_config *c = config;
    struct rk_addr addr;
    struct rk_seal seal;
    int r;

    r = rk_addr_parse(rk_str(c->listen), &addr, err);
    if (r < 0)
        return r;
    r = rk_seal_init(&seal, rk_str(c->secret_key), err);
    if (r < 0)
        return r;
    rk_seal_done(&seal);
    if (c->token_rate_burst > c->token_rate_per_min * RK_RATE_FULL_MIN)
        return rk_fail(err, RK_INVALID, "token_rate_burst must be at most %d token_rate_per_min",
                       RK_RATE_FULL_MIN);
    /* Silent renewal comes back when a token has run out, and must find the session. */
    if (c->oauth_session_idle_s < c->oauth_dashboard_token_s + 600)
        return rk_fail(
            err, RK_INVALID,
            "oauth_session_idle_s must be at least oauth_dashboard_token_s and 600 more");
    r = rk_rds_config_check(&c->redis, err);
    if (r < 0)
        return r;
    if (c->local_auth_disabled && !c->oidc.oidc_embedded)
        return rk_fail(err, RK_INVALID, "local_auth_disabled needs oidc_embedded");
    return rk_oidc_config_check(&c->oidc, err);
}

bool api_config_local_users(const struct api_config *c)
{
    return rk_oidc_mode(&c->oidc) != RK_OIDC_EXTERNAL;
}

const struct rk_settings_table api_settings = {
    .service = "dashboard-api",
    .summary = "REST API of the control plane",
    .rows = rows,
    .count = RK_COUNT(rows),
    .check = check,
};
