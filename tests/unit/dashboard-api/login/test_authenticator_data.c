/* Data with every kind of item behind its head, whole and cut short. */

#include "services/dashboard-api/login/authenticator_data.h"

#include "tests/support/test.h"

#define KEY 0x41  /* a key was made, somebody was there */
#define MORE 0x81 /* the authenticator adds something */

/* Head, and for a key its maker and an id of two bytes; then `item`. */
static bool holds(uint8_t flags, bool made, const char *item, size_t n)
{
    uint8_t data[256] = { 0 };
    size_t at = 37;

    data[32] = flags;
    if (flags & 0x40) {
        data[at + 17] = 2;
        at += 20;
    }
    memcpy(data + at, item, n);
    return authenticator_data_holds(rk_strn(data, at + n), made);
}

#define HOLDS(flags, made, item) holds(flags, made, item, sizeof(item) - 1)

static void every_kind_of_item_is_walked_through(void **state)
{
    (void)state;
    assert_true(HOLDS(KEY, true, "\xa0"));
    assert_true(HOLDS(KEY, true,
                      "\xa3\x01\x02\x03\x38\x18\x20\x44"
                      "abcd"));
    assert_true(HOLDS(KEY, true,
                      "\xa1\x63"
                      "abc\x82\xf5\xfa\x00\x00\x00\x00"));
    assert_true(HOLDS(KEY | MORE, true,
                      "\xa0\xa1\x61"
                      "a\xf5"));
    assert_true(HOLDS(MORE, false,
                      "\xa1\x61"
                      "a\xf5"));
    assert_true(HOLDS(0x01, false, ""));
    assert_true(HOLDS(KEY, true, "\x81\x81\x81\x81\x00"));
}

static void what_is_not_there_is_not_believed(void **state)
{
    (void)state;
    /* Arrays and maps of four thousand million elements, and of more than there can be. */
    assert_false(HOLDS(KEY, true, "\x9a\xff\xff\xff\xff"));
    assert_false(HOLDS(KEY, true, "\xba\xff\xff\xff\xff"));
    assert_false(HOLDS(KEY, true, "\x9b\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_false(HOLDS(KEY, true, "\xbb\x80\x00\x00\x00\x00\x00\x00\x00"));
    assert_false(HOLDS(KEY, true, "\xa1\x01\x9a\x7f\xff\xff\xff"));
    assert_false(HOLDS(KEY | MORE, true, "\xa0\x9a\x7f\xff\xff\xff"));
    assert_false(HOLDS(MORE, false, "\x9a\x7f\xff\xff\xff"));
    assert_false(HOLDS(KEY, true, "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_false(HOLDS(KEY, true, "\x82\x00"));
    assert_false(HOLDS(KEY, true, "\xa1\x00"));
    assert_false(HOLDS(KEY, true,
                       "\x62"
                       "a"));
    assert_false(HOLDS(KEY, true, "\x19\x00"));
    assert_false(HOLDS(KEY, true, ""));
}

static void what_authenticators_do_not_say_is_refused(void **state)
{
    (void)state;
    assert_false(HOLDS(KEY, true, "\x9f\x00\xff")); /* without a length */
    assert_false(HOLDS(KEY, true, "\x1c"));         /* of no meaning */
    assert_false(HOLDS(KEY, true, "\xc0\x00"));     /* tagged */
    assert_false(HOLDS(KEY, true, "\x81\x81\x81\x81\x81\x00"));
    assert_false(HOLDS(KEY, true, "\xa0\x00")); /* and something behind */
    assert_false(HOLDS(0x01, false, "\x00"));
    assert_false(HOLDS(KEY, false, "\xa0")); /* a key that nobody asked for */
    assert_false(HOLDS(0x01, true, ""));
    assert_false(HOLDS(MORE, false, ""));
    assert_false(authenticator_data_holds(rk_strn("", 0), false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_item_is_walked_through),
        cmocka_unit_test(what_is_not_there_is_not_believed),
        cmocka_unit_test(what_authenticators_do_not_say_is_refused),
    };

    return RUN_TESTS(tests);
}
