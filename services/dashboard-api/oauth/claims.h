#pragma once

/*
 * Claims: what an ID token and an access token say. Both say the same of the person, by the scope;
 * an access token has neither nonce nor hashes. Each names its grant in its jti, by which the two
 * kinds are told apart (libcommon/account/rules/grant_name.h). Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "services/dashboard-api/oauth/identity.h"

struct claims {
    const char *issuer;
    const char *client_id;
    const struct identity *who;
    unsigned scope;
    int64_t now_s, lives_s, auth_time_s;
    const char *nonce;        /* "" = none; ID token */
    const char *access_token; /* whose at_hash goes in; ID token */
    const char *code;         /* whose c_hash goes in, NULL = none; ID token */
};

#define CLAIMS_MAX ((size_t)256 << 10)
void claims_write_access(const struct claims *c, const char *jti, struct rk_buf *out);
void claims_write_id(const struct claims *c, const char *jti, struct rk_buf *out);
