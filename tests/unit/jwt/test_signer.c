/* Signing keys: what they sign is accepted with the key they publish, and they survive storage. */

#include <openssl/x509.h>
#include <string.h>

#include "libcommon/base/clock.h"
#include "libcommon/jwt/jwt.h"
#include "tests/support/tokens.h"

#define CLAIMS "{\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"s\",\"exp\":%lld,\"iat\":%lld}"

static void what_it_signs_is_accepted_with_what_it_publishes(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(rk_signer_free) struct rk_signer *first = rk_signer_new(), *s = NULL;
    rk_auto(rk_jwks_unref) struct rk_jwks *keys = NULL;
    rk_auto(rk_buf_done) struct rk_buf der, jwk, token;
    const struct rk_str aud = RK_STR("a");
    const struct rk_jwt_expect expect = { .issuer = "i", .audiences = &aud, .audiences_n = 1 };
    long long now = rk_wall_s();
    struct rk_str key;
    struct rk_claims c;

    (void)state;
    rk_buf_init(&der, RK_SIGNER_MAX_DER);
    rk_buf_init(&jwk, 4096);
    rk_buf_init(&token, RK_JWT_MAX);
    rk_signer_export(first, &der);
    assert_int_equal(rk_signer_load(rk_buf_str(&der), &s, NULL), 0);
    assert_string_equal(rk_signer_kid(first), rk_signer_kid(s));
    assert_int_equal(strlen(rk_signer_kid(s)), RK_SIGNER_KID_LEN);
    assert_int_equal(strspn(rk_signer_kid(s), "0123456789abcdef"), RK_SIGNER_KID_LEN);

    rk_signer_public_jwk(s, &jwk);
    key = rk_buf_str(&jwk);
    assert_null(memmem(key.p, key.n, "\"d\"", 3));
    assert_int_equal(rk_jwks_from_keys(&key, 1, &keys, NULL), 0);
    assert_true(token_set_has(keys, rk_signer_kid(s)));

    assert_int_equal(
        rk_jwt_sign(s, rk_str(rk_arena_printf(a, CLAIMS, now + 60, now)), &token, NULL), 0);
    assert_int_equal(rk_jwt_verify(keys, rk_buf_str(&token), &expect, a, &c, NULL, NULL), 0);
    assert_string_equal(c.user_id, "s");
}

static void two_keys_have_two_names(void **state)
{
    rk_auto(rk_signer_free) struct rk_signer *one = rk_signer_new(), *two = rk_signer_new();

    (void)state;
    assert_string_not_equal(rk_signer_kid(one), rk_signer_kid(two));
}

static void a_token_that_nobody_would_accept_is_not_signed(void **state)
{
    rk_auto(rk_signer_free) struct rk_signer *s = rk_signer_new();
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(rk_buf_done) struct rk_buf small, big;
    char *pad = rk_arena_alloc(a, 20000);

    (void)state;
    rk_buf_init(&small, 200);
    rk_buf_init(&big, 1 << 20);
    memset(pad, ' ', 19999);
    assert_int_equal(rk_jwt_sign(s, RK_STR("{}"), &small, NULL), RK_EXHAUSTED);
    assert_int_equal(rk_jwt_sign(s, rk_str(pad), &big, NULL), RK_EXHAUSTED);
}

static void what_is_no_key_is_not_loaded(void **state)
{
    rk_auto(rk_signer_free) struct rk_signer *s = NULL;
    rk_auto(token_key_done) struct token_key ec = token_key_new("ES256", "k");
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(ec.key);
    unsigned char *der = NULL;
    int n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_signer_load(RK_STR(""), &s, &err), RK_INVALID);
    assert_int_equal(rk_signer_load(RK_STR("0\x82\x01"), &s, &err), RK_INVALID);
    assert_int_equal(rk_signer_load(rk_strn(der, (size_t)n), &s, &err), RK_INVALID);
    assert_null(s);
    PKCS8_PRIV_KEY_INFO_free(info);
    OPENSSL_free(der);
}

/* From an ID token of OpenID Connect Core, A.3: the access token's at_hash. */
static void the_half_hash_is_that_of_the_specification(void **state)
{
    char out[RK_JWT_HALF_HASH_LEN + 1];

    (void)state;
    rk_jwt_half_hash(RK_STR("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), out);
    assert_string_equal(out, "77QmUPtjPfzWtF2AnpK9RQ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_signs_is_accepted_with_what_it_publishes),
        cmocka_unit_test(two_keys_have_two_names),
        cmocka_unit_test(a_token_that_nobody_would_accept_is_not_signed),
        cmocka_unit_test(what_is_no_key_is_not_loaded),
        cmocka_unit_test(the_half_hash_is_that_of_the_specification),
    };

    return RUN_TESTS(tests);
}
