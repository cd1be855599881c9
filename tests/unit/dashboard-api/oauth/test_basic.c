#include "services/dashboard-api/oauth/basic.h"
#include "libcommon/base/encode.h"
#include "tests/support/test.h"

static enum basic_outcome
parse(struct rk_arena *a, const char *plain, const char **out_id, const char **out_secret)
{
    char b64[512];

    rk_b64_encode(plain, strlen(plain), b64);
    return basic_parse(rk_str(rk_arena_printf(a, "Basic %s", b64)), a, out_id, out_secret);
}

static void an_id_with_an_empty_secret_is_given(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 16);
    const char *id, *secret;

    (void)state;
    assert_int_equal(parse(a, "netbird-cli:", &id, &secret), BASIC_GIVEN);
    assert_string_equal(id, "netbird-cli");
    assert_string_equal(secret, "");
    assert_int_equal(basic_parse(RK_STR("bAsIc   bmV0YmlyZC1jbGk6 "), a, &id, &secret),
                     BASIC_GIVEN);
    assert_string_equal(id, "netbird-cli");
}

static void both_parts_are_form_encoded(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 16);
    const char *id, *secret;

    (void)state;
    assert_int_equal(parse(a, "a%3Ab+c:d%25:e", &id, &secret), BASIC_GIVEN);
    assert_string_equal(id, "a:b c");
    assert_string_equal(secret, "d%:e");
    assert_int_equal(parse(a, "a%zz:b", &id, &secret), BASIC_BAD);
    assert_int_equal(parse(a, "a:b%00", &id, &secret), BASIC_BAD);
}

static void other_schemes_are_nobodys_business(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 16);
    const char *id, *secret;

    (void)state;
    assert_int_equal(basic_parse(RK_STR(""), a, &id, &secret), BASIC_ABSENT);
    assert_int_equal(basic_parse(RK_STR("Bearer abc"), a, &id, &secret), BASIC_ABSENT);
    assert_int_equal(basic_parse(RK_STR("Basic2 abc"), a, &id, &secret), BASIC_ABSENT);
}

static void what_cannot_be_read_is_bad(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 16);
    const char *id, *secret;
    char long_one[BASIC_MAX + 64];

    (void)state;
    assert_int_equal(basic_parse(RK_STR("Basic"), a, &id, &secret), BASIC_BAD);
    assert_int_equal(basic_parse(RK_STR("Basic !!!"), a, &id, &secret), BASIC_BAD);
    assert_int_equal(parse(a, "no colon", &id, &secret), BASIC_BAD);
    assert_int_equal(parse(a, ":secret alone", &id, &secret), BASIC_BAD);
    memset(long_one, 'A', sizeof(long_one));
    memcpy(long_one, "Basic ", 6);
    assert_int_equal(basic_parse(rk_strn(long_one, sizeof(long_one)), a, &id, &secret), BASIC_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_with_an_empty_secret_is_given),
        cmocka_unit_test(both_parts_are_form_encoded),
        cmocka_unit_test(other_schemes_are_nobodys_business),
        cmocka_unit_test(what_cannot_be_read_is_bad),
    };

    return RUN_TESTS(tests);
}
