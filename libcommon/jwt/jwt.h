#pragma once

/*
 * JSON Web Tokens: every check of a signed compact token in one place, and signing RS256. Any
 * thread; nothing here waits for anything.
 *
 * RS, PS and ES with 256, 384 and 512, and EdDSA; everything else is refused before a key is looked
 * up. The key comes from the given set alone, by kid; what a token's header says about keys (jku,
 * jwk, x5u, x5c) is never used, and a header with crit is refused. Members that stand twice are
 * refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/jwt/jwk.h"
#include "libcommon/jwt/signer.h"

#define RK_JWT_MAX ((size_t)16 * 1024)
/* Clocks of others: allowed on nbf and iat, never on exp. */
#define RK_JWT_LEEWAY_S 60

/* What stopped a token, in the order of the checks; the label of a metric. */
enum rk_jwt_refusal {
    RK_JWT_ACCEPTED,
    RK_JWT_MALFORMED, /* size, parts, JSON, header, no kid */
    RK_JWT_ALGORITHM, /* not one of ours, or not the key's */
    RK_JWT_KEY,       /* no key of that kid: the only one that other keys may cure */
    RK_JWT_SIGNATURE,
    RK_JWT_ISSUER,
    RK_JWT_AUDIENCE,
    RK_JWT_TIME, /* exp, nbf, iat */
    RK_JWT_USER, /* no user id */
    RK_JWT_REFUSALS,
};

struct rk_jwt_expect {
    const char *issuer;             /* equal byte by byte */
    const struct rk_str *audiences; /* one of them is enough */
    size_t audiences_n;
    const char *user_claim; /* NULL: "sub" */
    int64_t now_s;          /* 0: the clock's */
};

/* What a good token says. Strings are of the arena, end with NUL, and are "" when absent or not a
 * string. */
struct rk_claims {
    const char *user_id;
    const char *issuer;
    const char *subject;
    const char *email;
    const char *name;
    const char *preferred_username;
    const char *nonce;
    bool email_verified;
    int64_t expires_s;
    int64_t issued_s;
    int64_t auth_time_s; /* 0: absent */
    /* SHA-256 of what was signed. Names the token for single use: unlike a hash of all of it, it
     * does not change with another signature that is as good. */
    uint8_t hash[32];
    struct rk_str payload; /* the claims as JSON */

    /* Claims of the namespace `<audience>/`; see rk_claims_read_account. */
    const char *account_id;
    const char *account_domain;
    const char *account_domain_category;
    int64_t last_login_us; /* RK_TIME_UNSET: absent */
    bool invited;
};

/*
 * 0 and *out; else RK_UNAUTHENTICATED with the reason, for the log, in `err` (never any part of the
 * token) and *out_why (may be NULL). The arena needs 64 KiB at most.
 */
int rk_jwt_verify(const struct rk_jwks *keys,
                  struct rk_str token,
                  const struct rk_jwt_expect *expect,
                  struct rk_arena *arena,
                  struct rk_claims *out,
                  enum rk_jwt_refusal *out_why,
                  struct rk_err *err) RK_CHECKED;

/* Fills the last members from claims named `<audience>/wt_account_id` and so on (no slash when the
 * audience is not a URL). Only for a provider that users cannot make say what they like. */
void rk_claims_read_account(struct rk_claims *c, const char *audience, struct rk_arena *arena);

/* Any other claim of a verified token. A wrong type is as good as none. */
const char *rk_claims_str(const struct rk_claims *c, const char *name, struct rk_arena *arena);
/* A string is a list of one; what is not a string in an array is left out; at most `max`. Returns
 * how many. *out_present (may be NULL): the claim is there as a string or an array. */
size_t rk_claims_list(const struct rk_claims *c,
                      const char *name,
                      struct rk_arena *arena,
                      struct rk_str *out,
                      size_t max,
                      bool *out_present);

/* Appends header.payload.signature: RS256, typ JWT, the signer's kid. `claims` is JSON. */
int rk_jwt_sign(const struct rk_signer *s,
                struct rk_str claims,
                struct rk_buf *out,
                struct rk_err *err) RK_CHECKED;
/* at_hash and c_hash of OpenID Connect for RS256: the left half of SHA-256, base64url. */
#define RK_JWT_HALF_HASH_LEN 22
void rk_jwt_half_hash(struct rk_str token, char out[RK_JWT_HALF_HASH_LEN + 1]);
