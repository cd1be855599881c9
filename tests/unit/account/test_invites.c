/* The rules of invitation links against a real server. */

#include <pthread.h>

#include "libcommon/account/rules/invite.h"
#include "libcommon/crypto/password.h"
#include "tests/support/account_rules.h"

#define GOOD "Long enough 1!"

static const struct rk_invite_input usual = {
    .role = RK_ROLE_ADMIN, .name = "I", .email = "i@d.test", .expires_in_s = RK_INVITE_SECONDS
};

static void
make(const struct rk_invite_input *in, char id[RK_XID_LEN + 1], char plain[RK_PAT_LEN + 1])
{
    struct rk_err err = { 0 };

    if (rk_invite_create(pg, &actor, in, id, plain, &err) < 0)
        fail_msg("%s", err.msg);
}

static void a_new_one_is_checked(void **state)
{
    const struct rk_str unknown = RK_STR("nowhere");
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1];
    struct rk_invite_input in = usual;
    struct rk_err err = { 0 };

    (void)state;
    in.name = "";
    refused(rk_invite_create(pg, &actor, &in, id, plain, &err), RK_INVALID, &err,
            "name can't be empty");
    in = usual;
    in.role = RK_ROLE_OWNER;
    refused(rk_invite_create(pg, &actor, &in, id, plain, &err), RK_INVALID, &err,
            "can't invite a user with owner role");
    in = usual;
    in.expires_in_s = RK_INVITE_MIN_SECONDS - 1;
    refused(rk_invite_create(pg, &actor, &in, id, plain, &err), RK_INVALID, &err,
            "invite expiration must be at least 1 hour");
    in.expires_in_s = INT64_MAX;
    refused(rk_invite_create(pg, &actor, &in, id, plain, &err), RK_INVALID, &err,
            "invite expiration must be at most 365 days");
    in = usual;
    in.email = "O@D.test";
    refused(rk_invite_create(pg, &actor, &in, id, plain, &err), RK_EXISTS, &err,
            "user with this email already exists");
    in = usual;
    in.auto_groups = &unknown;
    in.auto_groups_n = 1;
    refused(rk_invite_create(pg, &actor, &in, id, plain, &err), RK_INVALID, &err,
            "provided group id nowhere in the user i@d.test update doesn't exist");
    make(&usual, id, plain);
    in = usual;
    in.email = "I@d.TEST";
    in.expires_in_s = 60; /* is looked at after the address */
    refused(rk_invite_create(pg, &actor, &in, id, plain, &err), RK_EXISTS, &err,
            "invite already exists for this email");
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM user_invite"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = "
                                 "'user.invite.link.create' AND meta = '{\"email\":\"i@d.test\"}' "
                                 "AND changes->'role'->>'after' = 'admin'"),
                     1);
}

static void its_token_is_stored_as_a_digest_and_makes_a_user_once(void **state)
{
    rk_auto(rk_invite_done) struct rk_invite seen = { .row = NULL };
    rk_auto(rk_pg_result_free) struct rk_pg_result *row = NULL;
    const struct rk_pg_stmt ask = { "ask_user",
                                    "SELECT role, name, email, auto_groups::text, blocked OR "
                                    "pending_approval, password_hash FROM users WHERE email = "
                                    "'i@d.test'" };
    const struct rk_str groups[] = { RK_STR("kept"), RK_STR("gone") };
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1], sql[256];
    struct rk_invite_input in = usual;
    struct rk_err err = { 0 };

    (void)state;
    snprintf(sql, sizeof(sql),
             "INSERT INTO account_group (id, public_id, account_id, name) VALUES ('kept', 'p', "
             "'%s', 'K'), ('gone', 'q', '%s', 'G')",
             acc.account_id, acc.account_id);
    pg_must(pg, sql);
    in.auto_groups = groups;
    in.auto_groups_n = 2;
    make(&in, id, plain);
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM user_invite WHERE to_json(user_invite)::text "
             "LIKE '%%%s%%'",
             plain + 4);
    assert_int_equal(pg_ask(&fx, sql), 0);
    assert_int_equal(rk_invite_find(pg, plain, &seen, &err), 0);
    assert_string_equal(seen.email, "i@d.test");
    assert_string_equal(seen.invited_by, "O");
    assert_false(seen.expired);

    pg_must(pg, "DELETE FROM account_group WHERE id = 'gone'");
    assert_int_equal(rk_invite_accept(pg, plain, GOOD, &bell, &err), 0);
    assert_int_equal((int64_t)bell.serial, pg_ask(&fx, "SELECT serial FROM account"));
    assert_int_equal(rk_pg_run0(pg, &ask, &row, &err), 0);
    assert_int_equal(rk_pg_rows(row), 1);
    assert_string_equal(rk_pg_str(row, 0, 0).p, "admin");
    assert_string_equal(rk_pg_str(row, 0, 1).p, "I");
    assert_string_equal(rk_pg_str(row, 0, 3).p, "{kept}");
    assert_false(rk_pg_bool(row, 0, 4));
    assert_true(rk_password_verify(RK_STR(GOOD), rk_pg_str(row, 0, 5).p));
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event e JOIN users u ON u.id = e.target_id "
                                 "AND u.id = e.initiator_id WHERE code = "
                                 "'user.invite.link.accept' AND u.email = 'i@d.test'"),
                     1);
    refused(rk_invite_accept(pg, plain, GOOD, &bell, &err), RK_NOT_FOUND, &err,
            "user invite not found");
    refused(rk_invite_create(pg, &actor, &usual, id, plain, &err), RK_EXISTS, &err,
            "user with this email already exists");
}

