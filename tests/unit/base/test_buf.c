/* The growing buffer: up to its limit everything, past it nothing and a mark. */

#include <string.h>

#include "libcommon/base/buf.h"
#include "tests/support/test.h"

static void appended_bytes_follow_each_other(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    (void)state;
    rk_buf_init(&b, 1000);
    assert_true(rk_buf_put_u8(&b, 1));
    assert_true(rk_buf_put_be16(&b, 0x0203));
    assert_true(rk_buf_put_be32(&b, 0x04050607));
    assert_true(rk_buf_put_c(&b, "ab"));
    assert_true(rk_buf_put_str(&b, RK_STR("c")));
    assert_true(rk_buf_put(&b, NULL, 0));
    assert_true(rk_buf_printf(&b, "%d", 42));
    assert_int_equal(b.n, 12);
    assert_memory_equal(b.p, "\1\2\3\4\5\6\7abc42", 12);
    assert_false(b.overflow);
}

static void an_append_past_the_limit_changes_nothing_and_is_remembered(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    (void)state;
    rk_buf_init(&b, 10);
    assert_true(rk_buf_put_c(&b, "12345678"));
    assert_false(rk_buf_put_c(&b, "abc"));
    assert_int_equal(b.n, 8);
    assert_true(b.overflow);
    assert_true(rk_buf_put_c(&b, "90")); /* what fits still goes in */
    assert_memory_equal(b.p, "1234567890", 10);
    assert_true(b.overflow);
    assert_null(rk_buf_reserve(&b, 1));
    assert_null(rk_buf_reserve(&b, SIZE_MAX));
    rk_buf_clear(&b);
    assert_false(b.overflow);
    assert_int_equal(b.n, 0);
    assert_int_equal(b.cap, 10);
}

static void printf_needs_room_for_its_nul_too(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    (void)state;
    rk_buf_init(&b, 5);
    assert_false(rk_buf_printf(&b, "%s", "12345"));
    assert_true(b.overflow);
    assert_int_equal(b.n, 0);
    rk_buf_clear(&b);
    assert_true(rk_buf_printf(&b, "%s", "1234"));
    assert_int_equal(b.n, 4);
    assert_false(rk_buf_printf(&b, "x"));
    assert_true(rk_buf_put_u8(&b, 'y')); /* the place of the NUL is free again */
    assert_memory_equal(b.p, "1234y", 5);
}

static void a_reservation_counts_once_it_is_committed(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    uint8_t *at;

    (void)state;
    rk_buf_init(&b, 100000);
    assert_true(rk_buf_put_c(&b, "a"));
    at = rk_buf_reserve(&b, 5000);
    assert_non_null(at);
    memset(at, 'b', 5000);
    assert_int_equal(b.n, 1);
    rk_buf_commit(&b, 3);
    assert_true(rk_str_eq(rk_buf_str(&b), RK_STR("abbb")));
}

static void bytes_are_dropped_from_the_front(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    (void)state;
    rk_buf_init(&b, 100);
    rk_buf_consume(&b, 1); /* nothing there */
    assert_true(rk_buf_put_c(&b, "abcdef"));
    rk_buf_consume(&b, 2);
    assert_true(rk_str_eq(rk_buf_str(&b), RK_STR("cdef")));
    rk_buf_consume(&b, 0);
    rk_buf_consume(&b, 99);
    assert_int_equal(b.n, 0);
    rk_buf_done(&b);
    rk_buf_done(&b);
    assert_true(rk_buf_put_c(&b, "again")); /* the limit outlives the memory */
}

static void a_limit_of_nothing_holds_nothing(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    (void)state;
    rk_buf_init(&b, 0);
    assert_true(rk_buf_put(&b, "", 0));
    assert_false(rk_buf_put_u8(&b, 1));
    assert_false(rk_buf_printf(&b, "%s", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_bytes_follow_each_other),
        cmocka_unit_test(an_append_past_the_limit_changes_nothing_and_is_remembered),
        cmocka_unit_test(printf_needs_room_for_its_nul_too),
        cmocka_unit_test(a_reservation_counts_once_it_is_committed),
        cmocka_unit_test(bytes_are_dropped_from_the_front),
        cmocka_unit_test(a_limit_of_nothing_holds_nothing),
    };

    return RUN_TESTS(tests);
}
