#include "libcommon/jwt/jwk_int.h"

/*
 * Reading key sets. Numbers are decoded here, strictly, and handed to libcjose as bytes, so that
 * its own lenient reader never sees what a stranger wrote.
 */

#include <stdlib.h>

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/encode.h"
#include "libcommon/jwt/member.h"

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192
#define RSA_MAX_E 4 /* bytes; a long exponent only costs time */
#define EC_MAX 66
#define MAX_CERTIFICATE 16384

static const struct curve {
    const char *name;
    enum rk_jwk_kind kind;
    cjose_jwk_ec_curve cjose;
    size_t bytes;
} curves[] = {
    { "P-256", RK_JWK_P256, CJOSE_JWK_EC_P_256, 32 },
    { "P-384", RK_JWK_P384, CJOSE_JWK_EC_P_384, 48 },
    { "P-521", RK_JWK_P521, CJOSE_JWK_EC_P_521, 66 },
};

/* A number without its leading zeros. */
static bool number(struct rk_str text, uint8_t *buf, size_t max, uint8_t **out, size_t *out_n)
{
    size_t n, skip = 0;

    if (text.n == 0 || !rk_b64url_decode(text, buf, max, &n))
        return false;
    while (skip < n && buf[skip] == 0)
        skip++;
    *out = buf + skip;
    *out_n = n - skip;
    return *out_n > 0;
}

static unsigned bits_of(const uint8_t *p, size_t n)
{
    unsigned bits = (unsigned)(n - 1) * 8;

    for (unsigned top = p[0]; top > 0; top >>= 1)
        bits++;
    return bits;
}

static bool rsa_take(struct rk_jwk *k, uint8_t *n, size_t n_len, uint8_t *e, size_t e_len)
{
    cjose_jwk_rsa_keyspec spec = { .n = n, .nlen = n_len, .e = e, .elen = e_len };
    unsigned bits = bits_of(n, n_len);

    if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS || (n[n_len - 1] & 1) == 0)
        return false;
    if (e_len > RSA_MAX_E || (e[e_len - 1] & 1) == 0 || (e_len == 1 && e[0] < 3))
        return false;
    k->kind = RK_JWK_RSA;
    k->rsa_bytes = n_len;
    k->cjose = cjose_jwk_create_RSA_spec(&spec, NULL);
    return k->cjose != NULL;
}

static bool bn_param(const EVP_PKEY *key, const char *name, uint8_t *buf, size_t max, size_t *out_n)
{
    BIGNUM *bn = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, name, &bn) == 1 && BN_num_bytes(bn) > 0 &&
              (size_t)BN_num_bytes(bn) <= max;

    if (ok)
        *out_n = (size_t)BN_bn2bin(bn, buf);
    BN_free(bn);
    return ok;
}

/* The RSA key of the first certificate of x5c. */
static bool certificate_take(struct rk_jwk *k, const json_t *x5c)
{
    const json_t *first = json_array_get(x5c, 0);
    struct rk_str text = rk_json_text(first);
    uint8_t der[MAX_CERTIFICATE], n[RSA_MAX_BITS / 8], e[RSA_MAX_E];
    const unsigned char *at = der;
    size_t der_n, n_len, e_len;
    EVP_PKEY *key;
    X509 *cert;
    bool ok;

    if (text.n == 0 || !rk_b64_decode(text, der, sizeof(der), &der_n))
        return false;
    cert = d2i_X509(NULL, &at, (long)der_n);
    key = cert ? X509_get0_pubkey(cert) : NULL;
    ok = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
         bn_param(key, OSSL_PKEY_PARAM_RSA_N, n, sizeof(n), &n_len) &&
         bn_param(key, OSSL_PKEY_PARAM_RSA_E, e, sizeof(e), &e_len) &&
         rsa_take(k, n, n_len, e, e_len);
    X509_free(cert);
    return ok;
}

static bool rsa_read(struct rk_jwk *k, const json_t *o)
{
    uint8_t n[RSA_MAX_BITS / 8 + 1], e[16], *n_at, *e_at;
    size_t n_len, e_len;

    if (!json_object_get(o, "n") && !json_object_get(o, "e"))
        return certificate_take(k, json_object_get(o, "x5c"));
    return number(rk_json_member(o, "n"), n, sizeof(n), &n_at, &n_len) &&
           number(rk_json_member(o, "e"), e, sizeof(e), &e_at, &e_len) &&
           rsa_take(k, n_at, n_len, e_at, e_len);
}

