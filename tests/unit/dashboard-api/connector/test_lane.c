#include "services/dashboard-api/connector/lane.h"

#include <pthread.h>

#include "tests/support/test.h"

#define FOR_EVER ((uint64_t)3600 * 1000)

static struct lane *enter(struct lanes *l, const char *name)
{
    struct lane *lane;
    struct rk_err err = { 0 };

    if (lane_enter(l, name, &lane, &err) < 0)
        fail_msg("%s", err.msg);
    return lane;
}

static void is_full(struct lanes *l, const char *name)
{
    struct lane *lane;
    struct rk_err err = { 0 };

    assert_int_equal(lane_enter(l, name, &lane, &err), RK_UNAVAILABLE);
}

static void a_lane_holds_half_of_the_threads(void **state)
{
    rk_auto(lanes_free) struct lanes *l = lanes_new(4, 0);
    struct lane *a, *b, *other;

    (void)state;
    a = enter(l, "slow");
    b = enter(l, "slow");
    is_full(l, "slow");
    other = enter(l, "other");
    lane_leave(l, a, true);
    a = enter(l, "slow");
    is_full(l, "slow");
    lane_leave(l, a, true);
    lane_leave(l, b, true);
    lane_leave(l, other, true);
}

static void one_thread_is_enough_for_a_lane(void **state)
{
    rk_auto(lanes_free) struct lanes *l = lanes_new(1, 0);
    struct lane *a;

    (void)state;
    a = enter(l, "a");
    is_full(l, "a");
    lane_leave(l, a, true);
}

static void who_did_not_answer_is_asked_once_at_a_time(void **state)
{
    rk_auto(lanes_free) struct lanes *l = lanes_new(8, FOR_EVER);
    struct lane *a, *b;

    (void)state;
    a = enter(l, "down");
    lane_leave(l, a, false);
    a = enter(l, "down");
    is_full(l, "down"); /* at once, for all its patience */
    b = enter(l, "up");
    lane_leave(l, b, true);
    lane_leave(l, a, true);
    a = enter(l, "down");
    b = enter(l, "down");
    lane_leave(l, a, true);
    lane_leave(l, b, true);
}

struct waiter {
    struct lanes *lanes;
    pthread_t thread;
    int r;
};

static void *wait_in_line(void *arg)
{
    struct waiter *w = arg;
    struct lane *lane;

    w->r = lane_enter(w->lanes, "busy", &lane, NULL);
    if (w->r == 0)
        lane_leave(w->lanes, lane, true);
    return NULL;
}

static void who_waits_gets_the_next_place(void **state)
{
    rk_auto(lanes_free) struct lanes *l = lanes_new(2, FOR_EVER);
    struct lane *a = enter(l, "busy");
    struct waiter w = { .lanes = l };

    (void)state;
    assert_int_equal(pthread_create(&w.thread, NULL, wait_in_line, &w), 0);
    lane_leave(l, a, true); /* before or after it has begun to wait: the same */
    pthread_join(w.thread, NULL);
    assert_int_equal(w.r, 0);
}

static void a_lane_that_fails_lets_nobody_wait(void **state)
{
    rk_auto(lanes_free) struct lanes *l = lanes_new(8, FOR_EVER);
    struct lane *in[4];
    struct waiter w = { .lanes = l };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(in); i++)
        in[i] = enter(l, "busy");
    assert_int_equal(pthread_create(&w.thread, NULL, wait_in_line, &w), 0);
    lane_leave(l, in[0], false);
    pthread_join(w.thread, NULL); /* three are inside, and one is enough now */
    assert_int_equal(w.r, RK_UNAVAILABLE);
    for (size_t i = 1; i < RK_COUNT(in); i++)
        lane_leave(l, in[i], true);
}

static void many_that_failed_are_not_remembered_for_ever(void **state)
{
    rk_auto(lanes_free) struct lanes *l = lanes_new(8, 0);
    char name[32];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "down-%d", i);
        lane_leave(l, enter(l, name), false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_holds_half_of_the_threads),
        cmocka_unit_test(one_thread_is_enough_for_a_lane),
        cmocka_unit_test(who_did_not_answer_is_asked_once_at_a_time),
        cmocka_unit_test(who_waits_gets_the_next_place),
        cmocka_unit_test(a_lane_that_fails_lets_nobody_wait),
        cmocka_unit_test(many_that_failed_are_not_remembered_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
