/* The cap holds for one prefix and one second. */

#include "tests/support/test.h"

#include <arpa/inet.h>

#include "services/stun/limit/rate.h"

static void a_prefix_is_capped_within_its_second_only(void **state)
{
    rk_auto(rate_free) struct rate *r = rate_new(3);
    struct sockaddr_in6 a = { .sin6_family = AF_INET6 }, same64 = a;
    const struct sockaddr *sa = (const struct sockaddr *)&a;

    (void)state;
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &a.sin6_addr), 1);
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::ffff:1", &same64.sin6_addr), 1);
    assert_true(rate_allow(r, sa, 7));
    assert_true(rate_allow(r, (const struct sockaddr *)&same64, 7));
    assert_true(rate_allow(r, sa, 7));
    assert_false(rate_allow(r, (const struct sockaddr *)&same64, 7));
    assert_true(rate_allow(r, sa, 8));
}

static void zero_is_no_cap(void **state)
{
    rk_auto(rate_free) struct rate *r = rate_new(0);
    struct sockaddr_in a = { .sin_family = AF_INET };

    (void)state;
    for (unsigned i = 0; i < 10000; i++)
        assert_true(rate_allow(r, (const struct sockaddr *)&a, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prefix_is_capped_within_its_second_only),
        cmocka_unit_test(zero_is_no_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
