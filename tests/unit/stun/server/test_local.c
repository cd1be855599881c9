/* Whatever addresses this machine has, the list keeps to what a wildcard stands for. */

#include "tests/support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "services/stun/server/local.h"

#define MAX 32

static struct rk_addr parse(const char *text)
{
    struct rk_err err = { 0 };
    struct rk_addr a;

    assert_int_equal(rk_addr_parse(rk_str(text), &a, &err), 0);
    return a;
}

/* Of the family, or of both when that is 0; each can be listened on. */
static void all_are(const struct rk_addr *list, unsigned n, int family)
{
    for (unsigned i = 0; i < n; i++) {
        const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)&list[i].ss;
        const struct sockaddr_in *s4 = (const struct sockaddr_in *)&list[i].ss;

        assert_false(local_is_wildcard(&list[i]));
        assert_true(family == 0 || list[i].ss.ss_family == family);
        if (list[i].ss.ss_family == AF_INET) {
            assert_int_equal(ntohs(s4->sin_port), 3478);
            assert_int_not_equal(s4->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        } else {
            assert_int_equal(list[i].ss.ss_family, AF_INET6);
            assert_int_equal(ntohs(s6->sin6_port), 3478);
            assert_false(IN6_IS_ADDR_LOOPBACK(&s6->sin6_addr));
            assert_false(IN6_IS_ADDR_LINKLOCAL(&s6->sin6_addr));
        }
    }
}

static void an_address_stands_for_itself(void **state)
{
    struct rk_addr a = parse("127.0.0.1:3478"), b = parse("[::1]:3478"), list[MAX];

    (void)state;
    assert_false(local_is_wildcard(&a));
    assert_int_equal(local_addresses(&a, false, list, MAX), 0);
    assert_int_equal(local_addresses(&b, true, list, MAX), 0);
}

static void a_wildcard_stands_for_its_family(void **state)
{
    struct rk_addr v4 = parse("0.0.0.0:3478"), v6 = parse("[::]:3478"), list[MAX];

    (void)state;
    assert_true(local_is_wildcard(&v4));
    assert_true(local_is_wildcard(&v6));
    all_are(list, local_addresses(&v4, false, list, MAX), AF_INET);
    all_are(list, local_addresses(&v6, true, list, MAX), AF_INET6);
}

static void of_both_families_it_has_the_addresses_of_both(void **state)
{
    struct rk_addr v4 = parse("0.0.0.0:3478"), v6 = parse("[::]:3478"), list[MAX];
    unsigned both = local_addresses(&v6, false, list, MAX);

    (void)state;
    all_are(list, both, 0);
    assert_int_equal(both, local_addresses(&v4, false, list, MAX) +
                               local_addresses(&v6, true, list, MAX));
    for (unsigned max = 0; max < both; max++)
        assert_int_equal(local_addresses(&v6, false, list, max), max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_stands_for_itself),
        cmocka_unit_test(a_wildcard_stands_for_its_family),
        cmocka_unit_test(of_both_families_it_has_the_addresses_of_both),
    };

    return RUN_TESTS(tests);
}
