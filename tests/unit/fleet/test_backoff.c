/* Waits grow as the rule says, stay within their jitter, and begin anew after a reset. */

#include "tests/support/test.h"

#include "tests/bench/fleet/backoff.h"

static void waits_grow_to_the_cap(void **state)
{
    static const struct backoff_rule rule = { 100, 400, 2, 0 };
    struct backoff b = { 0 };

    (void)state;
    assert_int_equal(backoff_next(&b, &rule), 100);
    assert_int_equal(backoff_next(&b, &rule), 200);
    assert_int_equal(backoff_next(&b, &rule), 400);
    assert_int_equal(backoff_next(&b, &rule), 400);
    backoff_reset(&b);
    assert_int_equal(backoff_next(&b, &rule), 100);
}

static void a_stream_comes_back_within_twice_its_interval(void **state)
{
    uint32_t least = UINT32_MAX, most = 0;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct backoff b = { 0 };
        uint32_t wait = backoff_next(&b, &backoff_stream);

        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    assert_true(most <= 1600 && most > 1400);
    assert_true(least < 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_grow_to_the_cap),
        cmocka_unit_test(a_stream_comes_back_within_twice_its_interval),
    };

    return RUN_TESTS(tests);
}
