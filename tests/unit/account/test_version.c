#include "tests/support/test.h"

#include "libcommon/account/model/version.h"

static const struct {
    const char *v;
    bool cut, uncut, semver; /* >= 0.59.0 */
} cases[] = {
    { "0.59.0", true, true, true },
    { "0.58.9", false, false, false },
    { "0.77.1", true, true, true },
    { "1.0.0", true, true, true },
    { "v0.59.0", true, true, false }, /* the strict form gets its own v */
    { "0.60.0-rc1", true, false, true },
    { "0.59.0-x", true, false, false },
    { "0.59.0-0.0", true, false, false },
    { "0.60.0rc1", false, false, false },
    { "0.60.0.1", true, true, false },
    { "0.59", true, true, true },
    { "1", true, true, true },
    { "0.060.0", true, true, false },
    { "0.60.0-01", true, false, false },
    { "0.60.0+build.1", true, true, true },
    { "0.60.0+", false, false, false },
    { "0.60-rc1", true, false, false },
    { "0.60.", false, false, false },
    { "0..60", false, false, false },
    { "-0.60.0", false, false, false },
    { "99999999999999999999999.0.0", false, false, false },
    { "development", true, true, true },
    { "ci-1234", true, true, true },
    { "dev-abc", true, true, true },
    { "unknown", false, false, false },
    { "8f3c2a1", false, false, false },
    { "", false, false, false },
    { " 0.60.0", false, false, false },
};

static void every_gate_reads_pre_releases_its_own_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (rk_version_at_least(cases[i].v, 0, 59, 0) != cases[i].cut)
            fail_msg("cut %s", cases[i].v);
        if (rk_version_uncut_at_least(cases[i].v, 0, 59, 0) != cases[i].uncut)
            fail_msg("uncut %s", cases[i].v);
        if (rk_version_semver_at_least(cases[i].v, 0, 59, 0) != cases[i].semver)
            fail_msg("semver %s", cases[i].v);
    }
}

static void only_three_prefixes_are_development_builds(void **state)
{
    (void)state;
    assert_true(rk_version_is_dev("development"));
    assert_true(rk_version_is_dev("dev-1"));
    assert_true(rk_version_is_dev("ci-1"));
    assert_false(rk_version_is_dev("dev"));
    assert_false(rk_version_is_dev("Development"));
    assert_false(rk_version_is_dev("0.77.1-dev"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gate_reads_pre_releases_its_own_way),
        cmocka_unit_test(only_three_prefixes_are_development_builds),
    };

    return RUN_TESTS(tests);
}
