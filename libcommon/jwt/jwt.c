#include "libcommon/jwt/jwt.h"

/*
 * The checks, in the order of the specification. libcjose takes the algorithm from the token's
 * header, so by the time it sees a token the header has been read here, the algorithm is one of the
 * table's and the key is of its kind.
 */

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <openssl/err.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/encode.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/jwt/claims_int.h"
#include "libcommon/jwt/jwk_int.h"
#include "libcommon/jwt/member.h"
#include "libcommon/jwt/signer_int.h"

#define MAX_SIGNATURE 1024
#define MAX_USER_ID 1024

static const struct algorithm {
    const char *name;
    enum rk_jwk_kind kind;
    size_t signature; /* bytes; 0: as long as the modulus */
} algorithms[] = {
    { "RS256", RK_JWK_RSA, 0 },      { "RS384", RK_JWK_RSA, 0 },   { "RS512", RK_JWK_RSA, 0 },
    { "PS256", RK_JWK_RSA, 0 },      { "PS384", RK_JWK_RSA, 0 },   { "PS512", RK_JWK_RSA, 0 },
    { "ES256", RK_JWK_P256, 64 },    { "ES384", RK_JWK_P384, 96 }, { "ES512", RK_JWK_P521, 132 },
    { "EdDSA", RK_JWK_ED25519, 64 },
};

/* One token on its way through the checks. */
struct check {
    const struct rk_jwks *keys;
    const struct rk_jwt_expect *expect;
    struct rk_arena *arena;
    struct rk_str token;
    struct rk_str signed_part; /* header.payload */
    struct rk_str payload64;
    uint8_t signature[MAX_SIGNATURE];
    size_t signature_n;
    const struct algorithm *algorithm;
    enum rk_jwt_refusal why;
    struct rk_err *err;
};

static int refuse(struct check *c, enum rk_jwt_refusal why, const char *text)
{
    c->why = why;
    return rk_fail(c->err, RK_UNAUTHENTICATED, "%s", text);
}

/* A part of the token as a JSON object; NULL when it is none. */
static json_t *part_load(struct check *c, struct rk_str part, struct rk_str *out_text)
{
    char *text = rk_arena_alloc(c->arena, part.n + 1);
    json_t *o;
    size_t n;

    if (part.n == 0 || !rk_b64url_decode(part, text, part.n, &n))
        return NULL;
    *out_text = rk_strn(text, n);
    o = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(o)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static const struct algorithm *algorithm_of(struct rk_str name)
{
    for (size_t i = 0; i < RK_COUNT(algorithms); i++)
        if (rk_str_eq(rk_str(algorithms[i].name), name))
            return &algorithms[i];
    return NULL;
}

/* The key of that kid, and of the algorithm where several have the kid. */
static int find_key(struct check *c, struct rk_str kid, const struct rk_jwk **out)
{
    bool seen = false;

    for (size_t i = 0; i < c->keys->n; i++) {
        const struct rk_jwk *k = &c->keys->keys[i];

        if (!rk_str_eq(rk_str(k->kid), kid))
            continue;
        seen = true;
        if (k->kind == c->algorithm->kind &&
            (k->alg[0] == '\0' || rk_str_eq(rk_str(k->alg), rk_str(c->algorithm->name)))) {
            *out = k;
            return 0;
        }
    }
    return seen ? refuse(c, RK_JWT_ALGORITHM, "token: its algorithm is not the key's")
                : refuse(c, RK_JWT_KEY, "token: no key has its kid");
}

static int check_header(struct check *c, const json_t *header, const struct rk_jwk **out_key)
{
    struct rk_str kid = rk_json_member(header, "kid");

    if (kid.n == 0)
        return refuse(c, RK_JWT_MALFORMED, "token: no kid");
    if (json_object_get(header, "crit"))
        return refuse(c, RK_JWT_MALFORMED, "token: it demands extensions (crit)");
    c->algorithm = algorithm_of(rk_json_member(header, "alg"));
    if (!c->algorithm)
        return refuse(c, RK_JWT_ALGORITHM, "token: its algorithm is not accepted");
    return find_key(c, kid, out_key);
}

static bool cjose_good(const struct check *c, const struct rk_jwk *key)
{
    cjose_jws_t *jws = cjose_jws_import(c->token.p, c->token.n, NULL);
    bool good = jws && cjose_jws_verify(jws, key->cjose, NULL);

    cjose_jws_release(jws);
    return good;
}

static bool ed25519_good(const struct check *c, const struct rk_jwk *key)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->ed25519) == 1 &&
                EVP_DigestVerify(ctx, c->signature, c->signature_n,
                                 (const unsigned char *)c->signed_part.p, c->signed_part.n) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

