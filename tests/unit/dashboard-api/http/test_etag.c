/* Entity tags. */

#include "tests/support/test.h"

#include "services/dashboard-api/http/etag.h"

static void the_same_bytes_have_the_same_tag(void **state)
{
    char a[ETAG_LEN + 1], b[ETAG_LEN + 1];

    (void)state;
    etag_of(RK_STR("{\"name\":\"one\"}\n"), a);
    etag_of(RK_STR("{\"name\":\"one\"}\n"), b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), ETAG_LEN);
    assert_true(a[0] == '"' && a[ETAG_LEN - 1] == '"');
}

static void every_bit_counts(void **state)
{
    uint8_t text[67] = { 0 };
    char plain[ETAG_LEN + 1], changed[ETAG_LEN + 1];

    (void)state;
    etag_of(rk_strn(text, sizeof(text)), plain);
    for (size_t i = 0; i < 8 * sizeof(text); i++) {
        text[i / 8] ^= (uint8_t)(1u << (i % 8));
        etag_of(rk_strn(text, sizeof(text)), changed);
        assert_string_not_equal(plain, changed);
        text[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
}

static void a_length_of_zeros_is_told_from_another(void **state)
{
    uint8_t zeros[64] = { 0 };
    char tags[65][ETAG_LEN + 1];

    (void)state;
    for (size_t n = 0; n <= sizeof(zeros); n++) {
        etag_of(rk_strn(zeros, n), tags[n]);
        for (size_t m = 0; m < n; m++)
            assert_string_not_equal(tags[n], tags[m]);
    }
}

static void a_list_names_what_is_in_it(void **state)
{
    (void)state;
    assert_true(etag_listed(RK_STR("\"a\""), "\"a\"", false));
    assert_true(etag_listed(RK_STR("\"b\", \"a\""), "\"a\"", false));
    assert_true(etag_listed(RK_STR("*"), "\"a\"", false));
    assert_false(etag_listed(RK_STR("\"b\""), "\"a\"", true));
    assert_false(etag_listed(RK_STR(""), "\"a\"", true));
    assert_false(etag_listed(RK_STR("a"), "\"a\"", true));
}

static void a_weak_tag_counts_only_for_reading(void **state)
{
    (void)state;
    assert_true(etag_listed(RK_STR("W/\"a\""), "\"a\"", true));
    assert_false(etag_listed(RK_STR("W/\"a\""), "\"a\"", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes_have_the_same_tag),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(a_length_of_zeros_is_told_from_another),
        cmocka_unit_test(a_list_names_what_is_in_it),
        cmocka_unit_test(a_weak_tag_counts_only_for_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
