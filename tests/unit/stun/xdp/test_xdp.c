/* What the settings of the kernel's own answers may say. Loading needs capabilities:
 * tests/system/stun_xdp_test.go. */

#include "tests/support/test.h"

#include <string.h>

#include "services/stun/xdp/xdp.h"

static void devices_are_a_comma_list(void **state)
{
    struct xdp_plan plan;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(xdp_plan_parse("", "auto", &plan, &err), 0);
    assert_int_equal(plan.device_count, 0);
    assert_int_equal(xdp_plan_parse(" eth0, ,enp0s31f6789012,", "generic", &plan, &err), 0);
    assert_int_equal(plan.device_count, 2);
    assert_string_equal(plan.device[0], "eth0");
    assert_string_equal(plan.device[1], "enp0s31f6789012");
    assert_int_equal(plan.mode, XDP_GENERIC);
}

static void is_refused(const char *devices, const char *mode, const char *why)
{
    struct xdp_plan plan = { .device_count = 7 };
    struct rk_err err = { 0 };

    assert_int_equal(xdp_plan_parse(devices, mode, &plan, &err), RK_INVALID);
    assert_string_equal(err.msg, why);
    assert_int_equal(plan.device_count, 7);
}

static void a_mistake_is_named(void **state)
{
    (void)state;
    is_refused("eth0", "native", "xdp_mode: auto, driver or generic");
    is_refused("eth0,sixteen-letters!", "auto",
               "xdp: sixteen-letters! is no name of a network device");
    is_refused("a,b,c,d,e,f,g,h,i", "driver", "xdp: more than 8 devices");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_a_comma_list),
        cmocka_unit_test(a_mistake_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
