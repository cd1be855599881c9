/* Key sets: what is taken, what is left out, and what spoils a set. */

#include <openssl/x509.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/jwt/jwk_int.h"
#include "libcommon/jwt/jwt.h"
#include "tests/support/certificate.h"
#include "tests/support/tokens.h"

static struct rk_jwks *parse(struct rk_arena *a, const char *keys)
{
    struct rk_jwks *s = NULL;
    struct rk_err err = { 0 };
    int r = rk_jwks_parse(rk_str(rk_arena_printf(a, "{\"keys\":[%s]}", keys)), &s, &err);

    assert_true((r == 0 && s) || (r == RK_INVALID && !s && err.msg[0] != '\0'));
    return s;
}

static bool taken(struct rk_arena *a, const char *key)
{
    rk_auto(rk_jwks_unref) struct rk_jwks *s = parse(a, key);

    return s && rk_jwks_count(s) == 1;
}

static void every_kind_of_key_is_read(void **state)
{
    static const struct {
        const char *alg;
        enum rk_jwk_kind kind;
    } cases[] = { { "RS256", RK_JWK_RSA },
                  { "ES256", RK_JWK_P256 },
                  { "ES384", RK_JWK_P384 },
                  { "ES512", RK_JWK_P521 },
                  { "EdDSA", RK_JWK_ED25519 } };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(token_key_done) struct token_key k = token_key_new(cases[i].alg, "k");
        rk_auto(rk_jwks_unref) struct rk_jwks *s = parse(a, token_jwk(a, &k, ",\"use\":\"sig\""));

        assert_non_null(s);
        assert_int_equal(s->keys[0].kind, cases[i].kind);
        assert_true(token_set_has(s, "k"));
        assert_false(token_set_has(s, "K"));
        /* Members nobody knows do no harm; those that say it is for something else do. */
        assert_true(taken(a, token_jwk(a, &k, ",\"zzz\":{\"a\":[1,2]},\"key_ops\":[\"verify\"]")));
        assert_false(taken(a, token_jwk(a, &k, ",\"use\":\"enc\"")));
        assert_false(taken(a, token_jwk(a, &k, ",\"use\":7")));
        assert_false(taken(a, token_jwk(a, &k, ",\"alg\":\"\"")));
        assert_false(taken(a, token_jwk(a, &k, ",\"alg\":\"AVERYVERYLONGALGORITHM\"")));
    }
}

static void what_cannot_be_read_is_left_out_and_the_rest_stays(void **state)
{
    static const char *const bad[] = {
        "{}",
        "7",
        "null",
        "[\"kid\"]",
        "{\"kty\":\"oct\",\"kid\":\"o\",\"k\":\"AAAA\"}",
        "{\"kty\":\"OKP\",\"kid\":\"o\",\"crv\":\"X25519\",\"x\":\"AAAA\"}",
        "{\"kty\":\"OKP\",\"kid\":\"o\",\"crv\":\"Ed448\",\"x\":\"AAAA\"}",
        "{\"kty\":\"OKP\",\"kid\":\"o\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"kid\":\"o\",\"crv\":\"secp256k1\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"kid\":\"o\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"kid\":\"o\",\"crv\":\"P-256\"}",
        "{\"kty\":\"RSA\",\"kid\":\"o\"}",
        "{\"kty\":\"RSA\",\"kid\":\"o\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"kid\":\"o\",\"n\":7,\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"kid\":\"o\",\"x5c\":[]}",
        "{\"kty\":\"RSA\",\"kid\":\"o\",\"x5c\":[\"AAAA\"]}",
        "{\"kty\":\"RSA\",\"kid\":\"o\",\"x5c\":\"AAAA\"}",
        "{\"kty\":7,\"kid\":\"o\"}",
    };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(4 << 20);
    rk_auto(token_key_done) struct token_key k = token_key_new("ES256", "good");
    char *good = token_jwk(a, &k, "");

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        rk_auto(rk_jwks_unref) struct rk_jwks *alone = parse(a, bad[i]);
        rk_auto(rk_jwks_unref) struct rk_jwks *s =
            parse(a, rk_arena_printf(a, "%s,%s,%s", bad[i], good, bad[i]));

        assert_null(alone);
        assert_int_equal(rk_jwks_count(s), 1);
        assert_true(token_set_has(s, "good"));
    }
}

