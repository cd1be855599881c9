/* Byte ranges: searching, cutting, numbers and UTF-8, on the edges of each. */

#include <string.h>

#include "libcommon/base/str.h"
#include "tests/support/test.h"

static void comparison_ignores_ascii_case_alone(void **state)
{
    (void)state;
    assert_true(rk_str_ieq(RK_STR("Content-LENGTH"), RK_STR("content-length")));
    assert_false(rk_str_ieq(RK_STR("ab"), RK_STR("abc")));
    assert_false(rk_str_ieq(RK_STR("@"), RK_STR("`")));               /* next to the letters */
    assert_false(rk_str_ieq(RK_STR("\xc3\x84"), RK_STR("\xc3\xa4"))); /* A and a with dots */
    assert_true(rk_str_ieq(RK_STR(""), rk_strn(NULL, 0)));
    assert_true(rk_str_eq(RK_STR(""), rk_str(NULL)));
    assert_false(rk_str_eq(RK_STR("a\0b"), RK_STR("a\0c")));
}

static void prefixes_and_suffixes_may_be_the_whole_or_nothing(void **state)
{
    (void)state;
    assert_true(rk_str_starts(RK_STR("abc"), RK_STR("abc")));
    assert_true(rk_str_starts(RK_STR("abc"), rk_strn(NULL, 0)));
    assert_false(rk_str_starts(RK_STR("ab"), RK_STR("abc")));
    assert_true(rk_str_ends(RK_STR("abc"), RK_STR("bc")));
    assert_true(rk_str_ends(rk_strn(NULL, 0), RK_STR("")));
    assert_false(rk_str_ends(RK_STR("bc"), RK_STR("abc")));
    assert_false(rk_str_ends(RK_STR("abc"), RK_STR("ab")));
}

static void white_space_is_trimmed_at_both_ends(void **state)
{
    (void)state;
    assert_true(rk_str_eq(rk_str_trim(RK_STR(" \t\r\n\v\f a b \n")), RK_STR("a b")));
    assert_int_equal(rk_str_trim(RK_STR("  \n ")).n, 0);
    assert_int_equal(rk_str_trim(rk_strn(NULL, 0)).n, 0);
    assert_true(rk_str_eq(rk_str_trim(RK_STR("\xc2\xa0x")), RK_STR("\xc2\xa0x")));
}

static void cutting_gives_every_part_even_the_empty_ones(void **state)
{
    struct rk_str rest = RK_STR(",a,,b,"), part;
    static const char *const want[] = { "", "a", "", "b", "" };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(want); i++) {
        assert_true(rk_str_next(&rest, ',', &part));
        assert_true(rk_str_eq(part, rk_str(want[i])));
    }
    assert_false(rk_str_next(&rest, ',', &part));
    rest = RK_STR("");
    assert_true(rk_str_next(&rest, ',', &part)); /* an empty text is one empty part */
    assert_int_equal(part.n, 0);
    assert_false(rk_str_next(&rest, ',', &part));
    rest = rk_strn(NULL, 0);
    assert_false(rk_str_next(&rest, ',', &part));
}

