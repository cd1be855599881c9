#include "services/dashboard-api/oauth/params.h"
#include "libcommon/base/buf.h"
#include "tests/support/test.h"

static struct rk_arena *arena;
static struct params got;

static int parse(const char *text)
{
    struct rk_err err = { 0 };

    return params_parse(rk_str(text), arena, &got, &err);
}

static void names_and_values_are_decoded(void **state)
{
    (void)state;
    assert_int_equal(parse("a=1&b=x+y%20z&%63=%C3%A9&d=a=b"), 0);
    assert_string_equal(params_get(&got, "a"), "1");
    assert_string_equal(params_get(&got, "b"), "x y z");
    assert_string_equal(params_get(&got, "c"), "\xc3\xa9");
    assert_string_equal(params_get(&got, "d"), "a=b");
    assert_null(params_get(&got, "e"));
    assert_null(got.repeated);
}

static void a_parameter_without_a_value_is_absent(void **state)
{
    (void)state;
    assert_int_equal(parse("a=&b&&c=1"), 0);
    assert_null(params_get(&got, "a"));
    assert_null(params_get(&got, "b"));
    assert_string_equal(params_get(&got, "c"), "1");
}

static void what_stands_twice_is_named_and_the_first_counts(void **state)
{
    (void)state;
    assert_int_equal(parse("a=1&b=2&%61=3&b=4"), 0);
    assert_string_equal(got.repeated, "a");
    assert_string_equal(params_get(&got, "a"), "1");
    assert_int_equal(parse("a=&a=2"), 0);
    assert_string_equal(got.repeated, "a");
}

static void bad_escapes_zero_bytes_and_bad_characters_spoil_all_of_it(void **state)
{
    static const char *const bad[] = { "a=%", "a=%4", "a=%zz", "%=1", "a=%00", "a=%ff", "a=\xff" };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_int_equal(parse(bad[i]), RK_BAD_REQUEST);
    assert_int_equal(params_parse(rk_strn("a=\0b", 4), arena, &got, NULL), RK_BAD_REQUEST);
}

static void numbers_and_lengths_are_bounded(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf text = { .max = 2 * PARAMS_MAX_BYTES };

    (void)state;
    for (int i = 0; i < PARAMS_MAX; i++)
        rk_buf_printf(&text, "p%d=1&", i);
    assert_int_equal(params_parse(rk_buf_str(&text), arena, &got, NULL), 0);
    assert_int_equal(got.n, PARAMS_MAX);
    rk_buf_put_c(&text, "one_more=1");
    assert_int_equal(params_parse(rk_buf_str(&text), arena, &got, NULL), RK_BAD_REQUEST);
    rk_buf_clear(&text);
    rk_buf_put_c(&text, "a=");
    while (text.n <= PARAMS_MAX_BYTES)
        rk_buf_put_c(&text, "x");
    assert_int_equal(params_parse(rk_buf_str(&text), arena, &got, NULL), RK_BAD_REQUEST);
}

static void a_form_is_known_by_its_type(void **state)
{
    (void)state;
    assert_true(params_is_form("application/x-www-form-urlencoded"));
    assert_true(params_is_form("Application/X-WWW-Form-Urlencoded ; charset=UTF-8"));
    assert_false(params_is_form("application/json"));
    assert_false(params_is_form(""));
    assert_false(params_is_form("application/x-www-form-urlencoded2"));
}

static int begin(void **state)
{
    (void)state;
    arena = rk_arena_new((size_t)4 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rk_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_decoded),
        cmocka_unit_test(a_parameter_without_a_value_is_absent),
        cmocka_unit_test(what_stands_twice_is_named_and_the_first_counts),
        cmocka_unit_test(bad_escapes_zero_bytes_and_bad_characters_spoil_all_of_it),
        cmocka_unit_test(numbers_and_lengths_are_bounded),
        cmocka_unit_test(a_form_is_known_by_its_type),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
