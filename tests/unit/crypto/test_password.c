#include "libcommon/crypto/password.h"

#include "libcommon/crypto/box.h"
#include "tests/support/test.h"

static void a_password_is_verified_by_its_hash_alone(void **state)
{
    char one[RK_PASSWORD_LEN], two[RK_PASSWORD_LEN];

    (void)state;
    rk_password_hash(RK_STR("correct horse"), one);
    rk_password_hash(RK_STR("correct horse"), two);
    assert_int_equal(strncmp(one, "$argon2id$", 10), 0);
    assert_string_not_equal(one, two); /* salted */
    assert_true(rk_password_verify(RK_STR("correct horse"), one));
    assert_true(rk_password_verify(RK_STR("correct horse"), two));
    assert_false(rk_password_verify(RK_STR("correct horsf"), one));
    assert_false(rk_password_verify(RK_STR("correct horse\0"), one));
    assert_false(rk_password_verify(rk_strn(NULL, 0), one));
}

static void what_is_no_hash_verifies_nothing(void **state)
{
    static const char *const bad[] = { "", "plain", "$argon2id$", "$2y$10$abcdefghijklmnopqrstuv",
                                       "$argon2id$v=19$m=65536,t=2,p=1$" };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        assert_false(rk_password_verify(RK_STR(""), bad[i]));
        assert_false(rk_password_verify(rk_str(bad[i]), bad[i]));
    }
}

/* As other servers wrote them: the published vectors of bcrypt, and one of cost 10. */
static void a_hash_of_bcrypt_verifies_and_is_outdated(void **state)
{
    static const struct {
        const char *password, *hash;
    } cases[] = {
        { "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" },
        { "", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy" },
        { "U*U", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        assert_true(rk_password_verify(rk_str(cases[i].password), cases[i].hash));
        assert_false(rk_password_verify(RK_STR("U*V"), cases[i].hash));
        assert_true(rk_password_outdated(cases[i].hash));
    }
}

static void a_password_that_bcrypt_would_cut_is_not_right(void **state)
{
    char password[74];
    const char *hash = "$2b$04$CCCCCCCCCCCCCCCCCCCCC.uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu";

    (void)state;
    memset(password, 'a', sizeof(password));
    assert_false(rk_password_verify(rk_strn(password, 73), hash));
    assert_false(rk_password_verify(rk_strn("a\0b", 3), hash));
}

static void a_bcrypt_hash_that_would_take_for_ever_is_none(void **state)
{
    (void)state;
    assert_false(rk_password_verify(
        RK_STR("U*U"), "$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"));
}

static void a_hash_of_today_is_of_the_strength_we_promise(void **state)
{
    char hash[RK_PASSWORD_LEN];

    (void)state;
    rk_password_hash(RK_STR("x"), hash);
    assert_non_null(strstr(hash, "$m=65536,t=3,p=1$"));
    assert_false(rk_password_outdated(hash));
    assert_true(rk_password_outdated("$argon2id$v=19$m=65536,t=2,p=1$vKLoFS0lxHkNQ2bQXe9JlQ$"
                                     "u5nGYcJcRAWAZxl9gWYjY5IxNxMTQ8J9F9EuZhmbzLo"));
}

static void somebody_who_does_not_exist_costs_what_a_wrong_password_costs(void **state)
{
    char hash[RK_PASSWORD_LEN];
    uint64_t before;

    (void)state;
    rk_password_hash(RK_STR("x"), hash);
    before = rk_password_count();
    assert_false(rk_password_verify(RK_STR("y"), hash));
    assert_int_equal(rk_password_count(), before + 1);
    rk_password_verify_nobody(RK_STR("y"));
    assert_int_equal(rk_password_count(), before + 2);
}

static void a_password_longer_than_any_is_not_hashed(void **state)
{
    char long_one[RK_PASSWORD_MAX + 1], hash[RK_PASSWORD_LEN];
    uint64_t before;

    (void)state;
    memset(long_one, 'x', sizeof(long_one));
    rk_password_hash(RK_STR("x"), hash);
    before = rk_password_count();
    assert_false(rk_password_verify(rk_strn(long_one, sizeof(long_one)), hash));
    rk_password_verify_nobody(rk_strn(long_one, sizeof(long_one)));
    assert_int_equal(rk_password_count(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_is_verified_by_its_hash_alone),
        cmocka_unit_test(what_is_no_hash_verifies_nothing),
        cmocka_unit_test(a_hash_of_bcrypt_verifies_and_is_outdated),
        cmocka_unit_test(a_password_that_bcrypt_would_cut_is_not_right),
        cmocka_unit_test(a_bcrypt_hash_that_would_take_for_ever_is_none),
        cmocka_unit_test(a_hash_of_today_is_of_the_strength_we_promise),
        cmocka_unit_test(somebody_who_does_not_exist_costs_what_a_wrong_password_costs),
        cmocka_unit_test(a_password_longer_than_any_is_not_hashed),
    };

    rk_crypto_init();
    return RUN_TESTS(tests);
}