static void unsigned_numbers_are_digits_and_nothing_else(void **state)
{
    static const char *const bad[] = { "",
                                       " 1",
                                       "1 ",
                                       "+1",
                                       "-1",
                                       "0x10",
                                       "1e3",
                                       "1.0",
                                       "18446744073709551616",
                                       "99999999999999999999999",
                                       "1\n" };
    uint64_t v = 7;

    (void)state;
    assert_true(rk_str_u64(RK_STR("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    assert_true(rk_str_u64(RK_STR("007"), &v));
    assert_int_equal(v, 7);
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(rk_str_u64(rk_str(bad[i]), &v));
    assert_false(rk_str_u64(RK_STR("1\0"), &v));
    assert_int_equal(v, 7); /* untouched by what failed */
}

static void signed_numbers_reach_both_ends(void **state)
{
    static const char *const bad[] = {
        "", "-", "+", "--1", "+-1", "9223372036854775808", "-9223372036854775809", "- 1"
    };
    int64_t v = 3;

    (void)state;
    assert_true(rk_str_i64(RK_STR("9223372036854775807"), &v) && v == INT64_MAX);
    assert_true(rk_str_i64(RK_STR("-9223372036854775808"), &v) && v == INT64_MIN);
    assert_true(rk_str_i64(RK_STR("+5"), &v) && v == 5);
    assert_true(rk_str_i64(RK_STR("-0"), &v) && v == 0);
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(rk_str_i64(rk_str(bad[i]), &v));
}

static void a_copy_fits_with_its_nul_or_is_empty(void **state)
{
    char out[4] = "zzz";

    (void)state;
    assert_true(rk_str_copy(RK_STR("abc"), out, sizeof(out)));
    assert_string_equal(out, "abc");
    assert_false(rk_str_copy(RK_STR("abcd"), out, sizeof(out)));
    assert_string_equal(out, "");
    assert_false(rk_str_copy(RK_STR("a\0b"), out, sizeof(out)));
    assert_string_equal(out, "");
    assert_true(rk_str_copy(rk_strn(NULL, 0), out, 1));
    assert_false(rk_str_copy(RK_STR(""), out, 0));
}

static void only_well_formed_utf8_is_valid(void **state)
{
    static const char *const good[] = { "",
                                        "plain",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf" };
    static const char *const bad[] = {
        "\x80", /* a continuation alone */
        "\xc0\x80",
        "\xc1\xbf", /* overlong */
        "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",     /* surrogates */
        "\xf4\x90\x80\x80", /* past U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xfe",
        "\xc3",
        "\xe2\x82",
        "\xf0\x9f\x98", /* cut short */
        "\xe2\x28\xa1",
        "\xe2\x82\x28",
        "a\xc3(",
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(good); i++)
        assert_true(rk_utf8_valid(rk_str(good[i])));
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(rk_utf8_valid(rk_str(bad[i])));
    assert_true(rk_utf8_valid(rk_strn(NULL, 0)));
    assert_true(rk_utf8_valid(RK_STR("a\0b")));
}

/* Each code point has one form, of the length that its range says; no other four bytes begin with
 * one. */
static void every_code_point_has_its_length(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        uint8_t p[4];
        size_t n;

        if (cp >= 0xd800 && cp <= 0xdfff)
            continue;
        if (cp < 0x80) {
            p[0] = (uint8_t)cp;
            n = 1;
        } else if (cp < 0x800) {
            p[0] = (uint8_t)(0xc0 | cp >> 6);
            p[1] = (uint8_t)(0x80 | (cp & 63));
            n = 2;
        } else if (cp < 0x10000) {
            p[0] = (uint8_t)(0xe0 | cp >> 12);
            p[1] = (uint8_t)(0x80 | (cp >> 6 & 63));
            p[2] = (uint8_t)(0x80 | (cp & 63));
            n = 3;
        } else {
            p[0] = (uint8_t)(0xf0 | cp >> 18);
            p[1] = (uint8_t)(0x80 | (cp >> 12 & 63));
            p[2] = (uint8_t)(0x80 | (cp >> 6 & 63));
            p[3] = (uint8_t)(0x80 | (cp & 63));
            n = 4;
        }
        if (rk_utf8_len(p, n) != n || rk_utf8_len(p, n - 1) != 0)
            fail_msg("U+%04X", cp);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparison_ignores_ascii_case_alone),
        cmocka_unit_test(prefixes_and_suffixes_may_be_the_whole_or_nothing),
        cmocka_unit_test(white_space_is_trimmed_at_both_ends),
        cmocka_unit_test(cutting_gives_every_part_even_the_empty_ones),
        cmocka_unit_test(unsigned_numbers_are_digits_and_nothing_else),
        cmocka_unit_test(signed_numbers_reach_both_ends),
        cmocka_unit_test(a_copy_fits_with_its_nul_or_is_empty),
        cmocka_unit_test(only_well_formed_utf8_is_valid),
        cmocka_unit_test(every_code_point_has_its_length),
    };

    return RUN_TESTS(tests);
}
