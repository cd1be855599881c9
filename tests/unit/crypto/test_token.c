/* Relay credentials and access tokens: what is issued is accepted, and what resembles it is not. */

#include <stdio.h>
#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/crypto/token.h"
#include "tests/support/test.h"

/* The binary form of a credential over any payload, signed as it should be. */
static size_t forge(const char *secret, const char *payload, uint8_t out[128])
{
    uint8_t key[32];

    rk_sha256(secret, strlen(secret), key);
    out[0] = 1;
    rk_hmac_sha256(key, sizeof(key), payload, strlen(payload), out + 1);
    memcpy(out + 33, payload, strlen(payload));
    return 33 + strlen(payload);
}

static void what_is_issued_is_accepted_until_it_expires(void **state)
{
    struct rk_relay_key k, other;
    char payload[24], signature[45];
    uint8_t token[64] = { 1 }, binary[RK_RELAY_TOKEN_MAX];
    size_t n;

    (void)state;
    rk_relay_key_init(&k, RK_STR("one secret"));
    rk_relay_key_init(&other, RK_STR("one secreT"));
    rk_relay_token_issue(&k, 2000000000, payload, signature);
    assert_string_equal(payload, "2000000000");
    assert_true(rk_b64_decode(rk_str(signature), token + 1, 32, &n));
    memcpy(token + 33, payload, strlen(payload));
    n = 33 + strlen(payload);
    assert_int_equal(rk_relay_token_binary(&k, 2000000000, binary), n);
    assert_memory_equal(binary, token, n);
    assert_int_equal(rk_relay_token_check(&k, rk_strn(token, n), 0, NULL), 0);
    assert_int_equal(rk_relay_token_check(&k, rk_strn(token, n), 2000000000, NULL), 0);
    assert_int_equal(rk_relay_token_check(&k, rk_strn(token, n), 2000000001, NULL), RK_DENIED);
    assert_int_equal(rk_relay_token_check(&other, rk_strn(token, n), 0, NULL), RK_DENIED);
    for (size_t i = 0; i < n; i++) {
        token[i] ^= 1; /* the payload included: an expiry cannot be put off */
        assert_int_equal(rk_relay_token_check(&k, rk_strn(token, n), 0, NULL), RK_DENIED);
        token[i] ^= 1;
    }
}

static void while_the_secret_changes_the_first_signs_and_both_are_taken(void **state)
{
    struct rk_relay_key old, new, both;
    uint8_t of_old[RK_RELAY_TOKEN_MAX], of_both[RK_RELAY_TOKEN_MAX];
    size_t n;

    (void)state;
    rk_relay_key_init(&old, RK_STR("old"));
    rk_relay_key_init(&new, RK_STR("new"));
    rk_relay_key_init(&both, RK_STR("new\nold\n"));
    n = rk_relay_token_binary(&old, 2000000000, of_old);
    assert_int_equal(rk_relay_token_binary(&both, 2000000000, of_both), n);
    assert_int_equal(rk_relay_token_check(&both, rk_strn(of_old, n), 0, NULL), 0);
    assert_int_equal(rk_relay_token_check(&both, rk_strn(of_both, n), 0, NULL), 0);
    assert_int_equal(rk_relay_token_check(&new, rk_strn(of_both, n), 0, NULL), 0);
    assert_int_equal(rk_relay_token_check(&new, rk_strn(of_old, n), 0, NULL), RK_DENIED);
    assert_int_equal(rk_relay_token_check(&old, rk_strn(of_both, n), 0, NULL), RK_DENIED);
}

static void a_signed_payload_must_still_be_a_time(void **state)
{
    static const struct {
        const char *payload;
        int want;
    } cases[] = {
        { "1893456000", 0 },
        { "9223372036854775807", 0 },
        { "9223372036854775808", RK_DENIED },
        { "189345600x", RK_DENIED },
        { " 1893456000", RK_DENIED },
        { "1893456000 ", RK_DENIED },
        { "0x70dbd880", RK_DENIED },
        { "123456789", RK_DENIED }, /* shorter than any time of ours */
        { "1893456000.5", RK_DENIED },
        { "-1893456000", RK_DENIED }, /* long past */
    };
    struct rk_relay_key k;
    uint8_t token[128];

    (void)state;
    rk_relay_key_init(&k, RK_STR("s"));
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        size_t n = forge("s", cases[i].payload, token);

        if (rk_relay_token_check(&k, rk_strn(token, n), 1700000000, NULL) != cases[i].want)
            fail_msg("payload \"%s\"", cases[i].payload);
    }
}

