#include "tests/support/test.h"

#include "services/management/upkeep/upkeep.h"

static void a_replica_beats_several_times_within_a_lease(void **state)
{
    (void)state;
    assert_true(UPKEEP_BEAT_MS * 3 < UPKEEP_LEASE_S * 1000);
    /* Nor does it take its own pace for a silence of all. */
    assert_true(UPKEEP_BEAT_MS * 2 <= UPKEEP_LEASE_S * 1000 / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_beats_several_times_within_a_lease),
    };

    return RUN_TESTS(tests);
}
