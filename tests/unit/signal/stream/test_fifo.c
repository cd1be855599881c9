/* A destination's queue: in order, bounded alone and together with the others, and never stale. */

#include "tests/support/test.h"

#include <stdio.h>

#include "services/signal/stream/fifo.h"

#define NOW 50000u

static struct fifo_budget budget;

static int set_up(void **state)
{
    (void)state;
    budget = (struct fifo_budget){ .max_bytes = (size_t)64 << 20 };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(budget.bytes, 0); /* whatever happened, nothing stays counted */
    return 0;
}

static bool push(struct fifo *f, size_t n, uint64_t now)
{
    rk_auto(rk_bytes_unref) struct rk_bytes *b = rk_bytes_new(n);

    if (n > 0)
        memset(b->p, (int)(n & 255), n);
    return fifo_push(f, b, now);
}

static size_t pop(struct fifo *f, uint64_t now, unsigned *expired)
{
    uint64_t waited;
    struct rk_bytes *b = fifo_pop(f, now, expired, &waited);
    size_t n = b ? b->n : 0;

    rk_bytes_unref(b);
    return n;
}

static void messages_leave_in_the_order_they_came(void **state)
{
    unsigned expired = 0;
    uint64_t waited = 0;
    struct rk_bytes *b;
    struct fifo f;

    (void)state;
    fifo_init(&f, &budget);
    for (size_t i = 1; i <= FIFO_MAX_MESSAGES; i++)
        assert_true(push(&f, i, NOW));
    assert_false(push(&f, 1, NOW));
    b = fifo_pop(&f, NOW + 12, &expired, &waited);
    assert_int_equal(b->n, 1);
    assert_int_equal(waited, 12);
    rk_bytes_unref(b);
    for (size_t i = 2; i <= FIFO_MAX_MESSAGES; i++)
        assert_int_equal(pop(&f, NOW, &expired), i);
    assert_int_equal(pop(&f, NOW, &expired), 0);
    assert_int_equal(expired, 0);
    assert_int_equal(budget.bytes, 0);
    fifo_done(&f);
}

static void bytes_are_bounded_but_one_large_message_always_fits(void **state)
{
    unsigned expired = 0;
    struct fifo f;

    (void)state;
    fifo_init(&f, &budget);
    assert_true(push(&f, 4 << 20, NOW));
    assert_false(push(&f, 1, NOW));
    assert_int_equal(pop(&f, NOW, &expired), 4 << 20);
    assert_true(push(&f, FIFO_MAX_BYTES - 10, NOW));
    assert_true(push(&f, 10, NOW));
    assert_false(push(&f, 1, NOW));
    fifo_done(&f);
    assert_int_equal(f.count, 0);
    assert_int_equal(f.bytes, 0);
}

static void what_is_older_than_an_agents_next_offer_is_not_sent(void **state)
{
    unsigned expired = 0;
    struct fifo f;

    (void)state;
    fifo_init(&f, &budget);
    assert_true(push(&f, 1, NOW));
    assert_true(push(&f, 2, NOW + 1));
    assert_true(push(&f, 3, NOW + 2));
    assert_int_equal(pop(&f, NOW + FIFO_MAX_AGE_MS + 2, &expired), 3);
    assert_int_equal(expired, 2);
    assert_int_equal(pop(&f, NOW, &expired), 0);
    fifo_done(&f);
}

static void all_queues_together_stay_within_their_budget(void **state)
{
    unsigned expired = 0;
    struct fifo f[4];

    (void)state;
    budget.max_bytes = 1000;
    for (unsigned i = 0; i < 4; i++)
        fifo_init(&f[i], &budget);
    assert_true(push(&f[0], 400, NOW));
    assert_true(push(&f[1], 600, NOW));
    assert_false(push(&f[2], 1, NOW));
    assert_int_equal(pop(&f[0], NOW, &expired), 400);
    assert_true(push(&f[2], 400, NOW));
    assert_false(push(&f[3], 1, NOW));
    assert_int_equal(budget.bytes, 1000);
    for (unsigned i = 0; i < 4; i++)
        fifo_done(&f[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_leave_in_the_order_they_came, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_are_bounded_but_one_large_message_always_fits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_older_than_an_agents_next_offer_is_not_sent, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(all_queues_together_stay_within_their_budget, set_up,
                                        tear_down),
    };

    return RUN_TESTS(tests);
}
