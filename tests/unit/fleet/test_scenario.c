/* What a scenario may say, and that mistakes are named with their line. */

#include "tests/support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/fleet/scenario.h"

static struct scenario parse(const char *text)
{
    struct rk_err err = { 0 };
    struct scenario s;
    int r = scenario_parse(rk_str(text), "s", &s, &err);

    if (r != 0)
        fail_msg("%s", err.msg);
    return s;
}

static void refused(const char *text, const char *why)
{
    struct rk_err err = { 0 };
    struct scenario s;

    assert_int_equal(scenario_parse(rk_str(text), "s", &s, &err), RK_INVALID);
    if (!strstr(err.msg, why))
        fail_msg("'%s' does not say '%s'", err.msg, why);
}

static void everything_has_a_default(void **state)
{
    struct scenario s = parse("agents 10\njoin");

    (void)state;
    assert_int_equal(s.agents, 10);
    assert_int_equal(s.groups, 1);
    assert_int_equal(s.sync_version, 1);
    assert_int_equal(s.packet_bytes, 1350);
    assert_int_equal(s.planes, PLANE_MANAGEMENT | PLANE_SIGNAL | PLANE_RELAY | PLANE_STUN);
    assert_false(s.direct);
    assert_false(s.alone);
    assert_int_equal(s.steps, 1);
    assert_int_equal(s.step[0].at_once, 100);
    assert_int_equal(s.step[0].within_ms, 120000);
}

static void values_have_units(void **state)
{
    struct scenario s = parse("# what it is\n"
                              "agents 10 # ten\n"
                              "planes signal,stun\n"
                              "alone yes\n"
                              "\n"
                              "join\tat_once 0\n"
                              "  run for 1.5m churn 0.25/s change 2/s signal 3/s stun 4.000001/s\n"
                              "burst changes 5 gap 250ms within 1h\n"
                              "storm share 12.5%\n"
                              "leave");

    (void)state;
    assert_int_equal(s.planes, PLANE_MANAGEMENT | PLANE_SIGNAL | PLANE_STUN);
    assert_true(s.alone);
    assert_int_equal(s.steps, 5);
    assert_int_equal(s.step[0].at_once, 0);
    assert_int_equal(s.step[1].for_ms, 90000);
    assert_int_equal(s.step[1].line, 7);
    assert_true(s.step[1].rate[ACTIVITY_CHURN] == 0.25);
    assert_true(s.step[1].rate[ACTIVITY_STUN] > 4);
    assert_true(s.step[1].rate[ACTIVITY_RELAY] == 0);
    assert_int_equal(s.step[2].changes, 5);
    assert_int_equal(s.step[2].gap_ms, 250);
    assert_int_equal(s.step[2].within_ms, 3600000);
    assert_true(s.step[3].share == 0.125);
    assert_true(scenario_has(&s, ACTIVITY_CHANGE));
    assert_false(scenario_has(&s, ACTIVITY_RELAY));
}

static void mistakes_are_named(void **state)
{
    (void)state;
    refused("", "s: how many?");
    refused("agents 10", "first step is join");
    refused("agents 10\nverify", "first step is join");
    refused("agents 1\njoin", "s:1: agents is a whole number, from 2 to 200000, not '1'");
    refused("agents\njoin", "s:1: agents needs a whole number");
    refused("agents 10 20\njoin", "s:1: agents has one value");
    refused("agents 10\nagents 10\njoin", "s:2: agents stands there already");
    refused("agents 10\njoin\ngroups 2", "s:3: groups stands before the first step");
    refused("agents 10\ngroups 6\njoin", "a group has two at least");
    refused("agents 10\nplanes radio\njoin", "signal,relay,stun, not 'radio'");
    refused("agents 10\nalone maybe\njoin", "yes or no, not 'maybe'");
    refused("agents 10\njoin\ndance", "s:3: there is no 'dance'");
    refused("agents 10\njoin churn 5/s", "s:2: join does not know 'churn'");
    refused("agents 10\njoin at_once 5 at_once 5", "s:2: at_once stands there already");
    refused("agents 10\njoin\nrun churn 5/s", "s:3: run needs a time");
    refused("agents 10\njoin\nrun for 30", "s:3: for is a time");
    refused("agents 10\njoin\nrun for 10ms", "from 100ms");
    refused("agents 10\njoin\nrun for 30s churn 5", "churn is a rate such as 5/s");
    refused("agents 10\njoin\nrun for 30s churn -5/s", "churn is a rate");
    refused("agents 10\njoin\nstorm share 101%", "share is a share");
    refused("agents 10\njoin\nleave\nverify", "s:3: leave is the last step");
    refused("agents 10\njoin\njoin", "s:3: they have joined already");
    refused("agents 10\nplanes none\njoin\nrun for 1s relay 1/s", "relay needs the plane");
}

static void as_many_steps_as_there_is_room_for(void **state)
{
    char text[2048] = "agents 10\njoin\n";
    struct scenario s;

    (void)state;
    for (unsigned i = 1; i < SCENARIO_MAX_STEPS; i++)
        (void)strncat(text, "verify\n", sizeof(text) - strlen(text) - 1);
    s = parse(text);
    assert_int_equal(s.steps, SCENARIO_MAX_STEPS);
    (void)strncat(text, "verify\n", sizeof(text) - strlen(text) - 1);
    refused(text, "more than 128 steps");
}

static void the_scenarios_that_come_with_it_are_right(void **state)
{
    DIR *dir = opendir(RK_SOURCE_DIR "/tests/bench/fleet/scenarios");
    struct dirent *e;
    unsigned seen = 0;

    (void)state;
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        char path[512], text[4096];
        size_t n;
        FILE *f;

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), RK_SOURCE_DIR "/tests/bench/fleet/scenarios/%s",
                       e->d_name);
        f = fopen(path, "r");
        assert_non_null(f);
        n = fread(text, 1, sizeof(text) - 1, f);
        text[n] = '\0';
        (void)fclose(f);
        (void)parse(text);
        seen++;
    }
    (void)closedir(dir);
    assert_true(seen >= 8);
}

static void processes_share_at_once(void **state)
{
    struct scenario s = parse("agents 1000\njoin at_once 50\nleave at_once 0");

    (void)state;
    assert_int_equal(step_at_once(&s.step[0], 1000, 1000), 50);
    assert_int_equal(step_at_once(&s.step[0], 500, 1000), 25);
    assert_int_equal(step_at_once(&s.step[0], 63, 1000), 3);
    assert_int_equal(step_at_once(&s.step[0], 10, 1000), 1); /* or it would never begin */
    assert_int_equal(step_at_once(&s.step[1], 10, 1000), 0); /* all of them */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_share_at_once),
        cmocka_unit_test(everything_has_a_default),
        cmocka_unit_test(values_have_units),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(as_many_steps_as_there_is_room_for),
        cmocka_unit_test(the_scenarios_that_come_with_it_are_right),
    };

    return RUN_TESTS(tests);
}
