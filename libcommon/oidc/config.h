#pragma once

/*
 * Settings of sign-in, the same rows for management and dashboard-api: written once here, with
 * RK_OIDC_SETTINGS(struct, member) in each service's table. Start-up only; read-only afterwards.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/conf/settings.h"
#include "libcommon/oidc/fetch.h"
#include "libcommon/oidc/verifier.h"

/* Members have the names of their keys. */
struct rk_oidc_config {
    char *public_url; /* https://host[:port], without a slash at the end */
    bool oidc_embedded;
    char *oidc_issuer;
    char *oidc_discovery_url;
    char *oidc_keys_url;
    char *oidc_audience;
    char *oidc_extra_audiences;
    char *oidc_cli_audience;
    char *oidc_user_claim;
    bool oidc_account_claims;
    bool oidc_allow_private_issuers;
    char *oidc_ca_file;

    char *oidc_device_client_id; /* external; empty = no device flow */
    char *oidc_device_audience;
    char *oidc_device_scope;
    char *oidc_device_endpoint;
    char *oidc_device_token_endpoint;
    bool oidc_device_use_id_token;

    char *oidc_pkce_client_id; /* external; empty = no PKCE flow */
    char *oidc_pkce_audience;
    char *oidc_pkce_scope;
    char *oidc_pkce_authorization_endpoint;
    char *oidc_pkce_token_endpoint;
    char *oidc_pkce_redirect_urls; /* comma list */
    bool oidc_pkce_use_id_token;
    bool oidc_pkce_disable_prompt_login;
    int64_t oidc_pkce_login_flag; /* 0 prompt=login, 1 max_age=0, 2 neither */

    bool oidc_single_account;
    char *oidc_single_account_domain;
};

enum rk_oidc_mode {
    RK_OIDC_OFF, /* access tokens and setup keys alone */
    RK_OIDC_EXTERNAL,
    RK_OIDC_EMBEDDED,
};
enum rk_oidc_mode rk_oidc_mode(const struct rk_oidc_config *c);

/* Part of a service's own check; the message names the setting and what to write. */
int rk_oidc_config_check(const struct rk_oidc_config *c, struct rk_err *err);

/* Who checks tokens under this configuration; NULL when the mode is off. */
struct rk_verifier *rk_oidc_verifier_new(const struct rk_oidc_config *c);

/* For what else is fetched: upstream providers of the embedded one. */
struct rk_fetch_rules rk_oidc_fetch_rules(const struct rk_oidc_config *c);

#define RK_OIDC_CLIENT_DASHBOARD "netbird-dashboard"
#define RK_OIDC_CLIENT_CLI "netbird-cli"
#define RK_OIDC_EMBEDDED_SCOPE "openid profile email groups"

/* The embedded provider's issuer, public_url with /oauth2 unless oidc_issuer is given; appended
 * (nothing in the other modes). */
void rk_oidc_embedded_issuer(const struct rk_oidc_config *c, struct rk_buf *out);

/* What agents are told of a flow: configuration, completed by what the provider's discovery says.
 * Strings of the arena. */
struct rk_oidc_flow {
    const char *client_id;
    const char *domain; /* device only: the provider's host */
    const char *audience;
    const char *device_authorization_endpoint;
    const char *token_endpoint;
    const char *authorization_endpoint;
    const char *scope;
    bool use_id_token;
    const struct rk_str *redirect_urls;
    size_t redirect_urls_n;
    bool disable_prompt_login;
    int login_flag;
};
/* RK_NOT_FOUND: there is no such flow, with the text that agents get. RK_UNAVAILABLE: discovery has
 * not answered yet. */
int rk_oidc_device_flow(const struct rk_oidc_config *c,
                        struct rk_verifier *v,
                        struct rk_arena *arena,
                        struct rk_oidc_flow *out,
                        struct rk_err *err) RK_CHECKED;
int rk_oidc_pkce_flow(const struct rk_oidc_config *c,
                      struct rk_verifier *v,
                      struct rk_arena *arena,
                      struct rk_oidc_flow *out,
                      struct rk_err *err) RK_CHECKED;

/* What agents' SSH servers check tokens with (SSHConfig.JWTConfig). RK_NOT_FOUND: sign-in is off;
 * RK_UNAVAILABLE as above. */
struct rk_oidc_ssh {
    const char *issuer;
    const char *keys_location;
    const char *audience; /* the deprecated single one */
    struct rk_str audiences[2];
    size_t audiences_n;
    const char *user_claim;
};
int rk_oidc_ssh(const struct rk_oidc_config *c,
                struct rk_verifier *v,
                struct rk_arena *arena,
                struct rk_oidc_ssh *out,
                struct rk_err *err) RK_CHECKED;
