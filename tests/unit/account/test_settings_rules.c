/* The rules of an account's settings, against a real server. */

#include "tests/support/account_rules.h"

#include <jansson.h>

#include "libcommon/account/rules/settings.h"
#include "libcommon/base/alloc.h"

/* Settings that are fine but for these members, given with a comma before them. */
static json_t *settings(const char *members)
{
    rk_auto(rk_cfree) char *text = rk_asprintf("{\"peer_login_expiration\":86400%s}", members);
    rk_auto(json_decref) json_t *in = json_loads(text, 0, NULL);
    json_t *out = NULL;

    if (!in || !rk_settings_decode(in, &out))
        fail_msg("%s", text);
    return out;
}

static int update(const char *members, struct rk_err *err)
{
    rk_auto(json_decref) json_t *to = settings(members);

    return rk_settings_update(pg, &actor, to, NULL, &bell, err);
}

static void the_first_rule_that_is_broken_is_the_one_told(void **state)
{
    static const struct {
        const char *members, *message;
    } rows[] = {
        { ",\"peer_expose_enabled\":true,\"auto_update_version\":\"x\"",
          "peer expose requires at least one group" },
        { ",\"auto_update_version\":\"x\",\"agent_network_only\":true",
          "invalid autoupdateversion" },
        { ",\"agent_network_only\":true,\"network_range\":\"x\"",
          "agent network only mode requires dashboard_features.agent_network to be enabled" },
        { ",\"network_range\":\"10.0.0.1\"",
          "invalid cidr format: netip.parseprefix(\"10.0.0.1\"): no '/'" },
        { ",\"network_range\":\"fd00::/64\"", "network range must be an ipv4 address" },
        { ",\"network_range_v6\":\"10.0.0.0/8\"", "network range must be an ipv6 address" },
        { ",\"network_range\":\"127.0.0.0/16\"", "loopback address range not allowed" },
        { ",\"network_range\":\"224.0.0.0/16\"", "multicast address range not allowed" },
        { ",\"network_range\":\"169.254.0.0/16\"", "link-local address range not allowed" },
        { ",\"network_range\":\"10.0.0.0/29\"",
          "network range too small: minimum size is /28 for ipv4" },
        { ",\"network_range_v6\":\"2001:db8::/121\"",
          "network range too small: minimum size is /120 for ipv6" },
        { ",\"network_range_v6\":\"2001:db8::/32\"",
          "network range too large: maximum size is /48 for ipv6" },
        { ",\"network_range\":\"10.0.0.0/28\",\"peer_login_expiration\":1",
          "network range too small: need at least 30 addresses for 20 peers + buffer, but range "
          "provides 13" },
        { ",\"peer_login_expiration\":15552001,\"dns_domain\":\"*.a\"",
          "peer login expiration can't be larger than 180 days" },
        { ",\"peer_login_expiration\":3599,\"dns_domain\":\"*.a\"",
          "peer login expiration can't be smaller than one hour" },
        { ",\"dns_domain\":\"*.a\",\"ipv6_enabled_groups\":[\"nope\"]",
          "invalid domain \"*.a\" provided for dns domain" },
        { ",\"dns_domain\":\"b\\u00fccher.de\"", "invalid domain \"b\xc3\xbc"
                                                 "cher.de\" provided for dns domain" },
        { ",\"dns_domain\":\"a.b.\"", "invalid domain \"a.b.\" provided for dns domain" },
        { ",\"dns_domain\":\"Corp.io\",\"ipv6_enabled_groups\":[\"nope\"]",
          "peer dns domain Corp.io conflicts with existing custom dns zone" },
        { ",\"ipv6_enabled_groups\":[\"nope\"]", "ipv6 enabled group nope does not exist" },
    };
    int64_t was, told;

    (void)state;
    pg_must(pg, "INSERT INTO zone (id, account_id, name, domain, enabled, enable_search_domain, "
                "distribution_groups) SELECT 'z', id, 'z', 'corp.io', true, true, '{}' FROM "
                "account; INSERT INTO peer (id, account_id, key, ip, dns_label, name) SELECT 'p' "
                "|| n, id, 'k' || n, host(network(net4)::inet + n)::inet, 'p' || n, 'p' FROM "
                "account, generate_series(1, 20) n");
    was = serial();
    told = pg_ask(&fx, "SELECT count(*) FROM event");
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        struct rk_err err = { 0 };

        refused(update(rows[i].members, &err), RK_INVALID, &err, rows[i].message);
    }
    assert_int_equal(serial(), was);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event"), told);
}

