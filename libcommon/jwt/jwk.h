#pragma once

/*
 * JSON Web Keys: immutable, counted sets of public keys, as an identity provider publishes them.
 * Any thread.
 *
 * RSA of 2048 to 8192 bits, EC on P-256, P-384 and P-521, and Ed25519. An entry that cannot be
 * read, is too weak, is not for signatures or has no kid is left out and does not spoil the set.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define RK_JWKS_MAX_BYTES ((size_t)1 << 20)
#define RK_JWKS_MAX_KEYS 100
#define RK_JWK_MAX_KID 256

enum rk_jwk_kind {
    RK_JWK_RSA,
    RK_JWK_P256,
    RK_JWK_P384,
    RK_JWK_P521,
    RK_JWK_ED25519,
};

struct rk_jwk;
struct rk_jwks;

/* One reference in *out. RK_INVALID: not a set, over a limit, a member twice, or no usable key. */
int rk_jwks_parse(struct rk_str json, struct rk_jwks **out, struct rk_err *err) RK_CHECKED;
/* The same from single keys, each a JWK as text. A set may be empty here. */
int rk_jwks_from_keys(const struct rk_str *keys, size_t n, struct rk_jwks **out, struct rk_err *err)
    RK_CHECKED;
struct rk_jwks *rk_jwks_ref(struct rk_jwks *s);
void rk_jwks_unref(struct rk_jwks *s);
RK_DEFINE_AUTO(struct rk_jwks, rk_jwks_unref)

size_t rk_jwks_count(const struct rk_jwks *s);
