/* WebSocket frames: what a relay takes, whole and one byte at a time. */

#include "tests/support/test.h"

#include <string.h>

#include "services/relay/transport/ws/frame.h"
#include "services/relay/wire/message.h"

static size_t make(uint8_t *out, uint8_t first, size_t n)
{
    size_t at = 2;

    out[0] = first;
    if (n < 126) {
        out[1] = (uint8_t)(0x80 | n);
    } else {
        out[1] = 0x80 | 126;
        out[2] = (uint8_t)(n >> 8);
        out[3] = (uint8_t)n;
        at = 4;
    }
    memcpy(out + at, "\x11\x22\x33\x44", 4);
    for (size_t i = 0; i < n; i++)
        out[at + 4 + i] = (uint8_t)((uint8_t)i ^ out[at + i % 4]);
    return at + 4 + n;
}

static void a_binary_frame_is_one_message_at_every_length(void **state)
{
    static const size_t lengths[] = { 1, 2, 38, 125, 126, 1350, RELAY_MAX_MESSAGE };
    static uint8_t wire[9000], clear[9000];
    struct rk_err err = { 0 };
    struct ws_frame f;

    (void)state;
    for (size_t k = 0; k < RK_COUNT(lengths); k++) {
        size_t n = make(wire, 0x82, lengths[k]);

        for (size_t part = 0; part < n; part++)
            assert_int_equal(ws_frame_parse(wire, part, &f, &err), WS_MORE);
        assert_int_equal(ws_frame_parse(wire, n, &f, &err), WS_MESSAGE);
        assert_int_equal(f.n, lengths[k]);
        assert_int_equal(f.whole, n);
        mask_copy(clear, f.payload, f.n, f.mask, 0);
        for (size_t i = 0; i < f.n; i++)
            assert_int_equal(clear[i], (uint8_t)i);
    }
}

static void what_a_relay_refuses_is_bad_as_soon_as_it_is_seen(void **state)
{
    static const struct {
        uint8_t b[8];
        size_t n;
    } bad[] = {
        { { 0x81 }, 1 },                   /* text */
        { { 0x80 }, 1 },                   /* continuation */
        { { 0x02 }, 1 },                   /* not final */
        { { 0xc2 }, 1 },                   /* reserved bit */
        { { 0x83 }, 1 },                   /* unknown opcode */
        { { 0x82, 0x05 }, 2 },             /* not masked */
        { { 0x82, 0xff }, 2 },             /* 64-bit length */
        { { 0x82, 0xfe, 0x22, 0x75 }, 4 }, /* 8821 bytes */
        { { 0x82, 0xfe, 0x00, 0x05 }, 4 }, /* long form of a short length */
        { { 0x82, 0x80 }, 2 },             /* empty */
        { { 0x89, 0xfe }, 2 },             /* long ping */
    };
    struct ws_frame f;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        struct rk_err err = { 0 };

        assert_int_equal(ws_frame_parse(bad[i].b, bad[i].n, &f, &err), WS_BAD);
        assert_true(err.msg[0] != 0);
    }
}

static void control_frames_are_told_apart(void **state)
{
    uint8_t wire[64];
    struct rk_err err = { 0 };
    struct ws_frame f;

    (void)state;
    assert_int_equal(ws_frame_parse(wire, make(wire, 0x89, 4), &f, &err), WS_PING);
    assert_int_equal(ws_frame_parse(wire, make(wire, 0x8a, 0), &f, &err), WS_PONG);
    assert_int_equal(ws_frame_parse(wire, make(wire, 0x88, 2), &f, &err), WS_CLOSE);
}

static void our_headers_are_short_and_unmasked(void **state)
{
    uint8_t h[WS_MAX_SERVER_HEADER];

    (void)state;
    assert_int_equal(ws_header(WS_OP_BINARY, 125, h), 2);
    assert_memory_equal(h, "\x82\x7d", 2);
    assert_int_equal(ws_header(WS_OP_BINARY, 8820, h), 4);
    assert_memory_equal(h, "\x82\x7e\x22\x74", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_binary_frame_is_one_message_at_every_length),
        cmocka_unit_test(what_a_relay_refuses_is_bad_as_soon_as_it_is_seen),
        cmocka_unit_test(control_frames_are_told_apart),
        cmocka_unit_test(our_headers_are_short_and_unmasked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