static void the_reason_is_told_without_the_token(void **state)
{
    struct rk_relay_key k;
    struct rk_err err;
    uint8_t token[128];
    size_t n = forge("s", "1893456000", token);

    (void)state;
    rk_relay_key_init(&k, RK_STR("s"));
    assert_int_equal(rk_relay_token_check(&k, rk_strn(token, n), 1893456005, &err), RK_DENIED);
    assert_string_equal(err.msg, "token expired 5 s ago");
    token[0] = 2;
    assert_int_equal(rk_relay_token_check(&k, rk_strn(token, n), 0, &err), RK_DENIED);
    assert_string_equal(err.msg, "unknown token algorithm 2");
    assert_int_equal(rk_relay_token_check(&k, rk_strn(NULL, 0), 0, &err), RK_DENIED);
}

static void fresh_access_tokens_differ_and_check(void **state)
{
    char a[RK_PAT_LEN + 1], b[RK_PAT_LEN + 1];

    (void)state;
    for (int i = 0; i < 200; i++) {
        rk_pat_new("nbp_", a);
        rk_pat_new("nbp_", b);
        assert_int_equal(strlen(a), RK_PAT_LEN);
        assert_true(rk_pat_valid("nbp_", rk_str(a)));
        assert_false(rk_pat_valid("nbx_", rk_str(a)));
        assert_string_not_equal(a, b);
    }
}

static void a_token_with_any_letter_changed_is_no_token(void **state)
{
    char token[RK_PAT_LEN + 1];

    (void)state;
    rk_pat_new("nbp_", token);
    for (size_t i = 0; i < RK_PAT_LEN; i++) {
        char was = token[i];

        token[i] = was == 'a' ? 'b' : 'a';
        assert_false(rk_pat_valid("nbp_", rk_str(token)));
        token[i] = '-';
        assert_false(rk_pat_valid("nbp_", rk_str(token)));
        token[i] = 0;
        assert_false(rk_pat_valid("nbp_", rk_strn(token, RK_PAT_LEN)));
        token[i] = (char)0xc3;
        assert_false(rk_pat_valid("nbp_", rk_str(token)));
        token[i] = was;
        assert_false(rk_pat_valid("nbp_", rk_strn(token, i)));
    }
    assert_true(rk_pat_valid("nbp_", rk_str(token)));
    assert_false(rk_pat_valid("nbp_", rk_strn(token, RK_PAT_LEN + 1)));
}

/* The checksum of a small number is padded with zeros, as NetBird's own tokens are. */
static void short_checksums_are_padded(void **state)
{
    char secret[31] = "000000000000000000000000000000", token[RK_PAT_LEN + 1];
    bool found = false;

    (void)state;
    /* CRC-32 below 62^5 has a leading zero: one secret in five. */
    for (int i = 0; i < 100 && !found; i++) {
        (void)snprintf(secret + 26, 5, "%04u", (unsigned)i % 10000);
        if (rk_crc32(secret, 30) >= 916132832u)
            continue;
        found = true;
        for (const char *c = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"; *c;
             c++) {
            uint32_t v = rk_crc32(secret, 30) / 62;
            char sum[7] = "000000";

            sum[5] = *c;
            for (int k = 4; k >= 0; k--, v /= 62)
                sum[k] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[v % 62];
            assert_int_equal(sum[0], '0');
            (void)snprintf(token, sizeof(token), "nbp_%s%s", secret, sum);
            assert_int_equal(rk_pat_valid("nbp_", rk_str(token)),
                             *c == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       [rk_crc32(secret, 30) % 62]);
        }
    }
    assert_true(found);
}

/* Whatever the checksum says. */
static void only_letters_and_digits_are_in_a_token(void **state)
{
    static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char token[RK_PAT_LEN + 1] = "nbp_000000000000000000000000000000";

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint32_t v;

        token[10] = (char)byte;
        v = rk_crc32(token + 4, 30);
        for (int k = 5; k >= 0; k--, v /= 62)
            token[34 + k] = base62[v % 62];
        assert_int_equal(rk_pat_valid("nbp_", rk_strn(token, RK_PAT_LEN)),
                         byte != 0 && strchr(base62, (int)byte) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_issued_is_accepted_until_it_expires),
        cmocka_unit_test(while_the_secret_changes_the_first_signs_and_both_are_taken),
        cmocka_unit_test(a_signed_payload_must_still_be_a_time),
        cmocka_unit_test(the_reason_is_told_without_the_token),
        cmocka_unit_test(fresh_access_tokens_differ_and_check),
        cmocka_unit_test(a_token_with_any_letter_changed_is_no_token),
        cmocka_unit_test(short_checksums_are_padded),
        cmocka_unit_test(only_letters_and_digits_are_in_a_token),
    };

    rk_crypto_init();
    return RUN_TESTS(tests);
}