static void every_change_is_told_by_its_own_event(void **state)
{
    static const struct {
        const char *members;
        const char *code;
        bool in_map;
    } rows[] = {
        { ",\"lazy_connection_enabled\":true", "account.setting.lazy.connection.enable", true },
        { "", "account.setting.lazy.connection.disable", true },
        { ",\"routing_peer_dns_resolution_enabled\":true",
          "account.setting.routing.peer.dns.resolution.enable", true },
        { "", "account.setting.routing.peer.dns.resolution.disable", true },
        { ",\"peer_login_expiration_enabled\":true", "account.setting.peer.login.expiration.enable",
          true },
        { "", "account.setting.peer.login.expiration.disable", true },
        { ",\"peer_login_expiration\":3600", "account.setting.peer.login.expiration.update", true },
        { ",\"peer_login_expiration\":3600,\"peer_inactivity_expiration\":60", NULL, false },
        { ",\"peer_login_expiration\":3600,\"peer_inactivity_expiration\":60,"
          "\"peer_inactivity_expiration_enabled\":true",
          "account.peer.inactivity.expiration.enable", false },
        { ",\"peer_login_expiration\":3600,\"peer_inactivity_expiration\":90,"
          "\"peer_inactivity_expiration_enabled\":true",
          "account.peer.inactivity.expiration.update", false },
        { ",\"peer_login_expiration\":3600,\"peer_inactivity_expiration\":90",
          "account.peer.inactivity.expiration.disable", false },
        { ",\"dns_domain\":\"x.io\",\"peer_login_expiration\":3600,"
          "\"peer_inactivity_expiration\":90",
          "account.dns.domain.update", true },
        { ",\"auto_update_version\":\"latest\",\"dns_domain\":\"x.io\","
          "\"peer_login_expiration\":3600,\"peer_inactivity_expiration\":90",
          "account.settings.auto.version.update", true },
    };
    struct rk_err err = { 0 };

    (void)state;
    done(update("", &err), &err); /* what a new account has besides is gone */
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        int64_t was = serial(), told = pg_ask(&fx, "SELECT count(*) FROM event");
        int64_t before = rows[i].code ? events(rows[i].code) : 0;

        done(update(rows[i].members, &err), &err);
        assert_int_equal(serial() - was, rows[i].in_map ? 1 : 0);
        assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event") - told, rows[i].code ? 1 : 0);
        if (rows[i].code)
            assert_int_equal(events(rows[i].code), before + 1);
        assert_int_equal((int64_t)bell.serial, rows[i].in_map ? serial() : 0);
    }
    assert_int_equal(events_with("account.dns.domain.update", "new_dns_domain", "x.io"), 1);
    assert_int_equal(events_with("account.settings.auto.version.update", "version", "latest"), 1);
}

static void what_is_left_out_of_extra_and_ranges_stays(void **state)
{
    struct rk_err err = { 0 };
    int64_t same;

    (void)state;
    done(update(",\"extra\":{\"peer_approval_enabled\":true,\"user_approval_required\":false,"
                "\"network_traffic_logs_enabled\":true,\"network_traffic_logs_groups\":[\"x\"]},"
                "\"network_range\":\"10.9.0.0/16\",\"dashboard_features\":{\"agent_network\":true,"
                "\"x\":1}",
                &err),
         &err);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM account WHERE settings->'extra' = "
                    "'{\"peer_approval_enabled\":true,\"user_approval_required\":false,"
                    "\"network_traffic_logs_enabled\":false,\"network_traffic_logs_groups\":null,"
                    "\"network_traffic_packet_counter_enabled\":false}' AND net4 = '10.9.0.0/16' "
                    "AND settings->'dashboard_features' = '{\"agent_network\":true}'"),
        1);
    done(update("", &err), &err);
    same = pg_ask(&fx, "SELECT count(*) FROM account WHERE net4 = '10.9.0.0/16' AND NOT settings ? "
                       "'network_range' AND NOT settings ? 'dashboard_features' AND "
                       "(settings->'extra'->>'peer_approval_enabled')::boolean");
    assert_int_equal(same, 1);
}

