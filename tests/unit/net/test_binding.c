/* STUN as a client asks it: the vectors of RFC 5769, and answers that are none. */

#include "tests/support/test.h"

#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/net/binding.h"

#define REQUEST "000100002112a442000102030405060708090a0b"
#define REPLY4 "010100142112a442000102030405060708090a0b002000080001f523e112a6438028000492a3d96b"
#define REPLY6                                                                                     \
    "010100202112a442000102030405060708090a0b002000140002f5230113a9fa000102030405060708090a0a8028" \
    "00049a2575fd"

static size_t hex(const char *text, uint8_t out[256])
{
    size_t n = 0;

    assert_true(rk_hex_decode(rk_str(text), out, 256, &n));
    return n;
}

static void names(const char *reply, const char *want)
{
    static const uint8_t sent[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
    uint8_t bytes[256], transaction[RK_BINDING_TRANSACTION];
    struct rk_addr address;
    char text[RK_ADDR_LEN];
    size_t n = hex(reply, bytes);

    assert_true(rk_binding_answer(bytes, n, transaction, &address));
    assert_memory_equal(transaction, sent, sizeof(sent));
    rk_addr_format((const struct sockaddr *)&address.ss, text);
    assert_string_equal(text, want);
    for (size_t cut = 0; cut < n; cut++)
        assert_false(rk_binding_answer(bytes, cut, transaction, &address));
}

static void an_answer_names_an_address(void **state)
{
    (void)state;
    names(REPLY4, "192.0.2.1:54321");
    names(REPLY6, "[2001:db8::1]:54321");
}

static void a_request_is_a_header_alone(void **state)
{
    static const uint8_t transaction[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
    uint8_t request[RK_BINDING_REQUEST];
    char text[2 * RK_BINDING_REQUEST + 1];

    (void)state;
    rk_binding_request(transaction, request);
    rk_hex_encode(request, sizeof(request), text);
    assert_string_equal(text, REQUEST);
}

static void what_names_no_address_is_no_answer(void **state)
{
    static const char *const cases[] = {
        REQUEST,
        /* an error response */
        "011100142112a442000102030405060708090a0b002000080001f523e112a6438028000492a3d96b",
        /* another cookie */
        "010100142112a443000102030405060708090a0b002000080001f523e112a6438028000492a3d96b",
        /* no attribute but FINGERPRINT */
        "010100082112a442000102030405060708090a0b8028000492a3d96b",
        /* family 3; an address that is too short for its family */
        "0101000c2112a442000102030405060708090a0b002000080003f523e112a643",
        "010100082112a442000102030405060708090a0b002000040001f523",
        /* an attribute longer than the message */
        "0101000c2112a442000102030405060708090a0b002000140002f523e112a643",
    };
    uint8_t bytes[256], transaction[RK_BINDING_TRANSACTION];
    struct rk_addr address;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++)
        assert_false(rk_binding_answer(bytes, hex(cases[i], bytes), transaction, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_names_an_address),
        cmocka_unit_test(a_request_is_a_header_alone),
        cmocka_unit_test(what_names_no_address_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
