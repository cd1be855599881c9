/* The rules of users against a real server: who may change whom, and what it means for peers. */

#include "tests/support/test.h"

#include "libcommon/account/rules/pat.h"
#include "libcommon/account/rules/user.h"
#include "libcommon/crypto/password.h"
#include "tests/support/account_rules.h"

static void make(enum rk_role role, const char *email, char out[RK_USER_ID_MAX])
{
    struct rk_err err = { 0 };
    const struct rk_user_input in = {
        .role = role, .name = "N", .email = email, .password_hash = email[0] ? "x" : NULL
    };

    if (rk_user_create(pg, &actor, &in, out, &bell, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal((int64_t)bell.serial, pg_ask(&fx, "SELECT serial FROM account"));
}

static struct rk_actor as(const char *user_id)
{
    struct rk_actor a = actor;

    a.user_id = user_id;
    return a;
}

static void refused_with(int r, int code, const struct rk_err *err, const char *end)
{
    size_t n = strlen(err->msg), m = strlen(end);

    if (r != code || n < m || strcmp(err->msg + n - m, end) != 0)
        fail_msg("%d %s", r, err->msg);
}

static void a_new_user_is_checked(void **state)
{
    struct rk_user_input in = { .role = RK_ROLE_ADMIN, .name = "", .email = "a@d.test" };
    const struct rk_str unknown = RK_STR("nowhere");
    char id[RK_USER_ID_MAX];
    struct rk_err err = { 0 };
    int64_t users = pg_ask(&fx, "SELECT count(*) FROM users");

    (void)state;
    in.password_hash = "x";
    refused_with(rk_user_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
                 "name can't be empty");
    in.name = "A";
    in.email = "";
    refused_with(rk_user_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
                 "email can't be empty");
    in.email = "O@D.test";
    refused_with(rk_user_create(pg, &actor, &in, id, &bell, &err), RK_EXISTS, &err,
                 "can't invite a user with an existing netbird account");
    in.role = RK_ROLE_OWNER;
    refused_with(rk_user_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
                 "can't invite a user with owner role");
    in.password_hash = NULL;
    refused_with(rk_user_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
                 "can't create a service user with owner role");
    in.role = RK_ROLE_ADMIN;
    in.auto_groups = &unknown;
    in.auto_groups_n = 1;
    refused_with(rk_user_create(pg, &actor, &in, id, &bell, &err), RK_INVALID, &err,
                 "update doesn't exist");
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM users"), users);
}

static void who_may_change_whom_is_decided_inside_the_transaction(void **state)
{
    char admin[RK_USER_ID_MAX], user[RK_USER_ID_MAX], robot[RK_USER_ID_MAX];
    struct rk_user_input in = { .role = RK_ROLE_USER };
    struct rk_actor me;
    struct rk_err err = { 0 };

    (void)state;
    make(RK_ROLE_ADMIN, "a@d.test", admin);
    make(RK_ROLE_USER, "u@d.test", user);
    make(RK_ROLE_ADMIN, "", robot);
    me = as(user);
    refused_with(rk_user_update(pg, &me, admin, &in, &bell, &err), RK_DENIED, &err,
                 "only admins and owners can update users");
    me = as(admin);
    in = (struct rk_user_input){ .role = RK_ROLE_ADMIN, .blocked = true };
    refused_with(rk_user_update(pg, &me, admin, &in, &bell, &err), RK_DENIED, &err,
                 "admins can't block or unblock themselves");
    in = (struct rk_user_input){ .role = RK_ROLE_USER };
    refused_with(rk_user_update(pg, &me, admin, &in, &bell, &err), RK_DENIED, &err,
                 "admins can't change their role");
    refused_with(rk_user_update(pg, &me, acc.user_id, &in, &bell, &err), RK_DENIED, &err,
                 "only owners can remove owner role from their user");
    in = (struct rk_user_input){ .role = RK_ROLE_OWNER, .blocked = true };
    refused_with(rk_user_update(pg, &me, acc.user_id, &in, &bell, &err), RK_DENIED, &err,
                 "unable to block owner user");
    in = (struct rk_user_input){ .role = RK_ROLE_OWNER };
    refused_with(rk_user_update(pg, &me, user, &in, &bell, &err), RK_DENIED, &err,
                 "only owners can add owner role to other users");
    refused_with(rk_user_update(pg, &actor, robot, &in, &bell, &err), RK_DENIED, &err,
                 "can't update a service user with owner role");
    refused_with(rk_user_update(pg, &actor, "nobody", &in, &bell, &err), RK_NOT_FOUND, &err,
                 "user: nobody not found");
    /* Blocked meanwhile: nothing is done in its name any more. */
    pg_must(pg, "UPDATE users SET blocked = true WHERE email = 'a@d.test'");
    in = (struct rk_user_input){ .role = RK_ROLE_ADMIN };
    refused_with(rk_user_update(pg, &me, user, &in, &bell, &err), RK_DENIED, &err,
                 "permission denied");
}

static void an_owner_hands_over_and_becomes_an_admin(void **state)
{
    const struct rk_user_input in = { .role = RK_ROLE_OWNER };
    char heir[RK_USER_ID_MAX];
    struct rk_err err = { 0 };

    (void)state;
    make(RK_ROLE_USER, "h@d.test", heir);
    if (rk_user_update(pg, &actor, heir, &in, &bell, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM users WHERE (email = 'h@d.test' AND role = "
                                 "'owner') OR (email = 'o@d.test' AND role = 'admin')"),
                     2);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'transferred.owner.role'"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'user.role.update'"), 0);
    /* The old owner is an admin now, and can not take it back. */
    refused_with(rk_user_update(pg, &actor, acc.user_id, &in, &bell, &err), RK_DENIED, &err,
                 "admins can't change their role");
}

#define PEER "peer000000000000000a"

static void add_peer(const char *user_id)
{
    static const struct rk_pg_stmt add = {
        "test_peer", "INSERT INTO peer (id, account_id, key, ip, dns_label, name, user_id) SELECT "
                     "'" PEER "', id, 'k', host(network(net4)::inet + 1)::inet, 'a', 'a', $1 "
                     "FROM account"
    };
    struct rk_err err = { 0 };

    if (rk_pg_run(pg, &add, NULL, &err, RK_P_C(user_id)) < 0)
        fail_msg("%s", err.msg);
}

static void peers_follow_the_groups_of_their_user(void **state)
{
    char user[RK_USER_ID_MAX], group[RK_XID_LEN + 1];
    struct rk_user_input in = { .role = RK_ROLE_USER };
    struct rk_str groups[2];
    struct rk_err err = { 0 };

    (void)state;
    make(RK_ROLE_USER, "u@d.test", user);
    add_peer(user);
    assert_int_equal(
        rk_group_create(pg, &actor, &(struct rk_group_input){ .name = "g" }, group, &bell, &err),
        0);
    groups[0] = groups[1] = rk_str(group);
    in.auto_groups = groups;
    in.auto_groups_n = 2;
    assert_int_equal(rk_user_update(pg, &actor, user, &in, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM group_peer"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'user.group.add'"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM account_change c JOIN account a USING "
                                 "(serial) WHERE c.kind IN ('user', 'group_peer')"),
                     2);
    in.auto_groups_n = 0;
    assert_int_equal(rk_user_update(pg, &actor, user, &in, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM group_peer"), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'user.group.delete'"), 1);

    pg_must(pg,
            "UPDATE account SET settings = settings || '{\"groups_propagation_enabled\":false}'");
    in.auto_groups_n = 1;
    assert_int_equal(rk_user_update(pg, &actor, user, &in, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM group_peer"), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM users WHERE cardinality(auto_groups) = 1"),
                     1);

    pg_must(pg, "UPDATE account SET settings = settings || '{\"groups_propagation_enabled\":true}';"
                "UPDATE users SET auto_groups = '{}'; UPDATE peer SET ephemeral = true");
    assert_int_equal(rk_user_update(pg, &actor, user, &in, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM group_peer"), 1);
}

static void blocking_a_user_logs_its_peers_out(void **state)
{
    char user[RK_USER_ID_MAX];
    struct rk_user_input in = { .role = RK_ROLE_USER, .blocked = true };
    struct rk_err err = { 0 };

    (void)state;
    make(RK_ROLE_USER, "u@d.test", user);
    add_peer(user);
    assert_int_equal(rk_user_update(pg, &actor, user, &in, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE login_expired"), 1);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM event e JOIN users u ON u.id = e.initiator_id WHERE code "
                    "= 'peer.login.expire' AND target_id = '" PEER "' AND meta->>'reason' = "
                    "'blocked owner account' AND u.email = 'u@d.test'"),
        1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'user.block'"), 1);
    in.blocked = false;
    assert_int_equal(rk_user_update(pg, &actor, user, &in, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'user.unblock'"), 1);
}

static void a_user_goes_with_its_peers_and_tokens_and_leaves_its_name(void **state)
{
    char user[RK_USER_ID_MAX], robot[RK_USER_ID_MAX];
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1];
    struct rk_actor me;
    struct rk_err err = { 0 };

    (void)state;
    make(RK_ROLE_USER, "u@d.test", user);
    make(RK_ROLE_ADMIN, "", robot);
    add_peer(user);
    assert_int_equal(rk_pat_create(pg, &actor, robot, "t", 1, id, plain, &err), 0);
    refused_with(rk_user_delete(pg, &actor, acc.user_id, &bell, &err), RK_INVALID, &err,
                 "self deletion is not allowed");
    refused_with(rk_user_delete(pg, &actor, "nobody", &bell, &err), RK_NOT_FOUND, &err,
                 "user: nobody not found");
    me = as(robot);
    refused_with(rk_user_delete(pg, &me, acc.user_id, &bell, &err), RK_DENIED, &err,
                 "can't delete a user with the owner role");
    assert_int_equal(rk_user_delete(pg, &actor, user, &bell, &err), 0);
    assert_int_equal(rk_user_delete(pg, &actor, robot, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT (SELECT count(*) FROM peer) + (SELECT count(*) FROM pat) "
                                 "+ (SELECT count(*) FROM users)"),
                     1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code IN ('user.delete', "
                                 "'service.user.delete', 'user.peer.delete')"),
                     3);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM event WHERE meta->>'created_at' LIKE '2%' AND code IN "
                    "('user.delete', 'service.user.delete')"),
        2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM departed_user WHERE name = 'N'"), 2);
}

static void who_waits_is_let_in_or_sent_away(void **state)
{
    char user[RK_USER_ID_MAX];
    struct rk_err err = { 0 };

    (void)state;
    make(RK_ROLE_USER, "u@d.test", user);
    refused_with(rk_user_approve(pg, &actor, user, &bell, &err), RK_INVALID, &err,
                 "is not pending approval");
    refused_with(rk_user_reject(pg, &actor, user, &bell, &err), RK_INVALID, &err,
                 "is not pending approval");
    pg_must(pg,
            "UPDATE users SET blocked = true, pending_approval = true WHERE email = 'u@d.test'");
    assert_int_equal(rk_user_approve(pg, &actor, user, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM users WHERE blocked OR pending_approval"),
                     0);
    pg_must(pg,
            "UPDATE users SET blocked = true, pending_approval = true WHERE email = 'u@d.test'");
    assert_int_equal(rk_user_reject(pg, &actor, user, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM users"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code IN ('user.approve', "
                                 "'user.delete', 'user.reject')"),
                     3);
}

static void who_waits_does_not_own_the_account(void **state)
{
    struct rk_user_input in = { .role = RK_ROLE_OWNER };
    char user[RK_USER_ID_MAX];
    struct rk_actor me;
    struct rk_err err = { 0 };

    (void)state;
    make(RK_ROLE_ADMIN, "u@d.test", user);
    pg_must(pg,
            "UPDATE users SET blocked = true, pending_approval = true WHERE email = 'u@d.test'");
    refused_with(rk_user_update(pg, &actor, user, &in, &bell, &err), RK_DENIED, &err,
                 "nobody can own the account before being approved");
    /* As it could be until now. */
    pg_must(pg, "UPDATE users SET role = CASE role WHEN 'owner' THEN 'admin' ELSE 'owner' END");
    me = as(acc.user_id);
    refused_with(rk_user_reject(pg, &me, user, &bell, &err), RK_DENIED, &err,
                 "can't delete a user with the owner role");
    assert_int_equal(rk_user_approve(pg, &me, user, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM users WHERE role = 'owner'"), 1);
}

static void a_password_is_changed_by_who_knows_it(void **state)
{
    static const struct {
        const char *was, *now, *message;
    } rows[] = {
        { "", "x", "old password is required" },
        { "x", "", "new password is required" },
        { "wrong", "another one", "current password is incorrect" },
        { "the first", "the first", "new password must be different from current password" },
        { "the first", "short", "password must be at least 8 characters long" },
        { "the first", "the second",
          "password must contain at least one digit, one uppercase letter" },
    };
    char hash[RK_PASSWORD_LEN], sql[RK_PASSWORD_LEN + 64];
    struct rk_err err = { 0 };

    (void)state;
    rk_password_hash(RK_STR("the first"), hash);
    snprintf(sql, sizeof(sql), "UPDATE users SET password_hash = '%s'", hash);
    pg_must(pg, sql);
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        pg_must(pg, "DELETE FROM rate_bucket");
        refused_with(rk_user_set_password(pg, &actor, (struct rk_str){ NULL, 0 }, acc.user_id,
                                          rows[i].was, rows[i].now, &err),
                     RK_INVALID, &err, rows[i].message);
    }
    refused_with(rk_user_set_password(pg, &actor, (struct rk_str){ NULL, 0 }, "nobody", "the first",
                                      "the second", &err),
                 RK_INVALID, &err, "users can only change their own password");
    assert_int_equal(rk_user_set_password(pg, &actor, (struct rk_str){ NULL, 0 }, acc.user_id,
                                          "the first", "The 2nd one", &err),
                     0);
    refused_with(rk_user_set_password(pg, &actor, (struct rk_str){ NULL, 0 }, acc.user_id,
                                      "the first", "the third", &err),
                 RK_INVALID, &err, "current password is incorrect");
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'user.password.change' "
                                 "AND meta = '{}' AND changes IS NULL"),
                     1);
    /* Guessing is slow for whoever has somebody's token. */
    pg_must(pg, "DELETE FROM rate_bucket");
    for (int i = 0; i < 6; i++)
        refused_with(rk_user_set_password(pg, &actor, (struct rk_str){ NULL, 0 }, acc.user_id,
                                          "a guess", "The 3rd one", &err),
                     i < 5 ? RK_INVALID : RK_EXHAUSTED, &err,
                     i < 5 ? "current password is incorrect"
                           : "rate limit exceeded, please try again later");
    pg_must(pg, "UPDATE users SET password_hash = NULL");
    refused_with(rk_user_set_password(pg, &actor, (struct rk_str){ NULL, 0 }, acc.user_id,
                                      "The 2nd one", "the third", &err),
                 RK_PRECONDITION, &err, "only available with embedded identity provider");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_user_is_checked, account_fresh),
        cmocka_unit_test_setup(who_may_change_whom_is_decided_inside_the_transaction,
                               account_fresh),
        cmocka_unit_test_setup(an_owner_hands_over_and_becomes_an_admin, account_fresh),
        cmocka_unit_test_setup(peers_follow_the_groups_of_their_user, account_fresh),
        cmocka_unit_test_setup(blocking_a_user_logs_its_peers_out, account_fresh),
        cmocka_unit_test_setup(a_user_goes_with_its_peers_and_tokens_and_leaves_its_name,
                               account_fresh),
        cmocka_unit_test_setup(who_waits_is_let_in_or_sent_away, account_fresh),
        cmocka_unit_test_setup(who_waits_does_not_own_the_account, account_fresh),
        cmocka_unit_test_setup(a_password_is_changed_by_who_knows_it, account_fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
