/* The check that protects receiving agents from a sender's malformed message. */

#include "services/signal/message/message.h"
#include "tests/support/test.h"

#include "libcommon/base/attr.h"

#define MSG(literal) rk_strn((literal), sizeof(literal) - 1)

static void finds_both_keys(void **state)
{
    struct signal_message m;

    (void)state;
    assert_true(signal_message_parse(MSG("\x12\x03"
                                         "abc"
                                         "\x1a\x02"
                                         "de"
                                         "\x22\x01"
                                         "x"),
                                     &m));
    assert_true(rk_str_eq(m.key, RK_STR("abc")));
    assert_true(rk_str_eq(m.remote_key, RK_STR("de")));
}

static void the_last_of_a_repeated_scalar_counts(void **state)
{
    struct signal_message m;

    (void)state;
    assert_true(signal_message_parse(MSG("\x1a\x01"
                                         "a"
                                         "\x1a\x01"
                                         "b"),
                                     &m));
    assert_true(rk_str_eq(m.remote_key, RK_STR("b")));
}

static void a_known_field_of_another_wire_type_is_unknown(void **state)
{
    struct signal_message m;

    (void)state;
    assert_true(signal_message_parse(MSG("\x18\x05\x1d"
                                         "abcd"),
                                     &m));
    assert_int_equal(m.remote_key.n, 0);
    assert_true(signal_message_parse(MSG("\x0b\x12\x01\xff\x0c"), &m)); /* inside a group */
}

static void malformed_messages_are_refused(void **state)
{
    static const struct rk_str bad[] = {
        { "\x12\x01\xff", 3 },     /* not UTF-8 */
        { "\x1a\x02\xc0\x80", 4 }, /* overlong */
        { "\x80", 1 },             /* truncated tag */
        { "\x08\x80", 2 },         /* truncated varint */
        { "\x12\x05"
          "ab",
          4 },             /* past the end */
        { "\x02\x00", 2 }, /* field number 0 */
        { "\x0b", 1 },     /* group that never ends */
        { "\x0c", 1 },     /* group that never began */
        { "\x0b\x14", 2 }, /* group ended by another number */
        { "\x0e", 1 },     /* wire type 6 */
        { "\x0d"
          "abc",
          4 },                                                  /* short fixed32 */
        { "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 }, /* length of 2^64 - 1 */
    };
    struct signal_message m;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(signal_message_parse(bad[i], &m));
}

static void every_cut_of_a_message_is_refused_or_shorter(void **state)
{
    static const char whole[] = "\x12\x03"
                                "abc"
                                "\x1a\x02"
                                "de";
    struct signal_message m;

    (void)state;
    for (size_t n = 0; n < sizeof(whole) - 1; n++)
        assert_int_equal(signal_message_parse(rk_strn(whole, n), &m), n == 0 || n == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_both_keys),
        cmocka_unit_test(the_last_of_a_repeated_scalar_counts),
        cmocka_unit_test(a_known_field_of_another_wire_type_is_unknown),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(every_cut_of_a_message_is_refused_or_shorter),
    };

    return RUN_TESTS(tests);
}
