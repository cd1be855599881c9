#include "libcommon/jwt/signer_int.h"

/* The private half: keys that sign, named by their thumbprint. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/encode.h"
#include "libcommon/base/json.h"
#include "libcommon/crypto/hash.h"

#define BITS 2048
#define MAX_NUMBER (BITS / 8)

/* A number of the key, base64url; our own key cannot fail. */
static void
number(const struct rk_signer *s, const char *name, char out[RK_B64URL_LEN(MAX_NUMBER) + 1])
{
    uint8_t buf[MAX_NUMBER];
    BIGNUM *bn = NULL;
    int ok = EVP_PKEY_get_bn_param(s->key, name, &bn);

    assert(ok == 1 && BN_num_bytes(bn) <= MAX_NUMBER);
    rk_b64url_encode(buf, (size_t)BN_bn2bin(bn, buf), out);
    BN_free(bn);
}

/* RFC 7638: the required members, in order, without white space. */
static void name_it(struct rk_signer *s)
{
    char n[RK_B64URL_LEN(MAX_NUMBER) + 1], e[RK_B64URL_LEN(MAX_NUMBER) + 1];
    char text[1024];
    uint8_t digest[32];
    int len;

    number(s, OSSL_PKEY_PARAM_RSA_N, n);
    number(s, OSSL_PKEY_PARAM_RSA_E, e);
    len = snprintf(text, sizeof(text), "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", e, n);
    assert(len > 0 && (size_t)len < sizeof(text));
    rk_sha256(text, (size_t)len, digest);
    rk_hex_encode(digest, RK_SIGNER_KID_LEN / 2, s->kid);
}

static struct rk_signer *signer_of(EVP_PKEY *key)
{
    struct rk_signer *s = rk_new(struct rk_signer);

    s->key = key;
    name_it(s);
    return s;
}

struct rk_signer *rk_signer_new(void)
{
    EVP_PKEY *key = EVP_RSA_gen(BITS);

    assert(key);
    return signer_of(key);
}

int rk_signer_load(struct rk_str der, struct rk_signer **out, struct rk_err *err)
{
    const unsigned char *at = (const unsigned char *)der.p;
    PKCS8_PRIV_KEY_INFO *info;
    EVP_PKEY *key;

    if (der.n == 0 || der.n > RK_SIGNER_MAX_DER)
        return rk_fail(err, RK_INVALID, "signing key: not a PKCS #8 key");
    info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.n);
    key = info ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) != BITS) {
        EVP_PKEY_free(key);
        ERR_clear_error();
        return rk_fail(err, RK_INVALID, "signing key: not an RSA key of %d bits", BITS);
    }
    *out = signer_of(key);
    return 0;
}

void rk_signer_free(struct rk_signer *s)
{
    if (!s)
        return;
    EVP_PKEY_free(s->key);
    free(s);
}

const char *rk_signer_kid(const struct rk_signer *s)
{
    return s->kid;
}

void rk_signer_export(const struct rk_signer *s, struct rk_buf *out)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(s->key);
    unsigned char *der = NULL;
    int n;

    assert(info);
    n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    PKCS8_PRIV_KEY_INFO_free(info);
    assert(n > 0 && n <= RK_SIGNER_MAX_DER);
    rk_buf_put(out, der, (size_t)n);
    OPENSSL_clear_free(der, (size_t)n);
}

void rk_signer_public_jwk(const struct rk_signer *s, struct rk_buf *out)
{
    char number_text[RK_B64URL_LEN(MAX_NUMBER) + 1];
    struct rk_json j;

    rk_json_init(&j, out);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "kty", "RSA");
    rk_json_cstr(&j, "use", "sig");
    rk_json_cstr(&j, "alg", "RS256");
    rk_json_cstr(&j, "kid", s->kid);
    number(s, OSSL_PKEY_PARAM_RSA_N, number_text);
    rk_json_cstr(&j, "n", number_text);
    number(s, OSSL_PKEY_PARAM_RSA_E, number_text);
    rk_json_cstr(&j, "e", number_text);
    rk_json_object_end(&j);
}
