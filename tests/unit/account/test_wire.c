#include "tests/support/test.h"

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/cursor.h"

static void varints_have_the_size_they_say_and_read_back(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t around[] = { (UINT64_C(1) << bit) - 1, UINT64_C(1) << bit,
                                    UINT64_MAX >> (63 - bit) };

        for (size_t i = 0; i < RK_COUNT(around); i++) {
            rk_auto(rk_buf_done) struct rk_buf b;
            struct rk_cursor c;

            rk_buf_init(&b, 16);
            rk_wire_varint(&b, around[i]);
            assert_int_equal(b.n, rk_wire_varint_size(around[i]));
            c = rk_cursor(b.p, b.n);
            assert_true(rk_cursor_varint(&c) == around[i]);
            assert_false(c.bad);
            assert_int_equal(c.n, 0);
        }
    }
}

static void unset_scalars_are_omitted_and_empty_submessages_are_not(void **state)
{
    static const uint8_t want[] = { 0x3a, 0x00, 0x3a, 0x00 };
    rk_auto(rk_buf_done) struct rk_buf b;

    (void)state;
    rk_buf_init(&b, 64);
    rk_wire_uint(&b, 1, 0);
    rk_wire_bool(&b, 2, false);
    rk_wire_str(&b, 3, RK_STR(""));
    assert_int_equal(b.n, 0);
    rk_wire_bytes_always(&b, 7, RK_STR(""));
    rk_wire_end(&b, rk_wire_begin(&b, 7));
    assert_int_equal(b.n, sizeof(want));
    assert_memory_equal(b.p, want, sizeof(want));
}

static void a_submessage_gets_its_length_whatever_its_size(void **state)
{
    static const size_t sizes[] = { 0, 1, 127, 128, 129, 16383, 16384, 70000 };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(sizes); i++) {
        rk_auto(rk_buf_done) struct rk_buf b;
        struct rk_cursor c;
        struct rk_str body;
        size_t at;

        rk_buf_init(&b, 1 << 20);
        at = rk_wire_begin(&b, 200);
        for (size_t k = 0; k < sizes[i]; k++)
            (void)rk_buf_put_u8(&b, (uint8_t)k);
        rk_wire_end(&b, at);
        c = rk_cursor(b.p, b.n);
        assert_int_equal(rk_cursor_varint(&c), 200 << 3 | 2);
        body = rk_cursor_take(&c, (size_t)rk_cursor_varint(&c));
        assert_false(c.bad);
        assert_int_equal(c.n, 0);
        assert_int_equal(body.n, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal((uint8_t)body.p[k], (uint8_t)k);
    }
}

static void a_submessage_is_the_same_whatever_length_was_expected(void **state)
{
    static const size_t sizes[] = { 0, 1, 127, 128, 16383, 16384, 2097151, 2097152 };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(sizes) * RK_COUNT(sizes); i++) {
        size_t size = sizes[i % RK_COUNT(sizes)], expected = sizes[i / RK_COUNT(sizes)], at;
        rk_auto(rk_buf_done) struct rk_buf plain, near;

        rk_buf_init(&plain, 1 << 22);
        rk_buf_init(&near, 1 << 22);
        at = rk_wire_begin(&plain, 5);
        memset(rk_buf_reserve(&plain, size), 'x', size);
        rk_buf_commit(&plain, size);
        rk_wire_end(&plain, at);
        at = rk_wire_begin_near(&near, 5, expected);
        memset(rk_buf_reserve(&near, size), 'x', size);
        rk_buf_commit(&near, size);
        rk_wire_end_near(&near, at, expected);
        assert_int_equal(near.n, plain.n);
        assert_memory_equal(near.p, plain.p, plain.n);
    }
}

static void past_the_limit_nothing_is_written_out_of_place(void **state)
{
    (void)state;
    for (size_t max = 0; max < 40; max++) {
        rk_auto(rk_buf_done) struct rk_buf b;
        size_t outer, inner;

        rk_buf_init(&b, max);
        outer = rk_wire_begin_near(&b, 1, max);
        inner = rk_wire_begin(&b, 2);
        rk_wire_str(&b, 3, RK_STR("0123456789"));
        rk_wire_uint(&b, 4, UINT64_MAX);
        rk_wire_end(&b, inner);
        rk_wire_end_near(&b, outer, max);
        assert_true(b.n <= max);
        assert_int_equal(b.overflow, max < 27);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_have_the_size_they_say_and_read_back),
        cmocka_unit_test(unset_scalars_are_omitted_and_empty_submessages_are_not),
        cmocka_unit_test(a_submessage_gets_its_length_whatever_its_size),
        cmocka_unit_test(a_submessage_is_the_same_whatever_length_was_expected),
        cmocka_unit_test(past_the_limit_nothing_is_written_out_of_place),
    };

    return RUN_TESTS(tests);
}
