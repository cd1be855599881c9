/* The end of having signed in, against a real server: whom it ends, and tokens taken back. */

#include "libcommon/account/rules/access_end.h"
#include "libcommon/account/rules/user.h"
#include "tests/support/account_sign_in.h"

static int64_t held(void)
{
    return ask("SELECT (SELECT count(*) FROM oauth_session) + (SELECT count(*) FROM oauth_grant) + "
               "(SELECT count(*) FROM oauth_code) + (SELECT count(*) FROM oauth_device WHERE "
               "answer = 'approved')");
}

/* A session, refresh tokens, a code and a device of the user, and as much of somebody else. */
static void hold(const char *user)
{
    static const char *const of[] = { "", "somebody else" };
    char sql[1200];

    pg_must(pg, "DELETE FROM oauth_session; DELETE FROM oauth_grant; DELETE FROM oauth_code; "
                "DELETE FROM oauth_device");
    for (size_t i = 0; i < RK_COUNT(of); i++) {
        const char *who = *of[i] ? of[i] : user;

        snprintf(sql, sizeof(sql),
                 "INSERT INTO oauth_session VALUES ('%zu', '%s', 'local', '{}', false, false, "
                 "now(), now(), now()); INSERT INTO oauth_grant (id, user_id, connector_id, "
                 "client_id, scope, identity, auth_time, expires_at, last_at) VALUES ('%zu', '%s', "
                 "'local', 'c', '', '{}', now(), now(), now()); INSERT INTO oauth_code (id, "
                 "client_id, redirect_uri, scope, nonce, code_challenge, session, user_id, "
                 "connector_id, identity, auth_time, good_until, expires_at) VALUES ('%zu', 'c', "
                 "'', '', '', '', '', '%s', 'local', '{}', now(), now(), now()); INSERT INTO "
                 "oauth_device (id, user_code, sealed_code, client_id, scope, remote_ip, answer, "
                 "user_id, good_until, expires_at) VALUES ('%zu', '%zu', '', 'c', '', '', "
                 "'approved', '%s', now(), now())",
                 i, who, i, who, i, who, i, i, who);
        pg_must(pg, sql);
    }
    assert_int_equal(held(), 8);
}

static void whoever_may_not_sign_in_any_more_is_signed_out(void **state)
{
    struct rk_user_input in = { .role = RK_ROLE_USER, .blocked = true };

    (void)state;
    team(NO_APPROVAL);
    come(&single, "second");
    hold("second");
    done(rk_user_update(pg, &actor, "second", &in, &bell, &err), &err);
    assert_int_equal(held(), 4);
    in.blocked = false;
    hold("second");
    done(rk_user_update(pg, &actor, "second", &in, &bell, &err), &err);
    assert_int_equal(held(), 8);
    done(rk_user_delete(pg, &actor, "second", &bell, &err), &err);
    assert_int_equal(held(), 4);
    pg_must(pg, "UPDATE account SET settings = settings || "
                "'{\"extra\":{\"user_approval_required\":true}}'");
    come(&single, "third");
    hold("third");
    done(rk_user_reject(pg, &actor, "third", &bell, &err), &err);
    assert_int_equal(held(), 4);
    hold("owner");
    done(rk_user_sessions_end(pg, "owner", &err), &err);
    assert_int_equal(held(), 4);
}

/* A grant of our own provider to `user`, and the claims of a token of it. */
static struct rk_claims granted(const char *user, enum rk_grant_use use, uint8_t byte)
{
    uint8_t id[RK_GRANT_ID_LEN];
    char jti[RK_JTI_LEN + 1], sql[400];

    memset(id, byte, sizeof(id));
    rk_jti_new(use, id, jti);
    snprintf(sql, sizeof(sql),
             "INSERT INTO oauth_grant (id, user_id, connector_id, client_id, scope, identity, "
             "auth_time, expires_at, last_at) VALUES (decode(repeat('%02x', 16), 'hex'), '%s', "
             "'local', 'netbird-dashboard', 'openid', '{}', now(), now() + interval '1 hour', "
             "now() + interval '1 hour') ON CONFLICT DO NOTHING",
             byte, user);
    pg_must(pg, sql);
    return claims_of(user, rk_arena_printf(arena, "{\"jti\":\"%s\"}", jti));
}

