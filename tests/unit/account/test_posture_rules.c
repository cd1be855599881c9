/* The rules of posture checks, against a real server. */

#include "tests/support/account_rules.h"

#include "libcommon/account/rules/policy.h"
#include "libcommon/account/rules/posture.h"

static const struct rk_posture_place berlin = { "DE", "Berlin" };
static const struct rk_posture_paths agent = { "/usr/bin/agent", "", "" };

static void invalid(const struct rk_posture_input *in, const char *message)
{
    struct rk_err err = { 0 };

    refused(rk_posture_validate(in, true, &err), RK_INVALID, &err, message);
}

static void versions_are_numbers_and_what_may_follow_them(void **state)
{
    static const char *const good[] = { "0.25",      "v0.25.0",        "1",
                                        "1.2.3.4.5", "1.2.3-rc1",      "01.2",
                                        "1.2.3+b.1", "1.2~a",          "1.2.3rc",
                                        "1.2.3-",    "5.15.0-generic", "10.0.22000.1" };
    static const char *const bad[] = { "abc",
                                       "1.2.x",
                                       ">= 1.0",
                                       "-1",
                                       " 1.2 ",
                                       "1.",
                                       ".1",
                                       "1..2",
                                       "1.2+",
                                       "1.2-a..b",
                                       "v",
                                       "1.2_3",
                                       "99999999999999999999" };
    struct rk_posture_input in = { .name = "n" };
    char message[120];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(good); i++) {
        struct rk_err err = { 0 };

        in.nb_min = good[i];
        done(rk_posture_validate(&in, true, &err), &err);
    }
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        in.nb_min = bad[i];
        snprintf(message, sizeof(message), "nbversioncheck version: %s is not valid", bad[i]);
        invalid(&in, message);
    }
    in.nb_min = "";
    invalid(&in, "nbversioncheck minimum version shouldn't be empty");
}

static void systems_are_looked_at_in_their_order(void **state)
{
    static const struct {
        enum rk_posture_os os;
        const char *message;
    } rows[] = {
        { RK_OS_ANDROID, "osversioncheck android version: x is not valid" },
        { RK_OS_IOS, "osversioncheck ios version: x is not valid" },
        { RK_OS_DARWIN, "osversioncheck  darwin version: x is not valid" },
        { RK_OS_LINUX, "osversioncheck  linux kernel version: x is not valid" },
        { RK_OS_WINDOWS, "osversioncheck  windows kernel version: x is not valid" },
    };
    struct rk_posture_input in = { .name = "n", .has_os = true };

    (void)state;
    invalid(&in, "osversioncheck at least one os version check is required");
    for (size_t i = 0; i < RK_OS_COUNT; i++)
        in.os_min[i] = "x";
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        invalid(&in, rows[i].message);
        in.os_min[rows[i].os] = "1.0";
    }
    assert_int_equal(rk_posture_validate(&in, true, NULL), 0);
}

