/*
 * A loop's thread has short slices, who asks stands behind all others, and another thread of the
 * process has what it had.
 */

#include "libcommon/loop/slice.h"

#include <pthread.h>
#include <sched.h>

#include "libcommon/loop/loop.h"
#include "libcommon/loop/sched.h"
#include "tests/support/test.h"

static struct rk_sched mine(void)
{
    struct rk_sched s;

    assert_true(rk_sched_get(&s));
    return s;
}

struct seen {
    struct rk_task task;
    struct rk_loop *loop;
    struct rk_sched sched;
};

static void look(struct rk_task *t)
{
    struct seen *s = rk_list_entry(t, struct seen, task);

    s->sched = mine();
    rk_loop_stop(s->loop);
}

static void *run(void *arg)
{
    struct seen *s = arg;

    rk_loop_post(s->loop, &s->task);
    rk_loop_run(s->loop);
    return NULL;
}

static void a_loop_has_short_slices_and_who_computes_beside_it_has_not(void **state)
{
    struct seen s = { .task.run = look, .loop = rk_loop_new() };
    struct rk_sched before = mine();
    pthread_t t;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, run, &s), 0);
    pthread_join(t, NULL);
    rk_loop_free(s.loop);
    /* A kernel without slices (before 6.12) tells 0, before and after. */
    assert_int_equal(s.sched.runtime, before.runtime > 0 ? RK_SLICE_NS : 0);
    assert_int_equal(s.sched.policy, before.policy);
    assert_int_equal(s.sched.nice, before.nice);
    assert_int_equal(mine().runtime, before.runtime);
}

static void who_is_scheduled_otherwise_stays_so(void **state)
{
    struct sched_param none = { 0 };
    struct rk_sched before, after;

    (void)state;
    assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &none), 0);
    before = mine();
    rk_slice_short();
    after = mine();
    assert_memory_equal(&after, &before, sizeof(before));
    assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
}

static void *stand_back(void *arg)
{
    rk_slice_last();
    rk_slice_yield();
    *(struct rk_sched *)arg = mine();
    return NULL;
}

static void only_the_thread_that_asks_stands_behind_all_others(void **state)
{
    struct rk_sched before = mine(), other;
    pthread_t t;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, stand_back, &other), 0);
    pthread_join(t, NULL);
    assert_int_equal(other.policy, SCHED_BATCH);
    assert_int_equal(other.nice, RK_SLICE_LAST_NICE);
    assert_int_equal(other.runtime, before.runtime > 0 ? RK_SLICE_LAST_NS : 0);
    assert_int_equal(mine().policy, before.policy);
    assert_int_equal(mine().nice, before.nice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_has_short_slices_and_who_computes_beside_it_has_not),
        cmocka_unit_test(who_is_scheduled_otherwise_stays_so),
        cmocka_unit_test(only_the_thread_that_asks_stands_behind_all_others),
    };

    return RUN_TESTS(tests);
}
