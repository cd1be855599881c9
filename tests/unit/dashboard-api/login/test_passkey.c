/* An authenticator of our own, which signs with OpenSSL. */

#include "services/dashboard-api/login/passkey.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "tests/support/test.h"

static const struct passkey_ask ask = { .challenge = "Y2hhbGxlbmdl",
                                        .origin = "https://d.test",
                                        .rp = "d.test" };

#define CLIENT(type, challenge, origin, more)                                                      \
    "{\"type\":\"webauthn." type "\",\"challenge\":\"" challenge "\",\"origin\":\"" origin         \
    "\"" more "}"
#define MADE CLIENT("create", "Y2hhbGxlbmdl", "https://d.test", ",\"crossOrigin\":false")
#define SIGNED CLIENT("get", "Y2hhbGxlbmdl", "https://d.test", "")

static EVP_PKEY *key;

static size_t put_head(uint8_t *out, const char *rp, uint8_t flags, uint32_t count)
{
    rk_sha256(rp, strlen(rp), out);
    out[32] = flags;
    for (int i = 0; i < 4; i++)
        out[33 + i] = (uint8_t)(count >> (24 - 8 * i));
    return 37;
}

/* With the credential "id" and the key in COSE's form. */
static size_t make(uint8_t out[256], const char *rp, uint8_t flags, uint8_t algorithm)
{
    static const uint8_t id[] = { 0, 2, 'i', 'd' };
    uint8_t point[65];
    size_t n = put_head(out, rp, flags, 0), point_n;

    memset(out + n, 0, 16); /* the maker: not told */
    n += 16;
    memcpy(out + n, id, sizeof(id));
    n += sizeof(id);
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
                                                     sizeof(point), &point_n),
                     1);
    assert_int_equal(point_n, sizeof(point));
    const uint8_t cose[] = { 0xa5, 1, 2, 3, algorithm, 0x20, 1, 0x21, 0x58, 32 };
    const uint8_t y[] = { 0x22, 0x58, 32 };

    memcpy(out + n, cose, sizeof(cose));
    n += sizeof(cose);
    memcpy(out + n, point + 1, 32);
    n += 32;
    memcpy(out + n, y, sizeof(y));
    n += sizeof(y);
    memcpy(out + n, point + 33, 32);
    return n + 32;
}

static size_t sign(const char *client, const uint8_t *data, size_t data_n, uint8_t out[128])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t hash[32];
    size_t n = 128;

    rk_sha256(client, strlen(client), hash);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSignUpdate(ctx, data, data_n), 1);
    assert_int_equal(EVP_DigestSignUpdate(ctx, hash, sizeof(hash)), 1);
    assert_int_equal(EVP_DigestSignFinal(ctx, out, &n), 1);
    EVP_MD_CTX_free(ctx);
    return n;
}

static void made(struct passkey *out)
{
    uint8_t data[256];
    size_t n = make(data, "d.test", 0x41, 0x26);
    struct rk_err err = { 0 };

    assert_int_equal(passkey_made(&ask, rk_str(MADE), rk_strn(data, n), out, &err), 0);
}

static void a_new_passkey_is_taken_with_its_key(void **state)
{
    struct passkey k;

    (void)state;
    made(&k);
    assert_int_equal(k.id_n, 2);
    assert_memory_equal(k.id, "id", 2);
    assert_int_equal(k.algorithm, -7);
    assert_int_equal(k.key_n, 64);
    assert_int_equal(k.count, 0);
}

static void one_that_answers_something_else_is_not(void **state)
{
    static const struct {
        const char *client, *rp;
        uint8_t flags, algorithm;
    } cases[] = {
        { SIGNED, "d.test", 0x41, 0x26 },
        { CLIENT("create", "b3RoZXI", "https://d.test", ""), "d.test", 0x41, 0x26 },
        { CLIENT("create", "Y2hhbGxlbmdl", "https://evil.test", ""), "d.test", 0x41, 0x26 },
        { CLIENT("create", "Y2hhbGxlbmdl", "https://d.test", ",\"crossOrigin\":true"), "d.test",
          0x41, 0x26 },
        { CLIENT("create", "Y2hhbGxlbmdl", "https://d.test", ",\"origin\":\"https://d.test\""),
          "d.test", 0x41, 0x26 },
        { "", "d.test", 0x41, 0x26 },
        { "[]", "d.test", 0x41, 0x26 },
        { MADE, "evil.test", 0x41, 0x26 },
        { MADE, "d.test", 0x40, 0x26 }, /* nobody was there */
        { MADE, "d.test", 0x01, 0x26 }, /* without a credential */
        { MADE, "d.test", 0x41, 0x25 }, /* of an algorithm we do not know */
    };
    struct passkey k;
    struct rk_err err = { 0 };
    uint8_t data[256];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        size_t n = make(data, cases[i].rp, cases[i].flags, cases[i].algorithm);

        assert_int_equal(passkey_made(&ask, rk_str(cases[i].client), rk_strn(data, n), &k, &err),
                         RK_DENIED);
    }
    for (size_t n = 0; n < 100; n++) {
        (void)make(data, "d.test", 0x41, 0x26);
        assert_int_equal(passkey_made(&ask, rk_str(MADE), rk_strn(data, n), &k, &err), RK_DENIED);
    }
}

