/* Addresses, networks and URLs as text: what is taken, what is refused, and that nothing is looked
 * up. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "libcommon/conf/addr.h"
#include "tests/support/test.h"

static void addresses_are_read_and_written(void **state)
{
    static const struct {
        const char *in, *want, *ip;
    } cases[] = {
        { "127.0.0.1:8082", "127.0.0.1:8082", "127.0.0.1" },
        { "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0" },
        { "255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255" },
        { "[::1]:80", "[::1]:80", "::1" },
        { "[::]:0", "[::]:0", "::" },
        { "[2001:DB8::0:1]:443", "[2001:db8::1]:443", "2001:db8::1" },
        { "[::ffff:10.0.0.1]:5", "10.0.0.1:5", "10.0.0.1" },
        { ":9090", "[::]:9090", "::" },
        { "localhost:1", "127.0.0.1:1", "127.0.0.1" },
        { "[127.0.0.1]:80", "127.0.0.1:80", "127.0.0.1" },
        { "[localhost]:1", "127.0.0.1:1", "127.0.0.1" },
    };
    char text[RK_ADDR_LEN];
    struct rk_addr a;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        assert_int_equal(rk_addr_parse(rk_str(cases[i].in), &a, NULL), 0);
        rk_addr_format((struct sockaddr *)&a.ss, text);
        assert_string_equal(text, cases[i].want);
        rk_addr_format_ip((struct sockaddr *)&a.ss, text);
        assert_string_equal(text, cases[i].ip);
    }
}

static void what_is_no_address_is_refused_and_named(void **state)
{
    static const char *const bad[] = {
        "",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "1.2.3:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1:80",
        "example:80",
        "[]:80",
        "127.0.0.1:080000",
        "127.0.0.1:8 ",
        " 127.0.0.1:80",
        "1.2.3.4.5:80",
        "[::1%lo]:1",
        "256.0.0.1:1",
    };
    struct rk_addr a;
    struct rk_err err;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        assert_int_equal(rk_addr_parse(rk_str(bad[i]), &a, &err), RK_INVALID);
        assert_non_null(strchr(err.msg, '\''));
    }
    assert_int_equal(rk_addr_parse(RK_STR("127.0.0.1\0:80"), &a, &err), RK_INVALID);
}

static void other_families_have_a_name_too(void **state)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    char text[RK_ADDR_LEN];

    (void)state;
    rk_addr_format_ip((struct sockaddr *)&un, text);
    assert_string_equal(text, "unix");
}

static bool contains(const struct rk_cidrs *c, const char *ip)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1)
        return rk_cidrs_contains(c, (struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, ip, &v6.sin6_addr), 1);
    return rk_cidrs_contains(c, (struct sockaddr *)&v6);
}

static void networks_contain_what_their_bits_say(void **state)
{
    rk_auto(rk_cidrs_free) struct rk_cidrs *c = rk_cidrs_parse(
        RK_STR(" 10.0.0.0/8 ,192.168.1.128/25,, 172.16.5.4 ,2001:db8::/33,::1"), NULL);

    (void)state;
    assert_non_null(c);
    assert_true(contains(c, "10.255.0.1"));
    assert_true(contains(c, "::ffff:10.255.0.1")); /* a dual-stack socket says it so */
    assert_false(contains(c, "11.0.0.0"));
    assert_true(contains(c, "192.168.1.128") && contains(c, "192.168.1.255"));
    assert_false(contains(c, "192.168.1.127") || contains(c, "192.168.2.128"));
    assert_true(contains(c, "172.16.5.4"));
    assert_false(contains(c, "172.16.5.5"));
    assert_true(contains(c, "2001:db8:7fff::1"));
    assert_false(contains(c, "2001:db8:8000::1"));
    assert_true(contains(c, "::1"));
    assert_false(contains(c, "::2"));
}

static void the_widest_networks_and_none(void **state)
{
    rk_auto(rk_cidrs_free) struct rk_cidrs *v4 = rk_cidrs_parse(RK_STR("0.0.0.0/0"), NULL);
    rk_auto(rk_cidrs_free) struct rk_cidrs *all = rk_cidrs_parse(RK_STR("::/0"), NULL);
    rk_auto(rk_cidrs_free) struct rk_cidrs *none = rk_cidrs_parse(RK_STR(""), NULL);
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    (void)state;
    assert_true(contains(v4, "8.8.8.8"));
    assert_false(contains(v4, "2001:db8::1"));
    assert_true(contains(all, "2001:db8::1"));
    assert_false(contains(none, "127.0.0.1"));
    assert_false(contains(NULL, "127.0.0.1"));
    assert_false(rk_cidrs_contains(all, (struct sockaddr *)&un));
}

