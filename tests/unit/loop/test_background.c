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
    rk_background_rest(&b);
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

static void who_had_to_wait_rests_twice_as_long_and_never_long(void **state)
{
    (void)state;
    assert_int_equal(rk_background_rest_ns(0), 0);
    assert_int_equal(rk_background_rest_ns(100), 200);
    assert_int_equal(rk_background_rest_ns(249999999), 499999998);
    assert_int_equal(rk_background_rest_ns(250000000), 500000000);
    assert_int_equal(rk_background_rest_ns(UINT64_MAX), 500000000);
}

static void some_cores_are_left_to_others(void **state)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    (void)state;
    assert_true(rk_background_threads() >= 1);
    assert_true(rk_background_threads() <= (cores > 1 ? (unsigned long)cores / 2 : 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_thread_that_asks_goes_behind_the_others),
        cmocka_unit_test(who_had_to_wait_rests_twice_as_long_and_never_long),
        cmocka_unit_test(some_cores_are_left_to_others),
    };

    return RUN_TESTS(tests);
}
