/* The traces of W3C Trace Context. */

#include "tests/support/test.h"

#include "libcommon/obs/trace.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static void what_is_brought_is_kept(void **state)
{
    static const struct {
        const char *header;
        bool sampled;
    } good[] = {
        { "00-" ID "-" PARENT "-00", false },
        { "00-" ID "-" PARENT "-01", true },
        { "00-" ID "-" PARENT "-fe", false },
        { "01-" ID "-" PARENT "-01", true },
        { "fe-" ID "-" PARENT "-01-what comes later", true },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(good); i++) {
        struct rk_trace t;

        rk_trace_begin(&t, rk_str(good[i].header));
        assert_string_equal(t.id, ID);
        assert_int_equal(t.sampled, good[i].sampled);
    }
}

static void what_is_none_is_replaced(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        ID,
        "00-" ID "-" PARENT,
        "00-" ID "-" PARENT "-0",
        "00-" ID "-" PARENT "-0x",
        "00-" ID "-" PARENT "-01-",
        "00-" ID "-" PARENT "-011",
        "fe-" ID "-" PARENT "-011",
        "ff-" ID "-" PARENT "-01",
        "0x-" ID "-" PARENT "-01",
        "00_" ID "-" PARENT "-01",
        "00-" ID "_" PARENT "-01",
        "00-" ID "-" PARENT "_01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" ID "-0000000000000000-01",
        "00-" ID "-00f067aa0ba9o2b7-01",
    };
    char before[RK_TRACE_LEN + 1] = "";

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        struct rk_trace t = { .sampled = true };

        rk_trace_begin(&t, rk_str(bad[i]));
        assert_int_equal(strspn(t.id, "0123456789abcdef"), RK_TRACE_LEN);
        assert_string_not_equal(t.id, ID);
        assert_string_not_equal(t.id, before);
        assert_false(t.sampled);
        memcpy(before, t.id, sizeof(before));
    }
}

static void it_is_passed_on_under_a_parent_of_ours(void **state)
{
    struct rk_trace t, next;
    char one[RK_TRACEPARENT_LEN + 1], two[RK_TRACEPARENT_LEN + 1];

    (void)state;
    rk_trace_begin(&t, RK_STR("00-" ID "-" PARENT "-01"));
    rk_trace_format(&t, one);
    rk_trace_format(&t, two);
    assert_int_equal(strlen(one), RK_TRACEPARENT_LEN);
    assert_string_not_equal(one, two);
    assert_null(strstr(one, PARENT));
    rk_trace_begin(&next, rk_str(one));
    assert_string_equal(next.id, ID);
    assert_true(next.sampled);
}

static void a_thread_works_on_one_or_none(void **state)
{
    struct rk_trace t;

    (void)state;
    assert_null(rk_trace_current());
    rk_trace_begin(&t, RK_STR("00-" ID "-" PARENT "-01"));
    rk_trace_enter(&t);
    memset(&t, 0, sizeof(t));
    assert_string_equal(rk_trace_current()->id, ID);
    rk_trace_leave();
    assert_null(rk_trace_current());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_brought_is_kept),
        cmocka_unit_test(what_is_none_is_replaced),
        cmocka_unit_test(it_is_passed_on_under_a_parent_of_ours),
        cmocka_unit_test(a_thread_works_on_one_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
