/* The rules of groups, keys, policies, peers and settings against a real server. */

#include "tests/support/test.h"

#include <sys/socket.h>

#include <jansson.h>

#include "libcommon/account/rules/pat.h"
#include "libcommon/account/peer/rules.h"
#include "libcommon/account/rules/policy.h"
#include "libcommon/account/rules/settings_int.h"
#include "libcommon/account/rules/setup_key.h"
#include "libcommon/crypto/hash.h"
#include "tests/support/account_rules.h"

static void a_refused_group_leaves_nothing_behind(void **state)
{
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    const struct rk_str unknown = RK_STR("nobody");
    int64_t was = serial(), events = pg_ask(&fx, "SELECT count(*) FROM event");

    (void)state;
    refused(rk_group_create(pg, &actor, &(struct rk_group_input){ .name = "" }, id, &bell, &err),
            RK_INVALID, &err, "group name shouldn't be empty");
    refused(rk_group_create(pg, &actor, &(struct rk_group_input){ .name = "All" }, id, &bell, &err),
            RK_EXISTS, &err, "group with name All already exists");
    refused(
        rk_group_create(pg, &actor,
                        &(struct rk_group_input){ .name = "x", .peers = &unknown, .peers_n = 1 },
                        id, &bell, &err),
        RK_INVALID, &err, "peer not found: nobody");
    assert_int_equal(serial(), was);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event"), events);
    assert_int_equal(bell.serial, 0);
}

static void membership_is_told_one_by_one_and_touched_by_name(void **state)
{
    const struct rk_str both[] = { RK_STR("peer000000000000000a"), RK_STR("peer000000000000000b") };
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };

    (void)state;
    make_group("g", id);
    assert_int_equal(
        rk_group_update(pg, &actor, id,
                        &(struct rk_group_input){ .name = "g", .peers = both, .peers_n = 2 }, &bell,
                        &err),
        0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'peer.group.add'"), 2);
    assert_int_equal(pg_ask(&fx,
                            "SELECT count(*) FROM account_change c, account a WHERE c.serial = "
                            "a.serial AND kind = 'group_peer'"),
                     2);
    assert_int_equal(
        rk_group_update(pg, &actor, id,
                        &(struct rk_group_input){ .name = "h", .peers = both, .peers_n = 1 }, &bell,
                        &err),
        0);
    assert_int_equal(
        pg_ask(
            &fx,
            "SELECT count(*) FROM event WHERE code = 'peer.group.delete' AND target_id LIKE '%b'"),
        1);
    assert_int_equal(
        pg_ask(
            &fx,
            "SELECT count(*) FROM event WHERE code = 'group.update' AND meta->>'new_name' = 'h'"),
        1);
    assert_int_equal(pg_ask(&fx,
                            "SELECT count(*) FROM account_change c, account a WHERE c.serial = "
                            "a.serial AND kind = 'group'"),
                     1);
}

static void a_group_in_use_stays(void **state)
{
    char id[RK_XID_LEN + 1], policy[RK_XID_LEN + 1], key[RK_XID_LEN + 1], secret[RK_UUID_LEN + 1];
    struct rk_err err = { 0 };

    (void)state;
    make_group("g", id);
    const struct rk_str list = rk_str(id);
    const struct rk_policy_rule_input rule = {
        .id = "",
        .name = "r",
        .description = "",
        .enabled = true,
        .action = "accept",
        .protocol = "all",
        .source = { .has_groups = true, .groups = &list, .groups_n = 1 },
        .destination = { .has_groups = true }
    };
    const struct rk_policy_input in = {
        .name = "web", .description = "", .enabled = true, .rules = &rule, .rules_n = 1
    };
    const struct rk_setup_key_input k = {
        .name = "k", .type = "reusable", .auto_groups = &list, .auto_groups_n = 1
    };

    assert_int_equal(rk_policy_create(pg, &actor, &in, policy, NULL, &bell, &err), 0);
    refused(rk_group_delete(pg, &actor, id, &bell, &err), RK_BAD_REQUEST, &err,
            "group has been linked to policy: web");
    assert_int_equal(rk_policy_delete(pg, &actor, policy, &bell, &err), 0);
    assert_int_equal(rk_setup_key_create(pg, &actor, &k, key, secret, &err), 0);
    refused(rk_group_delete(pg, &actor, id, &bell, &err), RK_BAD_REQUEST, &err,
            "group has been linked to setup key: k");
    assert_int_equal(rk_setup_key_delete(pg, &actor, key, &err), 0);
    assert_int_equal(rk_group_delete(pg, &actor, id, &bell, &err), 0);
    assert_int_equal(rk_group_delete(pg, &actor, id, &bell, &err), RK_NOT_FOUND);
}