static char *rsa_json(struct rk_arena *a, const uint8_t *n, size_t n_len, const char *e)
{
    return rk_arena_printf(a, "{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"%s\",\"e\":\"%s\"}",
                           token_b64url(a, n, n_len), e);
}

static void rsa_keys_have_2048_to_8192_bits_and_a_sane_exponent(void **state)
{
    static const struct {
        const char *e;
        bool ok;
    } exponents[] = { { "AQAB", true },    { "Aw", true },     { "AAAAAQAB", false },
                      { "AQ", false },     { "Ag", false },    { "AQAC", false },
                      { "", false },       { "AQAB=", false }, { "AA", false },
                      { "AQAAAAE", false } };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    uint8_t n[1026];

    (void)state;
    memset(n, 0x80, sizeof(n));
    n[255] = n[256] = n[1023] = n[1024] = 0x81;
    assert_true(taken(a, rsa_json(a, n, 256, "AQAB")));
    assert_true(taken(a, rsa_json(a, n, 1024, "AQAB")));
    assert_false(taken(a, rsa_json(a, n, 1025, "AQAB")));
    assert_false(taken(a, rsa_json(a, n, 1026, "AQAB")));
    assert_false(taken(a, rsa_json(a, n, 254, "AQAB"))); /* even */
    n[0] = 0x7f;
    assert_false(taken(a, rsa_json(a, n, 256, "AQAB"))); /* 2047 bits */
    n[0] = 0;                                            /* a sign byte, as Java writes it */
    assert_true(taken(a, rsa_json(a, n, 257, "AQAB")));
    n[0] = 0x80;
    for (size_t i = 0; i < RK_COUNT(exponents); i++) {
        bool zero_padded = strcmp(exponents[i].e, "AAAAAQAB") == 0;

        assert_int_equal(taken(a, rsa_json(a, n, 256, exponents[i].e)),
                         exponents[i].ok || zero_padded);
    }
}

