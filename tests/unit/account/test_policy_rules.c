/* What a policy keeps of a request, against a real server. */

#include "libcommon/account/rules/policy.h"
#include "libcommon/pg/pg_int.h"
#include "tests/support/account_rules.h"

static char dev[RK_XID_LEN + 1], ops[RK_XID_LEN + 1];
static struct rk_str dev_list, ops_list;

static int fresh(void **state)
{
    if (account_fresh(state) < 0)
        return -1;
    two_peers();
    make_group_of("dev", A, dev);
    make_group_of("ops", B, ops);
    dev_list = rk_str(dev);
    ops_list = rk_str(ops);
    pg_must(pg, "DELETE FROM policy");
    return 0;
}

static struct rk_policy_rule_input from_to(const char *protocol)
{
    return (struct rk_policy_rule_input){
        .id = "",
        .name = "r",
        .description = "",
        .enabled = true,
        .action = "accept",
        .protocol = protocol,
        .source = { .has_groups = true,
                    .groups = &dev_list,
                    .groups_n = 1,
                    .resource_id = "",
                    .resource_type = "" },
        .destination = { .has_groups = true,
                         .groups = &ops_list,
                         .groups_n = 1,
                         .resource_id = "",
                         .resource_type = "" },
    };
}

static struct rk_policy_input of(const struct rk_policy_rule_input *rule)
{
    return (struct rk_policy_input){
        .name = "p", .description = "", .enabled = true, .rules = rule, .rules_n = 1
    };
}

static void make(const struct rk_policy_input *in, char id[RK_XID_LEN + 1])
{
    struct rk_err err = { 0 };

    done(rk_policy_create(pg, &actor, in, id, NULL, &bell, &err), &err);
}

static void unknown_groups_and_checks_are_dropped_and_the_rest_keeps_its_order(void **state)
{
    const struct rk_str groups[] = { rk_str(ops), RK_STR("zz"), rk_str(dev), rk_str(ops) };
    const struct rk_str checks[] = { RK_STR("check00000000000000b"), RK_STR("check00000000000000a"),
                                     RK_STR("zz") };
    struct rk_policy_rule_input rule = from_to("tcp");
    struct rk_policy_input in = of(&rule);
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };

    (void)state;
    pg_must(pg, "INSERT INTO posture_check (id, public_id, account_id, name, checks) SELECT "
                "'check00000000000000' || n, n, id, n, '{}' FROM account, (VALUES ('a'), ('b')) "
                "v(n)");
    rule.source.groups = groups;
    rule.source.groups_n = RK_COUNT(groups);
    in.has_posture_checks = true;
    in.posture_checks = checks;
    in.posture_checks_n = RK_COUNT(checks);
    refused(rk_policy_create(pg, &actor, &in, id, NULL, &bell, &err), RK_INVALID, &err,
            "posture checks: zz not found");
    in.posture_checks_n--;
    make(&in, id);
    in.posture_checks_n++;
    refused(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), RK_INVALID, &err,
            "posture checks: zz not found");
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy WHERE source_posture_checks = "
                                 "'{check00000000000000b,check00000000000000a}'"),
                     1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy_rule WHERE sources = ARRAY[(SELECT "
                                 "id FROM account_group WHERE name = 'ops'), (SELECT id FROM "
                                 "account_group WHERE name = 'dev')]"),
                     1);
}

static void checks_that_differ_are_a_change(void **state)
{
    const struct rk_str check = RK_STR("check00000000000000a");
    struct rk_policy_rule_input rule = from_to("tcp");
    struct rk_policy_input in = of(&rule);
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    int64_t was;

    (void)state;
    pg_must(pg, "INSERT INTO posture_check (id, public_id, account_id, name, checks) SELECT "
                "'check00000000000000a', 'x', id, 'c', '{}' FROM account");
    make(&in, id);
    was = serial();
    for (int i = 0; i < 2; i++) {
        in.has_posture_checks = true;
        in.posture_checks = &check;
        in.posture_checks_n = 1;
        done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
        assert_int_equal(serial(), was + 1); /* the second time nothing changes */
    }
    assert_int_equal(events("policy.update"), 1);
    in.has_posture_checks = false;
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(serial(), was + 2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy WHERE source_posture_checks IS NULL"),
                     1);
}

