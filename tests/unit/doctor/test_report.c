/* What a report says, and the status that it ends with. */

#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "tools/doctor/report.h"
#include "tools/doctor/skew.h"

static char *told(bool json, struct check *c, int want)
{
    struct report r;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    assert_non_null(f);
    report_begin(&r, f, json);
    report_tell(&r, c);
    assert_int_equal(report_end(&r), want);
    (void)fclose(f);
    return text;
}

static void the_worst_is_the_status(void **state)
{
    rk_auto(check_done) struct check c;
    char *text;

    (void)state;
    check_init(&c, "x", "", "secret");
    text = told(false, &c, 0);
    assert_string_equal(text, "0 ok, 0 to look at, 0 failed\n");
    free(text);
    check_say(&c, VERDICT_OK, "redis", NULL, "is there");
    check_say(&c, VERDICT_WARN, "clock", "set it", "%d s off", 2);
    text = told(false, &c, 1);
    assert_string_equal(text, "ok    redis: is there\nwarn  clock: 2 s off. To do: set it\n"
                              "1 ok, 1 to look at, 0 failed\n");
    free(text);
    check_say(&c, VERDICT_FAIL, "stun", "open \"it\"", "two\nlines");
    text = told(true, &c, 2);
    assert_string_equal(
        text, "{\"status\":\"fail\",\"checks\":["
              "{\"check\":\"redis\",\"subject\":\"\",\"status\":\"ok\",\"detail\":\"is there\","
              "\"to_do\":\"\"},"
              "{\"check\":\"clock\",\"subject\":\"\",\"status\":\"warn\",\"detail\":\"2 s off\","
              "\"to_do\":\"set it\"},"
              "{\"check\":\"stun\",\"subject\":\"\",\"status\":\"fail\",\"detail\":\"two lines\","
              "\"to_do\":\"open \\\"it\\\"\"}]}\n");
    free(text);
}

static void a_clock_is_judged_by_what_the_way_does_not_explain(void **state)
{
    static const struct {
        int64_t theirs_ms;
        enum verdict want;
    } cases[] = {
        { 100000, VERDICT_OK },  { 104000, VERDICT_OK },   { 99000, VERDICT_OK },
        { 98900, VERDICT_WARN }, { 105001, VERDICT_OK },   { 106000, VERDICT_WARN },
        { 60000, VERDICT_FAIL }, { 140000, VERDICT_FAIL },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(check_done) struct check c;

        check_init(&c, "x", "", "");
        skew_judge(&c, cases[i].theirs_ms * 1000, 100000000, 104500000);
        assert_int_equal(c.findings, 1);
        assert_int_equal(c.finding[0].verdict, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_is_the_status),
        cmocka_unit_test(a_clock_is_judged_by_what_the_way_does_not_explain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
