/* The bounded reading cursor: what is there is read in network order, what is not is never touched.
 */

#include <string.h>

#include "libcommon/base/cursor.h"
#include "tests/support/test.h"

static void integers_are_read_in_network_order(void **state)
{
    static const uint8_t in[] = { 0x01, 0x02, 0x03, 0xfe, 0xdc, 0xba, 0x98, 'x', 'y' };
    struct rk_cursor c = rk_cursor(in, sizeof(in));

    (void)state;
    assert_int_equal(rk_cursor_u8(&c), 0x01);
    assert_int_equal(rk_cursor_be16(&c), 0x0203);
    assert_int_equal(rk_cursor_be32(&c), 0xfedcba98u);
    assert_true(rk_str_eq(rk_cursor_take(&c, 2), RK_STR("xy")));
    assert_false(c.bad);
    assert_int_equal(c.n, 0);
}

static void a_read_past_the_end_gives_nothing_ever_after(void **state)
{
    static const uint8_t in[] = { 1, 2, 3 };
    struct rk_cursor c = rk_cursor(in, sizeof(in));

    (void)state;
    assert_int_equal(rk_cursor_be32(&c), 0);
    assert_true(c.bad);
    assert_int_equal(rk_cursor_u8(&c), 0); /* a byte was there, but the header is lost already */
    assert_int_equal(rk_cursor_be16(&c), 0);
    assert_null(rk_cursor_take(&c, 0).p);
    assert_int_equal(rk_cursor_varint(&c), 0);
}

static void nothing_can_be_taken_from_an_empty_cursor(void **state)
{
    struct rk_cursor c = rk_cursor(NULL, 0);

    (void)state;
    assert_int_equal(rk_cursor_take(&c, 0).n, 0);
    assert_false(c.bad);
    assert_int_equal(rk_cursor_u8(&c), 0);
    assert_true(c.bad);
}

static void a_length_near_the_end_of_memory_does_not_wrap(void **state)
{
    static const uint8_t in[] = { 1, 2, 3 };
    struct rk_cursor c = rk_cursor(in, sizeof(in));

    (void)state;
    assert_null(rk_cursor_take(&c, SIZE_MAX).p);
    assert_true(c.bad);
}

static void varints_have_at_most_ten_bytes_and_sixty_four_bits(void **state)
{
    static const struct {
        const char *in;
        size_t n;
        bool good;
        uint64_t want;
    } cases[] = {
        { "\x00", 1, true, 0 },
        { "\x7f", 1, true, 127 },
        { "\xac\x02", 2, true, 300 },
        { "\x80\x00", 2, true, 0 }, /* longer than needed is legal */
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, true, UINT64_MAX },
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, false, 0 },
        { "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, false, 0 },
        { "\x80", 1, false, 0 },
        { "", 0, false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        struct rk_cursor c = rk_cursor(cases[i].in, cases[i].n);

        assert_int_equal(rk_cursor_varint(&c), cases[i].want);
        assert_int_equal(c.bad, !cases[i].good);
        assert_int_equal(c.n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_in_network_order),
        cmocka_unit_test(a_read_past_the_end_gives_nothing_ever_after),
        cmocka_unit_test(nothing_can_be_taken_from_an_empty_cursor),
        cmocka_unit_test(a_length_near_the_end_of_memory_does_not_wrap),
        cmocka_unit_test(varints_have_at_most_ten_bytes_and_sixty_four_bits),
    };

    return RUN_TESTS(tests);
}
