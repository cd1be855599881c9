/* STUN: the protocol's vectors byte for byte, and what gets no answer. */

#include "tests/support/test.h"

#include <arpa/inet.h>
#include <string.h>

#include "libcommon/base/encode.h"
#include "services/stun/message/stun.h"

#define REQUEST "000100002112a442000102030405060708090a0b"
#define REPLY4 "010100142112a442000102030405060708090a0b002000080001f523e112a6438028000492a3d96b"
#define REPLY6                                                                                     \
    "010100202112a442000102030405060708090a0b002000140002f5230113a9fa000102030405060708090a0a8028" \
    "00049a2575fd"

static size_t hex(const char *text, uint8_t *out)
{
    size_t n = 0;

    assert_true(rk_hex_decode(rk_str(text), out, 256, &n));
    return n;
}

static void answers(const struct sockaddr *from, const char *want)
{
    uint8_t request[256], reply[STUN_MAX_REPLY];
    char text[2 * STUN_MAX_REPLY + 1];
    size_t n = hex(REQUEST, request);

    assert_int_equal(stun_check(request, n), STUN_ANSWER);
    n = stun_answer(request, from, reply);
    rk_hex_encode(reply, n, text);
    assert_string_equal(text, want);
}

static void case_31_vectors_over_v4_v6_and_v4_mapped(void **state)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(54321) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(54321) };

    (void)state;
    assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr), 1);
    answers((const struct sockaddr *)&v4, REPLY4);
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr), 1);
    answers((const struct sockaddr *)&v6, REPLY6);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
    answers((const struct sockaddr *)&v6, REPLY4);
}

static void case_32_hostile_datagrams_get_no_answer(void **state)
{
    uint8_t p[256];
    size_t n = hex(REQUEST, p);

    (void)state;
    for (size_t part = 0; part < n; part++)
        assert_int_equal(stun_check(p, part), STUN_MALFORMED);
    p[3] = 4; /* length past the datagram */
    assert_int_equal(stun_check(p, n), STUN_MALFORMED);
    memcpy(p + n, "\x00\x06\x00\x01", 4); /* attribute past the message */
    assert_int_equal(stun_check(p, n + 4), STUN_MALFORMED);
    p[3] = 3; /* no room for an attribute's header */
    assert_int_equal(stun_check(p, n + 4), STUN_MALFORMED);
    p[3] = 0;
    p[4] ^= 1; /* cookie */
    assert_int_equal(stun_check(p, n), STUN_MALFORMED);
    p[4] ^= 1;
    p[0] = 0x80; /* top bits */
    assert_int_equal(stun_check(p, n), STUN_MALFORMED);
    p[0] = 0;
    p[1] = 0x11; /* indication */
    assert_int_equal(stun_check(p, n), STUN_OTHER);
    p[1] = 0x03; /* Allocate */
    assert_int_equal(stun_check(p, n), STUN_OTHER);
    p[0] = p[1] = 1; /* a response */
    assert_int_equal(stun_check(p, n), STUN_OTHER);
}

static void case_33_unknown_attributes_and_trailing_bytes_are_fine(void **state)
{
    uint8_t p[256];
    size_t n = hex("000100082112a442000102030405060708090a0b7f00000261620000"
                   "ffff",
                   p);

    (void)state;
    assert_int_equal(stun_check(p, n), STUN_ANSWER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_31_vectors_over_v4_v6_and_v4_mapped),
        cmocka_unit_test(case_32_hostile_datagrams_get_no_answer),
        cmocka_unit_test(case_33_unknown_attributes_and_trailing_bytes_are_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
