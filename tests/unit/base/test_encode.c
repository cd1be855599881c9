/* base64 and hex: the vectors of RFC 4648, every length, and what must be refused. */

#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "tests/support/test.h"

static void the_vectors_of_rfc_4648_hold(void **state)
{
    static const struct {
        const char *plain, *b64;
    } cases[] = { { "", "" },
                  { "f", "Zg==" },
                  { "fo", "Zm8=" },
                  { "foo", "Zm9v" },
                  { "foob", "Zm9vYg==" },
                  { "fooba", "Zm9vYmE=" },
                  { "foobar", "Zm9vYmFy" } };
    char text[16];
    uint8_t back[8];
    size_t n;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_b64_encode(cases[i].plain, strlen(cases[i].plain), text);
        assert_string_equal(text, cases[i].b64);
        assert_int_equal(strlen(text), RK_B64_LEN(strlen(cases[i].plain)));
        assert_true(rk_b64_decode(rk_str(text), back, sizeof(back), &n));
        assert_int_equal(n, strlen(cases[i].plain));
        assert_memory_equal(back, cases[i].plain, n);
    }
}

static void every_length_comes_back(void **state)
{
    uint8_t in[100], out[100];
    char b64[RK_B64_LEN(100) + 1], hex[201];
    size_t n;

    (void)state;
    for (size_t len = 0; len <= sizeof(in); len++) {
        rk_random(in, len);
        rk_b64_encode(in, len, b64);
        assert_true(rk_b64_decode(rk_str(b64), out, len, &n));
        assert_int_equal(n, len);
        assert_memory_equal(in, out, len);
        rk_hex_encode(in, len, hex);
        assert_int_equal(strlen(hex), 2 * len);
        assert_true(rk_hex_decode(rk_str(hex), out, len, &n));
        assert_int_equal(n, len);
        assert_memory_equal(in, out, len);
        if (len > 0) { /* one byte of room too little */
            assert_false(rk_b64_decode(rk_str(b64), out, len - 1, &n));
            assert_false(rk_hex_decode(rk_str(hex), out, len - 1, &n));
        }
    }
}

static void base64url_has_one_spelling_of_any_bytes(void **state)
{
    static const struct {
        const char *plain, *text;
    } cases[] = {
        { "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "\xfb\xff\xfe", "-__-" }
    };
    static const char *const bad[] = { "Z",    "Zg==", "Zh",   "Zm9", "Zm9vY",
                                       "+__-", "-_/-", "Zm 9", "Zm8=" };
    uint8_t in[100], out[100];
    char text[RK_B64URL_LEN(100) + 1];
    size_t n;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_b64url_encode(cases[i].plain, strlen(cases[i].plain), text);
        assert_string_equal(text, cases[i].text);
    }
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(rk_b64url_decode(rk_str(bad[i]), out, sizeof(out), &n));
    for (size_t len = 0; len <= sizeof(in); len++) {
        rk_random(in, len);
        rk_b64url_encode(in, len, text);
        assert_int_equal(strlen(text), RK_B64URL_LEN(len));
        assert_true(rk_b64url_decode(rk_str(text), out, len, &n));
        assert_int_equal(n, len);
        assert_memory_equal(in, out, len);
        if (len > 0)
            assert_false(rk_b64url_decode(rk_str(text), out, len - 1, &n));
    }
}

static void bad_base64_is_refused(void **state)
{
    static const char *const bad[] = { "Z",        "Zg",   "Zg=",    "=",
                                       "==",       "===",  "====",   "Z===",
                                       "Zg==Zg==", "Zm=v", "Zm9v\n", "Zm 9",
                                       "Zm-v",     "Zm_v", "Zm9v=",  "\xff\xff\xff\xff" };
    uint8_t out[16];
    size_t n = 99;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(rk_b64_decode(rk_str(bad[i]), out, sizeof(out), &n));
    assert_false(rk_b64_decode(RK_STR("Zm9\0"), out, sizeof(out), &n));
    assert_int_equal(n, 99);
    /* Unused bits at the end may be anything: agents' keys come like that. */
    assert_true(rk_b64_decode(RK_STR("Zh=="), out, sizeof(out), &n));
    assert_int_equal(n, 1);
    assert_int_equal(out[0], 'f');
}

static void hex_takes_both_cases_and_writes_the_lower_one(void **state)
{
    uint8_t out[4];
    char text[9];
    size_t n;

    (void)state;
    assert_true(rk_hex_decode(RK_STR("00fFA9"), out, sizeof(out), &n));
    assert_int_equal(n, 3);
    assert_memory_equal(out, "\x00\xff\xa9", 3);
    rk_hex_encode(out, 3, text);
    assert_string_equal(text, "00ffa9");
    assert_false(rk_hex_decode(RK_STR("0"), out, sizeof(out), &n));
    assert_false(rk_hex_decode(RK_STR("0g"), out, sizeof(out), &n));
    assert_false(rk_hex_decode(RK_STR("g0"), out, sizeof(out), &n));
    assert_false(rk_hex_decode(RK_STR("0x"), out, sizeof(out), &n));
}

static void a_part_of_a_url_keeps_only_what_needs_no_escape(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b = { .max = 100 };

    (void)state;
    rk_url_put(&b, RK_STR("aZ09-._~"));
    rk_url_put(&b, RK_STR(" +@/%\xc3\xbc"));
    rk_buf_put_u8(&b, 0);
    assert_string_equal((const char *)b.p, "aZ09-._~%20%2B%40%2F%25%C3%BC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_hold),
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(base64url_has_one_spelling_of_any_bytes),
        cmocka_unit_test(bad_base64_is_refused),
        cmocka_unit_test(hex_takes_both_cases_and_writes_the_lower_one),
        cmocka_unit_test(a_part_of_a_url_keeps_only_what_needs_no_escape),
    };

    return RUN_TESTS(tests);
}
