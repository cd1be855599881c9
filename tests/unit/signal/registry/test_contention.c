/* Two agents with one key slow down; nobody else waits. */

#include "tests/support/test.h"

#include <stdio.h>

#include "services/signal/registry/contention.h"

#define KEY RK_STR("a key")
#define START 1000000u

static void ten_evictions_are_free_and_then_each_waits_its_turn(void **state)
{
    rk_auto(contention_free) struct contention *c = contention_new();
    uint64_t now = START;

    (void)state;
    for (unsigned i = 0; i < CONTENTION_BURST; i++) {
        assert_int_equal(contention_delay_ms(c, KEY, now), 0);
        contention_note(c, KEY, now);
    }
    assert_int_equal(contention_delay_ms(c, KEY, now), 0);
    contention_note(c, KEY, now);
    assert_int_equal(contention_delay_ms(c, KEY, now), CONTENTION_EACH_MS);
    assert_int_equal(contention_delay_ms(c, KEY, now + 1000), CONTENTION_EACH_MS - 1000);
    assert_int_equal(contention_delay_ms(c, RK_STR("another"), now), 0);
    assert_int_equal(contention_delay_ms(c, KEY, now + CONTENTION_EACH_MS), 0);
}

static void clones_that_never_give_up_change_places_ten_times_a_minute(void **state)
{
    rk_auto(contention_free) struct contention *c = contention_new();
    uint64_t now = START, minute = START;
    unsigned evictions = 0, last = 0;

    (void)state;
    for (; now < START + 600000; now += 800) { /* whoever was evicted comes back after that */
        now += contention_delay_ms(c, KEY, now);
        contention_note(c, KEY, now);
        evictions++;
        if (now - minute >= 60000) {
            minute += 60000;
            last = evictions;
            evictions = 0;
        }
    }
    assert_in_range(last, 8, 11);
}

static void the_wait_has_an_end_and_calm_makes_it_forgotten(void **state)
{
    rk_auto(contention_free) struct contention *c = contention_new();

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        contention_note(c, KEY, START);
    assert_int_equal(contention_delay_ms(c, KEY, START), CONTENTION_MAX_WAIT_MS);
    assert_int_equal(contention_delay_ms(c, KEY, START + CONTENTION_MAX_WAIT_MS), 0);
    for (unsigned i = 0; i < CONTENTION_BURST; i++)
        contention_note(c, KEY, START + 100000);
    assert_int_equal(contention_delay_ms(c, KEY, START + 100000), 0);
}

static void a_flood_of_keys_takes_no_more_room_than_its_bound(void **state)
{
    rk_auto(contention_free) struct contention *c = contention_new();
    char key[16];

    (void)state;
    for (unsigned i = 0; i <= CONTENTION_BURST; i++)
        contention_note(c, KEY, START);
    for (unsigned i = 0; i < CONTENTION_MAX - 1; i++) {
        int n = snprintf(key, sizeof(key), "%u", i);

        contention_note(c, rk_strn(key, (size_t)n), START);
    }
    assert_true(contention_delay_ms(c, KEY, START) > 0);
    contention_note(c, RK_STR("one more"), START); /* nothing has ended: all anew */
    assert_int_equal(contention_delay_ms(c, KEY, START), 0);
    for (unsigned i = 0; i <= CONTENTION_BURST; i++)
        contention_note(c, KEY, START + 5000);
    for (unsigned i = 0; i < CONTENTION_MAX + 100; i++) { /* those before have ended by now */
        int n = snprintf(key, sizeof(key), "%u", i);

        contention_note(c, rk_strn(key, (size_t)n), START + 6001 + i * 2 * CONTENTION_EACH_MS);
        if (i == 3)
            assert_true(contention_delay_ms(c, KEY, START + 6001) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_evictions_are_free_and_then_each_waits_its_turn),
        cmocka_unit_test(clones_that_never_give_up_change_places_ten_times_a_minute),
        cmocka_unit_test(the_wait_has_an_end_and_calm_makes_it_forgotten),
        cmocka_unit_test(a_flood_of_keys_takes_no_more_room_than_its_bound),
    };

    return RUN_TESTS(tests);
}