static int check_signature(struct check *c, const struct rk_jwk *key)
{
    size_t n = c->algorithm->signature ? c->algorithm->signature : key->rsa_bytes;
    bool good;

    if (c->signature_n != n)
        return refuse(c, RK_JWT_SIGNATURE, "token: its signature has another length");
    good = key->ed25519 ? ed25519_good(c, key) : cjose_good(c, key);
    if (!good) {
        ERR_clear_error();
        return refuse(c, RK_JWT_SIGNATURE, "token: its signature is wrong");
    }
    return 0;
}

/* Cuts the token and reads its signature. */
static int cut(struct check *c, struct rk_str *out_header)
{
    struct rk_str rest = c->token, signature64;

    if (c->token.n > RK_JWT_MAX)
        return refuse(c, RK_JWT_MALFORMED, "token: over 16 KiB");
    if (!rk_str_next(&rest, '.', out_header) || !rk_str_next(&rest, '.', &c->payload64) ||
        !rk_str_next(&rest, '.', &signature64) || rest.p)
        return refuse(c, RK_JWT_MALFORMED, "token: not three parts");
    if (!rk_b64url_decode(signature64, c->signature, sizeof(c->signature), &c->signature_n))
        return refuse(c, RK_JWT_MALFORMED, "token: its signature is not base64url");
    c->signed_part = rk_strn(c->token.p, out_header->n + 1 + c->payload64.n);
    return 0;
}

static bool audience_known(const struct rk_jwt_expect *e, const json_t *aud)
{
    struct rk_str text = rk_json_text(aud);

    for (size_t i = 0; i < e->audiences_n; i++)
        if (text.n > 0 && rk_str_eq(text, e->audiences[i]))
            return true;
    return false;
}

static int check_audience(struct check *c, const json_t *claims)
{
    const json_t *aud = json_object_get(claims, "aud"), *one;
    size_t i;

    if (audience_known(c->expect, aud))
        return 0;
    json_array_foreach(aud, i, one)
    {
        if (audience_known(c->expect, one))
            return 0;
    }
    return refuse(c, RK_JWT_AUDIENCE, "token: it is for another audience");
}

static int check_times(struct check *c, const json_t *claims, struct rk_claims *out)
{
    int64_t now = c->expect->now_s ? c->expect->now_s : rk_wall_s(), not_before;

    if (!claims_time(claims, "exp", &out->expires_s))
        return refuse(c, RK_JWT_TIME, "token: no exp");
    if (out->expires_s <= now)
        return refuse(c, RK_JWT_TIME, "token: it has expired");
    if (json_object_get(claims, "nbf") &&
        (!claims_time(claims, "nbf", &not_before) || not_before > now + RK_JWT_LEEWAY_S))
        return refuse(c, RK_JWT_TIME, "token: it is not valid yet");
    if (!claims_time(claims, "iat", &out->issued_s))
        return refuse(c, RK_JWT_TIME, "token: no iat");
    if (out->issued_s > now + RK_JWT_LEEWAY_S)
        return refuse(c, RK_JWT_TIME, "token: it was issued in the future");
    return 0;
}