static void the_first_rule_that_is_broken_is_the_one_told(void **state)
{
    static const struct rk_posture_place places[] = { { "", "" }, { "DEU", "" }, { "D1", "" } };
    static const struct rk_posture_paths none = { "", "", "" };
    const struct rk_str ranges[] = { RK_STR("10.0.0.0/8"), RK_STR("10.0.0.1") };
    struct rk_posture_input in = { .name = "",
                                   .has_geo = true,
                                   .geo_action = "",
                                   .has_ranges = true,
                                   .ranges_action = "",
                                   .ranges = ranges,
                                   .ranges_n = 2,
                                   .has_processes = true };
    struct rk_err err = { 0 };

    (void)state;
    refused(rk_posture_validate(&in, false, &err), RK_PRECONDITION, &err,
            "geo location database is not initialized. check the self-hosted geo database "
            "documentation at https://docs.netbird.io/selfhosted/geo-support");
    invalid(&in, "invalid network prefix");
    in.ranges_n = 0;
    invalid(&in, "posture checks name shouldn't be empty");
    in.name = "n";
    invalid(&in, "geolocationcheck action shouldn't be empty");
    in.geo_action = "block";
    invalid(&in, "geolocationcheck action is not valid");
    in.geo_action = "deny";
    invalid(&in, "geolocationcheck locations shouldn't be empty");
    in.places = places;
    in.places_n = 1;
    invalid(&in, "geolocationcheck country code shouldn't be empty");
    for (size_t i = 1; i < RK_COUNT(places); i++) {
        in.places = &places[i];
        invalid(&in, "geolocationcheck country code must be 2 letters (iso 3166-1 alpha-2 format)");
    }
    in.places = &berlin;
    invalid(&in, "action for peer network range check shouldn't be empty");
    in.ranges_action = "x";
    invalid(&in, "peernetworkrangecheck action is not valid");
    in.ranges_action = "allow";
    invalid(&in, "peernetworkrangecheck network ranges shouldn't be empty");
    in.ranges_n = 1;
    invalid(&in, "processcheck processes shouldn't be empty");
    in.processes = &none;
    in.processes_n = 1;
    invalid(&in, "processcheck path shouldn't be empty");
    in.processes = &agent;
    assert_int_equal(rk_posture_validate(&in, true, NULL), 0);
    in = (struct rk_posture_input){ .name = "n" };
    invalid(&in, "posture checks shouldn't be empty");
}

static void a_check_is_stored_as_it_is_shown(void **state)
{
    const struct rk_str ranges[] = { RK_STR("10.0.0.5/8"), RK_STR("2001:DB8::1/32") };
    const struct rk_posture_input in = { .name = "n",
                                         .description = "d",
                                         .nb_min = "v0.25",
                                         .has_os = true,
                                         .os_min = { [RK_OS_IOS] = "16", [RK_OS_LINUX] = "5.4" },
                                         .has_geo = true,
                                         .geo_action = "allow",
                                         .places = &berlin,
                                         .places_n = 1,
                                         .has_ranges = true,
                                         .ranges_action = "deny",
                                         .ranges = ranges,
                                         .ranges_n = 2,
                                         .has_processes = true,
                                         .processes = &agent,
                                         .processes_n = 1 };
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1];
    int64_t was = serial();

    (void)state;
    done(rk_posture_create(pg, &actor, &in, true, id, &bell, &err), &err);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM posture_check WHERE name = 'n' AND description = 'd' AND "
                    "checks = '{\"nb_version_check\":{\"min_version\":\"v0.25\"},"
                    "\"os_version_check\":{\"ios\":{\"min_version\":\"16\"},\"linux\":{"
                    "\"min_kernel_version\":\"5.4\"}},\"geo_location_check\":{\"action\":\"allow\","
                    "\"locations\":[{\"country_code\":\"DE\",\"city_name\":\"Berlin\"}]},"
                    "\"peer_network_range_check\":{\"action\":\"deny\",\"ranges\":[\"10.0.0.5/8\","
                    "\"2001:db8::1/32\"]},\"process_check\":{\"processes\":[{\"linux_path\":"
                    "\"/usr/bin/agent\",\"mac_path\":\"\",\"windows_path\":\"\"}]}}'"),
        1);
    assert_int_equal(serial(), was + 1);
    assert_int_equal((int64_t)bell.serial, was + 1);
    assert_int_equal(touched("posture_check"), 1);
    assert_int_equal(events_with("posture.check.create", "name", "n"), 1);
}

static void names_are_unique_when_they_are_given_and_may_be_taken_later(void **state)
{
    struct rk_posture_input in = { .name = "n", .description = "", .nb_min = "1" };
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1], other[RK_XID_LEN + 1];

    (void)state;
    done(rk_posture_create(pg, &actor, &in, false, id, &bell, &err), &err);
    refused(rk_posture_create(pg, &actor, &in, false, other, &bell, &err), RK_INVALID, &err,
            "posture checks with name n already exists");
    in.name = "m";
    done(rk_posture_create(pg, &actor, &in, false, other, &bell, &err), &err);
    in.nb_min = "2";
    done(rk_posture_update(pg, &actor, id, &in, false, &bell, &err), &err);
    assert_int_equal(touched("posture_check"), 1);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'posture.check.update' AND changes ? "
                    "'checks' AND changes ? 'name'"),
        1);
    refused(rk_posture_update(pg, &actor, "nope", &in, false, &bell, &err), RK_NOT_FOUND, &err,
            "posture checks: nope not found");
}

