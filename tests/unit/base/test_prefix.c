/* Prefixes: parsing, masking, containing. */

#include <string.h>
#include <sys/socket.h>

#include "libcommon/base/prefix.h"
#include "tests/support/test.h"

static struct rk_prefix of(const char *text)
{
    struct rk_prefix p;

    assert_true(rk_prefix_parse(rk_str(text), &p));
    return p;
}

static void test_parse_and_format(void **state)
{
    static const char *const good[][2] = {
        { "10.1.2.3/8", "10.1.2.3/8" }, { "10.1.2.3", "10.1.2.3/32" }, { "0.0.0.0/0", "0.0.0.0/0" },
        { "fd00::1/64", "fd00::1/64" }, { "::1", "::1/128" },
    };
    static const char *const bad[] = { "",          "/",           "10.0.0.0/33",
                                       "10.0.0.0/", "10.0.0/8",    "fd00::/129",
                                       "x/8",       "10.0.0.0/-1", "10.0.0.0/8/8" };
    char text[RK_PREFIX_LEN];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(good); i++) {
        struct rk_prefix p = of(good[i][0]);

        rk_prefix_format(&p, text);
        assert_string_equal(text, good[i][1]);
    }
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        struct rk_prefix p = { .family = 1 };

        assert_false(rk_prefix_parse(rk_str(bad[i]), &p));
        assert_int_equal(p.family, 0);
    }
}

static void test_mask_clears_host_bits(void **state)
{
    struct rk_prefix p = of("10.255.255.255/9"), q = of("fd00:ffff::1/17");
    char text[RK_PREFIX_LEN];

    (void)state;
    rk_prefix_mask(&p);
    rk_prefix_format(&p, text);
    assert_string_equal(text, "10.128.0.0/9");
    rk_prefix_mask(&q);
    rk_prefix_format(&q, text);
    assert_string_equal(text, "fd00:8000::/17");
}

static void test_contains(void **state)
{
    static const struct {
        const char *outer, *inner;
        bool yes;
    } rows[] = {
        { "10.0.0.0/8", "10.2.3.4/32", true },  { "10.9.9.9/8", "10.2.3.4", true },
        { "10.2.0.0/16", "10.0.0.0/8", false }, { "0.0.0.0/0", "1.2.3.4", true },
        { "0.0.0.0/0", "::1", false },          { "fd00::/8", "fd12::/16", true },
        { "fd00::/16", "fd12::/16", false },    { "10.0.0.0/8", "11.0.0.0/8", false },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        struct rk_prefix outer = of(rows[i].outer), inner = of(rows[i].inner);

        assert_int_equal(rk_prefix_contains(&outer, &inner), rows[i].yes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_mask_clears_host_bits),
        cmocka_unit_test(test_contains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
