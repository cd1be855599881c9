/* Signing in against a real server: groups that follow the token. */

#include "libcommon/account/rules/user.h"
#include "tests/support/account_sign_in.h"

static int64_t peers_in(const char *group)
{
    char sql[300];

    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM group_peer m JOIN account_group g ON g.id = m.group_id WHERE "
             "g.name = '%s'",
             group);
    return ask(sql);
}

static int64_t has_group(const char *user, const char *group)
{
    char sql[300];

    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM users u JOIN account_group g ON g.id = ANY(u.auto_groups) WHERE "
             "u.id = '%s' AND g.name = '%s'",
             user, group);
    return ask(sql);
}

static void follow(const char *sub, const char *json)
{
    struct rk_claims c = claims_of(sub, json);

    done(sign_in(&single, &c), &err);
    if (got.groups_err.code != 0)
        fail_msg("%s", got.groups_err.msg);
}

static void groups_follow_the_token(void **state)
{
    int64_t before;

    (void)state;
    team(FOLLOW);
    two_peers();
    pg_must(pg, "UPDATE peer SET user_id = 'owner' WHERE id = '" A "'");
    before = serial();
    follow("owner", "{\"teams\":[\"red\",7,null,\"blue\",\"red\",\"\"]}");
    assert_int_equal(serial(), before + 1);
    assert_int_equal((int64_t)got.bell.serial, serial());
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 2);
    assert_int_equal(has_group("owner", "red") + has_group("owner", "blue"), 2);
    assert_int_equal(peers_in("red") + peers_in("blue"), 2);
    assert_int_equal(events_with("user.group.add", "group", "red"), 1);
    assert_int_equal(touched("group_peer"), 2);
    follow("owner", "{\"teams\":[\"blue\",\"red\"]}");
    assert_int_equal(serial(), before + 1);
    follow("owner", "{\"teams\":\"blue\"}"); /* a string is one group */
    assert_int_equal(serial(), before + 2);
    assert_int_equal(has_group("owner", "red"), 0);
    assert_int_equal(peers_in("red"), 0);
    assert_int_equal(peers_in("blue"), 1);
    assert_int_equal(events_with("user.group.delete", "group", "red"), 1);
    follow("owner", "{}"); /* no claim, no groups */
    assert_int_equal(has_group("owner", "blue"), 0);
    assert_int_equal(peers_in("blue"), 0);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 2);
}

static void a_group_of_the_same_name_is_left_alone(void **state)
{
    char group[RK_XID_LEN + 1], sql[200];
    int64_t before;

    (void)state;
    team(FOLLOW);
    make_group("red", group);
    before = serial();
    follow("owner", "{\"teams\":[\"red\",\"All\"]}");
    assert_int_equal(serial(), before);
    assert_int_equal(has_group("owner", "red"), 0);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 0);
    /* What an administrator gave stays, whatever the token says. */
    snprintf(sql, sizeof(sql), "UPDATE users SET auto_groups = '{%s}'", group);
    pg_must(pg, sql);
    follow("owner", "{\"teams\":[\"blue\"]}");
    assert_int_equal(has_group("owner", "red"), 1);
    assert_int_equal(has_group("owner", "blue"), 1);
    follow("owner", "{\"teams\":[]}");
    assert_int_equal(has_group("owner", "red"), 1);
    assert_int_equal(has_group("owner", "blue"), 0);
}

static void without_propagation_peers_keep_their_groups(void **state)
{
    (void)state;
    team(FOLLOW);
    pg_must(pg,
            "UPDATE account SET settings = settings || '{\"groups_propagation_enabled\":false}'");
    two_peers();
    pg_must(pg, "UPDATE peer SET user_id = 'owner'");
    follow("owner", "{\"teams\":[\"red\"]}");
    assert_int_equal(has_group("owner", "red"), 1);
    assert_int_equal(peers_in("red"), 0);
}

