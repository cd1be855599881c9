#include "services/dashboard-api/oauth/user_code.h"
#include "tests/support/test.h"

static void new_ones_are_read_again(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        char made[USER_CODE_LEN + 1], read[USER_CODE_LEN + 1];

        user_code_new(made);
        assert_int_equal(strlen(made), USER_CODE_LEN);
        assert_int_equal(made[4], '-');
        assert_int_equal(strspn(made, "BCDFGHJKLMNPQRSTVWXZ-"), USER_CODE_LEN);
        assert_true(user_code_read(rk_str(made), read));
        assert_string_equal(read, made);
    }
}

static void people_may_type_them_as_they_like(void **state)
{
    static const char *const typed[] = { "bcdfghjk", " BCDF GHJK ", "bcdf--ghjk",
                                         "b c d f g h j k" };
    char read[USER_CODE_LEN + 1];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(typed); i++) {
        assert_true(user_code_read(rk_str(typed[i]), read));
        assert_string_equal(read, "BCDF-GHJK");
    }
}

static void what_can_be_no_code_is_none(void **state)
{
    static const char *const typed[] = { "",          "BCDF-GHJ",  "BCDF-GHJKL", "ACDF-GHJK",
                                         "BCDF_GHJK", "BCD1-GHJK", "BCDF-GHJK\n" };
    char read[USER_CODE_LEN + 1] = "untouched";

    (void)state;
    for (size_t i = 0; i < RK_COUNT(typed); i++)
        assert_false(user_code_read(rk_str(typed[i]), read));
    assert_false(user_code_read(rk_strn("BCDF\0GHJK", 9), read));
    assert_string_equal(read, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_ones_are_read_again),
        cmocka_unit_test(people_may_type_them_as_they_like),
        cmocka_unit_test(what_can_be_no_code_is_none),
    };

    return RUN_TESTS(tests);
}
