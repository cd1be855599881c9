/* Peers that users register, and peers that wait for approval, against a real server. */

#include "tests/support/test.h"

#include "libcommon/account/peer/due.h"
#include "libcommon/account/rules/settings.h"
#include "tests/support/account_pg.h"
#include "tests/support/peer_meta.h"

static const struct rk_actor ann = {
    .account_id = "acc", .user_id = "ann", .is_admin = true, .default_domain = "d.test"
};

static int fresh(void **state)
{
    (void)state;
    pg_must(pg,
            "DELETE FROM account;"
            "INSERT INTO account (id, created_by, network_id, net4, net6, settings, onboarding) "
            "VALUES ('acc', 'ann', 'n', '100.64.0.0/16', 'fd00:1:2:3::/64', "
            "'{\"peer_login_expiration_enabled\": true, \"peer_login_expiration\": 3600, "
            "\"ipv6_enabled_groups\": [\"dev\"], \"extra\": {\"peer_approval_enabled\": true}}', "
            "'{}');"
            "INSERT INTO account_group (id, public_id, account_id, name) VALUES "
            "('all', 'a', 'acc', 'All'), ('dev', 'b', 'acc', 'dev');"
            "INSERT INTO users (id, account_id, role, auto_groups, blocked, pending_approval, "
            "is_service_user) VALUES ('ann', 'acc', 'owner', '{dev}', false, false, false), "
            "('bob', 'acc', 'user', '{}', true, false, false), "
            "('new', 'acc', 'user', '{}', true, true, false), "
            "('bot', 'acc', 'user', '{}', false, false, true)");
    return 0;
}

static int64_t ask(const char *sql)
{
    return pg_ask(&fx, sql);
}

static int join(const char *user, struct rk_str label, struct rk_err *err)
{
    struct rk_peer_meta meta = meta_of("laptop");
    struct rk_peer_registration reg = { .setup_key = "00000000-0000-0000-0000-000000000000",
                                        .user_id = user,
                                        .meta = &meta,
                                        .ssh_key = "",
                                        .dns_labels = &label,
                                        .dns_labels_n = label.n > 0,
                                        .connection_ip = "192.0.2.1",
                                        .country_code = "NL",
                                        .city_name = "Utrecht",
                                        .geoname_id = 2745912,
                                        .default_domain = "d.test" };
    struct rk_keypair pair;
    struct rk_bell bell;

    meta.ui_version = "netbird-desktop-ui/0.77.1";
    rk_keypair_new(&pair);
    memcpy(reg.key, pair.public_key, RK_KEY_LEN);
    return rk_peer_register(pg, &reg, &bell, err);
}

static void a_users_peer_is_theirs(void **state)
{
    struct rk_err err = { 0 };

    (void)state;
    if (join("ann", RK_STR(""), &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE user_id = 'ann' AND "
                         "login_expiration_enabled AND inactivity_expiration_enabled AND NOT "
                         "ephemeral AND NOT allow_extra_dns_labels AND ip6 IS NOT NULL AND "
                         "requires_approval AND location_ip = '192.0.2.1' AND country_code = 'NL' "
                         "AND city_name = 'Utrecht' AND geoname_id = 2745912"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM group_peer"), 2);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code = 'peer.user.add' AND initiator_id "
                         "= 'ann' AND meta->>'pending_approval' = 'true' AND "
                         "meta->>'location_city_name' = 'Utrecht'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM due d JOIN peer p ON d.object_id = p.id WHERE kind "
                         "= 'login' AND d.at = p.last_login + interval '1 hour'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM due"), 1);
}

static void whoever_may_not_sign_in_adds_nothing(void **state)
{
    static const struct {
        const char *user;
        int code;
        const char *text;
    } rows[] = {
        { "bob", RK_DENIED, "user is blocked" },
        { "new", RK_DENIED, "user pending approval cannot add peers" },
        { "bot", RK_NOT_FOUND, "failed adding new peer: user not found" },
        { "eve", RK_NOT_FOUND, "failed adding new peer: user not found" },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        struct rk_err err = { 0 };

        assert_int_equal(join(rows[i].user, RK_STR(""), &err), rows[i].code);
        assert_string_equal(err.msg, rows[i].text);
    }
    assert_int_equal(join("ann", RK_STR("db"), &(struct rk_err){ 0 }), RK_PRECONDITION);
    assert_int_equal(ask("SELECT count(*) FROM peer"), 0);
    assert_int_equal(ask("SELECT count(*) FROM event"), 0);
}

static json_t *settings(bool approval)
{
    return json_pack("{s:b, s:i, s:[s], s:{s:b}}", "peer_login_expiration_enabled", 1,
                     "peer_login_expiration", 3600, "ipv6_enabled_groups", "dev", "extra",
                     "peer_approval_enabled", approval);
}

static uint64_t change(bool approval)
{
    rk_auto(json_decref) json_t *in = settings(approval), *decoded = NULL;
    struct rk_bell bell = { .serial = 0 };
    struct rk_err err = { 0 };

    assert_true(rk_settings_decode(in, &decoded));
    if (rk_settings_update(pg, &ann, decoded, NULL, &bell, &err) < 0)
        fail_msg("%s", err.msg);
    return bell.serial;
}

static void switching_approval_off_approves_whoever_waits(void **state)
{
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(join("ann", RK_STR(""), &err), 0);
    assert_int_equal(join("ann", RK_STR(""), &err), 0);
    (void)change(true); /* as it was */
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE requires_approval"), 2);
    assert_true(change(false) > 0);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE requires_approval"), 0);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code = 'peer.approve' AND initiator_id "
                         "= 'ann'"),
                     2);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code = "
                         "'account.setting.peer.approval.disable' AND target_id = 'acc'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM account_change c WHERE c.kind = 'peer' AND c.serial "
                         "= (SELECT serial FROM account)"),
                     2);
    assert_int_equal(join("ann", RK_STR(""), &err), 0);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE requires_approval"), 0);
    (void)change(true);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE requires_approval"), 0);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code = "
                         "'account.setting.peer.approval.enable'"),
                     1);
}

static void where_a_peer_connects_from_is_stored_when_it_moves(void **state)
{
    const struct rk_peer_location at = {
        .ip = "198.51.100.7", .country_code = "BE", .city_name = "Gent", .geoname_id = 2797656
    };
    const struct rk_pg_stmt first = { "first", "SELECT id FROM peer" };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_bell bell;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(join("ann", RK_STR(""), &err), 0);
    assert_int_equal(rk_pg_run0(pg, &first, &res, &err), 0);
    assert_int_equal(rk_peer_update_location(pg, "acc", rk_pg_str(res, 0, 0).p, &at, &bell, &err),
                     0);
    assert_int_equal(bell.serial, 2);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE (location_ip, country_code, city_name, "
                         "geoname_id) = ('198.51.100.7', 'BE', 'Gent', 2797656)"),
                     1);
    assert_int_equal(rk_peer_update_location(pg, "acc", rk_pg_str(res, 0, 0).p, &at, &bell, &err),
                     0);
    assert_int_equal(bell.serial, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_users_peer_is_theirs, fresh),
        cmocka_unit_test_setup(whoever_may_not_sign_in_adds_nothing, fresh),
        cmocka_unit_test_setup(switching_approval_off_approves_whoever_waits, fresh),
        cmocka_unit_test_setup(where_a_peer_connects_from_is_stored_when_it_moves, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
