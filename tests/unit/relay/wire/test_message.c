/* Unmasking at every phase and length; AUTH with the protocol's vector and its hostile neighbours.
 */

#include "tests/support/test.h"

#include <string.h>

#include "libcommon/base/encode.h"
#include "services/relay/wire/message.h"

#define AUTH                                                                                       \
    "01062112a4427368612d905f28def18eaac05ae6f12b2c3452744afaf626da1343d57b395b544e0519b6"         \
    "01c6d8d64094f142f6db8ac8101023f36af96d57fb66bb5228cf81718743f74f9c31383933343536303030"

static void unmasking_a_part_equals_the_part_of_the_whole(void **state)
{
    static const uint8_t mask[4] = { 1, 2, 3, 200 };
    uint8_t in[300], out[300];
    struct incoming m;

    (void)state;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)((i * 7) ^ mask[i % 4]);
    incoming_init(&m, in, sizeof(in), mask);
    for (size_t i = 0; i < RELAY_HEAD_LEN; i++)
        assert_int_equal(m.head[i], (uint8_t)(i * 7));
    for (size_t from = 0; from < 9; from++)
        for (size_t n = 0; from + n <= sizeof(in); n += 5) {
            incoming_copy(&m, from, n, out);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(out[i], (uint8_t)((from + i) * 7));
        }
}

static void the_auth_vector_is_read_and_written(void **state)
{
    uint8_t wire[256], again[RELAY_MAX_AUTH];
    struct rk_err err = { 0 };
    struct relay_id id;
    struct rk_str token;
    size_t n;

    (void)state;
    assert_true(rk_hex_decode(RK_STR(AUTH), wire, sizeof(wire), &n));
    assert_int_equal(n, 85);
    assert_int_equal(relay_auth_parse(wire, n, &id, &token, &err), 0);
    assert_memory_equal(id.b, wire + 6, RELAY_ID_LEN);
    assert_int_equal(token.n, 43);
    assert_int_equal(relay_auth_write(&id, token, again), n);
    assert_memory_equal(again, wire, n);
    for (size_t part = 0; part <= 42; part++)
        assert_int_equal(relay_auth_parse(wire, part, &id, &token, &err), RK_INVALID);
    wire[0] = 2;
    assert_int_equal(relay_auth_parse(wire, n, &id, &token, &err), RK_INVALID);
    wire[0] = 1;
    wire[1] = 1;
    assert_int_equal(relay_auth_parse(wire, n, &id, &token, &err), RK_INVALID);
    wire[1] = 6;
    wire[2] ^= 1;
    assert_int_equal(relay_auth_parse(wire, n, &id, &token, &err), RK_INVALID);
    wire[2] ^= 1;
    assert_int_equal(relay_auth_parse(wire, RELAY_MAX_AUTH, &id, &token, &err), 0);
    assert_int_equal(relay_auth_parse(wire, RELAY_MAX_AUTH + 1, &id, &token, &err), RK_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unmasking_a_part_equals_the_part_of_the_whole),
        cmocka_unit_test(the_auth_vector_is_read_and_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