static void its_signature_is_right_for_its_challenge(void **state)
{
    uint8_t data[64], signature[128];
    size_t data_n = put_head(data, "d.test", 0x01, 0), n;
    struct passkey k;
    struct rk_err err = { 0 };
    uint32_t count = 9;

    (void)state;
    made(&k);
    n = sign(SIGNED, data, data_n, signature);
    assert_int_equal(passkey_signed(&ask, &k, rk_str(SIGNED), rk_strn(data, data_n),
                                    rk_strn(signature, n), &count, &err),
                     0);
    assert_int_equal(count, 0);
    /* Without the question having been asked there is no answer. */
    assert_int_equal(
        passkey_signed(&(struct passkey_ask){ .challenge = "", .origin = ask.origin, .rp = ask.rp },
                       &k, rk_str(CLIENT("get", "", "https://d.test", "")), rk_strn(data, data_n),
                       rk_strn(signature, n), &count, &err),
        RK_DENIED);
}

static void a_signature_of_anything_else_is_refused(void **state)
{
    static const struct {
        const char *client, *rp;
        uint8_t flags;
    } cases[] = {
        { MADE, "d.test", 0x01 },
        { CLIENT("get", "b3RoZXI", "https://d.test", ""), "d.test", 0x01 },
        { CLIENT("get", "Y2hhbGxlbmdl", "http://d.test", ""), "d.test", 0x01 },
        { SIGNED, "evil.test", 0x01 },
        { SIGNED, "d.test", 0x00 },
    };
    uint8_t data[64], signature[128];
    size_t data_n, n;
    struct passkey k;
    struct rk_err err = { 0 };
    uint32_t count = 9;

    (void)state;
    made(&k);
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        data_n = put_head(data, cases[i].rp, cases[i].flags, 0);
        n = sign(cases[i].client, data, data_n, signature);
        assert_int_equal(passkey_signed(&ask, &k, rk_str(cases[i].client), rk_strn(data, data_n),
                                        rk_strn(signature, n), &count, &err),
                         RK_DENIED);
    }
    data_n = put_head(data, "d.test", 0x01, 0);
    n = sign(SIGNED, data, data_n, signature);
    signature[n - 1] ^= 1;
    assert_int_equal(passkey_signed(&ask, &k, rk_str(SIGNED), rk_strn(data, data_n),
                                    rk_strn(signature, n), &count, &err),
                     RK_DENIED);
    signature[n - 1] ^= 1;
    k.key[5] ^= 1; /* somebody else's */
    assert_int_equal(passkey_signed(&ask, &k, rk_str(SIGNED), rk_strn(data, data_n),
                                    rk_strn(signature, n), &count, &err),
                     RK_DENIED);
    assert_int_equal(count, 9);
}

static void a_count_that_does_not_grow_tells_of_a_copy(void **state)
{
    static const struct {
        uint32_t had, has;
        int want;
    } cases[] = { { 0, 0, 0 },         { 0, 1, 0 },         { 7, 8, 0 },
                  { 7, 7, RK_DENIED }, { 7, 6, RK_DENIED }, { 7, 0, RK_DENIED } };
    uint8_t data[64], signature[128];
    struct passkey k;
    struct rk_err err = { 0 };
    uint32_t count;

    (void)state;
    made(&k);
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        size_t data_n = put_head(data, "d.test", 0x01, cases[i].has),
               n = sign(SIGNED, data, data_n, signature);

        k.count = cases[i].had;
        assert_int_equal(passkey_signed(&ask, &k, rk_str(SIGNED), rk_strn(data, data_n),
                                        rk_strn(signature, n), &count, &err),
                         cases[i].want);
        if (cases[i].want == 0)
            assert_int_equal(count, cases[i].has);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_passkey_is_taken_with_its_key),
        cmocka_unit_test(one_that_answers_something_else_is_not),
        cmocka_unit_test(its_signature_is_right_for_its_challenge),
        cmocka_unit_test(a_signature_of_anything_else_is_refused),
        cmocka_unit_test(a_count_that_does_not_grow_tells_of_a_copy),
    };
    int failed;

    rk_crypto_init();
    key = EVP_EC_gen("P-256");
    failed = RUN_TESTS(tests);
    EVP_PKEY_free(key);
    return failed;
}