static void a_policy_that_does_not_change_says_nothing(void **state)
{
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    const struct rk_str ports[] = { RK_STR("80") };
    struct rk_policy_rule_input rules[2] = { { .id = "",
                                               .name = "r",
                                               .description = "",
                                               .enabled = true,
                                               .action = "accept",
                                               .protocol = "tcp",
                                               .ports = ports,
                                               .ports_n = 1,
                                               .source = { .has_groups = true },
                                               .destination = { .has_groups = true } } };
    struct rk_policy_input in = {
        .name = "p", .description = "", .enabled = true, .rules = rules, .rules_n = 2
    };
    char second[64];
    int64_t was, events;

    (void)state;
    rules[1] = rules[0];
    assert_int_equal(rk_policy_create(pg, &actor, &in, id, NULL, &bell, &err), 0);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(DISTINCT r.id) FROM policy_rule r JOIN policy p ON p.id = "
                    "r.policy_id WHERE p.name = 'p'"),
        2);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM policy_rule r WHERE r.id = r.policy_id AND name = 'r'"),
        1);

    /* With its ids it is the same policy. */
    in.rules_n = 1;
    rules[0].id = id;
    assert_int_equal(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), 0);
    was = serial();
    events = pg_ask(&fx, "SELECT count(*) FROM event");
    bell.serial = 0;
    assert_int_equal(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), 0);
    rules[0].id = ""; /* the first without an id gets the policy's */
    assert_int_equal(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), 0);
    assert_int_equal(serial(), was);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event"), events);
    assert_int_equal(bell.serial, 0);

    snprintf(second, sizeof(second), "invalid rule id: %s", "other");
    rules[0].id = "other";
    refused(rk_policy_update(pg, &actor, id, &in, NULL, &bell, &err), RK_INVALID, &err, second);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM policy_rule WHERE name = 'r'"), 1);
}

static void a_revoked_key_stays_revoked_and_no_serial_moves(void **state)
{
    char key[RK_XID_LEN + 1], secret[RK_UUID_LEN + 1], hash[45], sql[256];
    struct rk_err err = { 0 };
    const struct rk_setup_key_input in = { .name = "k", .type = "one-off", .expires_in_s = 60 };
    int64_t was = serial();

    (void)state;
    assert_int_equal(rk_setup_key_create(pg, &actor, &in, key, secret, &err), 0);
    rk_sha256_b64(rk_str(secret), hash);
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM setup_key WHERE hash = '%s' AND masked = '%.5s****' AND "
             "usage_limit = 1",
             hash, secret);
    assert_int_equal(pg_ask(&fx, sql), 1);
    assert_int_equal(rk_setup_key_update(pg, &actor, key, true, NULL, 0, &err), 0);
    refused(rk_setup_key_update(pg, &actor, key, false, NULL, 0, &err), RK_INVALID, &err,
            "can't un-revoke a revoked setup key");
    refused(rk_setup_key_update(pg, &actor, key, false, &RK_STR("nobody"), 1, &err), RK_INVALID,
            &err, "invalid auto groups: group not found: nobody");
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'setupkey.revoke'"), 1);
    assert_int_equal(serial(), was);
}

static void a_taken_name_gets_the_end_of_the_address(void **state)
{
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(
        rk_peer_update(pg, &actor, A, &(struct rk_peer_input){ .name = "B" }, &bell, &err), 0);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer WHERE name = 'B' AND dns_label = 'b-0-1'"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'peer.rename'"), 1);
    assert_int_equal((int64_t)bell.serial, serial());
}

