/* People who are invited before they have ever signed in, against a real server. */

#include "libcommon/account/rules/pre_invite.h"
#include "libcommon/account/rules/sign_in.h"
#include "libcommon/account/rules/user.h"
#include "tests/support/account_claims.h"
#include "tests/support/account_rules.h"

static const struct rk_sign_in_rules single = { .single_account_domain = "team.test",
                                                .default_domain = "d.test" };
static const struct rk_sign_in_rules many = { .single_account_domain = "",
                                              .default_domain = "d.test" };

static struct rk_arena *arena;
static struct rk_signed_in got;

static void
come(const struct rk_sign_in_rules *rules, const char *sub, const char *email, bool sure)
{
    struct rk_claims c = claims_of(sub, "{}");
    struct rk_err err = { 0 };

    c.email = email;
    c.email_verified = sure;
    done(rk_sign_in(pg, rules, &c, true, arena, &got, &err), &err);
}

/* An account whose owner has signed in, and who invites. */
static int team(void **state)
{
    (void)state;
    pg_must(pg, "DELETE FROM account");
    rk_arena_free(arena);
    arena = rk_arena_new((size_t)16 << 20);
    come(&single, "owner", "owner@team.test", true);
    actor = (struct rk_actor){ .account_id = rk_arena_strdup(arena, got.account_id),
                               .user_id = "owner",
                               .is_admin = true,
                               .default_domain = "d.test" };
    return 0;
}

static void invite(const char *email, char id[RK_USER_ID_MAX])
{
    const struct rk_user_input in = {
        .role = RK_ROLE_AUDITOR, .name = "N", .email = email, .invited = true
    };
    struct rk_err err = { 0 };

    done(rk_user_create(pg, &actor, &in, id, &bell, &err), &err);
}

static int64_t ask(const char *sql)
{
    return pg_ask(&fx, sql);
}

static void who_comes_with_the_verified_address_is_the_invited_one(void **state)
{
    char id[RK_USER_ID_MAX], sql[RK_USER_ID_MAX + 128];

    (void)state;
    invite("new@team.test", id);
    assert_int_equal(events("user.invite"), 1);
    come(&single, "sub|1", "New@Team.test", true);
    assert_true(got.joined && !got.blocked && !got.pending_approval);
    assert_string_equal(got.role, "auditor");
    assert_int_equal((int64_t)got.bell.serial, serial());
    assert_int_equal(ask("SELECT count(*) FROM users WHERE id = 'sub|1' AND name = 'N' AND NOT "
                         "invited"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM users"), 2);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM departed_user WHERE id = '%s' AND name = 'N'",
             id);
    assert_int_equal(ask(sql), 1);
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code = 'user.join' AND target_id = "
                         "'sub|1' AND meta = '{}'"),
                     1);
    /* It is taken: who else comes with it is somebody else. */
    come(&single, "sub|2", "new@team.test", true);
    assert_true(got.pending_approval);
    assert_string_equal(got.role, "user");
}

static void an_address_that_nobody_vouches_for_is_not_enough(void **state)
{
    char id[RK_USER_ID_MAX];

    (void)state;
    invite("new@team.test", id);
    come(&single, "sub|1", "new@team.test", false);
    assert_true(got.pending_approval);
    assert_string_equal(got.role, "user");
    assert_int_equal(ask("SELECT count(*) FROM users WHERE invited"), 1);
    invite("other@team.test", id);
    come(&single, "sub|2", "", true);
    assert_true(got.pending_approval);
}

static void no_account_gets_hold_of_somebody_by_inviting(void **state)
{
    char id[RK_USER_ID_MAX];

    (void)state;
    invite("stranger@elsewhere.test", id);
    come(&many, "sub|1", "stranger@elsewhere.test", true);
    assert_string_equal(got.role, "owner"); /* of an account of their own */
    assert_int_equal(ask("SELECT count(*) FROM users WHERE invited"), 1);
    assert_int_equal(ask("SELECT count(*) FROM account"), 2);
}

static void an_invited_user_is_a_user_already(void **state)
{
    struct rk_user_input in = { .role = RK_ROLE_OWNER };
    char id[RK_USER_ID_MAX], none[RK_USER_ID_MAX];
    struct rk_err err = { 0 };

    (void)state;
    invite("new@team.test", id);
    assert_int_equal(rk_user_update(pg, &actor, id, &in, &bell, &err), RK_DENIED);
    in = (struct rk_user_input){ .role = RK_ROLE_ADMIN, .blocked = true };
    done(rk_user_update(pg, &actor, id, &in, &bell, &err), &err);
    in = (struct rk_user_input){
        .role = RK_ROLE_USER, .name = "N", .email = "NEW@team.test", .invited = true
    };
    assert_int_equal(rk_user_create(pg, &actor, &in, none, &bell, &err), RK_EXISTS);
    done(rk_pre_invite_again(pg, &actor, id, &err), &err);
    assert_int_equal(events("user.invite"), 2);
    assert_int_equal(rk_pre_invite_again(pg, &actor, "owner", &err), RK_PRECONDITION);
    assert_int_equal(rk_pre_invite_again(pg, &actor, "nobody", &err), RK_NOT_FOUND);
    assert_string_equal(err.msg, "user: nobody not found");
    /* Blocked before they come, blocked when they come. */
    come(&single, "sub|1", "new@team.test", true);
    assert_true(got.blocked && !got.pending_approval);
    assert_string_equal(got.role, "admin");
    done(rk_user_delete(pg, &actor, "sub|1", &bell, &err), &err);
    assert_int_equal(ask("SELECT count(*) FROM users"), 1);
    in = (struct rk_user_input){ .role = RK_ROLE_USER, .name = "robot" };
    done(rk_user_create(pg, &actor, &in, none, &bell, &err), &err);
    assert_int_equal(rk_pre_invite_again(pg, &actor, none, &err), RK_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_comes_with_the_verified_address_is_the_invited_one, team),
        cmocka_unit_test_setup(an_address_that_nobody_vouches_for_is_not_enough, team),
        cmocka_unit_test_setup(no_account_gets_hold_of_somebody_by_inviting, team),
        cmocka_unit_test_setup(an_invited_user_is_a_user_already, team),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
