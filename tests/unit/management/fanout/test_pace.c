#include "tests/support/test.h"

#include "services/management/fanout/pace.h"

/* Runs a burst of changes, one every `gap_ms`, whose rounds take `took_ms`; returns how many rounds
 * there were and when the last began. */
static unsigned
burst(struct pace *p, unsigned changes, uint64_t gap_ms, uint64_t took_ms, uint64_t *out_last)
{
    uint64_t start = 1000000, now = start, armed_for = UINT64_MAX;
    unsigned rounds = 0, made = 0;

    for (;; now++) {
        if (made < changes && now >= start + made * gap_ms) {
            made++;
            if (armed_for == UINT64_MAX)
                armed_for = now + pace_wait(p, now);
        }
        if (now >= armed_for) {
            rounds++;
            *out_last = now - start;
            now += took_ms;
            pace_done(p, now, took_ms);
            armed_for = UINT64_MAX;
        }
        if (made == changes && armed_for == UINT64_MAX)
            return rounds;
    }
}

static void the_first_change_after_quiet_goes_at_once(void **state)
{
    struct pace p = { .step = 0 };

    (void)state;
    assert_int_equal(pace_wait(&p, 5000), 0);
    pace_done(&p, 5001, 1);
    assert_int_equal(pace_wait(&p, 5001 + 50), 0);
    pace_done(&p, 5052, 1);
    assert_int_equal(pace_wait(&p, 5052 + 40), 60);
}

static void a_burst_costs_a_few_maps_and_the_last_comes_soon(void **state)
{
    struct pace p = { .step = 0 };
    uint64_t last;

    (void)state;
    assert_in_range(burst(&p, 50, 10, 0, &last), 2, 5);
    assert_in_range(last, 490, 490 + 400);
}

static void a_long_burst_gets_a_map_every_400_ms(void **state)
{
    struct pace p = { .step = 0 };
    uint64_t last;

    (void)state;
    assert_in_range(burst(&p, 1000, 10, 0, &last), 10000 / 400, 10000 / 400 + 5);
    assert_in_range(last, 9990, 9990 + 400);
}

static void after_a_second_of_quiet_it_starts_over(void **state)
{
    struct pace p = { .step = 0 };
    uint64_t last;

    (void)state;
    (void)burst(&p, 100, 10, 0, &last);
    assert_int_equal(pace_wait(&p, p.not_before_ms + 999), 0);
    assert_int_not_equal(p.step, 0);
    assert_int_equal(pace_wait(&p, p.not_before_ms + 1000), 0);
    assert_int_equal(p.step, 0);
}

static void long_rounds_take_a_fifth_of_the_loop_but_pause_a_second_at_most(void **state)
{
    struct pace p = { .step = 0 };

    (void)state;
    pace_done(&p, 1000, 100);
    assert_int_equal(pace_wait(&p, 1000), 400);
    pace_done(&p, 2000, 900);
    assert_int_equal(pace_wait(&p, 2000), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_change_after_quiet_goes_at_once),
        cmocka_unit_test(a_burst_costs_a_few_maps_and_the_last_comes_soon),
        cmocka_unit_test(a_long_burst_gets_a_map_every_400_ms),
        cmocka_unit_test(after_a_second_of_quiet_it_starts_over),
        cmocka_unit_test(long_rounds_take_a_fifth_of_the_loop_but_pause_a_second_at_most),
    };

    return RUN_TESTS(tests);
}
