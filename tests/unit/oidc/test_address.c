/* Addresses, by where they lie; first and last of each range, and their neighbours. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "libcommon/base/attr.h"
#include "libcommon/oidc/address.h"
#include "tests/support/test.h"

static enum rk_reach reach(const char *text)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return rk_address_reach((struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return rk_address_reach((struct sockaddr *)&in6);
}

static void addresses_lie_where_the_registries_say(void **state)
{
    static const struct {
        const char *text;
        enum rk_reach reach;
    } cases[] = {
        { "1.1.1.1", RK_REACH_PUBLIC },
        { "9.255.255.255", RK_REACH_PUBLIC },
        { "10.0.0.0", RK_REACH_PRIVATE },
        { "10.255.255.255", RK_REACH_PRIVATE },
        { "11.0.0.0", RK_REACH_PUBLIC },
        { "100.63.255.255", RK_REACH_PUBLIC },
        { "100.64.0.0", RK_REACH_PRIVATE },
        { "100.100.100.200", RK_REACH_NEVER },
        { "100.127.255.255", RK_REACH_PRIVATE },
        { "100.128.0.0", RK_REACH_PUBLIC },
        { "126.255.255.255", RK_REACH_PUBLIC },
        { "127.0.0.1", RK_REACH_LOOPBACK },
        { "127.255.255.255", RK_REACH_LOOPBACK },
        { "128.0.0.0", RK_REACH_PUBLIC },
        { "168.63.129.16", RK_REACH_NEVER },
        { "168.63.129.17", RK_REACH_PUBLIC },
        { "169.253.255.255", RK_REACH_PUBLIC },
        { "169.254.0.0", RK_REACH_NEVER },
        { "169.254.169.254", RK_REACH_NEVER },
        { "169.255.0.0", RK_REACH_PUBLIC },
        { "172.15.255.255", RK_REACH_PUBLIC },
        { "172.16.0.0", RK_REACH_PRIVATE },
        { "172.31.255.255", RK_REACH_PRIVATE },
        { "172.32.0.0", RK_REACH_PUBLIC },
        { "192.0.0.192", RK_REACH_NEVER },
        { "192.167.255.255", RK_REACH_PUBLIC },
        { "192.168.0.0", RK_REACH_PRIVATE },
        { "192.168.255.255", RK_REACH_PRIVATE },
        { "192.169.0.0", RK_REACH_PUBLIC },
        { "198.18.0.1", RK_REACH_PRIVATE },
        { "203.0.113.5", RK_REACH_PRIVATE },
        { "223.255.255.255", RK_REACH_PUBLIC },
        { "224.0.0.1", RK_REACH_NEVER },
        { "239.255.255.255", RK_REACH_NEVER },
        { "240.0.0.1", RK_REACH_NEVER },
        { "255.255.255.255", RK_REACH_NEVER },
        { "0.0.0.0", RK_REACH_NEVER },
        { "0.1.2.3", RK_REACH_NEVER },
        { "::", RK_REACH_NEVER },
        { "::1", RK_REACH_LOOPBACK },
        { "::2", RK_REACH_NEVER },
        { "2606:4700::1111", RK_REACH_PUBLIC },
        { "fc00::1", RK_REACH_PRIVATE },
        { "fdff:ffff::1", RK_REACH_PRIVATE },
        { "fd00:ec2::254", RK_REACH_NEVER },
        { "fe80::1", RK_REACH_NEVER },
        { "febf::1", RK_REACH_NEVER },
        { "fec0::1", RK_REACH_NEVER },
        { "ff02::1", RK_REACH_NEVER },
        { "2001::1", RK_REACH_NEVER },
        { "2001:db8::1", RK_REACH_PRIVATE },
        { "100::1", RK_REACH_NEVER },
        { "100:0:0:1::1", RK_REACH_NEVER },
        { "1fff::1", RK_REACH_NEVER },
        { "3fff::1", RK_REACH_PRIVATE },
        { "3fff:1000::1", RK_REACH_PUBLIC },
        { "4000::1", RK_REACH_NEVER },
        { "5f00::1", RK_REACH_NEVER },
        /* IPv4 in disguise. */
        { "::ffff:127.0.0.1", RK_REACH_LOOPBACK },
        { "::ffff:10.1.2.3", RK_REACH_PRIVATE },
        { "::ffff:169.254.169.254", RK_REACH_NEVER },
        { "::ffff:1.1.1.1", RK_REACH_PUBLIC },
        { "::127.0.0.1", RK_REACH_NEVER },
        { "::ffff:0:127.0.0.1", RK_REACH_NEVER },
        { "::ffff:0:169.254.169.254", RK_REACH_NEVER },
        { "64:ff9b::127.0.0.1", RK_REACH_LOOPBACK },
        { "64:ff9b::169.254.169.254", RK_REACH_NEVER },
        { "64:ff9b::1.1.1.1", RK_REACH_PUBLIC },
        { "64:ff9b:1::1", RK_REACH_NEVER },
        { "2002:7f00:1::", RK_REACH_LOOPBACK },
        { "2002:a9fe:a9fe::1", RK_REACH_NEVER },
        { "2002:c0a8:101::1", RK_REACH_PRIVATE },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        if (reach(cases[i].text) != cases[i].reach)
            print_error("%s\n", cases[i].text);
        assert_int_equal(reach(cases[i].text), cases[i].reach);
    }
}

static void what_is_no_ip_address_is_out_of_reach(void **state)
{
    struct sockaddr sa = { .sa_family = AF_UNIX };

    (void)state;
    assert_int_equal(rk_address_reach(&sa), RK_REACH_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_lie_where_the_registries_say),
        cmocka_unit_test(what_is_no_ip_address_is_out_of_reach),
    };

    return RUN_TESTS(tests);
}
