/* WebSocket frames by two sets of rules, a relay's and a byte stream's; whole and byte by byte. */

#include "tests/support/test.h"

#include <string.h>

#include "libcommon/net/ws_frame.h"

#define MAX_BYTES 8820

static const struct rk_ws_rules rules = { .max_bytes = MAX_BYTES, .only_whole_binary = true };
static const struct rk_ws_rules stream = { .max_bytes = 1u << 20 };

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
    static const size_t lengths[] = { 1, 2, 38, 125, 126, 1350, MAX_BYTES };
    static uint8_t wire[9000], clear[9000];
    struct rk_err err = { 0 };
    struct rk_ws_frame f;

    (void)state;
    for (size_t k = 0; k < RK_COUNT(lengths); k++) {
        size_t n = make(wire, 0x82, lengths[k]);

        for (size_t part = 0; part < n; part++)
            assert_int_equal(rk_ws_frame_parse(wire, part, &rules, &f, &err), RK_WS_MORE);
        assert_int_equal(rk_ws_frame_parse(wire, n, &rules, &f, &err), RK_WS_BINARY);
        assert_int_equal(f.n, lengths[k]);
        assert_int_equal(f.whole, n);
        rk_ws_mask(clear, f.payload, f.n, f.mask, 0);
        for (size_t i = 0; i < f.n; i++)
            assert_int_equal(clear[i], (uint8_t)i);
    }
}

static void what_the_strict_rules_exclude_is_bad_as_soon_as_it_is_seen(void **state)
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
    struct rk_ws_frame f;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        struct rk_err err = { 0 };

        assert_int_equal(rk_ws_frame_parse(bad[i].b, bad[i].n, &rules, &f, &err), RK_WS_BAD);
        assert_true(err.msg[0] != 0);
    }
}

static void control_frames_are_told_apart(void **state)
{
    uint8_t wire[64];
    struct rk_err err = { 0 };
    struct rk_ws_frame f;

    (void)state;
    assert_int_equal(rk_ws_frame_parse(wire, make(wire, 0x89, 4), &rules, &f, &err), RK_WS_PING);
    assert_int_equal(rk_ws_frame_parse(wire, make(wire, 0x8a, 0), &rules, &f, &err), RK_WS_PONG);
    assert_int_equal(rk_ws_frame_parse(wire, make(wire, 0x88, 2), &rules, &f, &err), RK_WS_CLOSE);
}

static void fragments_and_text_are_told_apart_where_they_are_allowed(void **state)
{
    static const struct {
        uint8_t first;
        enum rk_ws_kind kind;
        bool fin;
    } cases[] = {
        { 0x02, RK_WS_BINARY, false },       { 0x82, RK_WS_BINARY, true },
        { 0x00, RK_WS_CONTINUATION, false }, { 0x80, RK_WS_CONTINUATION, true },
        { 0x01, RK_WS_TEXT, false },         { 0x81, RK_WS_TEXT, true },
    };
    uint8_t wire[64];
    struct rk_err err = { 0 };
    struct rk_ws_head h;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        size_t n = make(wire, cases[i].first, 0);

        assert_int_equal(n, 6);
        for (size_t part = 0; part < n; part++)
            assert_int_equal(rk_ws_head_parse(wire, part, &stream, &h, &err), RK_WS_MORE);
        assert_int_equal(rk_ws_head_parse(wire, n, &stream, &h, &err), cases[i].kind);
        assert_int_equal(h.fin, cases[i].fin);
        assert_int_equal(h.n, 0);
        assert_int_equal(h.used, 6);
    }
}

static void a_length_of_eight_bytes_is_read_up_to_the_limit(void **state)
{
    static const uint8_t most[14] = { 0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4 };
    static const uint8_t over[10] = { 0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1 };
    static const uint8_t wraps[10] = { 0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1 };
    static const uint8_t padded[10] = { 0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    struct rk_err err = { 0 };
    struct rk_ws_head h;

    (void)state;
    for (size_t part = 0; part < sizeof(most); part++)
        assert_int_equal(rk_ws_head_parse(most, part, &stream, &h, &err), RK_WS_MORE);
    assert_int_equal(rk_ws_head_parse(most, sizeof(most), &stream, &h, &err), RK_WS_BINARY);
    assert_int_equal(h.n, 1u << 20);
    assert_int_equal(h.used, 14);
    assert_memory_equal(h.mask, "\x01\x02\x03\x04", 4);
    assert_int_equal(rk_ws_head_parse(over, sizeof(over), &stream, &h, &err), RK_WS_BAD);
    assert_int_equal(rk_ws_head_parse(wraps, sizeof(wraps), &stream, &h, &err), RK_WS_BAD);
    assert_int_equal(rk_ws_head_parse(padded, sizeof(padded), &stream, &h, &err), RK_WS_BAD);
}

static void control_frames_are_whole_and_short_whatever_the_rules(void **state)
{
    static const uint8_t parted[1] = { 0x09 }, longer[2] = { 0x88, 0xfe }, clear[2] = { 0x82, 1 };
    struct rk_err err = { 0 };
    struct rk_ws_head h;

    (void)state;
    assert_int_equal(rk_ws_head_parse(parted, 1, &stream, &h, &err), RK_WS_BAD);
    assert_int_equal(rk_ws_head_parse(longer, 2, &stream, &h, &err), RK_WS_BAD);
    assert_int_equal(rk_ws_head_parse(clear, 2, &stream, &h, &err), RK_WS_BAD);
}

static void masking_goes_on_at_any_phase(void **state)
{
    static const uint8_t mask[4] = { 0xa1, 0xb2, 0xc3, 0xd4 };
    uint8_t in[100], once[100], parts[100];

    (void)state;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 7);
    rk_ws_mask(once, in, sizeof(in), mask, 0);
    for (size_t i = 0; i < sizeof(in); i++)
        assert_int_equal(once[i], in[i] ^ mask[i % 4]);
    for (size_t cut = 0; cut <= sizeof(in); cut++) {
        rk_ws_mask(parts, in, cut, mask, 0);
        rk_ws_mask(parts + cut, in + cut, sizeof(in) - cut, mask, cut);
        assert_memory_equal(parts, once, sizeof(in));
    }
}

static void our_headers_are_short_and_unmasked(void **state)
{
    uint8_t h[RK_WS_MAX_SERVER_HEADER];

    (void)state;
    assert_int_equal(rk_ws_header(RK_WS_OP_BINARY, 125, h), 2);
    assert_memory_equal(h, "\x82\x7d", 2);
    assert_int_equal(rk_ws_header(RK_WS_OP_BINARY, 8820, h), 4);
    assert_memory_equal(h, "\x82\x7e\x22\x74", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_binary_frame_is_one_message_at_every_length),
        cmocka_unit_test(what_the_strict_rules_exclude_is_bad_as_soon_as_it_is_seen),
        cmocka_unit_test(control_frames_are_told_apart),
        cmocka_unit_test(fragments_and_text_are_told_apart_where_they_are_allowed),
        cmocka_unit_test(a_length_of_eight_bytes_is_read_up_to_the_limit),
        cmocka_unit_test(control_frames_are_whole_and_short_whatever_the_rules),
        cmocka_unit_test(masking_goes_on_at_any_phase),
        cmocka_unit_test(our_headers_are_short_and_unmasked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