static void an_address_belongs_to_one_peer_inside_the_range(void **state)
{
    const struct rk_str a = RK_STR(A);
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };

    (void)state;
    pg_must(pg,
            "UPDATE account SET net4 = '100.64.0.0/16'; UPDATE peer SET ip = '100.64.0.1' WHERE "
            "dns_label = 'a';"
            " UPDATE peer SET ip = '100.64.0.2' WHERE dns_label = 'b'");
    refused(rk_peer_update(
                pg, &actor, A,
                &(struct rk_peer_input){ .name = "", .ip = "100.64.0.2", .ip6 = "comes second" },
                &bell, &err),
            RK_INVALID, &err,
            "update peer ip transaction: ip 100.64.0.2 is already assigned to peer " B);
    refused(rk_peer_update(pg, &actor, A, &(struct rk_peer_input){ .name = "", .ip = "10.0.0.1" },
                           &bell, &err),
            RK_INVALID, &err,
            "update peer ip transaction: ip 10.0.0.1 is not within the account network range "
            "100.64.0.0/16");
    /* The agents' resolver's. */
    refused(rk_peer_update(pg, &actor, A,
                           &(struct rk_peer_input){ .name = "", .ip = "100.64.255.254" }, &bell,
                           &err),
            RK_INVALID, &err,
            "update peer ip transaction: ip 100.64.255.254 is not within the account network range "
            "100.64.0.0/16");
    assert_int_equal(rk_peer_update(pg, &actor, A,
                                    &(struct rk_peer_input){ .name = "", .ip = "100.64.9.9" },
                                    &bell, &err),
                     0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE ip = '100.64.9.9'"), 1);
    make_group("six", id);
    assert_int_equal(
        rk_group_update(pg, &actor, id,
                        &(struct rk_group_input){ .name = "six", .peers = &a, .peers_n = 1 }, &bell,
                        &err),
        0);
    pg_must(pg, "UPDATE account SET net6 = 'fd00::/64', settings = settings || "
                "jsonb_build_object('ipv6_enabled_groups', (SELECT jsonb_agg(id) FROM "
                "account_group WHERE name = 'six'));"
                " UPDATE peer SET ip6 = 'fd00::2' WHERE dns_label = 'b'");
    refused(rk_peer_update(pg, &actor, A, &(struct rk_peer_input){ .name = "", .ip6 = "fd00::2" },
                           &bell, &err),
            RK_INVALID, &err, "ipv6 fd00::2 is already assigned to peer b");
    refused(rk_peer_update(pg, &actor, A,
                           &(struct rk_peer_input){ .name = "", .login_expiration_enabled = true },
                           &bell, &err),
            RK_PRECONDITION, &err,
            "this peer hasn't been added with the sso login, therefore the login expiration can't "
            "be updated");
}

static json_t *settings_of(const char *text)
{
    json_t *in = json_loads(text, 0, NULL), *out = NULL;

    assert_non_null(in);
    assert_true(rk_settings_decode(in, &out));
    json_decref(in);
    return out;
}

