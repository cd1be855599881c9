#include "libcommon/account/rules/password.h"

#include "tests/support/test.h"

static void expect(const char *password, enum rk_password_fault want, const char *message)
{
    struct rk_err err = { .msg = "" };

    assert_int_equal(rk_password_judge(rk_str(password)), want);
    assert_int_equal(rk_password_rules(password, &err), want == RK_PASSWORD_GOOD ? 0 : RK_INVALID);
    assert_string_equal(err.msg, message);
}

static void a_password_has_its_kinds_of_characters(void **state)
{
    (void)state;
    expect("Abcdef1!", RK_PASSWORD_GOOD, "");
    expect("A long one, with 1", RK_PASSWORD_GOOD, "");
    expect("abcdefgh", RK_PASSWORD_WEAK,
           "password must contain at least one digit, one uppercase letter, one special character");
    expect("abcdefg1", RK_PASSWORD_WEAK,
           "password must contain at least one uppercase letter, one special character");
    expect("Abcdefg1", RK_PASSWORD_WEAK, "password must contain at least one special character");
    expect("Abcdefg!", RK_PASSWORD_WEAK, "password must contain at least one digit");
}

static void its_length_is_counted_in_characters_and_bounded_in_bytes(void **state)
{
    char long_one[74];

    (void)state;
    expect("", RK_PASSWORD_EMPTY, "password is required");
    expect("Abcde1!", RK_PASSWORD_SHORT, "password must be at least 8 characters long");
    expect("Abcd1!\xc3\xa4", RK_PASSWORD_SHORT, "password must be at least 8 characters long");
    memset(long_one, '!', sizeof(long_one));
    long_one[0] = 'A';
    long_one[1] = '1';
    long_one[72] = '\0';
    expect(long_one, RK_PASSWORD_GOOD, "");
    long_one[72] = '!';
    long_one[73] = '\0';
    expect(long_one, RK_PASSWORD_LONG, "password must be at most 72 characters");
}

static void letters_of_other_scripts_are_letters(void **state)
{
    (void)state;
    /* An umlaut is a letter, not a special character. */
    expect("Abcdef1\xc3\xa4", RK_PASSWORD_WEAK,
           "password must contain at least one special character");
    /* Cyrillic, with a capital. */
    expect("\xd0\x9f\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c 1", RK_PASSWORD_GOOD, "");
    /* A sign. */
    expect("Abcdef1\xe2\x82\xac", RK_PASSWORD_GOOD, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_has_its_kinds_of_characters),
        cmocka_unit_test(its_length_is_counted_in_characters_and_bounded_in_bytes),
        cmocka_unit_test(letters_of_other_scripts_are_letters),
    };

    return RUN_TESTS(tests);
}
