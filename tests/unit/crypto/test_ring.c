#include "libcommon/crypto/ring.h"

#include "tests/support/test.h"

static void lines_are_secrets_in_their_order(void **state)
{
    struct rk_ring r;

    (void)state;
    assert_int_equal(rk_ring_split(RK_STR("one"), &r, NULL), 0);
    assert_int_equal(r.n, 1);
    assert_true(rk_str_eq(r.secret[0], RK_STR("one")));
    assert_int_equal(rk_ring_split(RK_STR("new one\r\n\n old \n"), &r, NULL), 0);
    assert_int_equal(r.n, 2);
    assert_true(rk_str_eq(r.secret[0], RK_STR("new one")));
    assert_true(rk_str_eq(r.secret[1], RK_STR("old")));
}

static void no_line_is_one_empty_secret(void **state)
{
    struct rk_ring r;

    (void)state;
    assert_int_equal(rk_ring_split(RK_STR("\n\n"), &r, NULL), 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.secret[0].n, 0);
    assert_int_equal(rk_ring_split((struct rk_str){ NULL, 0 }, &r, NULL), 0);
    assert_int_equal(r.n, 1);
}

static void a_third_one_is_refused(void **state)
{
    struct rk_ring r;
    struct rk_err err;

    (void)state;
    assert_int_equal(rk_ring_split(RK_STR("a\nb\nc"), &r, &err), RK_INVALID);
    assert_non_null(strstr(err.msg, "one line"));
    assert_int_equal(r.n, RK_RING_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_secrets_in_their_order),
        cmocka_unit_test(no_line_is_one_empty_secret),
        cmocka_unit_test(a_third_one_is_refused),
    };

    return RUN_TESTS(tests);
}
