/* How long a replica sleeps between two looks. */

#include "tests/support/test.h"

#include "services/management/due/due.h"

static void until_the_nearest_deadline_but_never_long(void **state)
{
    (void)state;
    assert_int_equal(due_sleep(-1), DUE_LOOK_MS);
    assert_int_equal(due_sleep(0), 0);
    assert_int_equal(due_sleep(50), 50);
    assert_int_equal(due_sleep(DUE_LOOK_MS), DUE_LOOK_MS);
    assert_int_equal(due_sleep(INT64_MAX), DUE_LOOK_MS);
    assert_true(DUE_LOOK_MS < 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(until_the_nearest_deadline_but_never_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
