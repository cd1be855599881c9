/* The rules of nameserver groups and of who gets no DNS, against a real server. */

#include "tests/support/account_rules.h"

#include "libcommon/account/rules/nameserver.h"

static const struct rk_nameserver_input resolver = { .ip = "9.9.9.9",
                                                     .ns_type = "udp",
                                                     .port = 53 };
static char group[RK_XID_LEN + 1];
static struct rk_str groups[1];

static int fresh(void **state)
{
    if (account_fresh(state) < 0)
        return -1;
    make_group("g", group);
    groups[0] = rk_str(group);
    return 0;
}

static struct rk_nsgroup_input good(void)
{
    return (struct rk_nsgroup_input){ .name = "n",
                                      .description = "d",
                                      .servers = &resolver,
                                      .servers_n = 1,
                                      .groups = groups,
                                      .groups_n = 1,
                                      .primary = true,
                                      .enabled = true };
}

static void invalid(const struct rk_nsgroup_input *in, const char *message)
{
    struct rk_err err = { 0 };

    refused(rk_nsgroup_validate(in, &err), RK_INVALID, &err, message);
}

static void servers_are_udp_at_an_address_and_a_port(void **state)
{
    static const struct rk_nameserver_input bad[] = {
        { "9.9.9.9", "tcp", 53 },   { "9.9.9.9", "UDP", 53 },    { "9.9.9.9", "", 53 },
        { "9.9.9.300", "udp", 53 }, { "", "udp", 53 },           { "dns.test", "udp", 53 },
        { "9.9.9.9", "udp", 0 },    { "9.9.9.9", "udp", 65536 }, { "fe80::1%eth0", "udp", 53 },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        struct rk_nsgroup_input in = good();

        in.servers = &bad[i];
        invalid(&in, "invalid ns servers format");
    }
}

static void the_first_rule_that_is_broken_is_the_one_told(void **state)
{
    const struct rk_nameserver_input four[] = { resolver, resolver, resolver, resolver };
    const struct rk_str domain = RK_STR("x.io"), bad = RK_STR("a b"), wild = RK_STR("*.x.io");
    struct rk_nsgroup_input in = { .name = "", .description = "" };

    (void)state;
    invalid(&in, "nameserver group primary status is false and domains are empty, it should be "
                 "primary or have at least one domain");
    in.primary = true;
    in.search_domains_enabled = true;
    in.domains = &bad;
    in.domains_n = 1;
    invalid(&in, "nameserver group primary status is true and domains are not empty, you should "
                 "set either primary or domain");
    in.domains_n = 0;
    invalid(&in, "nameserver group primary status is true and search domains is enabled, you "
                 "should not set search domains for primary nameservers");
    in.primary = false;
    in.domains_n = 1;
    invalid(&in, "nameserver group got an invalid domain: a b \"invalid domain name: invalid "
                 "domain format: a b\"");
    in.domains = &wild;
    invalid(&in, "nameserver group got an invalid domain: *.x.io \"wildcards not allowed\"");
    in.domains = &domain;
    invalid(&in, "the list of nameservers should be 1 or 3, got 0");
    in.servers = four;
    in.servers_n = 4;
    invalid(&in, "the list of nameservers should be 1 or 3, got 4");
    in.servers_n = 3;
    invalid(&in, "nameserver group name should be between 1 and 40");
    in.name = "12345678901234567890123456789012345678901";
    invalid(&in, "nameserver group name should be between 1 and 40");
    in.name = "\xc3\xbc"
              "234567890123456789012345678901234567890"; /* of two bytes */
    assert_int_equal(rk_nsgroup_validate(&in, NULL), 0);
}

static void domains_may_be_of_any_script_and_end_in_the_root(void **state)
{
    const struct rk_str fine[] = { RK_STR("x.io"),
                                   RK_STR("b\xc3\xbc"
                                          "cher.de"),
                                   RK_STR("a.b."), RK_STR("local"), RK_STR("ex_ample.com") };
    struct rk_nsgroup_input in = good();

    (void)state;
    in.primary = false;
    in.domains = fine;
    in.domains_n = RK_COUNT(fine);
    assert_int_equal(rk_nsgroup_validate(&in, NULL), 0);
}