static void a_token_that_was_taken_back_is_refused_at_once(void **state)
{
    struct rk_claims access, id, other;

    (void)state;
    come(&single, "owner");
    access = granted("owner", RK_GRANT_ACCESS, 7);
    id = granted("owner", RK_GRANT_ID, 7);
    other = granted("owner", RK_GRANT_ACCESS, 8);
    done(sign_in(&embedded, &access), &err);
    assert_true(got.granted);
    done(sign_in(&embedded, &id), &err);
    pg_must(pg, "DELETE FROM oauth_grant WHERE id = decode(repeat('07', 16), 'hex')");
    assert_int_equal(sign_in(&embedded, &access), RK_UNAUTHENTICATED);
    assert_true(got.revoked);
    assert_int_equal(sign_in(&embedded, &id), RK_UNAUTHENTICATED);
    assert_true(got.revoked);
    assert_int_equal(rk_sign_in(pg, &embedded, &access, false, arena, &got, &err),
                     RK_UNAUTHENTICATED); /* an agent's */
    done(sign_in(&embedded, &other), &err);
    /* What another provider writes there is its own affair. */
    done(sign_in(&single, &access), &err);
    assert_false(got.granted);
    /* Whoever is blocked is told so. */
    pg_must(pg, "UPDATE users SET blocked = true WHERE id = 'owner'");
    done(sign_in(&embedded, &access), &err);
    assert_true(got.blocked);
}

static void a_token_that_was_taken_back_makes_no_user(void **state)
{
    struct rk_claims c;
    char sub[RK_USER_ID_MAX];

    (void)state;
    come(&single, "owner");
    connector("c1", got.account_id);
    assert_true(rk_subject_encode("newcomer", "c1", sub));
    c = granted(sub, RK_GRANT_ACCESS, 9);
    pg_must(pg, "DELETE FROM oauth_grant");
    assert_int_equal(sign_in(&embedded, &c), RK_UNAUTHENTICATED);
    assert_true(got.revoked);
    assert_int_equal(ask("SELECT count(*) FROM users"), 1);
    c = granted(sub, RK_GRANT_ACCESS, 9);
    done(sign_in(&embedded, &c), &err);
    assert_true(got.joined);
}

static void whoever_changes_a_password_stays_signed_in_where_it_was_changed(void **state)
{
    static const uint8_t here[RK_GRANT_ID_LEN] = { 0 };

    (void)state;
    come(&single, "owner");
    pg_must(pg, "DELETE FROM oauth_session; DELETE FROM oauth_grant");
    (void)granted("owner", RK_GRANT_ACCESS, 0);
    (void)granted("owner", RK_GRANT_ACCESS, 1);
    pg_must(pg, "UPDATE oauth_grant SET session = substr(id, 1, 1)");
    pg_must(pg, "INSERT INTO oauth_session (id, user_id, connector_id, identity, second_factor, "
                "remember, auth_time, used_at, expires_at) SELECT session, 'owner', 'local', '{}', "
                "false, false, now(), now(), now() + interval '1 hour' FROM oauth_grant");
    done(rk_user_sessions_end_others(pg, "owner", rk_strn(here, sizeof(here)), &err), &err);
    assert_int_equal(ask("SELECT count(*) FROM oauth_grant WHERE session = '\\x00'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM oauth_session WHERE id = '\\x00'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM oauth_grant"), 1);
    assert_int_equal(ask("SELECT count(*) FROM oauth_session"), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, empty)
    const struct CMUnitTest tests[] = {
        T(whoever_may_not_sign_in_any_more_is_signed_out),
        T(a_token_that_was_taken_back_is_refused_at_once),
        T(a_token_that_was_taken_back_makes_no_user),
        T(whoever_changes_a_password_stays_signed_in_where_it_was_changed),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
