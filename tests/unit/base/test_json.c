/* The JSON writer: exact text, commas, escapes; and any bytes at all give JSON that jansson reads.
 */

#include <string.h>

#include <jansson.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/json.h"
#include "tests/support/test.h"

static void members_and_elements_are_separated_by_themselves(void **state)
{
    static const char want[] =
        "{\"s\":\"a\",\"n\":null,\"i\":-9223372036854775808,\"u\":18446744073709551615,\"t\":true,"
        "\"f\":false,\"e\":{},\"l\":[],\"m\":[1,[2,{\"x\":3}],\"4\"],\"r\":[0],"
        "\"at\":\"0001-01-01T00:00:00Z\"}";
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_json j;

    (void)state;
    rk_buf_init(&b, 4096);
    rk_json_init(&j, &b);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "s", "a");
    rk_json_cstr(&j, "n", NULL);
    rk_json_int(&j, "i", INT64_MIN);
    rk_json_uint(&j, "u", UINT64_MAX);
    rk_json_bool(&j, "t", true);
    rk_json_bool(&j, "f", false);
    rk_json_object(&j, "e");
    rk_json_object_end(&j);
    rk_json_array(&j, "l");
    rk_json_array_end(&j);
    rk_json_array(&j, "m");
    rk_json_int(&j, NULL, 1);
    rk_json_array(&j, NULL);
    rk_json_int(&j, NULL, 2);
    rk_json_object(&j, NULL);
    rk_json_int(&j, "x", 3);
    rk_json_object_end(&j);
    rk_json_array_end(&j);
    rk_json_str(&j, NULL, RK_STR("4"));
    rk_json_array_end(&j);
    rk_json_raw(&j, "r", RK_STR("[0]"));
    rk_json_time(&j, "at", RK_TIME_UNSET);
    rk_json_object_end(&j);
    assert_true(rk_str_eq(rk_buf_str(&b), RK_STR(want)));
    assert_int_equal(j.depth, 0);
}

static void check_string(struct rk_str in, const char *want)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_json j;

    rk_buf_init(&b, 4096);
    rk_json_init(&j, &b);
    rk_json_str(&j, NULL, in);
    assert_int_equal(b.n, strlen(want));
    assert_memory_equal(b.p, want, b.n);
}

static void strings_are_escaped(void **state)
{
    (void)state;
    check_string(RK_STR(""), "\"\"");
    check_string(RK_STR("a\"b\\c"), "\"a\\\"b\\\\c\"");
    check_string(RK_STR("\n\r\t\b\f"), "\"\\n\\r\\t\\u0008\\u000c\"");
    check_string(RK_STR("a\0b\x1f\x7f"), "\"a\\u0000b\\u001f\\u007f\"");
    check_string(RK_STR("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"),
                 "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    check_string(RK_STR("</script>"), "\"</script>\"");
}

static void bytes_that_are_no_utf8_become_the_replacement_character(void **state)
{
    (void)state;
    check_string(RK_STR("a\xff"
                        "b"),
                 "\"a\xef\xbf\xbd"
                 "b\"");
    check_string(RK_STR("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    check_string(RK_STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    check_string(RK_STR("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void any_bytes_at_all_are_read_back_as_json(void **state)
{
    uint8_t in[64];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        rk_auto(rk_buf_done) struct rk_buf b;
        size_t n = (size_t)rk_random_below(sizeof(in));
        struct rk_json j;
        json_t *back;

        rk_random(in, n);
        if (i % 2) /* more of what is special */
            for (size_t k = 0; k < n; k++)
                in[k] = (uint8_t) "\"\\\n\x80\xc3\xa4\xe2\xf0\x9f\x01/u"[in[k] % 12];
        rk_buf_init(&b, 4096);
        rk_json_init(&j, &b);
        rk_json_object(&j, NULL);
        rk_json_str(&j, "k", rk_strn(in, n));
        rk_json_object_end(&j);
        back = json_loadb((const char *)b.p, b.n, JSON_ALLOW_NUL, NULL);
        assert_non_null(back);
        assert_true(json_is_string(json_object_get(back, "k")));
        if (rk_utf8_valid(rk_strn(in, n))) {
            assert_int_equal(json_string_length(json_object_get(back, "k")), n);
            assert_memory_equal(json_string_value(json_object_get(back, "k")), in, n);
        }
        json_decref(back);
    }
}

static void thirty_two_levels_keep_their_commas_apart(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_json j;
    json_t *back;

    (void)state;
    rk_buf_init(&b, 4096);
    rk_json_init(&j, &b);
    for (int i = 0; i < 32; i++) {
        rk_json_array(&j, NULL);
        rk_json_int(&j, NULL, i);
    }
    for (int i = 0; i < 32; i++) {
        rk_json_int(&j, NULL, i);
        rk_json_array_end(&j);
    }
    back = json_loadb((const char *)b.p, b.n, 0, NULL);
    assert_non_null(back);
    assert_int_equal(json_array_size(back), 3);
    json_decref(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_elements_are_separated_by_themselves),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(bytes_that_are_no_utf8_become_the_replacement_character),
        cmocka_unit_test(any_bytes_at_all_are_read_back_as_json),
        cmocka_unit_test(thirty_two_levels_keep_their_commas_apart),
    };

    return RUN_TESTS(tests);
}
