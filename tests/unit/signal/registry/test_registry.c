/* Who holds a key: the higher epoch, and a late end of an older stream changes nothing. */

#include "tests/support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "services/signal/registry/registry.h"

static struct registry r;

static int set_up(void **state)
{
    (void)state;
    registry_init(&r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    registry_done(&r);
    return 0;
}

static struct stream stream_of(const char *key, uint64_t epoch)
{
    struct stream s = { .epoch = epoch, .key_n = (uint8_t)strlen(key) };

    memcpy(s.key, key, s.key_n);
    return s;
}

static void the_newest_registration_holds_the_key(void **state)
{
    struct stream first = stream_of("k", 1), second = stream_of("k", 2), other = stream_of("o", 1);
    struct stream *old = NULL;

    (void)state;
    assert_null(registry_get(&r, RK_STR("k")));
    assert_int_equal(registry_add(&r, &first, &old), REGISTRY_NEW);
    assert_int_equal(registry_add(&r, &other, &old), REGISTRY_NEW);
    assert_int_equal(registry_add(&r, &second, &old), REGISTRY_REPLACED);
    assert_ptr_equal(old, &first);
    assert_false(registry_remove(&r, &first)); /* a late close */
    assert_ptr_equal(registry_get(&r, RK_STR("k")), &second);
    assert_true(registry_remove(&r, &second));
    assert_false(registry_remove(&r, &second));
    assert_null(registry_get(&r, RK_STR("k")));
    assert_ptr_equal(registry_get(&r, RK_STR("o")), &other);
    assert_true(registry_remove(&r, &other));
}

static void an_older_epoch_loses_and_is_never_registered(void **state)
{
    struct stream newer = stream_of("k", 9), older = stream_of("k", 8);
    struct stream *old = NULL;

    (void)state;
    assert_int_equal(registry_add(&r, &newer, &old), REGISTRY_NEW);
    assert_int_equal(registry_add(&r, &older, &old), REGISTRY_LOST);
    assert_null(old);
    assert_false(registry_remove(&r, &older));
    assert_ptr_equal(registry_get(&r, RK_STR("k")), &newer);
    assert_true(registry_remove(&r, &newer));
}

static void the_key_outlives_the_stream_that_brought_it(void **state)
{
    struct stream first = stream_of("k", 1), second = stream_of("k", 2);
    struct stream *old;

    (void)state;
    assert_int_equal(registry_add(&r, &first, &old), REGISTRY_NEW);
    assert_int_equal(registry_add(&r, &second, &old), REGISTRY_REPLACED);
    memset(first.key, 'x', sizeof(first.key)); /* the map must not look there any more */
    assert_ptr_equal(registry_get(&r, RK_STR("k")), &second);
    assert_true(registry_remove(&r, &second));
}

static struct source at(const char *text)
{
    struct sockaddr_in6 s6 = { .sin6_family = AF_INET6 };
    struct sockaddr_in s4 = { .sin_family = AF_INET };

    if (inet_pton(AF_INET, text, &s4.sin_addr) == 1)
        return source_of((const struct sockaddr *)&s4);
    assert_int_equal(inet_pton(AF_INET6, text, &s6.sin6_addr), 1);
    return source_of((const struct sockaddr *)&s6);
}

static void a_source_is_an_ipv4_address_or_an_ipv6_subnet(void **state)
{
    struct source a = at("192.0.2.1"), mapped = at("::ffff:192.0.2.1"), b = at("192.0.2.2"),
                  c = at("2001:db8::1"), c2 = at("2001:db8::9:8:7:6"), d = at("2001:db8:0:1::1"),
                  unknown = { { 0 } };

    (void)state;
    assert_false(source_differs(&a, &mapped));
    assert_true(source_differs(&a, &b));
    assert_true(source_differs(&a, &c));
    assert_false(source_differs(&c, &c2));
    assert_true(source_differs(&c, &d));
    assert_false(source_differs(&a, &unknown));
    assert_false(source_differs(&unknown, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_registration_holds_the_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_epoch_loses_and_is_never_registered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_key_outlives_the_stream_that_brought_it, set_up,
                                        tear_down),
        cmocka_unit_test(a_source_is_an_ipv4_address_or_an_ipv6_subnet),
    };

    return RUN_TESTS(tests);
}