static void who_is_in_no_allowed_group_is_refused_and_does_not_join(void **state)
{
    struct rk_claims c = claims_of("second", "{\"teams\":[\"red\"]}");

    (void)state;
    team(FOLLOW);
    pg_must(pg, "UPDATE account SET settings = settings || '{\"jwt_allow_groups\":[\"blue\"]}'");
    assert_int_equal(sign_in(&single, &c), RK_DENIED);
    assert_string_equal(err.msg, "user does not belong to any of the allowed JWT groups");
    assert_int_equal(ask("SELECT count(*) FROM users"), 1);
    c.payload = RK_STR("{\"teams\":[\"red\",\"blue\"]}");
    done(sign_in(&single, &c), &err);
    assert_int_equal(has_group("second", "blue"), 1);
    c.payload = RK_STR("{\"teams\":[\"red\"]}");
    assert_int_equal(sign_in(&single, &c), RK_DENIED);
    assert_int_equal(has_group("second", "blue"), 1);
    /* The list means nothing while groups are not followed. */
    pg_must(pg, "UPDATE account SET settings = settings || '{\"jwt_groups_enabled\":false}'");
    done(sign_in(&single, &c), &err);
}

static void users_of_our_own_provider_keep_the_groups_they_were_given(void **state)
{
    struct rk_claims c = claims_of("", "{\"teams\":[\"red\"]}");
    char sql[800], sub[RK_USER_ID_MAX];

    (void)state;
    team(FOLLOW);
    pg_must(pg, "UPDATE account SET settings = settings || '{\"jwt_allow_groups\":[\"blue\"]}'");
    assert_true(rk_subject_encode("0b9a", "local", sub));
    snprintf(sql, sizeof(sql),
             "INSERT INTO users (id, account_id, role, password_hash) SELECT '%s', id, 'user', 'x' "
             "FROM account",
             sub);
    pg_must(pg, sql);
    c.user_id = sub;
    done(sign_in(&embedded, &c), &err);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 0);
    /* Elsewhere such an id is an id like any other. */
    assert_int_equal(sign_in(&single, &c), RK_DENIED);
}

static void who_waits_or_is_blocked_brings_no_groups(void **state)
{
    (void)state;
    team("{\"jwt_groups_enabled\":true,\"jwt_groups_claim_name\":\"teams\"}");
    follow("second", "{\"teams\":[\"red\"]}");
    assert_true(got.pending_approval);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 0);
    done(rk_user_approve(pg, &actor, "second", &bell, &err), &err);
    follow("second", "{\"teams\":[\"red\"]}");
    assert_int_equal(has_group("second", "red"), 1);
}

/* Each account has its own claim: the guess of the last one must not count. */
static void each_account_has_its_own_claim(void **state)
{
    struct rk_claims a = claims_of("a", "{\"x\":[\"ax\"],\"y\":[\"ay\"]}");
    struct rk_claims b = claims_of("b", "{\"x\":[\"bx\"],\"y\":[\"by\"]}");

    (void)state;
    done(sign_in(&many, &a), &err);
    done(sign_in(&many, &b), &err);
    pg_must(pg, "UPDATE account SET settings = settings || jsonb_build_object("
                "'jwt_groups_enabled', true, 'jwt_groups_claim_name', CASE created_by WHEN 'a' "
                "THEN 'x' ELSE 'y' END)");
    for (int i = 0; i < 3; i++) {
        done(sign_in(&many, &a), &err);
        done(sign_in(&many, &b), &err);
    }
    assert_int_equal(has_group("a", "ax"), 1);
    assert_int_equal(has_group("b", "by"), 1);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, empty)
    const struct CMUnitTest tests[] = {
        T(groups_follow_the_token),
        T(a_group_of_the_same_name_is_left_alone),
        T(without_propagation_peers_keep_their_groups),
        T(who_is_in_no_allowed_group_is_refused_and_does_not_join),
        T(users_of_our_own_provider_keep_the_groups_they_were_given),
        T(who_waits_or_is_blocked_brings_no_groups),
        T(each_account_has_its_own_claim),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