static void a_new_range_renumbers_everybody(void **state)
{
    rk_auto(json_decref) json_t *to =
        settings_of("{\"peer_login_expiration\":3600,\"network_range\":\"10.1.2.3/24\"}");
    struct rk_err err = { 0 };

    (void)state;
    if (rk_settings_update(pg, &actor, to, NULL, &bell, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE ip << '10.1.2.0/24'"), 2);
    assert_int_equal(pg_ask(&fx,
                            "SELECT count(*) FROM account_change c, account a WHERE c.serial = "
                            "a.serial AND kind = 'peer'"),
                     2);
    assert_int_equal(
        pg_ask(&fx,
               "SELECT count(*) FROM account WHERE settings->>'network_range' = '10.1.2.0/24'"),
        1);
    /* The same again changes nothing that a map holds. */
    bell.serial = 99;
    assert_int_equal(rk_settings_update(pg, &actor, to, NULL, &bell, &err), 0);
    assert_int_equal(bell.serial, 0);
}

static void ipv6_follows_the_groups_that_have_it(void **state)
{
    const struct rk_str a = RK_STR("peer000000000000000a");
    char id[RK_XID_LEN + 1], text[256];
    struct rk_err err = { 0 };

    (void)state;
    make_group("six", id);
    snprintf(text, sizeof(text),
             "{\"peer_login_expiration\":3600,\"ipv6_enabled_groups\":[\"%s\"]}", id);
    rk_auto(json_decref) json_t *to = settings_of(text);

    assert_int_equal(rk_settings_update(pg, &actor, to, NULL, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE ip6 IS NOT NULL"), 0);
    assert_int_equal(
        rk_group_update(pg, &actor, id,
                        &(struct rk_group_input){ .name = "six", .peers = &a, .peers_n = 1 }, &bell,
                        &err),
        0);
    assert_int_equal(pg_ask(&fx,
                            "SELECT count(*) FROM peer p JOIN account c ON p.ip6 << c.net6 WHERE "
                            "p.dns_label = 'a'"),
                     1);
    assert_int_equal(
        rk_group_update(pg, &actor, id, &(struct rk_group_input){ .name = "six" }, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE ip6 IS NOT NULL"), 0);
}

static void ranges_are_checked_in_their_order(void **state)
{
    static const struct {
        const char *text;
        int family;
        const char *message;
    } cases[] = {
        { "10.0.0.0", AF_INET, "invalid cidr format: netip.parseprefix(\"10.0.0.0\"): no '/'" },
        { "10.0.0.0/33", AF_INET,
          "invalid cidr format: prefix length out of range in 10.0.0.0/33" },
        { "fd00::/64", AF_INET, "network range must be an ipv4 address" },
        { "10.0.0.0/16", AF_INET6, "network range must be an ipv6 address" },
        { "127.0.0.0/16", AF_INET, "loopback address range not allowed" },
        { "224.1.0.0/16", AF_INET, "multicast address range not allowed" },
        { "169.254.0.0/16", AF_INET, "link-local address range not allowed" },
        { "fe80::/64", AF_INET6, "link-local address range not allowed" },
        { "10.0.0.0/29", AF_INET, "network range too small: minimum size is /28 for ipv4" },
        { "fd00::/121", AF_INET6, "network range too small: minimum size is /120 for ipv6" },
        { "fd00::/47", AF_INET6, "network range too large: maximum size is /48 for ipv6" },
    };
    struct rk_prefix p;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        struct rk_err err = { 0 };

        refused(rk_prefix_parse_range(cases[i].text, cases[i].family, &p, &err), RK_INVALID, &err,
                cases[i].message);
    }
}

static void a_token_belongs_to_its_user(void **state)
{
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1];
    struct rk_err err = { 0 };

    (void)state;
    pg_must(
        pg,
        "INSERT INTO users (id, account_id, role, is_service_user) SELECT 'svc', id, 'user', true "
        "FROM account;"
        "INSERT INTO users (id, account_id, role) SELECT 'ann', id, 'admin' FROM account");
    assert_int_equal(rk_pat_create(pg, &actor, "svc", "t", 30, id, plain, &err), 0);
    assert_true(rk_pat_valid(RK_PAT_PREFIX, rk_str(plain)));
    assert_int_equal(
        pg_ask(&fx,
               "SELECT count(*) FROM pat WHERE expires_at - created_at = interval '720 hours'"),
        1);
    refused(rk_pat_create(pg, &actor, "ann", "t", 30, id, plain, &err), RK_DENIED, &err,
            "admin role required to perform this action");
    refused(rk_pat_create(pg, &actor, "nobody", "t", 30, id, plain, &err), RK_NOT_FOUND, &err,
            "user: nobody not found");
    refused(rk_pat_create(pg, &actor, "svc", "t", 366, id, plain, &err), RK_INVALID, &err,
            "expiration has to be between 1 and 365");
}

static void an_account_goes_with_everything_in_it(void **state)
{
    struct rk_err err = { 0 };
    int64_t was = serial();

    (void)state;
    assert_int_equal(rk_account_delete(pg, &actor, &bell, &err), 0);
    assert_true((int64_t)bell.serial > was);
    assert_int_equal(pg_ask(&fx,
                            "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM peer) + "
                            "(SELECT count(*) FROM event)"),
                     0);
    assert_int_equal(rk_account_delete(pg, &actor, &bell, &err), RK_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_refused_group_leaves_nothing_behind, account_fresh_with_two_peers),
        cmocka_unit_test_setup(membership_is_told_one_by_one_and_touched_by_name,
                               account_fresh_with_two_peers),
        cmocka_unit_test_setup(a_group_in_use_stays, account_fresh_with_two_peers),
        cmocka_unit_test_setup(a_policy_that_does_not_change_says_nothing,
                               account_fresh_with_two_peers),
        cmocka_unit_test_setup(a_revoked_key_stays_revoked_and_no_serial_moves,
                               account_fresh_with_two_peers),
        cmocka_unit_test_setup(a_taken_name_gets_the_end_of_the_address,
                               account_fresh_with_two_peers),
        cmocka_unit_test_setup(an_address_belongs_to_one_peer_inside_the_range,
                               account_fresh_with_two_peers),
        cmocka_unit_test_setup(a_new_range_renumbers_everybody, account_fresh_with_two_peers),
        cmocka_unit_test_setup(ipv6_follows_the_groups_that_have_it, account_fresh_with_two_peers),
        cmocka_unit_test(ranges_are_checked_in_their_order),
        cmocka_unit_test_setup(a_token_belongs_to_its_user, account_fresh_with_two_peers),
        cmocka_unit_test_setup(an_account_goes_with_everything_in_it, account_fresh_with_two_peers),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
