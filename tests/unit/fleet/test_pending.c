/* Whom a change is waited for, and who had it last. */

#include "tests/support/test.h"

#include "tests/bench/fleet/pending.h"

static void whoever_was_starting_takes_nobodys_place(void **state)
{
    struct pending c;

    (void)state;
    pending_init(&c, 7, 1000);
    pending_await(&c, 0);
    pending_await(&c, 200);
    assert_false(pending_take(&c, 1)); /* it was starting then: its first map has the change */
    assert_int_equal(c.left, 2);
    assert_true(pending_take(&c, 0));
    assert_false(pending_take(&c, 0)); /* a later map */
    assert_int_equal(c.left, 1);
    assert_true(pending_take(&c, 200));
    assert_int_equal(c.left, 0);
    pending_done(&c);
}

static void the_last_is_the_newest_moment_of_those_who_expected_it(void **state)
{
    struct pending c;

    (void)state;
    pending_init(&c, 7, 1000);
    assert_int_equal(c.last_ns, 0); /* nobody yet */
    pending_had(&c, 1500);
    pending_had(&c, 1200);
    assert_int_equal(c.last_ns, 1500);
    pending_await(&c, 3);
    assert_true(pending_take(&c, 3)); /* started anew meanwhile: it had it, and does not count */
    assert_int_equal(c.last_ns, 1500);
    assert_int_equal(c.left, 0);
    pending_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_was_starting_takes_nobodys_place),
        cmocka_unit_test(the_last_is_the_newest_moment_of_those_who_expected_it),
    };

    return RUN_TESTS(tests);
}
