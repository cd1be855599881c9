/* The upgrade request: RFC 6455's own vector, statuses in order, limits; whole and one byte at a
 * time. */

#include "tests/support/test.h"

#include <string.h>

#include "libcommon/conf/addr.h"
#include "libcommon/net/ws_upgrade.h"

#define TOKENS "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"

static int parse(const char *text, struct rk_ws_upgrade *u)
{
    return rk_ws_upgrade_parse((const uint8_t *)text, strlen(text), RK_STR("/relay"), u);
}

static void the_agents_request_is_accepted(void **state)
{
    static const char text[] =
        "GET /relay HTTP/1.1\r\nHost: r\r\nUser-Agent: Go-http-client/1.1\r\n" TOKENS KEY V13
        "X-Real-Ip: 192.0.2.7\r\nX-Real-Port: 99\r\nX-Forwarded-For: a\r\n"
        "X-Forwarded-For: 192.0.2.8, 10.0.0.1\r\n\r\nfirst frame";
    size_t whole = sizeof(text) - 1 - strlen("first frame");
    char reply[RK_WS_REPLY_MAX];
    struct rk_ws_upgrade u;

    (void)state;
    for (size_t n = 0; n < whole; n++)
        assert_int_equal(rk_ws_upgrade_parse((const uint8_t *)text, n, RK_STR("/relay"), &u), 0);
    assert_int_equal(parse(text, &u), 101);
    assert_int_equal(u.whole, whole);
    assert_string_equal(u.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_true(rk_str_eq(u.real_ip, RK_STR("192.0.2.7")));
    assert_true(rk_str_eq(u.real_port, RK_STR("99")));
    assert_true(rk_str_eq(u.forwarded_for, RK_STR("192.0.2.8, 10.0.0.1")));
    assert_true(rk_ws_upgrade_reply(101, &u, reply) < sizeof(reply));
    assert_non_null(strstr(reply, "101 Switching"));
    assert_null(strstr(reply, "Protocol:"));
    assert_null(strstr(reply, "Extensions"));
}

static void refusals_have_the_status_of_the_first_fault(void **state)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        { 404, "GET /relay/ HTTP/1.1\r\n" TOKENS KEY V13 "\r\n" },
        { 404, "POST / HTTP/1.1\r\n\r\n" },
        { 404, "GET /relay2 HTTP/1.1\r\n" TOKENS KEY V13 "\r\n" },
        { 101, "GET /relay?x=1 HTTP/1.1\r\n" TOKENS KEY V13 "\r\n" },
        { 426, "GET /relay HTTP/1.1\r\n\r\n" },
        { 426, "GET /relay HTTP/1.1\r\nConnection: Upgrade\r\n\r\n" },
        { 426, "GET /relay HTTP/1.0\r\n" TOKENS KEY V13 "\r\n" },
        { 405, "POST /relay HTTP/1.1\r\n" TOKENS KEY V13 "\r\n" },
        { 400, "GET /relay HTTP/1.1\r\n" TOKENS KEY "Sec-WebSocket-Version: 8\r\n\r\n" },
        { 400, "GET /relay HTTP/1.1\r\n" TOKENS V13 "\r\n" },
        { 400, "GET /relay HTTP/1.1\r\n" TOKENS V13 "Sec-WebSocket-Key: c2hvcnQ=\r\n\r\n" },
        { 400, "GET /relay HTTP/1.1\r\nno colon\r\n\r\n" },
        { 400, "GET /relay HTTP/1.1\r\n folded: x\r\n\r\n" },
        { 400, "GET /relay\r\n\r\n" },
        { 400, "\x16\x03\x01" },
        { 400, "{" },
    };
    struct rk_ws_upgrade u;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++)
        assert_int_equal(parse(cases[i].text, &u), cases[i].status);
}

static void an_endless_head_is_refused_at_its_limit(void **state)
{
    static char text[RK_WS_UPGRADE_MAX_BYTES + 1];
    struct rk_ws_upgrade u;

    (void)state;
    memset(text, 'A', sizeof(text));
    assert_int_equal(rk_ws_upgrade_parse((const uint8_t *)text, RK_WS_UPGRADE_MAX_BYTES - 1,
                                         RK_STR("/relay"), &u),
                     0);
    assert_int_equal(
        rk_ws_upgrade_parse((const uint8_t *)text, RK_WS_UPGRADE_MAX_BYTES, RK_STR("/relay"), &u),
        431);
}

static void a_proxy_names_the_agent_by_address_and_port_or_not_at_all(void **state)
{
    static const struct {
        const char *ip, *port, *want; /* want NULL: not believed */
    } cases[] = {
        { "192.0.2.7", "4711", "192.0.2.7:4711" },
        { "2001:db8::1", "1", "[2001:db8::1]:1" },
        { "192.0.2.7", "", NULL },
        { "", "4711", NULL },
        { "192.0.2.7", "70000", NULL },
        { "192.0.2.7", "x", NULL },
        { "agent.example", "4711", NULL },
        { "192.0.2.7, 10.0.0.1", "4711", NULL },
        { "1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18", "4711", NULL },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        struct rk_ws_upgrade u = { .real_ip = rk_str(cases[i].ip),
                                   .real_port = rk_str(cases[i].port) };
        struct sockaddr_in6 got = { .sin6_family = AF_INET6 };
        char text[RK_ADDR_LEN];

        assert_int_equal(rk_ws_upgrade_real_addr(&u, &got), cases[i].want != NULL);
        rk_addr_format((const struct sockaddr *)&got, text);
        assert_string_equal(text, cases[i].want ? cases[i].want : "[::]:0");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agents_request_is_accepted),
        cmocka_unit_test(refusals_have_the_status_of_the_first_fault),
        cmocka_unit_test(an_endless_head_is_refused_at_its_limit),
        cmocka_unit_test(a_proxy_names_the_agent_by_address_and_port_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
