#include "services/dashboard-api/login/totp.h"
#include "tests/support/test.h"

static const char secret[] = "12345678901234567890";
#define N (sizeof(secret) - 1)

/* Appendix B of RFC 6238, the last six of its eight digits. */
static void codes_are_those_of_the_standard(void **state)
{
    static const struct {
        int64_t at_s;
        const char *code;
    } cases[] = {
        { 59, "287082" },         { 1111111109, "081804" }, { 1111111111, "050471" },
        { 1234567890, "005924" }, { 2000000000, "279037" }, { 20000000000, "353130" },
    };
    char code[TOTP_DIGITS + 1];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        totp_code(secret, N, cases[i].at_s / TOTP_STEP_S, code);
        assert_string_equal(code, cases[i].code);
    }
}

static void one_step_early_or_late_is_right_and_no_more(void **state)
{
    const int64_t step = 1000000, now_s = step * TOTP_STEP_S + 3;
    int64_t got = 0;
    char code[TOTP_DIGITS + 1];

    (void)state;
    for (int64_t d = -3; d <= 3; d++) {
        totp_code(secret, N, step + d, code);
        assert_int_equal(totp_check(secret, N, now_s, 0, rk_str(code), &got), d >= -1 && d <= 1);
        if (d >= -1 && d <= 1)
            assert_int_equal(got, step + d);
    }
}

static void a_code_of_a_step_that_was_used_is_wrong(void **state)
{
    const int64_t step = 1000000, now_s = step * TOTP_STEP_S;
    int64_t got = 0;
    char code[TOTP_DIGITS + 1], next[TOTP_DIGITS + 1];

    (void)state;
    totp_code(secret, N, step, code);
    totp_code(secret, N, step + 1, next);
    assert_true(totp_check(secret, N, now_s, step - 1, rk_str(code), &got));
    assert_false(totp_check(secret, N, now_s, step, rk_str(code), &got));
    assert_true(totp_check(secret, N, now_s, step, rk_str(next), &got));
    assert_int_equal(got, step + 1);
}

static void what_is_typed_may_have_spaces_and_nothing_else(void **state)
{
    const int64_t step = 1000000, now_s = step * TOTP_STEP_S;
    static const char *const bad[] = { "", "12345", "1234567", "12345a", "-12345", "\xff" };
    int64_t got = 0;
    char code[TOTP_DIGITS + 1], spaced[16];

    (void)state;
    totp_code(secret, N, step, code);
    snprintf(spaced, sizeof(spaced), " %.3s %s ", code, code + 3);
    assert_true(totp_check(secret, N, now_s, 0, rk_str(spaced), &got));
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(totp_check(secret, N, now_s, 0, rk_str(bad[i]), &got));
}

/* RFC 4648, 10, without the padding. */
static void base32_is_that_of_the_standard(void **state)
{
    static const char *const cases[][2] = { { "", "" },
                                            { "f", "MY" },
                                            { "fo", "MZXQ" },
                                            { "foo", "MZXW6" },
                                            { "foob", "MZXW6YQ" },
                                            { "fooba", "MZXW6YTB" },
                                            { "foobar", "MZXW6YTBOI" } };
    char out[16];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        totp_base32(cases[i][0], strlen(cases[i][0]), out);
        assert_string_equal(out, cases[i][1]);
        assert_int_equal(strlen(out), TOTP_BASE32_LEN(strlen(cases[i][0])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_the_standard),
        cmocka_unit_test(one_step_early_or_late_is_right_and_no_more),
        cmocka_unit_test(a_code_of_a_step_that_was_used_is_wrong),
        cmocka_unit_test(what_is_typed_may_have_spaces_and_nothing_else),
        cmocka_unit_test(base32_is_that_of_the_standard),
    };

    return RUN_TESTS(tests);
}
