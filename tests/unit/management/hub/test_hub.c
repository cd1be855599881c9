#include "tests/support/test.h"

#include "services/management/hub/hub.h"

static void what_was_announced_during_a_read_is_read_at_once(void **state)
{
    uint64_t heard = 8;

    (void)state;
    /* Asked for 7, got 7, and 8 was announced meanwhile. */
    assert_true(hub_read_again(7, &heard, 7, false));
    assert_int_equal(heard, 8);
    /* The read saw 8 already. */
    assert_false(hub_read_again(8, &heard, 7, false));
}

static void a_number_that_nobody_committed_is_not_asked_for_for_ever(void **state)
{
    uint64_t heard = 900;

    (void)state;
    assert_false(hub_read_again(7, &heard, 900, false));
    assert_int_equal(heard, 7);
}

static void somebody_who_waits_is_served_by_another_read(void **state)
{
    uint64_t heard = 7;

    (void)state;
    assert_true(hub_read_again(7, &heard, 7, true));
    heard = 9;
    assert_true(hub_read_again(7, &heard, 9, true));
    assert_int_equal(heard, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_announced_during_a_read_is_read_at_once),
        cmocka_unit_test(a_number_that_nobody_committed_is_not_asked_for_for_ever),
        cmocka_unit_test(somebody_who_waits_is_served_by_another_read),
    };

    return RUN_TESTS(tests);
}
