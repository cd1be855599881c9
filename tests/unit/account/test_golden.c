#include "tests/support/test.h"

/*
 * Maps against worked examples: golden/<name>.json holds an account and every peer's map; its
 * README has the conventions.
 */

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/model/version.h"
#include "tests/support/account_maps.h"
#include "tests/support/golden_map.h"

/* Both copies of PeerConfig are the same bytes; the rest of it is what a new account has. */
static void check_config(const struct rk_snapshot *s, Management__SyncResponse *m, const char *id)
{
    const struct rk_peer_row *p = rk_snapshot_peer(s, rk_snapshot_find_id(s, rk_str(id)));
    Management__PeerConfig *c = m->networkmap->peerconfig;
    uint8_t a[512], b[512];
    char fqdn[64];

    assert_non_null(m->peerconfig);
    assert_non_null(c);
    assert_int_equal(management__peer_config__pack(c, a),
                     management__peer_config__pack(m->peerconfig, b));
    assert_memory_equal(a, b, management__peer_config__get_packed_size(c));
    (void)snprintf(fqdn, sizeof(fqdn), "%s.nb.test", p->dns_label);
    assert_string_equal(c->fqdn, fqdn);
    assert_non_null(c->sshconfig);
    assert_null(c->sshconfig->jwtconfig);
    assert_string_equal(c->autoupdate->version, "disabled");
    assert_false(c->autoupdate->alwaysupdate);
    assert_true(c->routingpeerdnsresolutionenabled);
    assert_true(c->lazyconnectionenabled);
    assert_string_equal(c->dns, "");
    assert_int_equal(c->mtu, 0);
}

static void check_map(const struct rk_snapshot *s, const char *id, json_t *want)
{
    Management__SyncResponse *m = compile(s, id);
    json_t *got;
    bool old;

    assert_int_equal(m->networkmap->serial, GOLDEN_SERIAL);
    assert_null(m->netbirdconfig);
    assert_int_equal(m->n_checks, 0);
    assert_int_equal(m->version, 0);
    assert_non_null(m->sessionexpiresat);
    check_config(s, m, id);
    if (json_is_string(want)) {
        assert_string_equal(json_string_value(want), "EMPTY");
        check_empty(m);
        done(m);
        return;
    }
    /* Agents before 0.29.3 read the list in its old place too. */
    old = !rk_version_uncut_at_least(
        rk_snapshot_peer(s, rk_snapshot_find_id(s, rk_str(id)))->version, 0, 29, 3);
    assert_int_equal(m->n_remotepeers, old ? m->networkmap->n_remotepeers : 0);
    got = golden_map(s, m);
    golden_fill(got);
    golden_fill(want);
    if (!json_equal(got, want)) {
        char *x = json_dumps(want, JSON_SORT_KEYS | JSON_INDENT(1));
        char *y = json_dumps(got, JSON_SORT_KEYS | JSON_INDENT(1));

        fail_msg("map of %s: want %s, got %s", id, x, y);
    }
    json_decref(got);
    done(m);
}

static void example(const char *name)
{
    json_t *doc = golden_load(RK_SOURCE_DIR, name), *want;
    struct rk_snapshot *s = golden_account(json_object_get(doc, "in"));
    const char *id;
    size_t n = 0;

    json_object_foreach(json_object_get(doc, "out"), id, want)
    {
        check_map(s, id, want);
        n++;
    }
    assert_int_equal(n, rk_snapshot_peers(s));
    rk_snapshot_unref(s);
    json_decref(doc);
}

#define EXAMPLE(test, file)                                                                        \
    static void test(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        example(file);                                                                             \
    }
EXAMPLE(default_policy_gives_every_pair_one_in_and_one_out_rule, "default_policy")
EXAMPLE(the_server_gets_in_the_client_out_and_a_stranger_only_itself, "unidirectional")
EXAMPLE(an_agent_before_0_48_keeps_only_single_port_ranges, "port_ranges")
EXAMPLE(each_of_two_routers_has_its_own_copy_and_the_client_both, "route_ha")
EXAMPLE(a_route_with_access_groups_admits_only_what_a_policy_names, "route_access")
EXAMPLE(an_exit_node_has_an_ipv6_twin_for_those_who_can, "exit_node")
EXAMPLE(a_network_resource_connects_clients_and_routers_without_a_peer_policy, "resource")
EXAMPLE(a_domain_resource_lets_both_families_through, "domain_resource")
EXAMPLE(a_source_that_fails_the_posture_check_is_left_out_of_that_policy_only, "posture")
EXAMPLE(nameservers_and_zones_reach_their_groups_unless_dns_is_off, "dns")
EXAMPLE(an_ssh_rule_names_the_users_of_its_groups_and_whom_they_become, "ssh_groups")
EXAMPLE(tcp_22_gains_22022_only_where_the_agents_own_ssh_runs, "implicit_ssh")
EXAMPLE(a_login_expired_peer_is_offline_for_the_others, "login_expired")
EXAMPLE(an_owner_of_ipv6_without_the_capability_gets_nothing_of_it, "ipv6")
EXAMPLE(a_drop_rule_stands_next_to_the_accept_rule, "drop")
EXAMPLE(an_unapproved_peer_gets_the_empty_map_and_is_seen_by_nobody, "unapproved")

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_policy_gives_every_pair_one_in_and_one_out_rule),
        cmocka_unit_test(the_server_gets_in_the_client_out_and_a_stranger_only_itself),
        cmocka_unit_test(an_agent_before_0_48_keeps_only_single_port_ranges),
        cmocka_unit_test(each_of_two_routers_has_its_own_copy_and_the_client_both),
        cmocka_unit_test(a_route_with_access_groups_admits_only_what_a_policy_names),
        cmocka_unit_test(an_exit_node_has_an_ipv6_twin_for_those_who_can),
        cmocka_unit_test(a_network_resource_connects_clients_and_routers_without_a_peer_policy),
        cmocka_unit_test(a_domain_resource_lets_both_families_through),
        cmocka_unit_test(a_source_that_fails_the_posture_check_is_left_out_of_that_policy_only),
        cmocka_unit_test(nameservers_and_zones_reach_their_groups_unless_dns_is_off),
        cmocka_unit_test(an_ssh_rule_names_the_users_of_its_groups_and_whom_they_become),
        cmocka_unit_test(tcp_22_gains_22022_only_where_the_agents_own_ssh_runs),
        cmocka_unit_test(a_login_expired_peer_is_offline_for_the_others),
        cmocka_unit_test(an_owner_of_ipv6_without_the_capability_gets_nothing_of_it),
        cmocka_unit_test(a_drop_rule_stands_next_to_the_accept_rule),
        cmocka_unit_test(an_unapproved_peer_gets_the_empty_map_and_is_seen_by_nobody),
    };

    return RUN_TESTS(tests);
}
