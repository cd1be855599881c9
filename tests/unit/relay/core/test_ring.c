/* The ring between two threads: order and content survive any number of wraps, and full says so. */

#include "tests/support/test.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "services/relay/core/ring.h"

#define RECORDS 200000u

static size_t length_of(uint32_t i)
{
    return 4 + i * 37 % 500;
}

static void *produce(void *arg)
{
    struct ring *r = arg;

    for (uint32_t i = 0; i < RECORDS; i++) {
        size_t n = length_of(i);
        uint8_t *p;

        while ((p = ring_reserve(r, n)) == NULL)
            sched_yield();
        memset(p, (int)(i & 255), n);
        memcpy(p, &i, sizeof(i));
        ring_push(r, n);
    }
    return NULL;
}

static void records_cross_in_order_and_whole(void **state)
{
    struct ring *r = ring_new(8192);
    pthread_t t;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, produce, r), 0);
    for (uint32_t i = 0, got; i < RECORDS; i++) {
        size_t n;
        uint8_t *p;

        while ((p = ring_peek(r, &n)) == NULL)
            sched_yield();
        assert_int_equal(n, length_of(i));
        memcpy(&got, p, sizeof(got));
        assert_int_equal(got, i);
        if (n > 4)
            assert_int_equal(p[n - 1], i & 255);
        ring_pop(r);
    }
    pthread_join(t, NULL);
    assert_true(ring_empty(r));
    ring_free(r);
}

static void a_full_ring_refuses_and_takes_again_after_a_pop(void **state)
{
    struct ring *r = ring_new(1024);
    unsigned k = 0;
    size_t n;

    (void)state;
    while (ring_reserve(r, 100)) {
        ring_push(r, 100);
        k++;
    }
    assert_int_equal(k, 9);
    assert_null(ring_reserve(r, 100));
    assert_non_null(ring_peek(r, &n));
    ring_pop(r);
    assert_non_null(ring_peek(r, &n));
    ring_pop(r);
    assert_non_null(ring_reserve(r, 100));
    ring_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_cross_in_order_and_whole),
        cmocka_unit_test(a_full_ring_refuses_and_takes_again_after_a_pop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