static int check_claims(struct check *c, const json_t *claims, struct rk_claims *out)
{
    const char *user_claim = c->expect->user_claim ? c->expect->user_claim : "sub";
    struct rk_str issuer = rk_json_member(claims, "iss"), user = rk_json_member(claims, user_claim);
    int r;

    if (issuer.n == 0 || !rk_str_eq(issuer, rk_str(c->expect->issuer)))
        return refuse(c, RK_JWT_ISSUER, "token: it is of another issuer");
    r = check_audience(c, claims);
    if (r < 0)
        return r;
    r = check_times(c, claims, out);
    if (r < 0)
        return r;
    if (user.n == 0 || user.n > MAX_USER_ID)
        return refuse(c, RK_JWT_USER, "token: its claim of the user id is missing or too long");
    out->user_id = rk_arena_strn(c->arena, user);
    return 0;
}

static int check_all(struct check *c, struct rk_claims *out)
{
    const struct rk_jwk *key = NULL;
    struct rk_str header64, text;
    json_t *object;
    int r = cut(c, &header64);

    if (r < 0)
        return r;
    object = part_load(c, header64, &text);
    if (!object)
        return refuse(c, RK_JWT_MALFORMED, "token: its header is not a JSON object");
    r = check_header(c, object, &key);
    json_decref(object);
    if (r < 0)
        return r;
    r = check_signature(c, key);
    if (r < 0)
        return r;

    object = part_load(c, c->payload64, &out->payload);
    if (!object)
        return refuse(c, RK_JWT_MALFORMED, "token: its claims are not a JSON object");
    r = check_claims(c, object, out);
    if (r == 0) {
        claims_fill(out, object, c->arena);
        rk_sha256(c->signed_part.p, c->signed_part.n, out->hash);
    }
    json_decref(object);
    return r;
}

int rk_jwt_verify(const struct rk_jwks *keys,
                  struct rk_str token,
                  const struct rk_jwt_expect *expect,
                  struct rk_arena *arena,
                  struct rk_claims *out,
                  enum rk_jwt_refusal *out_why,
                  struct rk_err *err)
{
    struct check c = { .keys = keys, .expect = expect, .arena = arena, .token = token, .err = err };
    struct rk_claims claims = { .last_login_us = RK_TIME_UNSET };
    int r = check_all(&c, &claims);

    if (out_why)
        *out_why = c.why;
    if (r == 0)
        *out = claims;
    return r;
}

static void put_b64url(struct rk_buf *out, const void *p, size_t n)
{
    uint8_t *to = rk_buf_reserve(out, RK_B64URL_LEN(n) + 1);

    if (!to)
        return;
    rk_b64url_encode(p, n, (char *)to);
    rk_buf_commit(out, RK_B64URL_LEN(n));
}

int rk_jwt_sign(const struct rk_signer *s,
                struct rk_str claims,
                struct rk_buf *out,
                struct rk_err *err)
{
    size_t from = out->n, n = MAX_SIGNATURE;
    uint8_t signature[MAX_SIGNATURE];
    EVP_MD_CTX *ctx;
    char header[128];
    bool good;

    snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", s->kid);
    put_b64url(out, header, strlen(header));
    rk_buf_put_u8(out, '.');
    put_b64url(out, claims.p, claims.n);
    if (out->overflow)
        return rk_fail(err, RK_EXHAUSTED, "token: its claims do not fit");
    ctx = EVP_MD_CTX_new();
    good = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, s->key) == 1 &&
           EVP_DigestSign(ctx, signature, &n, out->p + from, out->n - from) == 1;
    EVP_MD_CTX_free(ctx);
    if (!good) {
        ERR_clear_error();
        return rk_fail(err, RK_INTERNAL, "token: signing failed");
    }
    rk_buf_put_u8(out, '.');
    put_b64url(out, signature, n);
    if (out->overflow || out->n - from > RK_JWT_MAX)
        return rk_fail(err, RK_EXHAUSTED, "token: its claims do not fit");
    return 0;
}

void rk_jwt_half_hash(struct rk_str token, char out[RK_JWT_HALF_HASH_LEN + 1])
{
    uint8_t digest[32];

    rk_sha256(token.p, token.n, digest);
    rk_b64url_encode(digest, sizeof(digest) / 2, out);
}
