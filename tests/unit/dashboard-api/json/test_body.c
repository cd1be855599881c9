#include "services/dashboard-api/json/body.h"
#include "libcommon/base/buf.h"
#include "tests/support/test.h"

struct fixture {
    struct rk_arena *arena;
    struct body body;
};

static int parse(struct fixture *f, const char *text)
{
    struct rk_err err = { 0 };

    f->arena = rk_arena_new(1 << 20);
    f->body = (struct body){ 0 };
    return body_parse(rk_str(text), f->arena, &f->body, &err);
}

static void done(struct fixture *f)
{
    body_done(&f->body);
    rk_arena_free(f->arena);
}

static void only_an_object_is_a_body(void **state)
{
    static const char *const bad[] = {
        "", "null", "[]", "\"x\"", "1", "{", "{\"a\":}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}"
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        struct fixture f;

        assert_int_equal(parse(&f, bad[i]), RK_BAD_REQUEST);
        done(&f);
    }
}

static void a_text_has_a_longest_length(void **state)
{
    static const char *const around[][2] = { { "{\"a\":\"", "\"}" },
                                             { "{\"a\":[1,{\"b\":\"", "\"}]}" } };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(around); i++) {
        for (int over = 0; over < 2; over++) {
            rk_auto(rk_buf_done) struct rk_buf text = { 0 };
            struct fixture f;

            rk_buf_init(&text, 1 << 16);
            rk_buf_put_c(&text, around[i][0]);
            for (int n = 0; n < BODY_MAX_TEXT + over; n++)
                rk_buf_put_u8(&text, 'x');
            rk_buf_put_c(&text, around[i][1]);
            rk_buf_put_u8(&text, 0);
            assert_int_equal(parse(&f, (const char *)text.p), over ? RK_INVALID : 0);
            done(&f);
        }
    }
}

static void what_follows_the_value_is_ignored(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(parse(&f, "{\"a\":1} trailing {"), 0);
    assert_int_equal(body_int(&f.body, f.body.root, "a"), 1);
    assert_false(f.body.bad);
    done(&f);
}

static void names_match_without_case_and_the_last_one_wins(void **state)
{
    struct fixture f;

    (void)state;
    assert_int_equal(parse(&f, "{\"Name\":\"x\",\"NAME\":\"y\"}"), 0);
    assert_string_equal(body_str(&f.body, f.body.root, "name"), "y");
    done(&f);
}

static void null_counts_as_absent(void **state)
{
    struct fixture f;
    size_t n;
    bool present;

    (void)state;
    assert_int_equal(parse(&f, "{\"s\":null,\"i\":null,\"b\":null,\"l\":null,\"o\":null}"), 0);
    assert_string_equal(body_str(&f.body, f.body.root, "s"), "");
    assert_null(body_str_opt(&f.body, f.body.root, "s"));
    assert_int_equal(body_int(&f.body, f.body.root, "i"), 0);
    assert_false(body_bool(&f.body, f.body.root, "b"));
    assert_null(body_strs(&f.body, f.body.root, "l", &n, &present));
    assert_false(present);
    assert_null(body_object(&f.body, f.body.root, "o"));
    assert_false(f.body.bad);
    done(&f);
}

static void an_empty_list_is_present(void **state)
{
    struct fixture f;
    size_t n = 7;
    bool present = false;

    (void)state;
    assert_int_equal(parse(&f, "{\"l\":[]}"), 0);
    assert_null(body_strs(&f.body, f.body.root, "l", &n, &present));
    assert_true(present);
    assert_int_equal(n, 0);
    done(&f);
}

static void a_wrong_type_marks_the_body(void **state)
{
    struct fixture f;
    struct rk_err err = { 0 };
    size_t n;

    (void)state;
    assert_int_equal(parse(&f, "{\"i\":1.5,\"l\":[1],\"s\":{}}"), 0);
    (void)body_int(&f.body, f.body.root, "i");
    assert_int_equal(body_check(&f.body, &err), RK_BAD_REQUEST);
    assert_string_equal(err.msg, "couldn't parse JSON request");
    f.body.bad = false;
    (void)body_strs(&f.body, f.body.root, "l", &n, NULL);
    assert_true(f.body.bad);
    f.body.bad = false;
    (void)body_str(&f.body, f.body.root, "s");
    assert_true(f.body.bad);
    done(&f);
}

static void deep_nesting_is_refused_not_followed(void **state)
{
    struct fixture f;
    size_t n = 1 << 19;
    char *text = malloc(n + 1);

    (void)state;
    memset(text, '[', n);
    memcpy(text, "{\"a\":", 5);
    text[n] = '\0';
    assert_int_equal(parse(&f, text), RK_BAD_REQUEST);
    done(&f);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_an_object_is_a_body),
        cmocka_unit_test(a_text_has_a_longest_length),
        cmocka_unit_test(what_follows_the_value_is_ignored),
        cmocka_unit_test(names_match_without_case_and_the_last_one_wins),
        cmocka_unit_test(null_counts_as_absent),
        cmocka_unit_test(an_empty_list_is_present),
        cmocka_unit_test(a_wrong_type_marks_the_body),
        cmocka_unit_test(deep_nesting_is_refused_not_followed),
    };

    return RUN_TESTS(tests);
}
