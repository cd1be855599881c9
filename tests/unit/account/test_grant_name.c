#include "libcommon/account/rules/grant_name.h"

#include "tests/support/test.h"

static void a_token_says_what_it_was_made_for_and_which_kind_it_is(void **state)
{
    static const uint8_t id[RK_GRANT_ID_LEN] = { 1, 2, 3, 255 };
    char access[RK_JTI_LEN + 1], again[RK_JTI_LEN + 1], other[RK_JTI_LEN + 1];
    uint8_t got[RK_GRANT_ID_LEN] = { 0 };

    (void)state;
    rk_jti_new(RK_GRANT_ACCESS, id, access);
    rk_jti_new(RK_GRANT_ACCESS, id, again);
    rk_jti_new(RK_GRANT_ID, id, other);
    assert_string_not_equal(access, again);
    assert_int_equal(rk_jti_grant(access, got), RK_GRANT_ACCESS);
    assert_memory_equal(got, id, sizeof(id));
    memset(got, 0, sizeof(got));
    assert_int_equal(rk_jti_grant(other, got), RK_GRANT_ID);
    assert_memory_equal(got, id, sizeof(id));
}

static void what_is_no_name_of_a_grant_is_none(void **state)
{
    static const uint8_t id[RK_GRANT_ID_LEN] = { 7 };
    uint8_t got[RK_GRANT_ID_LEN];
    char jti[RK_JTI_LEN + 1];

    (void)state;
    assert_int_equal(rk_jti_grant("", got), RK_GRANT_NONE);
    assert_int_equal(rk_jti_grant("a", got), RK_GRANT_NONE);
    assert_int_equal(rk_jti_grant("axyz", got), RK_GRANT_NONE);
    rk_jti_new(RK_GRANT_ID, id, jti);
    jti[0] = 'i'; /* an ID token of an earlier version */
    assert_int_equal(rk_jti_grant(jti, got), RK_GRANT_NONE);
    jti[0] = 'd';
    jti[RK_JTI_LEN - 1] = '\0';
    assert_int_equal(rk_jti_grant(jti, got), RK_GRANT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_what_it_was_made_for_and_which_kind_it_is),
        cmocka_unit_test(what_is_no_name_of_a_grant_is_none),
    };

    return RUN_TESTS(tests);
}
