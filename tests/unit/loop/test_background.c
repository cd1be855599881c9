#include "libcommon/loop/background.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/test.h"

struct seen {
    int policy, nice;
};

static void *look(void *arg)
{
    struct rk_background b;
    struct seen *seen = arg;

    rk_background_begin(&b);
    assert_true(rk_background_rest(&b) <= 2000000000);
    seen->policy = sched_getscheduler(0);
    seen->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    return NULL;
}

static void only_the_thread_that_asks_goes_behind_the_others(void **state)
{
    int policy = sched_getscheduler(0), nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    struct seen seen;
    pthread_t t;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, look, &seen), 0);
    pthread_join(t, NULL);
    assert_int_equal(seen.policy, SCHED_BATCH);
    assert_true(seen.nice >= 5);
    assert_int_equal(sched_getscheduler(0), policy);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)gettid()), nice);
}

static void who_was_in_others_way_rests_until_it_has_had_a_tenth(void **state)
{
    (void)state;
    assert_int_equal(rk_background_rest_ns(100000000, 0), 0);
    assert_int_equal(rk_background_rest_ns(100000000, 1000000), 8000000);
    assert_int_equal(rk_background_rest_ns(100000000, 112000000), 896000000);
    assert_int_equal(rk_background_rest_ns(100000000, 113000000), 900000000);
    assert_int_equal(rk_background_rest_ns(100000000, UINT64_MAX), 900000000);
    assert_int_equal(rk_background_rest_ns(0, UINT64_MAX), 0);
    assert_int_equal(rk_background_rest_ns(1000000000, 1000000000), 2000000000);
    assert_int_equal(rk_background_rest_ns(UINT64_MAX, UINT64_MAX), 2000000000);
}

static void some_cores_are_left_to_others(void **state)
{
    (void)state;
    assert_int_equal(rk_background_threads(1, 4), 1);
    assert_int_equal(rk_background_threads(2, 4), 1);
    assert_int_equal(rk_background_threads(6, 4), 3);
    assert_int_equal(rk_background_threads(9, 4), 4);
    assert_int_equal(rk_background_threads(64, 4), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_thread_that_asks_goes_behind_the_others),
        cmocka_unit_test(who_was_in_others_way_rests_until_it_has_had_a_tenth),
        cmocka_unit_test(some_cores_are_left_to_others),
    };

    return RUN_TESTS(tests);
}