static bool ec_read(struct rk_jwk *k, const json_t *o)
{
    struct rk_str name = rk_json_member(o, "crv");
    uint8_t x[EC_MAX], y[EC_MAX];
    cjose_jwk_ec_keyspec spec = { .x = x, .y = y };

    for (size_t i = 0; i < RK_COUNT(curves); i++) {
        const struct curve *c = &curves[i];

        if (!rk_str_eq(rk_str(c->name), name))
            continue;
        if (!rk_b64url_decode(rk_json_member(o, "x"), x, sizeof(x), &spec.xlen) ||
            spec.xlen != c->bytes ||
            !rk_b64url_decode(rk_json_member(o, "y"), y, sizeof(y), &spec.ylen) ||
            spec.ylen != c->bytes)
            return false;
        spec.crv = c->cjose;
        k->kind = c->kind;
        k->cjose = cjose_jwk_create_EC_spec(&spec, NULL); /* refuses points off the curve */
        return k->cjose != NULL;
    }
    return false;
}

static bool okp_read(struct rk_jwk *k, const json_t *o)
{
    uint8_t x[32];
    size_t n;

    if (!rk_str_eq(rk_json_member(o, "crv"), RK_STR("Ed25519")) ||
        !rk_b64url_decode(rk_json_member(o, "x"), x, sizeof(x), &n) || n != sizeof(x))
        return false;
    k->kind = RK_JWK_ED25519;
    k->ed25519 = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, n);
    return k->ed25519 != NULL;
}

static bool jwk_read(struct rk_jwk *k, const json_t *o)
{
    static const struct {
        const char *kty;
        bool (*read)(struct rk_jwk *k, const json_t *o);
    } kinds[] = { { "RSA", rsa_read }, { "EC", ec_read }, { "OKP", okp_read } };
    struct rk_str kid = rk_json_member(o, "kid"), kty = rk_json_member(o, "kty");

    if (kid.n == 0 || kid.n > RK_JWK_MAX_KID)
        return false;
    if (json_object_get(o, "use") && !rk_str_eq(rk_json_member(o, "use"), RK_STR("sig")))
        return false;
    if (json_object_get(o, "alg") &&
        (rk_json_member(o, "alg").n == 0 ||
         !rk_str_copy(rk_json_member(o, "alg"), k->alg, sizeof(k->alg))))
        return false;
    for (size_t i = 0; i < RK_COUNT(kinds); i++) {
        if (!rk_str_eq(rk_str(kinds[i].kty), kty))
            continue;
        if (!kinds[i].read(k, o))
            return false;
        k->kid = rk_strndup(kid.p, kid.n);
        return true;
    }
    return false;
}

static struct rk_jwks *set_new(size_t max)
{
    struct rk_jwks *s = rk_zalloc(sizeof(*s) + max * sizeof(s->keys[0]));

    atomic_init(&s->refs, 1);
    return s;
}

static void take(struct rk_jwks *s, const json_t *o)
{
    struct rk_jwk k = { 0 };

    if (jwk_read(&k, o))
        s->keys[s->n++] = k;
    else
        ERR_clear_error();
}

static json_t *load(struct rk_str text)
{
    return text.n > RK_JWKS_MAX_BYTES
               ? NULL
               : json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, NULL);
}

int rk_jwks_parse(struct rk_str json, struct rk_jwks **out, struct rk_err *err)
{
    rk_auto(rk_jwks_unref) struct rk_jwks *s = NULL;
    json_t *root, *keys;
    size_t n;

    if (json.n > RK_JWKS_MAX_BYTES)
        return rk_fail(err, RK_INVALID, "key set: more than 1 MiB");
    root = load(json);
    keys = json_object_get(root, "keys");
    n = json_array_size(keys);
    if (!json_is_array(keys) || n > RK_JWKS_MAX_KEYS) {
        json_decref(root);
        return rk_fail(err, RK_INVALID, "key set: not JSON with at most %d keys in an array keys",
                       RK_JWKS_MAX_KEYS);
    }
    s = set_new(n);
    for (size_t i = 0; i < n; i++)
        take(s, json_array_get(keys, i));
    json_decref(root);
    if (s->n == 0)
        return rk_fail(err, RK_INVALID, "key set: none of its %zu keys can be used", n);
    *out = rk_steal(s);
    return 0;
}

int rk_jwks_from_keys(const struct rk_str *keys, size_t n, struct rk_jwks **out, struct rk_err *err)
{
    rk_auto(rk_jwks_unref) struct rk_jwks *s = NULL;

    if (n > RK_JWKS_MAX_KEYS)
        return rk_fail(err, RK_INVALID, "key set: more than %d keys", RK_JWKS_MAX_KEYS);
    s = set_new(n);
    for (size_t i = 0; i < n; i++) {
        json_t *o = load(keys[i]);

        take(s, o);
        json_decref(o);
    }
    *out = rk_steal(s);
    return 0;
}

struct rk_jwks *rk_jwks_ref(struct rk_jwks *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void rk_jwks_unref(struct rk_jwks *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < s->n; i++) {
        free(s->keys[i].kid);
        cjose_jwk_release(s->keys[i].cjose);
        EVP_PKEY_free(s->keys[i].ed25519);
    }
    free(s);
}

size_t rk_jwks_count(const struct rk_jwks *s)
{
    return s->n;
}