static void bad_networks_are_refused(void **state)
{
    static const char *const bad[] = { "10.0.0.0/33", "10.0.0.0/",    "10.0.0.0/-1", "10.0.0/8",
                                       "::/129",      "10.0.0.0/8/8", "/8",          "host",
                                       "10.0.0.0 /8", "::1,nonsense" };
    struct rk_err err;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        assert_null(rk_cidrs_parse(rk_str(bad[i]), &err));
        assert_int_equal(err.code, RK_INVALID);
    }
}

static void more_networks_than_anyone_needs_are_refused(void **state)
{
    static char text[1025 * 8 + 1];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 1025; i++, n += 8)
        memcpy(text + n, "1.1.1.1,", 8);
    assert_null(rk_cidrs_parse(rk_strn(text, n), NULL));
    rk_cidrs_free(rk_cidrs_parse(rk_strn(text, n - 8), NULL));
}

static void urls_are_cut_into_scheme_host_and_port(void **state)
{
    static const struct {
        const char *url, *scheme, *host;
        uint16_t port;
    } cases[] = {
        { "http://a.example:8080", "http", "a.example", 8080 },
        { "https://a.example", "https", "a.example", 443 },
        { "http://a.example/", "http", "a.example", 80 },
        { "rel://10.0.0.1:33080", "rel", "10.0.0.1", 33080 },
        { "rels://r.example", "rels", "r.example", 443 },
        { "https://[2001:db8::1]:8443", "https", "2001:db8::1", 8443 },
        { "https://[2001:db8::1]", "https", "2001:db8::1", 443 },
        { "stun://s:3478", "stun", "s", 3478 },
    };
    struct rk_str scheme, host;
    uint16_t port;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        assert_int_equal(rk_url_parse(rk_str(cases[i].url), &scheme, &host, &port, NULL), 0);
        assert_true(rk_str_eq(scheme, rk_str(cases[i].scheme)));
        assert_true(rk_str_eq(host, rk_str(cases[i].host)));
        assert_int_equal(port, cases[i].port);
    }
}

static void what_is_more_or_less_than_a_url_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "a.example:80",
        "://a:80",
        "http://",
        "http:///",
        "http://:80",
        "http://a:0",
        "http://a:65536",
        "http://a:b",
        "http://a:",
        "http://a:80/path",
        "http://a/path",
        "http://u@a:80",
        "http://a?x",
        "http://a#x",
        "http://a b:80",
        "http://a\n",
        "stun://s", /* no port of its own */
        "http://[::1",
        "http://[::1]x:80",
        "http://::1",
    };
    struct rk_str scheme, host;
    struct rk_err err;
    uint16_t port;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_int_equal(rk_url_parse(rk_str(bad[i]), &scheme, &host, &port, &err), RK_INVALID);
}

static void an_address_of_the_sixth_version_stands_for_its_network(void **state)
{
    char who[RK_ADDR_LEN];

    (void)state;
    rk_addr_source("192.0.2.7", who);
    assert_string_equal(who, "192.0.2.7");
    rk_addr_source("2001:db8:1:2:3:4:5:6", who);
    assert_string_equal(who, "2001:db8:1:2::/64");
    rk_addr_source("", who);
    assert_string_equal(who, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(what_is_no_address_is_refused_and_named),
        cmocka_unit_test(other_families_have_a_name_too),
        cmocka_unit_test(networks_contain_what_their_bits_say),
        cmocka_unit_test(the_widest_networks_and_none),
        cmocka_unit_test(bad_networks_are_refused),
        cmocka_unit_test(more_networks_than_anyone_needs_are_refused),
        cmocka_unit_test(urls_are_cut_into_scheme_host_and_port),
        cmocka_unit_test(what_is_more_or_less_than_a_url_is_refused),
        cmocka_unit_test(an_address_of_the_sixth_version_stands_for_its_network),
    };

    return RUN_TESTS(tests);
}