static void a_point_off_its_curve_is_no_key(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(token_key_done) struct token_key k = token_key_new("ES256", "k");
    char *jwk = token_jwk(a, &k, ""), *y = strstr(jwk, "\"y\":\"");

    (void)state;
    assert_true(taken(a, jwk));
    y[8] = y[8] == 'A' ? 'B' : 'A';
    assert_false(taken(a, jwk));
    assert_false(taken(
        a, rk_arena_printf(a,
                           "{\"kty\":\"EC\",\"kid\":\"k\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":"
                           "\"%s\"}",
                           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")));
}

static char *x5c_json(struct rk_arena *a, EVP_PKEY *key, const char *more)
{
    X509 *x = certificate_new(key, "c", "DNS:localhost");
    unsigned char *der = NULL;
    int n = i2d_X509(x, &der);
    char *b64;

    assert_true(n > 0);
    b64 = rk_arena_alloc(a, RK_B64_LEN((size_t)n) + 1);
    rk_b64_encode(der, (size_t)n, b64);
    OPENSSL_free(der);
    X509_free(x);
    return rk_arena_printf(a, "{\"kty\":\"RSA\",\"kid\":\"x\",\"x5c\":[\"%s\"]%s}", b64, more);
}

static void a_certificate_counts_only_where_there_is_no_modulus(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(4 << 20);
    rk_auto(token_key_done) struct token_key cert = token_key_new("RS256", "x");
    rk_auto(token_key_done) struct token_key plain = token_key_new("RS256", "x");
    rk_auto(token_key_done) struct token_key ec = token_key_new("ES256", "x");
    const char *claims = "{\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"s\",\"exp\":2,\"iat\":1}";
    const struct rk_str aud = RK_STR("a");
    const struct rk_jwt_expect expect = {
        .issuer = "i", .audiences = &aud, .audiences_n = 1, .now_s = 1
    };
    rk_auto(rk_jwks_unref) struct rk_jwks *only = parse(a, x5c_json(a, cert.key, ""));
    char *n = token_number(a, plain.key, OSSL_PKEY_PARAM_RSA_N, 0);
    rk_auto(rk_jwks_unref) struct rk_jwks *both =
        parse(a, x5c_json(a, cert.key, rk_arena_printf(a, ",\"n\":\"%s\",\"e\":\"AQAB\"", n)));
    struct rk_claims c;

    (void)state;
    assert_int_equal(
        rk_jwt_verify(only, rk_str(token_make(a, &cert, claims)), &expect, a, &c, NULL, NULL), 0);
    assert_int_equal(
        rk_jwt_verify(both, rk_str(token_make(a, &plain, claims)), &expect, a, &c, NULL, NULL), 0);
    assert_int_equal(
        rk_jwt_verify(both, rk_str(token_make(a, &cert, claims)), &expect, a, &c, NULL, NULL),
        RK_UNAUTHENTICATED);
    /* Half a key is broken, not absent; a certificate of another kind of key is none. */
    assert_false(taken(a, x5c_json(a, cert.key, ",\"e\":\"AQAB\"")));
    assert_false(taken(a, x5c_json(a, ec.key, "")));
}

static void sets_over_a_limit_or_with_a_member_twice_are_refused(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(16 << 20);
    rk_auto(token_key_done) struct token_key k = token_key_new("ES256", "k");
    char *jwk = token_jwk(a, &k, ""), *long_kid = rk_arena_alloc(a, RK_JWK_MAX_KID + 2);
    rk_auto(rk_buf_done) struct rk_buf b;
    rk_auto(rk_jwks_unref) struct rk_jwks *full = NULL;
    static const char *const bad[] = { "",
                                       "{}",
                                       "[]",
                                       "{\"keys\":{}}",
                                       "{\"keys\":[]}",
                                       "{\"keys\":7}",
                                       "{\"keys\":[]} x",
                                       "{\"keys\":[],\"keys\":[]}",
                                       "nul" };
    struct rk_jwks *s = NULL;

    (void)state;
    rk_buf_init(&b, 4 << 20);
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_int_equal(rk_jwks_parse(rk_str(bad[i]), &s, NULL), RK_INVALID);
    assert_null(parse(a, rk_arena_printf(a, "%.*s,\"kid\":\"k\"}", (int)strlen(jwk) - 1, jwk)));

    for (int i = 0; i < RK_JWKS_MAX_KEYS; i++)
        rk_buf_printf(&b, "%s%s", i ? "," : "", jwk);
    rk_buf_put_u8(&b, 0);
    full = parse(a, (char *)b.p);
    assert_int_equal(rk_jwks_count(full), RK_JWKS_MAX_KEYS);
    assert_null(parse(a, rk_arena_printf(a, "%s,%s", (char *)b.p, jwk)));

    rk_buf_clear(&b);
    rk_buf_printf(&b, "{\"keys\":[%s],\"pad\":\"", jwk);
    while (b.n < RK_JWKS_MAX_BYTES)
        rk_buf_put_c(&b,
                     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    rk_buf_put_c(&b, "\"}");
    assert_int_equal(rk_jwks_parse(rk_buf_str(&b), &s, NULL), RK_INVALID);
    assert_null(s);

    memset(long_kid, 'k', RK_JWK_MAX_KID + 1);
    k.kid = long_kid;
    assert_false(taken(a, token_jwk(a, &k, "")));
    long_kid[RK_JWK_MAX_KID] = '\0';
    assert_true(taken(a, token_jwk(a, &k, "")));
    k.kid = "";
    assert_false(taken(a, token_jwk(a, &k, "")));
}

static void a_set_of_single_keys_may_be_empty(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(token_key_done) struct token_key k = token_key_new("ES256", "k");
    struct rk_str keys[] = { RK_STR("nonsense"), rk_str(token_jwk(a, &k, "")) };
    rk_auto(rk_jwks_unref) struct rk_jwks *none = NULL, *one = NULL;

    (void)state;
    assert_int_equal(rk_jwks_from_keys(NULL, 0, &none, NULL), 0);
    assert_int_equal(rk_jwks_count(none), 0);
    assert_int_equal(rk_jwks_from_keys(keys, 2, &one, NULL), 0);
    assert_int_equal(rk_jwks_count(one), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_key_is_read),
        cmocka_unit_test(what_cannot_be_read_is_left_out_and_the_rest_stays),
        cmocka_unit_test(rsa_keys_have_2048_to_8192_bits_and_a_sane_exponent),
        cmocka_unit_test(a_point_off_its_curve_is_no_key),
        cmocka_unit_test(a_certificate_counts_only_where_there_is_no_modulus),
        cmocka_unit_test(sets_over_a_limit_or_with_a_member_twice_are_refused),
        cmocka_unit_test(a_set_of_single_keys_may_be_empty),
    };

    return RUN_TESTS(tests);
}