static void accepting_is_refused_in_the_order_of_the_wire(void **state)
{
    static const struct {
        const char *password, *text;
    } weak[] = {
        { "", "password is required" },
        { "Sh0rt!", "invalid password: password must be at least 8 characters long" },
        { "long enough", "invalid password: password must contain at least one digit, one "
                         "uppercase letter" },
        { "Longenough1", "invalid password: password must contain at least one special character" },
        { "LONG enough", "invalid password: password must contain at least one digit" },
    };
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1], other[RK_PAT_LEN + 1];
    struct rk_err err = { 0 };

    (void)state;
    make(&usual, id, plain);
    for (size_t i = 0; i < RK_COUNT(weak); i++)
        refused(rk_invite_accept(pg, "rubbish", weak[i].password, &bell, &err), RK_INVALID, &err,
                weak[i].text);
    refused(rk_invite_accept(pg, "rubbish", GOOD, &bell, &err), RK_INVALID, &err,
            "invalid invite token: invalid token length");
    rk_pat_new("nbp_", other);
    refused(rk_invite_accept(pg, other, GOOD, &bell, &err), RK_INVALID, &err,
            "invalid invite token: invalid token prefix");
    memcpy(other, plain, sizeof(other));
    other[10] = other[10] == 'a' ? 'b' : 'a';
    refused(rk_invite_accept(pg, other, GOOD, &bell, &err), RK_INVALID, &err,
            "invalid invite token: invalid token checksum");
    rk_pat_new(RK_INVITE_PREFIX, other);
    refused(rk_invite_accept(pg, other, GOOD, &bell, &err), RK_NOT_FOUND, &err,
            "user invite not found");
    pg_must(pg, "UPDATE user_invite SET expires_at = now() - interval '1 second'");
    refused(rk_invite_accept(pg, plain, GOOD, &bell, &err), RK_INVALID, &err, "invite has expired");
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM users"), 1);
}

static void another_token_kills_the_old_one(void **state)
{
    char id[RK_XID_LEN + 1], first[RK_PAT_LEN + 1], second[RK_PAT_LEN + 1];
    struct rk_actor stranger = actor;
    struct rk_err err = { 0 };
    int64_t expires;

    (void)state;
    make(&usual, id, first);
    stranger.account_id = "someoneelse";
    assert_int_equal(rk_invite_regenerate(pg, &stranger, id, 3600, second, &expires, &err),
                     RK_NOT_FOUND);
    refused(rk_invite_regenerate(pg, &actor, "nobody", 60, second, &expires, &err), RK_NOT_FOUND,
            &err, "user invite not found");
    assert_int_equal(rk_invite_delete(pg, &stranger, id, &err), RK_NOT_FOUND);
    assert_int_equal(rk_invite_regenerate(pg, &actor, id, 3600, second, &expires, &err), 0);
    refused(rk_invite_accept(pg, first, GOOD, &bell, &err), RK_NOT_FOUND, &err,
            "user invite not found");
    assert_int_equal(rk_invite_delete(pg, &actor, id, &err), 0);
    refused(rk_invite_accept(pg, second, GOOD, &bell, &err), RK_NOT_FOUND, &err,
            "user invite not found");
    refused(rk_invite_delete(pg, &actor, id, &err), RK_NOT_FOUND, &err, "user invite not found");
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code IN "
                                 "('user.invite.link.regenerate', 'user.invite.link.delete') AND "
                                 "meta->>'email' = 'i@d.test'"),
                     2);
}

struct taker {
    const char *token;
    int result;
};

static void *take(void *arg)
{
    rk_auto(rk_pg_free) struct rk_pg *own = rk_pg_new(fx.conninfo, "taker");
    struct taker *t = arg;
    struct rk_bell rung;
    struct rk_err err = { 0 };

    t->result = rk_invite_accept(own, t->token, GOOD, &rung, &err);
    return NULL;
}

static void of_two_who_take_it_at_once_one_has_it(void **state)
{
    char id[RK_XID_LEN + 1], plain[RK_PAT_LEN + 1];
    struct taker takers[4];
    pthread_t threads[RK_COUNT(takers)];
    int won = 0, lost = 0;

    (void)state;
    make(&usual, id, plain);
    for (size_t i = 0; i < RK_COUNT(takers); i++) {
        takers[i] = (struct taker){ .token = plain };
        assert_int_equal(pthread_create(&threads[i], NULL, take, &takers[i]), 0);
    }
    for (size_t i = 0; i < RK_COUNT(takers); i++) {
        pthread_join(threads[i], NULL);
        won += takers[i].result == 0;
        lost += takers[i].result == RK_NOT_FOUND;
    }
    assert_int_equal(won, 1);
    assert_int_equal(lost, RK_COUNT(takers) - 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM users"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_one_is_checked, account_fresh),
        cmocka_unit_test_setup(its_token_is_stored_as_a_digest_and_makes_a_user_once,
                               account_fresh),
        cmocka_unit_test_setup(accepting_is_refused_in_the_order_of_the_wire, account_fresh),
        cmocka_unit_test_setup(another_token_kills_the_old_one, account_fresh),
        cmocka_unit_test_setup(of_two_who_take_it_at_once_one_has_it, account_fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
