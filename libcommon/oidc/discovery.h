#pragma once

/*
 * The discovery document of an OpenID Connect provider: asked for and believed only when its issuer
 * is the one expected and its endpoints are https. Any thread that may wait (fetch); any (parse).
 */

#include <stdbool.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/oidc/fetch.h"

#define RK_DISCOVERY_PATH "/.well-known/openid-configuration"

/* Strings of the arena; "" = the document does not have it. */
struct rk_discovery {
    const char *issuer;
    const char *authorization_endpoint;
    const char *token_endpoint;
    const char *jwks_uri;
    const char *userinfo_endpoint;
    const char *device_authorization_endpoint;
    const char *end_session_endpoint;
    bool iss_parameter; /* authorization_response_iss_parameter_supported */
    bool s256;          /* code_challenge_methods_supported has S256 */
    bool auth_basic;    /* client_secret_basic; also when the member is absent */
    bool auth_post;     /* client_secret_post */
    bool scopes_told;   /* scopes_supported is there: the next two mean something */
    bool scope_offline; /* offline_access */
    bool scope_groups;  /* groups */
};

/* RK_INVALID: not JSON, another issuer, no jwks_uri or an endpoint that rk_fetch would refuse. The
 * message names the member, not its value. */
int rk_discovery_parse(const struct rk_fetch_rules *rules,
                       struct rk_str json,
                       const char *issuer,
                       struct rk_arena *arena,
                       struct rk_discovery *out,
                       struct rk_err *err) RK_CHECKED;

/* Asks the issuer. Also rk_fetch's errors, and RK_UNAVAILABLE for a status that is not 200. */
int rk_discovery_fetch(const struct rk_fetch_rules *rules,
                       const char *issuer,
                       struct rk_arena *arena,
                       struct rk_discovery *out,
                       struct rk_err *err) RK_CHECKED;
/* The same from the document's URL, which ends with RK_DISCOVERY_PATH: the issuer is what stands
 * before it, or that with a slash. */
int rk_discovery_fetch_url(const struct rk_fetch_rules *rules,
                           const char *url,
                           struct rk_arena *arena,
                           struct rk_discovery *out,
                           struct rk_err *err) RK_CHECKED;
/* Where the issuer's document is. */
const char *rk_discovery_url(const char *issuer, struct rk_arena *arena);