static void another_order_and_an_empty_list_in_place_of_none_change_nothing(void **state)
{
    const struct rk_str groups[] = { rk_str(ops), rk_str(dev) }, back[] = { groups[1], groups[0] };
    const struct rk_str ports[] = { RK_STR("80"), RK_STR("22") }, other[] = { ports[1], ports[0] };
    const struct rk_policy_authorized authorized[] = {
        { .group = ops, .users = ports, .users_n = 2 },
        { .group = dev },
    };
    const struct rk_policy_authorized turned[] = {
        { .group = dev },
        { .group = ops, .users = other, .users_n = 2 },
    };
    struct rk_policy_rule_input rule = from_to("netbird-ssh");
    struct rk_policy_input in = of(&rule);
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    int64_t was;

    (void)state;
    rule.source.groups = groups;
    rule.source.groups_n = rule.ports_n = rule.authorized_n = 2;
    rule.ports = ports;
    rule.authorized = authorized;
    in.has_posture_checks = true;
    make(&in, id);
    was = serial();
    in.has_posture_checks = false;
    rule.source.groups = back;
    rule.ports = other;
    rule.authorized = turned;
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(serial(), was);
    assert_int_equal(events("policy.update"), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy JOIN policy_rule r ON policy_id = "
                                 "policy.id WHERE source_posture_checks = '{}' AND ports = "
                                 "'{80,22}'"),
                     1);
    rule.authorized_n = 0; /* anybody may log in */
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy WHERE source_posture_checks IS NULL"),
                     1);
    rule.ports_n = 1;
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(serial(), was + 2);
}

static void an_end_may_be_one_thing(void **state)
{
    struct rk_policy_rule_input rule = from_to("tcp");
    struct rk_policy_input in = of(&rule);
    char id[RK_XID_LEN + 1];

    (void)state;
    rule.source =
        (struct rk_policy_side){ .has_resource = true, .resource_id = A, .resource_type = "peer" };
    rule.destination = (struct rk_policy_side){ .has_resource = true,
                                                .resource_id = "resource000000000001",
                                                .resource_type = "subnet" };
    make(&in, id);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy_rule WHERE source_resource_id = '" A
                                 "' AND source_resource_type = 'peer' AND "
                                 "destination_resource_type = 'subnet' AND sources = '{}'"),
                     1);
    rule.destination.resource_id = rule.destination.resource_type = "";
    make(&in, id);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM policy_rule WHERE destination_resource_id IS NULL"), 1);
}

static void authorised_groups_belong_to_ssh_and_hold_on_to_their_groups(void **state)
{
    const struct rk_str users[] = { RK_STR("root"), RK_STR("x") };
    char guests[RK_XID_LEN + 1], id[RK_XID_LEN + 1];
    struct rk_policy_authorized authorized[2] = {
        { .group = dev, .users = users, .users_n = 2 },
        { .group = guests },
    };
    struct rk_policy_rule_input rule = from_to("tcp");
    struct rk_policy_input in = of(&rule);
    struct rk_err err = { 0 };

    (void)state;
    make_group("guests", guests);
    rule.authorized = authorized;
    rule.authorized_n = 2;
    make(&in, id);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM policy_rule WHERE authorized_groups IS NULL"), 1);
    rule.protocol = "netbird-ssh";
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx,
                            "SELECT count(*) FROM policy_rule WHERE authorized_groups->(SELECT "
                            "id FROM account_group WHERE name = 'dev') = '[\"root\", "
                            "\"x\"]'"),
                     1);
    refused(rk_group_delete(pg, &actor, guests, &bell, &err), RK_BAD_REQUEST, &err,
            "group has been linked to policy: p");
    authorized[0].group = ops;
    refused(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), RK_INVALID, &err,
            "authorized group for netbird-ssh protocol should be specified for each source group");
}

static void whom_access_was_given_to_stays_with_the_rule(void **state)
{
    struct rk_policy_rule_input rule = from_to("netbird-ssh");
    struct rk_policy_input in = of(&rule);
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    int64_t was;

    (void)state;
    make(&in, id);
    pg_must(pg, "UPDATE policy_rule SET authorized_user = 'u1'");
    was = serial();
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(serial(), was);
    in.name = "renamed";
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy_rule WHERE authorized_user = 'u1'"),
                     1);
    rule.protocol = "tcp";
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy_rule WHERE authorized_user <> ''"),
                     0);
}

static void an_update_is_two_round_trips(void **state)
{
    const struct rk_str check = RK_STR("check00000000000000a");
    struct rk_policy_rule_input rules[] = { from_to("tcp"), from_to("udp"), from_to("icmp") };
    struct rk_policy_input in = of(rules);
    char id[RK_XID_LEN + 1], name[] = "p0";
    struct rk_err err = { 0 };
    unsigned trips;

    (void)state;
    pg_must(pg, "INSERT INTO posture_check (id, public_id, account_id, name, checks) SELECT "
                "'check00000000000000a', 'x', id, 'c', '{}' FROM account");
    in.name = name;
    in.rules_n = RK_COUNT(rules);
    in.has_posture_checks = true;
    in.posture_checks = &check;
    in.posture_checks_n = 1;
    make(&in, id);
    for (int i = 0; i < 3; i++) { /* the first times statements are prepared */
        name[1]++;
        in.rules_n = i < 2 ? 3 : 1; /* others go */
        done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    }
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy_rule"), 1);
    assert_int_equal(events("policy.update"), 3);
    in.rules_n = 3;
    trips = rk_pg_trips(pg);
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(rk_pg_trips(pg) - trips, 2);
    assert_int_equal(pg_ask(&fx, "SELECT count(DISTINCT (id, position)) FROM policy_rule"), 3);
}

