/* See kind.h. */

#include "services/dashboard-api/connector/kind.h"

#define PLAIN "openid profile email"

static const struct kind kinds[RK_CONNECTOR_KINDS] = {
    [RK_CONNECTOR_OIDC] = { .scope = PLAIN, .user_claim = "sub", .ask_again = "login" },
    [RK_CONNECTOR_ZITADEL] = { .scope = PLAIN,
                               .user_claim = "sub",
                               .ask_again = "login",
                               .asks_userinfo = true },
    /* Its sub differs from one registration to the next; oid is the person's in the directory. */
    [RK_CONNECTOR_ENTRA] = { .scope = PLAIN,
                             .user_claim = "oid",
                             .ask_again = "login",
                             .gives_logins = true,
                             .pkce = true },
    [RK_CONNECTOR_GOOGLE] = { .issuer = "https://accounts.google.com",
                              .scope = PLAIN,
                              .user_claim = "sub",
                              .ask_again = "select_account" },
    [RK_CONNECTOR_OKTA] = { .scope = PLAIN " groups",
                            .user_claim = "sub",
                            .ask_again = "login",
                            .gives_logins = true,
                            .secret_in_body = true,
                            .no_logout = true },
    [RK_CONNECTOR_POCKETID] = { .scope = PLAIN " groups",
                                .user_claim = "sub",
                                .ask_again = "login" },
    [RK_CONNECTOR_MICROSOFT] = { .issuer = "https://login.microsoftonline.com/common/v2.0",
                                 .scope = PLAIN " User.Read",
                                 .user_claim = "id",
                                 .ask_again = "login",
                                 .secret_in_body = true,
                                 .pkce = true,
                                 .graph = true },
    [RK_CONNECTOR_AUTHENTIK] = { .scope = PLAIN, .user_claim = "sub", .ask_again = "login" },
    [RK_CONNECTOR_KEYCLOAK] = { .scope = PLAIN, .user_claim = "sub", .ask_again = "login" },
    [RK_CONNECTOR_ADFS] = { .scope = PLAIN " allatclaims",
                            .user_claim = "sub",
                            .ask_again = "login",
                            .gives_logins = true,
                            .no_userinfo = true },
};

const struct kind *kind_of(enum rk_connector_kind kind)
{
    return &kinds[kind];
}
