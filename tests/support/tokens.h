#pragma once

/* Keys of an identity provider and tokens signed with them, by OpenSSL alone. */

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/encode.h"
#include "libcommon/jwt/jwk_int.h"
#include "tests/support/test.h"

struct token_key {
    EVP_PKEY *key;
    const char *kid;
    const char *alg;
};

static const EVP_MD *token_digest(const char *alg)
{
    return strstr(alg, "256") ? EVP_sha256() : strstr(alg, "384") ? EVP_sha384() : EVP_sha512();
}

static RK_UNUSED struct token_key token_key_new(const char *alg, const char *kid)
{
    EVP_PKEY *key = NULL;

    if (alg[0] == 'R' || alg[0] == 'P')
        key = EVP_RSA_gen(2048);
    else if (strcmp(alg, "EdDSA") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        key = EVP_EC_gen(strcmp(alg, "ES256") == 0   ? "P-256"
                         : strcmp(alg, "ES384") == 0 ? "P-384"
                                                     : "P-521");
    assert_non_null(key);
    return (struct token_key){ key, kid, alg };
}

static RK_UNUSED void token_key_done(struct token_key *k)
{
    EVP_PKEY_free(k->key);
}
RK_DEFINE_AUTO_DONE(struct token_key, token_key_done)

static char *token_b64url(struct rk_arena *a, const void *p, size_t n)
{
    char *out = rk_arena_alloc(a, RK_B64URL_LEN(n) + 1);

    rk_b64url_encode(p, n, out);
    return out;
}

static char *token_number(struct rk_arena *a, EVP_PKEY *key, const char *name, int width)
{
    uint8_t buf[1100];
    BIGNUM *bn = NULL;

    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &bn), 1);
    if (width == 0)
        width = BN_num_bytes(bn);
    assert_int_equal(BN_bn2binpad(bn, buf, width), width);
    BN_free(bn);
    return token_b64url(a, buf, (size_t)width);
}

/* Whether a set has a key of that name. */
static RK_UNUSED bool token_set_has(const struct rk_jwks *s, const char *kid)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->keys[i].kid, kid) == 0)
            return true;
    return false;
}

/* `more` is added as it is: ",\"use\":\"sig\"". */
static RK_UNUSED char *token_jwk(struct rk_arena *a, const struct token_key *k, const char *more)
{
    int width;
    uint8_t raw[32];
    size_t n = sizeof(raw);

    switch (EVP_PKEY_get_base_id(k->key)) {
    case EVP_PKEY_RSA:
        return rk_arena_printf(a, "{\"kty\":\"RSA\",\"kid\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"%s}",
                               k->kid, token_number(a, k->key, OSSL_PKEY_PARAM_RSA_N, 0),
                               token_number(a, k->key, OSSL_PKEY_PARAM_RSA_E, 0), more);
    case EVP_PKEY_EC:
        width = (EVP_PKEY_get_bits(k->key) + 7) / 8;
        return rk_arena_printf(
            a, "{\"kty\":\"EC\",\"crv\":\"P-%d\",\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"%s}",
            EVP_PKEY_get_bits(k->key), k->kid,
            token_number(a, k->key, OSSL_PKEY_PARAM_EC_PUB_X, width),
            token_number(a, k->key, OSSL_PKEY_PARAM_EC_PUB_Y, width), more);
    default:
        assert_int_equal(EVP_PKEY_get_raw_public_key(k->key, raw, &n), 1);
        return rk_arena_printf(
            a, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%s\",\"x\":\"%s\"%s}", k->kid,
            token_b64url(a, raw, n), more);
    }
}

/* r and s, each as wide as the curve, of a DER signature. */
static size_t token_raw_signature(const uint8_t *der, size_t n, int width, uint8_t *out)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);

    assert_non_null(sig);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, width), width);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + width, width), width);
    ECDSA_SIG_free(sig);
    return (size_t)width * 2;
}

/* header.payload.signature of JSON texts, signed as `alg` says with the key. */
static RK_UNUSED char *token_sign(struct rk_arena *a,
                                  const struct token_key *k,
                                  const char *alg,
                                  const char *header,
                                  const char *claims)
{
    char *text = rk_arena_printf(a, "%s.%s", token_b64url(a, header, strlen(header)),
                                 token_b64url(a, claims, strlen(claims)));
    const EVP_MD *digest = strcmp(alg, "EdDSA") == 0 ? NULL : token_digest(alg);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    uint8_t sig[1100], raw[140];
    size_t n = sizeof(sig);

    assert_int_equal(EVP_DigestSignInit(ctx, &pctx, digest, NULL, k->key), 1);
    if (alg[0] == 'P') {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(ctx, sig, &n, (const uint8_t *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_get_base_id(k->key) == EVP_PKEY_EC) {
        n = token_raw_signature(sig, n, (EVP_PKEY_get_bits(k->key) + 7) / 8, raw);
        memcpy(sig, raw, n);
    }
    return rk_arena_printf(a, "%s.%s", text, token_b64url(a, sig, n));
}

/* The ordinary header. */
static RK_UNUSED char *token_make(struct rk_arena *a, const struct token_key *k, const char *claims)
{
    return token_sign(
        a, k, k->alg,
        rk_arena_printf(a, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\"}", k->alg, k->kid),
        claims);
}
