#pragma once

/*
 * Claims: what an ID token and an access token say. Both say the same of the person, by the scope;
 * an access token has neither nonce nor hashes, and names its grant in its jti, by which the two
 * kinds are told apart. Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "services/dashboard-api/oauth/identity.h"
#include "services/dashboard-api/oauth/refresh_token.h"

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
#define JTI_LEN (1 + 2 * REFRESH_ID_LEN + 16)
/* "a" and the grant's id, or "i" and a random one; then 16 random digits. */
void claims_jti(bool access, struct rk_str grant_id, char out[JTI_LEN + 1]);
/* The grant that an access token names. False: an ID token, or none of ours. */
bool claims_jti_grant(const char *jti, uint8_t out[REFRESH_ID_LEN]);

void claims_write_access(const struct claims *c, const char *jti, struct rk_buf *out);
void claims_write_id(const struct claims *c, const char *jti, struct rk_buf *out);