static void a_group_is_stored_as_it_was_sent(void **state)
{
    const struct rk_nameserver_input two[] = { { "2001:DB8::01", "udp", 5353 }, resolver };
    const struct rk_str domains[] = { RK_STR("Z.io"), RK_STR("a.io") };
    struct rk_nsgroup_input in = good();
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1];
    int64_t was = serial();

    (void)state;
    in.servers = two;
    in.servers_n = 2;
    in.primary = false;
    in.search_domains_enabled = true;
    in.has_domains = true;
    in.domains = domains;
    in.domains_n = 2;
    done(rk_nsgroup_create(pg, &actor, &in, id, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal((int64_t)bell.serial, was + 1);
    assert_int_equal(touched("nameserver_group"), 1);
    assert_int_equal(events_with("nameserver.group.add", "name", "n"), 1);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM nameserver_group WHERE domains = '{Z.io,a.io}' AND "
                    "nameservers = '[{\"ip\":\"2001:db8::1\",\"ns_type\":\"udp\",\"port\":5353},"
                    "{\"ip\":\"9.9.9.9\",\"ns_type\":\"udp\",\"port\":53}]' AND "
                    "search_domains_enabled AND enabled AND NOT is_primary"),
        1);
    in = good();
    done(rk_nsgroup_update(pg, &actor, id, &in, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM nameserver_group WHERE domains IS NULL AND "
                                 "is_primary AND jsonb_array_length(nameservers) = 1"),
                     1);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'nameserver.group.update' AND changes "
                    "? 'domains' AND changes ? 'is_primary' AND NOT changes ? 'name'"),
        1);
    in.has_domains = true;
    done(rk_nsgroup_update(pg, &actor, id, &in, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM nameserver_group WHERE domains = '{}'"), 1);
    done(rk_nsgroup_delete(pg, &actor, id, &bell, &err), &err);
    assert_int_equal(events_with("nameserver.group.delete", "name", "n"), 1);
    assert_int_equal(touched("nameserver_group"), 1);
    assert_int_equal(serial(), was + 4);
}

static void names_are_unique_and_groups_exist(void **state)
{
    const struct rk_str unknown[] = { RK_STR("nope") };
    const struct rk_str empty[] = { groups[0], RK_STR(""), RK_STR("nope") };
    struct rk_nsgroup_input in = good();
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1], other[RK_XID_LEN + 1];
    int64_t was;

    (void)state;
    done(rk_nsgroup_create(pg, &actor, &in, id, &bell, &err), &err);
    in.name = "m";
    done(rk_nsgroup_create(pg, &actor, &in, other, &bell, &err), &err);
    was = serial();
    refused(rk_nsgroup_create(pg, &actor, &in, other, &bell, &err), RK_INVALID, &err,
            "nameserver group with name m already exist");
    refused(rk_nsgroup_update(pg, &actor, id, &in, &bell, &err), RK_INVALID, &err,
            "nameserver group with name m already exist");
    in.name = "k";
    in.groups_n = 0;
    refused(rk_nsgroup_create(pg, &actor, &in, other, &bell, &err), RK_INVALID, &err,
            "the list of group ids should not be empty");
    in.groups = unknown;
    in.groups_n = 1;
    refused(rk_nsgroup_create(pg, &actor, &in, other, &bell, &err), RK_INVALID, &err,
            "group id nope not found");
    in.groups = empty;
    in.groups_n = 3;
    refused(rk_nsgroup_update(pg, &actor, id, &in, &bell, &err), RK_INVALID, &err,
            "group id should not be empty string");
    refused(rk_nsgroup_delete(pg, &actor, "nope", &bell, &err), RK_NOT_FOUND, &err,
            "nameserver group: nope not found");
    assert_int_equal(serial(), was);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM nameserver_group"), 2);
}

static void groups_without_dns_are_told_by_their_difference(void **state)
{
    char second[RK_XID_LEN + 1];
    struct rk_str both[2], twice[2];
    const struct rk_str unknown = RK_STR("nope");
    struct rk_err err = { 0 };
    int64_t was;

    (void)state;
    make_group("h", second);
    both[0] = groups[0];
    both[1] = twice[0] = twice[1] = rk_str(second);
    was = serial();
    done(rk_dns_settings_update(pg, &actor, both, 2, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal(touched("account"), 1);
    assert_int_equal(events("dns.setting.disabled.management.group.add"), 2);
    done(rk_dns_settings_update(pg, &actor, twice, 2, &bell, &err), &err);
    assert_int_equal(events("dns.setting.disabled.management.group.add"), 2);
    assert_int_equal(events_with("dns.setting.disabled.management.group.delete", "group", "g"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT array_length(dns_disabled_groups, 1) FROM account"), 2);
    was = serial();
    refused(rk_dns_settings_update(pg, &actor, &unknown, 1, &bell, &err), RK_INVALID, &err,
            "group id nope not found");
    assert_int_equal(serial(), was);
    done(rk_dns_settings_update(pg, &actor, NULL, 0, &bell, &err), &err);
    assert_int_equal(events("dns.setting.disabled.management.group.delete"), 2);
    assert_int_equal(serial(), was + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_are_udp_at_an_address_and_a_port),
        cmocka_unit_test(the_first_rule_that_is_broken_is_the_one_told),
        cmocka_unit_test(domains_may_be_of_any_script_and_end_in_the_root),
        cmocka_unit_test_setup(a_group_is_stored_as_it_was_sent, fresh),
        cmocka_unit_test_setup(names_are_unique_and_groups_exist, fresh),
        cmocka_unit_test_setup(groups_without_dns_are_told_by_their_difference, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