static unsigned waiting; /* so many commits are put off */

static bool more(void *arg)
{
    (void)arg;
    if (waiting == 0)
        return false;
    waiting--;
    return true;
}

/* What an update finds the group `dev` to be called. */
static const char *called(const char *id, const struct rk_policy_input *in)
{
    static char name[32], description[8];
    static int n;
    rk_auto(rk_policy_made_done) struct rk_policy_made made = { .policy = NULL };
    struct rk_policy_input other = *in;
    struct rk_err err = { 0 };

    snprintf(description, sizeof(description), "%d", n++);
    other.description = description;
    done(rk_policy_update(pg, &actor, id, &other, &made, &bell, &err), &err);
    assert_true(rk_str_eq(rk_pg_str(made.groups, 0, 0), rk_str(dev)));
    assert_true(rk_str_copy(rk_pg_str(made.groups, 0, 1), name, sizeof(name)));
    return name;
}

/* As no change of the account does it: who does not look does not see it. */
static void rename_beside(const char *name)
{
    char sql[200];

    snprintf(sql, sizeof(sql),
             "WITH x AS (UPDATE account_group SET name = '%s' WHERE id = '%s' RETURNING 1) "
             "SELECT count(*) FROM x",
             name, dev);
    assert_int_equal(pg_ask(&fx, sql), 1);
}

static void what_one_has_found_the_next_of_its_batch_need_not_ask(void **state)
{
    struct rk_policy_rule_input rule = from_to("tcp"), other = from_to("tcp");
    const struct rk_policy_input in = of(&rule), names_less = of(&other);
    const struct rk_group_input renamed = { .name = "ops2" };
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    struct rk_batch *b;

    (void)state;
    other.destination.groups = &dev_list;
    make(&in, id);
    waiting = 9;
    b = rk_batch_begin(pg, more, NULL);
    assert_string_equal(called(id, &in), "dev");
    rename_beside("a");
    assert_string_equal(called(id, &in), "dev");
    assert_string_equal(called(id, &in), "dev");
    assert_string_equal(called(id, &names_less), "a");
    rename_beside("b");
    assert_string_equal(called(id, &names_less), "a");
    done(rk_group_update(pg, &actor, ops, &renamed, &bell, &err), &err);
    assert_string_equal(called(id, &names_less), "b");
    done(rk_batch_end(b, pg, &bell, &err), &err);
    rename_beside("c");
    waiting = 9;
    b = rk_batch_begin(pg, more, NULL);
    assert_string_equal(called(id, &names_less), "c");
    done(rk_batch_end(b, pg, &bell, &err), &err);
    rename_beside("d");
    assert_string_equal(called(id, &names_less), "d");
    assert_int_equal(events("policy.update"), 8);
}

static void of_a_policy_only_what_differs_is_written(void **state)
{
    struct rk_policy_rule_input rule = from_to("tcp");
    struct rk_policy_input in = of(&rule);
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    int64_t row;

    (void)state;
    make(&in, id);
    row = pg_ask(&fx, "SELECT xmin::text FROM policy");
    rule.description = "x";
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT xmin::text FROM policy"), row);
    row = pg_ask(&fx, "SELECT xmin::text FROM policy_rule");
    in.description = "y";
    done(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT xmin::text FROM policy_rule"), row);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy p JOIN policy_rule r ON p.id = "
                                 "r.policy_id WHERE (p.description, r.description) = ('y', 'x')"),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(unknown_groups_and_checks_are_dropped_and_the_rest_keeps_its_order,
                               fresh),
        cmocka_unit_test_setup(checks_that_differ_are_a_change, fresh),
        cmocka_unit_test_setup(another_order_and_an_empty_list_in_place_of_none_change_nothing,
                               fresh),
        cmocka_unit_test_setup(an_end_may_be_one_thing, fresh),
        cmocka_unit_test_setup(authorised_groups_belong_to_ssh_and_hold_on_to_their_groups, fresh),
        cmocka_unit_test_setup(whom_access_was_given_to_stays_with_the_rule, fresh),
        cmocka_unit_test_setup(an_update_is_two_round_trips, fresh),
        cmocka_unit_test_setup(what_one_has_found_the_next_of_its_batch_need_not_ask, fresh),
        cmocka_unit_test_setup(of_a_policy_only_what_differs_is_written, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