static void onboarding_changes_only_when_it_is_sent(void **state)
{
    static const struct rk_onboarding seen = { .signup_form_pending = false,
                                               .onboarding_flow_pending = true };
    rk_auto(json_decref) json_t *to = settings("");
    struct rk_err err = { 0 };

    (void)state;
    done(rk_settings_update(pg, &actor, to, &seen, &bell, &err), &err);
    done(rk_settings_update(pg, &actor, to, NULL, &bell, &err), &err);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM account WHERE onboarding = '{\"signup_form_pending\":"
                    "false,\"onboarding_flow_pending\":true}'"),
        1);
}

static void propagation_brings_peers_into_their_users_groups(void **state)
{
    struct rk_err err = { 0 };
    char group[RK_XID_LEN + 1], sql[700];

    (void)state;
    done(update("", &err), &err);
    make_group("g", group);
    snprintf(sql, sizeof(sql),
             "UPDATE users SET auto_groups = '{%s,gone}';"
             "INSERT INTO peer (id, account_id, key, ip, dns_label, name, user_id, ephemeral) "
             "SELECT 'peer000000000000000' || x, a.id, 'key' || x, ip::inet, x, x, u.id, x = 'c' "
             "FROM account a, users u, (VALUES ('a', '100.64.0.1'), ('b', '100.64.0.2'), "
             "('c', '100.64.0.3')) v(x, ip);"
             "UPDATE peer SET user_id = '' WHERE name = 'b'",
             group);
    pg_must(pg, sql);
    done(update(",\"groups_propagation_enabled\":true", &err), &err);
    assert_int_equal(events("account.setting.group.propagation.enable"), 1);
    /* Hers, also the one that a browser has for a while. */
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM group_peer m JOIN account_group g ON g.id = m.group_id "
                    "JOIN peer p ON p.id = m.peer_id WHERE g.name = 'g' AND p.name IN ('a', 'c')"),
        2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM group_peer m JOIN account_group g ON g.id = "
                                 "m.group_id WHERE g.name = 'g'"),
                     2);
    assert_int_equal(touched("group_peer"), 2);
    assert_int_equal((int64_t)bell.serial, serial());
    /* Nobody is taken out again. */
    done(update("", &err), &err);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM group_peer m JOIN account_group g ON g.id = "
                                 "m.group_id WHERE g.name = 'g'"),
                     2);
}

/* The last one but one is the agents' resolver's. */
static void a_new_range_gives_out_what_newcomers_get(void **state)
{
    struct rk_err err = { 0 };
    char members[64];

    (void)state;
    pg_must(pg, "INSERT INTO peer (id, account_id, key, ip, dns_label, name) SELECT 'p' || n, id, "
                "'k' || n, host(network(net4)::inet + n)::inet, 'p' || n, 'p' FROM account, "
                "generate_series(1, 9) n");
    for (int i = 0; i < 20; i++) {
        snprintf(members, sizeof(members), ",\"network_range\":\"10.1.%d.0/28\"", i);
        done(update(members, &err), &err);
        assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer p, account a WHERE p.ip << a.net4 "
                                     "AND p.ip - network(a.net4) BETWEEN 1 AND 13"),
                         9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_rule_that_is_broken_is_the_one_told, account_fresh),
        cmocka_unit_test_setup(every_change_is_told_by_its_own_event, account_fresh),
        cmocka_unit_test_setup(what_is_left_out_of_extra_and_ranges_stays, account_fresh),
        cmocka_unit_test_setup(a_new_range_gives_out_what_newcomers_get, account_fresh),
        cmocka_unit_test_setup(onboarding_changes_only_when_it_is_sent, account_fresh),
        cmocka_unit_test_setup(propagation_brings_peers_into_their_users_groups, account_fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
