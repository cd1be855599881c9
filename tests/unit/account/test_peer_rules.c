/* What a person changes of a peer, against a real server. */

#include "libcommon/account/peer/rules.h"
#include "tests/support/account_rules.h"

static int fresh(void **state)
{
    if (account_fresh(state) < 0)
        return -1;
    two_peers();
    pg_must(pg, "UPDATE peer SET country_code = 'DE', city_name = 'Berlin', geoname_id = 2950159, "
                "location_ip = '192.0.2.7'");
    return 0;
}

static void update(const struct rk_peer_input *in)
{
    struct rk_err err = { 0 };
    int64_t was = serial();

    done(rk_peer_update(pg, &actor, A, in, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal(touched("peer"), 1);
}

static void ask_for_approval(void)
{
    pg_must(pg, "UPDATE account SET settings = jsonb_set(settings, '{extra}', "
                "'{\"peer_approval_enabled\": true}')");
}

static bool waits(void)
{
    return pg_ask(&fx, "SELECT count(*) FROM peer WHERE id = '" A "' AND requires_approval") == 1;
}

static void events_say_where_the_peer_connects_from(void **state)
{
    (void)state;
    update(&(struct rk_peer_input){ .name = "renamed", .ssh_enabled = true });
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM event, account WHERE code = 'peer.rename' AND target_id "
                    "= '" A "' AND meta->>'name' = 'renamed' AND meta->>'fqdn' = 'renamed.d.test' "
                    "AND meta->>'location_city_name' = 'Berlin' AND "
                    "meta->>'location_country_code' = 'DE' AND meta->>'location_geo_name_id' = "
                    "'2950159' AND meta->>'location_connection_ip' = '192.0.2.7' AND "
                    "changes->'name'->>'before' = 'a'"),
        1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event e JOIN peer p ON e.target_id = "
                                 "host(p.ip) WHERE code = 'peer.ssh.enable' AND p.id = '" A "'"),
                     1);
    update(&(struct rk_peer_input){ .name = "", .ssh_enabled = true });
    assert_int_equal(events("peer.rename"), 1);
    assert_int_equal(events("peer.ssh.disable"), 0);
}

static void an_address_that_moves_tells_the_one_before(void **state)
{
    struct rk_peer_input in = { .name = "a" };
    char ip[32], message[200];
    struct rk_err err = { 0 };
    int64_t net;

    (void)state;
    net = pg_ask(&fx, "SELECT host(network(net4))::inet - '0.0.0.0'::inet FROM account");
    snprintf(ip, sizeof(ip), "%d.%d.%d.9", (int)(net >> 24 & 255), (int)(net >> 16 & 255),
             (int)(net >> 8 & 255));
    in.ip = ip;
    update(&in);
    assert_int_equal(events_with("peer.ip.update", "ip", ip), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event, account WHERE code = "
                                 "'peer.ip.update' AND meta->>'old_ip' = "
                                 "host(network(net4)::inet + 1)"),
                     1);
    update(&in);
    assert_int_equal(events("peer.ip.update"), 1);
    in.name = "renamed";
    ip[strlen(ip) - 1] = '8';
    update(&in);
    assert_int_equal(events_with("peer.ip.update", "name", "a"), 2);
    assert_int_equal(events_with("peer.rename", "name", "renamed"), 1);
    snprintf(message, sizeof(message),
             "update peer ip transaction: ip %s is already assigned to peer " A, ip);
    refused(rk_peer_update(pg, &actor, B, &in, &bell, &err), RK_INVALID, &err, message);
}

static void a_peer_waits_only_where_approval_is_asked_for(void **state)
{
    const bool yes = true, no = false;
    struct rk_peer_input in = { .name = "a", .approval = &yes };

    (void)state;
    update(&in);
    assert_false(waits());
    ask_for_approval();
    update(&in);
    assert_true(waits());
    assert_int_equal(events("peer.approval.revoke"), 1);
    in.approval = NULL;
    update(&in);
    assert_true(waits());
    in.approval = &no;
    update(&in);
    update(&in);
    assert_false(waits());
    assert_int_equal(events("peer.approve"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'peer.approve' AND "
                                 "target_id = '" A "' AND changes->'approval_required'->>'after' "
                                 "= 'false'"),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(events_say_where_the_peer_connects_from, fresh),
        cmocka_unit_test_setup(an_address_that_moves_tells_the_one_before, fresh),
        cmocka_unit_test_setup(a_peer_waits_only_where_approval_is_asked_for, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
