/* Deadlines: never early, at most one tick late, however far away. */

#include "tests/support/test.h"

#include "libcommon/base/attr.h"
#include "services/relay/core/wheel.h"

struct probe {
    struct wheel_timer timer;
    unsigned fired;
};

static void fire(struct wheel_timer *t)
{
    rk_container_of(t, struct probe, timer)->fired++;
}

static void a_timer_fires_after_its_time_and_within_a_tick(void **state)
{
    static const uint64_t after[] = { 0, 1, 249, 250, 251, 10000, 64000, 64001, 200000 };
    struct wheel w;

    (void)state;
    for (unsigned i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        uint64_t start = 1000007, now = start;
        struct probe p = { .fired = 0 };

        wheel_init(&w, start);
        wheel_timer_init(&p.timer);
        wheel_set(&w, &p.timer, start + after[i]);
        for (; p.fired == 0 && now < start + after[i] + 1000; now++)
            wheel_run(&w, now, fire);
        assert_int_equal(p.fired, 1);
        assert_in_range(now - 1 - start, after[i], after[i] + WHEEL_TICK_MS);
        wheel_run(&w, now + 100000, fire);
        assert_int_equal(p.fired, 1);
    }
}

static void a_timer_moved_or_unset_does_not_fire_at_its_old_time(void **state)
{
    struct probe a = { .fired = 0 }, b = { .fired = 0 };
    struct wheel w;

    (void)state;
    wheel_init(&w, 0);
    wheel_timer_init(&a.timer);
    wheel_timer_init(&b.timer);
    wheel_set(&w, &a.timer, 1000);
    wheel_set(&w, &b.timer, 1000);
    wheel_set(&w, &a.timer, 5000);
    wheel_unset(&b.timer);
    wheel_run(&w, 4000, fire);
    assert_int_equal(a.fired, 0);
    wheel_run(&w, 5250, fire);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 0);
}

static void a_late_run_fires_everything_that_is_due(void **state)
{
    struct probe p[600] = { { .fired = 0 } };
    struct wheel w;

    (void)state;
    wheel_init(&w, 0);
    for (unsigned i = 0; i < 600; i++) {
        wheel_timer_init(&p[i].timer);
        wheel_set(&w, &p[i].timer, i * 500);
    }
    wheel_run(&w, 10 * 60 * 1000, fire);
    for (unsigned i = 0; i < 600; i++)
        assert_int_equal(p[i].fired, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_after_its_time_and_within_a_tick),
        cmocka_unit_test(a_timer_moved_or_unset_does_not_fire_at_its_old_time),
        cmocka_unit_test(a_late_run_fires_everything_that_is_due),
    };

    return RUN_TESTS(tests);
}
