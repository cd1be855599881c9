/*
 * A loop's thread has short slices, and another thread of the process those it had.
 */

#include "libcommon/loop/slice.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/loop/loop.h"
#include "tests/support/test.h"

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static struct attr mine(void)
{
    struct attr a = { 0 };

    assert_int_equal(syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0), 0);
    return a;
}

struct seen {
    struct rk_task task;
    struct rk_loop *loop;
    struct attr attr;
};

static void look(struct rk_task *t)
{
    struct seen *s = (struct seen *)t;

    s->attr = mine();
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
    struct attr before = mine();
    pthread_t t;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, run, &s), 0);
    pthread_join(t, NULL);
    rk_loop_free(s.loop);
    /* A kernel without slices (before 6.12) tells 0, before and after. */
    assert_int_equal(s.attr.runtime, before.runtime > 0 ? RK_SLICE_NS : 0);
    assert_int_equal(s.attr.policy, before.policy);
    assert_int_equal(s.attr.nice, before.nice);
    assert_int_equal(mine().runtime, before.runtime);
}

static void who_is_scheduled_otherwise_stays_so(void **state)
{
    struct sched_param none = { 0 };
    struct attr before, after;

    (void)state;
    assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &none), 0);
    before = mine();
    rk_slice_short();
    after = mine();
    assert_memory_equal(&after, &before, sizeof(before));
    assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_has_short_slices_and_who_computes_beside_it_has_not),
        cmocka_unit_test(who_is_scheduled_otherwise_stays_so),
    };

    return RUN_TESTS(tests);
}
