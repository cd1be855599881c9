/* RFC 3339 both ways, held against the C library's calendar. */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "tests/support/test.h"

static void times_are_written_as_rfc_3339(void **state)
{
    static const struct {
        int64_t us;
        const char *want;
    } cases[] = {
        { 0, "1970-01-01T00:00:00Z" },
        { 1, "1970-01-01T00:00:00.000001Z" },
        { -1, "1969-12-31T23:59:59.999999Z" },
        { 951782400000000, "2000-02-29T00:00:00Z" },
        { 1767323045678901, "2026-01-02T03:04:05.678901Z" },
        { 1767323045600000, "2026-01-02T03:04:05.600000Z" },
        { 253402300799999999, "9999-12-31T23:59:59.999999Z" },
        { INT64_MAX, "9999-12-31T23:59:59" }, /* clipped, the fraction of any value */
        { RK_TIME_UNSET, "0001-01-01T00:00:00Z" },
        { RK_TIME_UNSET + 1, "0001-01-01T00:00:00Z" },
    };
    char text[RK_TIME_LEN];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_time_format(cases[i].us, text);
        assert_true(rk_str_starts(rk_str(text), rk_str(cases[i].want)));
        assert_true(rk_str_ends(rk_str(text), RK_STR("Z")));
    }
}

static void times_are_read_with_fraction_and_offset(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01t00:00:00z", 0 },
        { "1970-01-01 00:00:00Z", 0 },
        { "1970-01-01T01:00:00+01:00", 0 },
        { "1969-12-31T19:30:00-04:30", 0 },
        { "2026-01-02T03:04:05.678901Z", 1767323045678901 },
        { "2026-01-02T03:04:05.6789019999Z", 1767323045678901 }, /* finer than we keep */
        { "2026-01-02T03:04:05.6Z", 1767323045600000 },
        { "2000-02-29T00:00:00Z", 951782400000000 },
        { "0001-01-01T00:00:00Z", RK_TIME_UNSET },
    };
    int64_t us;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        assert_true(rk_time_parse(rk_str(cases[i].text), &us));
        assert_true(us == cases[i].want);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:60",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00Zx",
        " 2026-01-01T00:00:00Z",
        "2026-1-01T00:00:00Z",
        "+026-01-01T00:00:00Z",
    };
    int64_t us = 5;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(rk_time_parse(rk_str(bad[i]), &us));
    assert_true(us == 5);
}

static void the_calendar_is_that_of_the_c_library(void **state)
{
    char text[RK_TIME_LEN], want[64];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        /* From year 1 to year 9999. */
        int64_t s = (int64_t)rk_random_below(253402300800u + 62135596799u) - 62135596799;
        int64_t us = s * 1000000 + (int64_t)rk_random_below(1000000), back;
        time_t t = (time_t)s;
        struct tm tm;

        assert_non_null(gmtime_r(&t, &tm));
        (void)snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        rk_time_format(us, text);
        assert_memory_equal(text, want, strlen(want));
        assert_true(rk_time_parse(rk_str(text), &back));
        assert_true(back == us);
    }
}

static void clocks_go_forward(void **state)
{
    uint64_t a = rk_mono_ns(), b = rk_mono_ns();

    (void)state;
    assert_true(b >= a);
    assert_true(rk_mono_ms() >= b / 1000000);
    assert_true(rk_wall_s() > 1700000000 && rk_wall_us() / 1000000 >= rk_wall_s() - 1);
}

static void what_is_said_once_in_a_while_is_said_at_once_and_then_not(void **state)
{
    uint64_t last_ms = 0, first_ms;

    (void)state;
    assert_true(rk_due(&last_ms, UINT32_MAX)); /* however short a time the machine is up */
    first_ms = last_ms;
    assert_true(first_ms != 0);
    assert_false(rk_due(&last_ms, 60000));
    assert_true(last_ms == first_ms);
    last_ms = rk_mono_ms() - 60000;
    assert_true(rk_due(&last_ms, 60000));
    assert_true(last_ms >= first_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_as_rfc_3339),
        cmocka_unit_test(times_are_read_with_fraction_and_offset),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(the_calendar_is_that_of_the_c_library),
        cmocka_unit_test(clocks_go_forward),
        cmocka_unit_test(what_is_said_once_in_a_while_is_said_at_once_and_then_not),
    };

    return RUN_TESTS(tests);
}
