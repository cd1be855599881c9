#include "tests/support/test.h"

/* Versions against minimums: grammar, padding, pre-releases. */

#include "libcommon/account/model/version_bound.h"
#include "libcommon/base/attr.h"

static void check(const char *version, const char *minimum, bool want)
{
    if (rk_version_meets(rk_str(version), rk_str(minimum)) != want)
        fail_msg("%s >= %s should be %d", version, minimum, want);
}

static void what_is_a_version_and_what_is_not(void **state)
{
    static const char *const good[] = {
        "1",          "1.2",      "v1.2.3",      "1.2.3.4.5", "1.2.3beta",     "1.2.3-beta.2",
        "1.2.3-5",    "1.2.3--5", "1.2.3-",      "1.2.3~rc1", "1.2.3+build.1", "1.2.3-rc.1+a-b",
        "1.2-5.x.7z", "007",      "1.2.3-a.-.b", "1.2.3+~",
    };
    static const char *const bad[] = {
        "",
        "v",
        "V1.2",
        "1.",
        ".1",
        "1..2",
        "1.2.",
        "1.2.x",
        "a.b.c",
        "1.2.3+",
        "1.2.3-a.",
        "1.2.3-.",
        "1.2.3-a..b",
        "1 .2",
        "1.2.3 ",
        "-1.2",
        "1.2_3",
        "1.2.3+a+b",
        "1.2.3-é",
        "9223372036854775808",
        "development",
        "ci-1",
        "dev-2",
        "f3c2a1b8",
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(good); i++)
        if (!rk_version_parses(rk_str(good[i])))
            fail_msg("%s does not parse", good[i]);
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        if (rk_version_parses(rk_str(bad[i])))
            fail_msg("%s parses", bad[i]);
}

static void missing_segments_are_zero_and_longer_ones_count(void **state)
{
    (void)state;
    check("1.2", "1.2.0", true);
    check("1.2.0", "1.2", true);
    check("1", "1.0.1", false);
    check("1.2.3.1", "1.2.3", true);
    check("1.2.3", "1.2.3.1", false);
    check("1.2.3", "1.2.3.0.0", true);
    check("1.10", "1.9", true);
    check("v2", "1.99.99", true);
    check("1.2.3+b", "1.2.3+z", true); /* metadata does not count */
    check("9223372036854775807", "9223372036854775806", true);
}

static void a_pre_release_meets_only_a_minimum_of_its_own_version_that_has_one(void **state)
{
    (void)state;
    check("2.0.0-rc1", "1.0.0", false);
    check("13.4-beta", "13.0", false);
    check("0.60.0rc1", "0.1.0", false);
    check("1.0.0-rc1", "1.0.0-rc1", true);
    check("1.0.0-rc2", "1.0.0-rc1", true);
    check("1.0.0-alpha", "1.0.0-beta", false);
    check("1.0.1-rc2", "1.0.0-rc1", false);
    check("1.0.0.0-rc2", "1.0.0-rc1", false);
    check("1.0.0", "1.0.0-rc1", true);
    check("1.0.1", "1.0.0-rc1", true);
    check("0.9.9", "1.0.0-rc1", false);
}

static void parts_of_pre_releases_compare_as_numbers_or_words(void **state)
{
    (void)state;
    check("1.0.0-rc.10", "1.0.0-rc.9", true);
    check("1.0.0-9", "1.0.0-10", false);
    check("1.0.0-5", "1.0.0-a", false); /* a number is before a word */
    check("1.0.0-a", "1.0.0-5", true);
    check("1.0.0-rc", "1.0.0-rc.1", false);
    check("1.0.0-rc.1", "1.0.0-rc", true);
    check("1.0.0-rc", "1.0.0-rc.a", true); /* but a missing one is after a word */
    check("1.0.0-rc.a", "1.0.0-rc", false);
    check("1.0.0-Beta", "1.0.0-alpha", false); /* bytes */
}

static void nothing_that_is_no_version_meets_or_bounds_anything(void **state)
{
    (void)state;
    check("development", "0.0.1", false);
    check("1.0.0", "latest", false);
    check("1.0.0", "", false);
    check("", "0", false);
}

static void cutting_leaves_what_is_before_the_first_hyphen(void **state)
{
    (void)state;
    assert_true(rk_str_eq(rk_version_cut(RK_STR("6.1.0-18-amd64")), RK_STR("6.1.0")));
    assert_true(rk_str_eq(rk_version_cut(RK_STR("0.60.0")), RK_STR("0.60.0")));
    assert_int_equal(rk_version_cut(RK_STR("-x")).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_version_and_what_is_not),
        cmocka_unit_test(missing_segments_are_zero_and_longer_ones_count),
        cmocka_unit_test(a_pre_release_meets_only_a_minimum_of_its_own_version_that_has_one),
        cmocka_unit_test(parts_of_pre_releases_compare_as_numbers_or_words),
        cmocka_unit_test(nothing_that_is_no_version_meets_or_bounds_anything),
        cmocka_unit_test(cutting_leaves_what_is_before_the_first_hyphen),
    };

    return RUN_TESTS(tests);
}
