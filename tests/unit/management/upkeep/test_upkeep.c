#include "tests/support/test.h"

#include "services/management/upkeep/upkeep.h"

static void after_a_silence_of_our_own_the_others_get_time_to_beat_again(void **state)
{
    uint64_t after = 0;
    uint64_t lease_ms = UPKEEP_LEASE_S * 1000;

    (void)state;
    assert_false(upkeep_may_sweep(false, 50000, &after)); /* the first beat */
    assert_false(upkeep_may_sweep(true, 50000 + lease_ms - 1, &after));
    assert_true(upkeep_may_sweep(true, 50000 + lease_ms, &after));
    assert_true(upkeep_may_sweep(true, 90000, &after));
    assert_false(upkeep_may_sweep(false, 95000, &after)); /* Postgres was away */
    assert_false(upkeep_may_sweep(true, 95000 + lease_ms - 1, &after));
    assert_true(upkeep_may_sweep(true, 95000 + lease_ms, &after));
}

static void a_replica_beats_several_times_within_a_lease(void **state)
{
    (void)state;
    assert_true(UPKEEP_BEAT_MS * 3 < UPKEEP_LEASE_S * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_silence_of_our_own_the_others_get_time_to_beat_again),
        cmocka_unit_test(a_replica_beats_several_times_within_a_lease),
    };

    return RUN_TESTS(tests);
}
