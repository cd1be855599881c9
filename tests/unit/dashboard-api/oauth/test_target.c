#include "services/dashboard-api/oauth/target.h"
#include "tests/support/test.h"

static void values_are_escaped_with_spaces_as_percent_20(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf to = { .max = 512 };

    (void)state;
    rk_buf_put_c(&to, "http://localhost:53000/");
    target_put(&to, "error_description", "a b=c+d&\xc3\xa9");
    target_put(&to, "state", "~a.b-c_9");
    assert_true(rk_str_eq(rk_buf_str(&to),
                          RK_STR("http://localhost:53000/?error_description=a%20b%3Dc%2Bd%26%C3%A9"
                                 "&state=~a.b-c_9")));
}

static void a_query_that_is_there_is_continued_and_nothing_is_nothing(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf to = { .max = 512 };

    (void)state;
    rk_buf_put_c(&to, "https://x/?a=1");
    target_put(&to, "b", NULL);
    target_put(&to, "c", "");
    target_put(&to, "d", "\r\nLocation: evil");
    assert_true(rk_str_eq(rk_buf_str(&to), RK_STR("https://x/?a=1&d=%0D%0ALocation%3A%20evil")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_escaped_with_spaces_as_percent_20),
        cmocka_unit_test(a_query_that_is_there_is_continued_and_nothing_is_nothing),
    };

    return RUN_TESTS(tests);
}
