#include "services/dashboard-api/login/recovery.h"

#include "libcommon/crypto/box.h"
#include "tests/support/test.h"

static const uint8_t key[RK_SEAL_KEY] = { 1, 2, 3 };

static void a_code_is_known_however_it_is_typed(void **state)
{
    uint8_t want[RECOVERY_DIGEST], got[RECOVERY_DIGEST];
    static const char *const same[] = { "0123A-BCDEF", "0123abcdef", " o i23a-bcd ef ",
                                        "OL23A-BCDEF" };

    (void)state;
    assert_true(recovery_digest(key, "u", RK_STR("0123A-BCDEF"), want));
    for (size_t i = 0; i < RK_COUNT(same); i++) {
        assert_true(recovery_digest(key, "u", rk_str(same[i]), got));
        assert_memory_equal(got, want, sizeof(want));
    }
}

static void its_digest_is_of_one_user_and_one_deployment(void **state)
{
    const uint8_t other[RK_SEAL_KEY] = { 4 };
    uint8_t one[RECOVERY_DIGEST], two[RECOVERY_DIGEST];

    (void)state;
    assert_true(recovery_digest(key, "u", RK_STR("0123A-BCDEF"), one));
    assert_true(recovery_digest(key, "v", RK_STR("0123A-BCDEF"), two));
    assert_memory_not_equal(one, two, sizeof(one));
    assert_true(recovery_digest(other, "u", RK_STR("0123A-BCDEF"), two));
    assert_memory_not_equal(one, two, sizeof(one));
    assert_true(recovery_digest(key, "u", RK_STR("0123A-BCDEG"), two));
    assert_memory_not_equal(one, two, sizeof(one));
}

static void what_is_no_code_has_no_digest(void **state)
{
    static const char *const bad[] = { "", "0123A-BCDE", "0123A-BCDEFG", "0123A-BCDEU",
                                       "0123A-BCD\xc3\xa4" };
    uint8_t out[RECOVERY_DIGEST];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(recovery_digest(key, "u", rk_str(bad[i]), out));
    assert_false(recovery_digest(key, "u", rk_strn("0123A\0BCDE", 10), out));
}

static void new_codes_are_codes(void **state)
{
    char one[RECOVERY_LEN + 1], two[RECOVERY_LEN + 1];
    uint8_t out[RECOVERY_DIGEST];

    (void)state;
    recovery_new(one);
    recovery_new(two);
    assert_string_not_equal(one, two);
    assert_int_equal(strlen(one), RECOVERY_LEN);
    assert_true(recovery_digest(key, "u", rk_str(one), out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_is_known_however_it_is_typed),
        cmocka_unit_test(its_digest_is_of_one_user_and_one_deployment),
        cmocka_unit_test(what_is_no_code_has_no_digest),
        cmocka_unit_test(new_codes_are_codes),
    };

    rk_crypto_init();
    return RUN_TESTS(tests);
}
