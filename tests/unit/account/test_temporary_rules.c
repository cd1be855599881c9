/* Temporary access, against a real server. */

#include "tests/support/account_rules.h"

#include "libcommon/account/peer/peers.h"
#include "libcommon/account/rules/temporary.h"

#define PEER "peer000000000000000a"
#define KEY "LJvXBK2ClJcUAqPi0aFHM3ESjYmlPq3b4gGtBTPHTVY="

static int fresh(void **state)
{
    if (account_fresh(state) < 0)
        return -1;
    pg_must(pg, "INSERT INTO peer (id, account_id, key, ip, dns_label, name) SELECT '" PEER
                "', id, 'key', host(network(net4)::inet + 1)::inet, 'a', 'a' FROM account;"
                "UPDATE users SET auto_groups = (SELECT array_agg(id) FROM account_group);"
                "UPDATE account SET settings = jsonb_set(settings, '{extra}', "
                "'{\"peer_approval_enabled\":true}')");
    return 0;
}

static int let_in(const struct rk_str *rules, size_t n, char id[RK_XID_LEN + 1], struct rk_err *err)
{
    const struct rk_temporary_input in = { "My Browser", KEY, rules, n };

    return rk_temporary_access(pg, &actor, PEER, &in, id, &bell, err);
}

static void rules_are_protocols_with_their_ports(void **state)
{
    static const struct {
        const char *text, *protocol;
        uint16_t first, last;
    } good[] = {
        { "all", "all", 0, 0 },
        { "ICMP", "icmp", 0, 0 },
        { "tcp/22", "tcp", 22, 22 },
        { "UDP/1-65535", "udp", 1, 65535 },
        { "netbird-ssh", "netbird-ssh", 22022, 22022 },
        { "NetBird-SSH/22", "netbird-ssh", 22022, 22022 },
    };
    static const char *const bad[] = { "",        "tcp",      "tcp/",   "tcp/0",  "tcp/65536",
                                       "tcp/2-1", "tcp/1-",   "tcp/-1", "all/22", "icmp/",
                                       "sctp/22", "tcp/22/1", "tcp/a",  " all",   "tcp/22 " };
    struct rk_temporary_rule rule;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(good); i++) {
        assert_true(rk_temporary_rule_parse(rk_str(good[i].text), &rule));
        assert_string_equal(rule.protocol, good[i].protocol);
        assert_int_equal(rule.first, good[i].first);
        assert_int_equal(rule.last, good[i].last);
    }
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        if (rk_temporary_rule_parse(rk_str(bad[i]), &rule))
            fail_msg("\"%s\" was taken", bad[i]);
}

static void a_guest_reaches_one_peer_as_its_rules_say(void **state)
{
    const struct rk_str rules[] = { RK_STR("tcp/22"), RK_STR("udp/5-7"), RK_STR("netbird-ssh/22") };
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1];
    int64_t was = serial();

    (void)state;
    done(let_in(rules, 3, id, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal((int64_t)bell.serial, was + 1);
    assert_int_equal(touched("peer"), 1);
    assert_int_equal(touched("group_peer"), 1);
    assert_int_equal(touched("policy"), 3);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer p JOIN users u ON u.id = p.user_id WHERE p.name = "
                    "'My Browser' AND p.dns_label LIKE 'my-browser%' AND p.ephemeral AND NOT "
                    "p.login_expiration_enabled AND NOT p.requires_approval AND p.meta->>'goOS' = "
                    "'js' AND p.meta->>'kernelVersion' = 'wasm' AND p.key = '" KEY "'"),
        1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM due WHERE kind = 'ephemeral'"), 1);
    assert_int_equal(
        events_with("policy.add", "name", "Temporary access policy for peer My Browser"), 3);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'policy.add' AND changes "
                                 "? 'rules'"),
                     3);
    assert_int_equal(events("peer.user.add"), 0);
    assert_int_equal(
        pg_ask(
            &fx,
            "SELECT count(*) FROM policy p JOIN policy_rule r ON r.policy_id = p.id JOIN "
            "peer g ON g.id = r.source_resource_id WHERE p.enabled AND r.enabled AND "
            "r.action = 'accept' AND NOT r.bidirectional AND g.name = 'My Browser' AND "
            "r.destination_resource_id = '" PEER "' AND r.name = 'Temporary access rule' "
            "AND r.description = r.name AND p.description = p.name AND r.ports = '{}' "
            "AND ((r.protocol = 'tcp' AND r.port_ranges = '{22-22}' AND r.authorized_user = '') OR "
            "(r.protocol = 'udp' AND r.port_ranges = '{5-7}') OR "
            "(r.protocol = 'netbird-ssh' AND r.port_ranges = '{22022-22022}' AND r.authorized_user "
            "= "
            "g.user_id))"),
        3);
    refused(let_in(rules, 1, id, &err), RK_PRECONDITION, &err, "peer has been already registered");
}

static void a_guest_that_goes_takes_its_policies_along(void **state)
{
    const struct rk_str rule = RK_STR("all");
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1];

    (void)state;
    done(let_in(&rule, 1, id, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy"), 2);
    done(rk_peer_delete(pg, &actor, id, &bell, &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy WHERE name = 'Default'"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM due"), 0);
}

static void what_is_refused_leaves_nothing_behind(void **state)
{
    const struct rk_str rules[] = { RK_STR("all"), RK_STR("tcp/0") };
    const struct rk_temporary_input unnamed = { "", KEY, rules, 1 };
    const struct rk_temporary_input keyless = { "x", "bad", rules, 1 };
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1];
    int64_t was = serial(), before = pg_ask(&fx, "SELECT count(*) FROM event");

    (void)state;
    refused(let_in(rules, 2, id, &err), RK_INVALID, &err, "invalid rule: tcp/0");
    refused(rk_temporary_access(pg, &actor, PEER, &unnamed, id, &bell, &err), RK_INVALID, &err,
            "peer name shouldn't be empty");
    refused(rk_temporary_access(pg, &actor, PEER, &keyless, id, &bell, &err), RK_INVALID, &err,
            "invalid wireguard public key");
    refused(rk_temporary_access(pg, &actor, "nope", &keyless, id, &bell, &err), RK_NOT_FOUND, &err,
            "peer not found: nope");
    assert_int_equal(serial(), was);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event"), before);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_protocols_with_their_ports),
        cmocka_unit_test_setup(a_guest_reaches_one_peer_as_its_rules_say, fresh),
        cmocka_unit_test_setup(a_guest_that_goes_takes_its_policies_along, fresh),
        cmocka_unit_test_setup(what_is_refused_leaves_nothing_behind, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
