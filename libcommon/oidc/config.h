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

#define RK_OIDC_ROW(struct_, member_, key_, type_, def_, help_)                                    \
    {                                                                                              \
        .key = #key_, .type = RK_SET_##type_, .offset = offsetof(struct_, member_.key_),           \
        .def = def_, .help = help_                                                                 \
    }

#define RK_OIDC_SETTINGS(struct_, member_)                                                         \
    RK_OIDC_ROW(struct_, member_, public_url, STRING, "",                                          \
                "https://host[:port] at which browsers and agents reach this deployment"),         \
        RK_OIDC_ROW(struct_, member_, oidc_embedded, BOOL, "false",                                \
                    "sign-in by the provider built into dashboard-api"),                           \
        RK_OIDC_ROW(struct_, member_, oidc_issuer, STRING, "",                                     \
                    "issuer of the tokens, to the letter; embedded: public_url with /oauth2"),     \
        RK_OIDC_ROW(struct_, member_, oidc_discovery_url, STRING, "",                              \
                    "URL of the provider's /.well-known/openid-configuration"),                    \
        RK_OIDC_ROW(struct_, member_, oidc_keys_url, STRING, "",                                   \
                    "URL of its key set; empty = as its discovery document says"),                 \
        RK_OIDC_ROW(struct_, member_, oidc_audience, STRING, "",                                   \
                    "audience that tokens must have; embedded: netbird-dashboard"),                \
        RK_OIDC_ROW(struct_, member_, oidc_extra_audiences, STRING, "",                            \
                    "comma list of further audiences accepted"),                                   \
        RK_OIDC_ROW(struct_, member_, oidc_cli_audience, STRING, "",                               \
                    "audience of tokens for SSH; accepted too; embedded: netbird-cli"),            \
        RK_OIDC_ROW(struct_, member_, oidc_user_claim, STRING, "sub",                              \
                    "claim that is the user's id"),                                                \
        RK_OIDC_ROW(                                                                               \
            struct_, member_, oidc_account_claims, BOOL, "false",                                  \
            "believe the token's wt_account_* claims; for a provider where users cannot set "      \
            "them"),                                                                               \
        RK_OIDC_ROW(struct_, member_, oidc_allow_private_issuers, BOOL, "false",                   \
                    "providers may have private and loopback addresses, and http on loopback"),    \
        RK_OIDC_ROW(struct_, member_, oidc_ca_file, STRING, "",                                    \
                    "certificates (PEM) believed of providers besides the system's"),              \
        RK_OIDC_ROW(struct_, member_, oidc_device_client_id, STRING, "",                           \
                    "client id of agents' device flow; empty = no device flow"),                   \
        RK_OIDC_ROW(struct_, member_, oidc_device_audience, STRING, "",                            \
                    "audience that agents ask for; empty = oidc_audience; accepted too"),          \
        RK_OIDC_ROW(struct_, member_, oidc_device_scope, STRING, "openid profile email",           \
                    "scopes that agents ask for"),                                                 \
        RK_OIDC_ROW(struct_, member_, oidc_device_endpoint, STRING, "",                            \
                    "device authorization endpoint; empty = as discovered"),                       \
        RK_OIDC_ROW(struct_, member_, oidc_device_token_endpoint, STRING, "",                      \
                    "token endpoint of the device flow; empty = as discovered"),                   \
        RK_OIDC_ROW(struct_, member_, oidc_device_use_id_token, BOOL, "false",                     \
                    "agents send the ID token in place of the access token"),                      \
        RK_OIDC_ROW(struct_, member_, oidc_pkce_client_id, STRING, "",                             \
                    "client id of agents' browser flow; empty = no browser flow"),                 \
        RK_OIDC_ROW(struct_, member_, oidc_pkce_audience, STRING, "",                              \
                    "audience that agents ask for; empty = oidc_audience; accepted too"),          \
        RK_OIDC_ROW(struct_, member_, oidc_pkce_scope, STRING, "openid profile email",             \
                    "scopes that agents ask for"),                                                 \
        RK_OIDC_ROW(struct_, member_, oidc_pkce_authorization_endpoint, STRING, "",                \
                    "authorization endpoint; empty = as discovered"),                              \
        RK_OIDC_ROW(struct_, member_, oidc_pkce_token_endpoint, STRING, "",                        \
                    "token endpoint of the browser flow; empty = as discovered"),                  \
        RK_OIDC_ROW(struct_, member_, oidc_pkce_redirect_urls, STRING,                             \
                    "http://localhost:53000/,http://localhost:54000/",                             \
                    "comma list of where agents listen for the browser; the first free port is "   \
                    "taken"),                                                                      \
        RK_OIDC_ROW(struct_, member_, oidc_pkce_use_id_token, BOOL, "false",                       \
                    "agents send the ID token in place of the access token"),                      \
        RK_OIDC_ROW(struct_, member_, oidc_pkce_disable_prompt_login, BOOL, "false",               \
                    "agents do not ask for a fresh login"),                                        \
        { .key = "oidc_pkce_login_flag",                                                           \
          .type = RK_SET_INT,                                                                      \
          .offset = offsetof(struct_, member_.oidc_pkce_login_flag),                               \
          .def = "0",                                                                              \
          .help = "how agents ask for a fresh login: 0 prompt=login, 1 max_age=0, 2 not at all",   \
          .max = 2 },                                                                              \
        RK_OIDC_ROW(struct_, member_, oidc_single_account, BOOL, "true",                           \
                    "everybody who signs in joins the one account, while there is one"),           \
        RK_OIDC_ROW(struct_, member_, oidc_single_account_domain, STRING, "netbird.selfhosted",    \
                    "domain of that account")

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
