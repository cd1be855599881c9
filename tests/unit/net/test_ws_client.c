/* WebSocket from the client's side, held against the server's. */

#include "tests/support/test.h"

#include <string.h>

#include "libcommon/net/ws_client.h"
#include "libcommon/net/ws_frame.h"
#include "libcommon/net/ws_upgrade.h"

static void the_server_takes_the_request_and_its_answer_is_taken(void **state)
{
    char request[RK_WS_REQUEST_MAX], reply[RK_WS_REPLY_MAX];
    struct rk_ws_upgrade upgrade;
    char *accept;
    size_t n;

    (void)state;
    n = rk_ws_request("/relay", "relay.example:443", request);
    assert_true(n > 0);
    assert_int_equal(rk_ws_upgrade_parse((const uint8_t *)request, n, RK_STR("/relay"), &upgrade),
                     101);
    assert_int_equal(upgrade.whole, n);
    n = rk_ws_upgrade_reply(101, &upgrade, reply);
    assert_true(rk_ws_accepted(rk_strn(reply, n)));
    /* Somebody who does not know the key. */
    accept = memmem(reply, n, "s3pPLMB", 7);
    assert_non_null(accept);
    accept[3] = 'q';
    assert_false(rk_ws_accepted(rk_strn(reply, n)));
    assert_false(rk_ws_accepted(rk_strn(reply, rk_ws_upgrade_reply(404, &upgrade, reply))));
    assert_false(rk_ws_accepted(RK_STR("HTTP/1.1 101 Switching Protocols\r\n\r\n")));
    assert_false(rk_ws_accepted(RK_STR("")));
}

static void a_request_that_is_too_long_is_none(void **state)
{
    char request[RK_WS_REQUEST_MAX], host[RK_WS_REQUEST_MAX];

    (void)state;
    memset(host, 'a', sizeof(host) - 1);
    host[sizeof(host) - 1] = 0;
    assert_int_equal(rk_ws_request("/relay", host, request), 0);
}

static void the_server_reads_what_is_masked(void **state)
{
    static const struct rk_ws_rules rules = { .max_bytes = 9000, .only_whole_binary = true };
    static const size_t lengths[] = { 1, 125, 126, 8820 };
    static uint8_t clear[9000], wire[9000 + RK_WS_MASKED_HEAD], back[9000];
    struct rk_err err = { 0 };
    struct rk_ws_frame f;

    (void)state;
    for (size_t i = 0; i < sizeof(clear); i++)
        clear[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < RK_COUNT(lengths); i++) {
        size_t n = rk_ws_masked(clear, lengths[i], wire);

        assert_int_equal(rk_ws_frame_parse(wire, n, &rules, &f, &err), RK_WS_BINARY);
        assert_int_equal(f.whole, n);
        rk_ws_mask(back, f.payload, f.n, f.mask, 0);
        assert_memory_equal(back, clear, lengths[i]);
    }
}

static void a_frame_is_read_when_it_is_whole(void **state)
{
    static const size_t lengths[] = { 0, 1, 125, 126, 500 };
    uint8_t wire[600] = { 0 };
    size_t head = 0;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(lengths); i++) {
        size_t h = rk_ws_header(RK_WS_OP_BINARY, lengths[i], wire), n = h + lengths[i];

        for (size_t have = 0; have < n; have++)
            assert_int_equal(rk_ws_server_frame(wire, have, 500, &head), 0);
        assert_int_equal(rk_ws_server_frame(wire, n + 3, 500, &head), n);
        assert_int_equal(head, h);
    }
    assert_int_equal(rk_ws_server_frame(wire, 504, 499, &head), SIZE_MAX); /* longer than allowed */
    wire[1] = 0x81;
    assert_int_equal(rk_ws_server_frame(wire, 504, 500, &head), SIZE_MAX); /* masked */
    wire[0] = 0x02;
    wire[1] = 1;
    assert_int_equal(rk_ws_server_frame(wire, 504, 500, &head), SIZE_MAX); /* a fragment */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_takes_the_request_and_its_answer_is_taken),
        cmocka_unit_test(a_request_that_is_too_long_is_none),
        cmocka_unit_test(the_server_reads_what_is_masked),
        cmocka_unit_test(a_frame_is_read_when_it_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