static void a_check_that_a_policy_asks_for_stays(void **state)
{
    const struct rk_posture_input in = { .name = "n", .description = "", .nb_min = "1" };
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1], sql[200];
    int64_t was;

    (void)state;
    done(rk_posture_create(pg, &actor, &in, false, id, &bell, &err), &err);
    snprintf(sql, sizeof(sql), "UPDATE policy SET source_posture_checks = '{%s}'", id);
    pg_must(pg, sql);
    was = serial();
    refused(rk_posture_delete(pg, &actor, id, &bell, &err), RK_PRECONDITION, &err,
            "posture checks have been linked to policy: Default");
    assert_int_equal(serial(), was);
    pg_must(pg, "UPDATE policy SET source_posture_checks = NULL");
    done(rk_posture_delete(pg, &actor, id, &bell, &err), &err);
    assert_int_equal(touched("posture_check"), 1);
    assert_int_equal(events_with("posture.check.delete", "name", "n"), 1);
    refused(rk_posture_delete(pg, &actor, "nope", &bell, &err), RK_NOT_FOUND, &err,
            "posture checks: nope not found");
}

static void a_policy_keeps_its_checks_in_their_order_and_none_is_unknown(void **state)
{
    struct rk_posture_input in = { .name = "n", .description = "", .nb_min = "1" };
    struct rk_policy_rule_input rule = { .id = "",
                                         .name = "r",
                                         .description = "",
                                         .action = "accept",
                                         .protocol = "all",
                                         .source = { .has_groups = true },
                                         .destination = { .has_groups = true } };
    struct rk_policy_input policy = {
        .name = "p", .description = "", .has_posture_checks = true, .rules = &rule, .rules_n = 1
    };
    char first[RK_XID_LEN + 1], second[RK_XID_LEN + 1], id[RK_XID_LEN + 1], sql[200];
    struct rk_str named[3];
    struct rk_err err = { 0 };

    (void)state;
    done(rk_posture_create(pg, &actor, &in, false, first, &bell, &err), &err);
    in.name = "m";
    done(rk_posture_create(pg, &actor, &in, false, second, &bell, &err), &err);
    named[0] = rk_str(second);
    named[1] = rk_str(first);
    named[2] = RK_STR("nope");
    policy.posture_checks = named;
    policy.posture_checks_n = 3;
    refused(rk_policy_create(pg, &actor, &policy, id, NULL, &bell, &err), RK_INVALID, &err,
            "posture checks: nope not found");
    policy.posture_checks_n = 2;
    done(rk_policy_create(pg, &actor, &policy, id, NULL, &bell, &err), &err);
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM policy WHERE source_posture_checks = '{%s,%s}'", second, first);
    assert_int_equal(pg_ask(&fx, sql), 1);
    policy.posture_checks_n = 1;
    done(rk_policy_update(pg, &actor, id, &policy, NULL, &bell, &err), &err);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM policy WHERE source_posture_checks = '{%s}'",
             second);
    assert_int_equal(pg_ask(&fx, sql), 1);
    policy.has_posture_checks = false;
    done(rk_policy_update(pg, &actor, id, &policy, NULL, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy WHERE source_posture_checks IS NULL"),
                     2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_numbers_and_what_may_follow_them),
        cmocka_unit_test(systems_are_looked_at_in_their_order),
        cmocka_unit_test(the_first_rule_that_is_broken_is_the_one_told),
        cmocka_unit_test_setup(a_check_is_stored_as_it_is_shown, account_fresh),
        cmocka_unit_test_setup(names_are_unique_when_they_are_given_and_may_be_taken_later,
                               account_fresh),
        cmocka_unit_test_setup(a_check_that_a_policy_asks_for_stays, account_fresh),
        cmocka_unit_test_setup(a_policy_keeps_its_checks_in_their_order_and_none_is_unknown,
                               account_fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
