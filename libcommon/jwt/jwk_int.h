#pragma once

/* A key of a set as the token check sees it. For this directory and its tests. */

#include <stdatomic.h>

#include <cjose/cjose.h>
#include <openssl/evp.h>

#include "libcommon/jwt/jwk.h"

struct rk_jwk {
    char *kid;
    enum rk_jwk_kind kind;
    char alg[16];       /* the only algorithm it is for; "" = any of its kind */
    size_t rsa_bytes;   /* of the modulus */
    cjose_jwk_t *cjose; /* RSA and EC */
    EVP_PKEY *ed25519;  /* Ed25519 */
};

struct rk_jwks {
    _Atomic unsigned refs;
    size_t n;
    struct rk_jwk keys[];
};
