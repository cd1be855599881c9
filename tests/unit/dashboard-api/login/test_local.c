/* Passwords of local users, guesses and second factors against a real server. */

#include "services/dashboard-api/login/local.h"

#include "libcommon/account/store/reseal.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/password.h"
#include "services/dashboard-api/login/factor.h"
#include "services/dashboard-api/login/familiar.h"
#include "services/dashboard-api/login/guess.h"
#include "tests/support/account_rules.h"

#define GOOD "Long enough 1!"

static struct rk_seal seal = { .n = 1, .key = { { 7 } } };
static char good_hash[RK_PASSWORD_LEN];

static struct call make_call(void)
{
    struct call c = { .pg = pg, .seal = &seal, .arena = rk_arena_new(8 << 20) };

    snprintf(c.remote_ip, sizeof(c.remote_ip), "192.0.2.1");
    return c;
}

static int fresh(void **state)
{
    char sql[400];

    if (account_fresh(state) < 0)
        return -1;
    if (good_hash[0] == '\0')
        rk_password_hash(RK_STR(GOOD), good_hash);
    pg_must(pg, "DELETE FROM password_guess");
    snprintf(sql, sizeof(sql), "UPDATE users SET password_hash = '%s'", good_hash);
    pg_must(pg, sql);
    return 0;
}

static void a_password_is_found_by_an_address_in_any_case(void **state)
{
    struct call c = make_call();
    struct local_user u;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(local_check(&c, "O@D.test", GOOD, false, &u, &err), 0);
    assert_string_equal(u.id, acc.user_id);
    assert_string_equal(u.email, "o@d.test");
    assert_false(u.needs_factor);
    assert_int_equal(local_check(&c, "o@d.test", "long enough 1!", false, &u, &err),
                     RK_UNAUTHENTICATED);
    rk_arena_free(c.arena);
}

/* A cookie of theirs, as the browser has it after signing in. */
static void make_familiar(struct call *c, struct api_config *config)
{
    struct rk_str rest, value;

    config->oidc.public_url = (char *)(uintptr_t) "https://d.test";
    c->config = config;
    c->head.cookie = "";
    familiar_make(c, "O@d.test");
    assert_int_equal(c->headers_n, 1);
    assert_non_null(strstr(c->header[0].value, "; Path=/oauth2; HttpOnly; SameSite=Lax; Secure"));
    assert_null(strcasestr(c->header[0].value, "o@d.test"));
    rest = rk_str(c->header[0].value);
    assert_true(rk_str_next(&rest, ';', &value));
    c->headers_n = 0;
    c->head.cookie = rk_arena_printf(c->arena, "netbird-page=x; %.*s", (int)value.n, value.p);
}

static void a_familiar_browser_is_one_persons_and_is_not_forged(void **state)
{
    struct api_config config = { 0 };
    struct call c = make_call();
    struct rk_seal other = { .n = 1, .key = { { 8 } } };
    struct rk_seal both = { .n = 2, .key = { { 8 }, { 7 } } }; /* while it is changed */
    const char *cookie;
    char *text;

    (void)state;
    c.head.cookie = "";
    assert_false(familiar_is(&c, "o@d.test"));
    make_familiar(&c, &config);
    assert_true(familiar_is(&c, "o@D.test"));
    assert_false(familiar_is(&c, "p@d.test"));
    assert_false(familiar_is(&c, ""));
    c.seal = &other;
    assert_false(familiar_is(&c, "o@d.test"));
    c.seal = &both;
    assert_true(familiar_is(&c, "o@d.test"));
    c.seal = &seal;
    cookie = c.head.cookie;
    for (size_t i = strlen("netbird-page=x; netbird-familiar="); cookie[i]; i++) {
        text = rk_arena_strdup(c.arena, cookie);
        text[i] = text[i] == '2' ? '3' : '2';
        c.head.cookie = text;
        assert_false(familiar_is(&c, "o@d.test"));
    }
    c.head.cookie = "netbird-familiar=4000000000.";
    assert_false(familiar_is(&c, "o@d.test"));
    c.head.cookie = "netbird-familiar=x";
    assert_false(familiar_is(&c, "o@d.test"));
    rk_arena_free(c.arena);
}

static void a_familiar_browser_goes_first_ten_times_and_no_stranger_does(void **state)
{
    struct api_config config = { 0 };
    struct call c = make_call();
    struct rk_err err = { 0 };
    bool first = true;

    (void)state;
    c.head.cookie = "";
    assert_int_equal(familiar_goes_first(&c, "o@d.test", &first, &err), 0);
    assert_false(first);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM password_guess"), 0);
    make_familiar(&c, &config);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(familiar_goes_first(&c, i % 2 ? "o@d.test" : "O@D.TEST", &first, &err), 0);
        assert_int_equal(first, i < 10);
    }
    rk_arena_free(c.arena);
}

/* Whoever guesses keeps strangers out for a while, and nobody who has signed in here before. */
static void what_strangers_guess_does_not_keep_a_familiar_browser_out(void **state)
{
    struct call c = make_call();
    struct local_user u;
    struct rk_err err = { 0 };
    bool allowed;

    (void)state;
    pg_must(pg, "INSERT INTO password_guess (name, tries, free_at, expires_at) SELECT 'password ' "
                "|| encode(sha256('o@d.test'), 'hex'), 9, 'infinity', 'infinity'");
    assert_int_equal(local_may_try(&c, "o@d.test", false, &allowed, &err), 0);
    assert_false(allowed);
    assert_int_equal(local_check(&c, "o@d.test", GOOD, false, &u, &err), RK_UNAUTHENTICATED);
    assert_int_equal(local_may_try(&c, "o@d.test", true, &allowed, &err), 0);
    assert_true(allowed);
    assert_int_equal(local_check(&c, "o@d.test", GOOD, true, &u, &err), 0);
    assert_string_equal(u.id, acc.user_id);
    /* Its own guesses are counted like a stranger's, and keep strangers waiting as little. */
    pg_must(pg, "DELETE FROM password_guess");
    for (int i = 0; i < 5; i++)
        assert_int_equal(local_check(&c, "o@d.test", "wrong", true, &u, &err), RK_UNAUTHENTICATED);
    pg_must(pg, "UPDATE password_guess SET free_at = 'infinity' WHERE tries = 5");
    assert_int_equal(local_may_try(&c, "o@d.test", true, &allowed, &err), 0);
    assert_false(allowed);
    assert_int_equal(local_check(&c, "o@d.test", GOOD, true, &u, &err), RK_UNAUTHENTICATED);
    assert_int_equal(local_check(&c, "o@d.test", GOOD, false, &u, &err), 0);
    rk_arena_free(c.arena);
}

/* What can be seen from outside: the same answer, as many hashes, as many counted guesses. */
static void nobody_and_a_wrong_password_cost_the_same(void **state)
{
    static const char *const addresses[] = { "o@d.test", "nobody@d.test" };
    uint64_t hashes[2];
    struct call c = make_call();
    struct local_user u;
    struct rk_err err = { 0 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint64_t before = rk_password_count();

        pg_must(pg, "DELETE FROM password_guess");
        for (int n = 0; n < 8; n++) {
            assert_int_equal(local_check(&c, addresses[i], "wrong", false, &u, &err),
                             RK_UNAUTHENTICATED);
            if (n >= 4) /* however slow the machine is */
                pg_must(pg, "UPDATE password_guess SET free_at = 'infinity' WHERE tries = 5 "
                            "AND name LIKE 'password %'");
        }
        hashes[i] = rk_password_count() - before;
        assert_int_equal(pg_ask(&fx, "SELECT max(tries) FROM password_guess WHERE name LIKE "
                                     "'password %'"),
                         5);
    }
    assert_int_equal(hashes[0], 5); /* and none while nobody may try */
    assert_int_equal(hashes[1], hashes[0]);
    rk_arena_free(c.arena);
}

static void after_five_in_vain_the_pause_doubles_and_others_do_not_wait(void **state)
{
    static const int pauses[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900 };
    struct call c = make_call();
    struct rk_err err = { 0 };
    bool allowed;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(guess_try(&c, GUESS_PASSWORD, "a", &allowed, &err), 0);
        assert_true(allowed);
    }
    for (size_t i = 0; i < RK_COUNT(pauses); i++) {
        assert_int_equal(guess_try(&c, GUESS_PASSWORD, "a", &allowed, &err), 0);
        assert_true(allowed);
        assert_int_equal(
            pg_ask(&fx,
                   "SELECT round(extract(epoch FROM free_at - (expires_at - interval '1 day')))"
                   " FROM password_guess"),
            pauses[i]);
        pg_must(pg, "UPDATE password_guess SET free_at = 'infinity'");
        assert_int_equal(guess_may(&c, GUESS_PASSWORD, "a", &allowed, &err), 0);
        assert_false(allowed);
        assert_int_equal(guess_try(&c, GUESS_PASSWORD, "a", &allowed, &err), 0);
        assert_false(allowed);
        pg_must(pg, "UPDATE password_guess SET free_at = now()");
    }
    assert_int_equal(guess_may(&c, GUESS_PASSWORD, "b", &allowed, &err), 0);
    assert_true(allowed);
    assert_int_equal(guess_right(&c, GUESS_PASSWORD, "a", &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM password_guess"), 0);
    rk_arena_free(c.arena);
}

static void an_address_guesses_thirty_times_in_ten_minutes(void **state)
{
    struct call c = make_call();
    struct rk_err err = { 0 };
    bool allowed;

    (void)state;
    for (int i = 0; i < 30; i++) {
        assert_int_equal(guess_try(&c, GUESS_SOURCE, call_source(&c), &allowed, &err), 0);
        assert_true(allowed);
    }
    assert_int_equal(guess_try(&c, GUESS_SOURCE, call_source(&c), &allowed, &err), 0);
    assert_false(allowed);
    assert_int_equal(guess_right(&c, GUESS_SOURCE, call_source(&c), &err), 0);
    assert_int_equal(guess_try(&c, GUESS_SOURCE, call_source(&c), &allowed, &err), 0);
    assert_true(allowed); /* one of them was right */
    assert_int_equal(guess_try(&c, GUESS_SOURCE, "192.0.2.2", &allowed, &err), 0);
    assert_true(allowed);
    pg_must(pg, "UPDATE password_guess SET expires_at = now()");
    assert_int_equal(guess_try(&c, GUESS_SOURCE, call_source(&c), &allowed, &err), 0);
    assert_true(allowed);
    rk_arena_free(c.arena);
}

static void a_whole_network_of_ipv6_is_one_guesser(void **state)
{
    struct call c = make_call();

    (void)state;
    snprintf(c.remote_ip, sizeof(c.remote_ip), "2001:db8:1:2:3:4:5:6");
    assert_string_equal(call_source(&c), "2001:db8:1:2::/64");
    snprintf(c.remote_ip, sizeof(c.remote_ip), "192.0.2.7");
    assert_string_equal(call_source(&c), "192.0.2.7");
    rk_arena_free(c.arena);
}

/* 10,000 guesses, each from another address: what is hashed is bounded by the pauses. */
static void ten_thousand_guesses_are_bounded(void **state)
{
    struct call c = make_call();
    struct local_user u;
    struct rk_err err = { 0 };
    uint64_t before = rk_password_count(), start_s = (uint64_t)rk_wall_s(), elapsed_s;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        struct call one = c;

        snprintf(one.remote_ip, sizeof(one.remote_ip), "10.%u.%u.%u", i >> 16, i >> 8 & 255,
                 i & 255);
        one.arena = rk_arena_new(1 << 20);
        assert_int_equal(local_check(&one, "o@d.test", "Wrong 1!", false, &u, &err),
                         RK_UNAUTHENTICATED);
        rk_arena_free(one.arena);
    }
    elapsed_s = (uint64_t)rk_wall_s() - start_s;
    /* Five at once, and then one after 1, 2, 4... seconds: after that many no more than this. */
    for (uint64_t pause = 1, sum = 0, more = 5;; pause *= 2, more++) {
        sum += pause;
        if (sum > elapsed_s + 1) {
            assert_true(rk_password_count() - before <= more);
            break;
        }
    }
    rk_arena_free(c.arena);
}

static void what_another_server_hashed_is_hashed_anew_at_the_next_login(void **state)
{
    struct call c = make_call();
    struct local_user u;
    struct rk_err err = { 0 };

    (void)state;
    pg_must(pg, "UPDATE users SET password_hash = "
                "'$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'");
    assert_int_equal(local_check(&c, "o@d.test", "wrong", false, &u, &err), RK_UNAUTHENTICATED);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM users WHERE password_hash LIKE '$argon2id$%'"), 0);
    assert_int_equal(local_check(&c, "o@d.test", "U*U", false, &u, &err), 0);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM users WHERE password_hash LIKE '$argon2id$%'"), 1);
    assert_int_equal(local_check(&c, "o@d.test", "U*U", false, &u, &err), 0);
    rk_arena_free(c.arena);
}

static void a_code_and_a_recovery_code_are_used_up(void **state)
{
    struct call c = make_call();
    const uint8_t secret[TOTP_SECRET_BYTES] = { 9 }, other[TOTP_SECRET_BYTES] = { 8 };
    char first[RECOVERY_CODES][RECOVERY_LEN + 1], codes[RECOVERY_CODES][RECOVERY_LEN + 1];
    char code[TOTP_DIGITS + 1];
    int64_t step = rk_wall_s() / TOTP_STEP_S;
    struct factor f;
    struct rk_err err = { 0 };
    bool right;

    (void)state;
    assert_int_equal(factor_load(&c, acc.user_id, &f, &err), 0);
    assert_false(f.enrolled);
    assert_int_equal(factor_enrol(&c, acc.user_id, secret, step - 1, first, &err), 0);
    assert_int_equal(factor_enrol(&c, acc.user_id, secret, step - 1, codes, &err), 0);
    assert_int_equal(factor_enrol(&c, acc.user_id, other, step - 1, codes, &err), RK_EXISTS);
    assert_int_equal(factor_enrol(&c, acc.user_id, secret, step - 2, codes, &err), RK_EXISTS);
    assert_int_equal(factor_try_recovery(&c, acc.user_id, first[0], &right, &err), 0);
    assert_false(right);
    assert_int_equal(factor_load(&c, acc.user_id, &f, &err), 0);
    assert_true(f.enrolled);
    assert_int_equal(f.codes_left, RECOVERY_CODES);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM user_factor WHERE position("
                                 "'\\x0900'::bytea IN sealed_totp) > 0"),
                     0);
    totp_code(secret, sizeof(secret), step, code);
    assert_int_equal(factor_try_totp(&c, acc.user_id, code, &right, &err), 0);
    assert_true(right);
    assert_int_equal(factor_try_totp(&c, acc.user_id, code, &right, &err), 0);
    assert_false(right);
    rk_arena_free(c.arena);
}

static void a_recovery_code_works_once_and_a_reset_ends_all(void **state)
{
    struct call c = make_call();
    uint8_t secret[TOTP_SECRET_BYTES] = { 9 };
    char codes[RECOVERY_CODES][RECOVERY_LEN + 1];
    struct factor f;
    struct rk_err err = { 0 };
    bool right;

    (void)state;
    assert_int_equal(factor_enrol(&c, acc.user_id, secret, 1, codes, &err), 0);
    assert_int_equal(factor_try_recovery(&c, acc.user_id, codes[3], &right, &err), 0);
    assert_true(right);
    assert_int_equal(factor_try_recovery(&c, acc.user_id, codes[3], &right, &err), 0);
    assert_false(right);
    assert_int_equal(factor_try_recovery(&c, "somebody else", codes[4], &right, &err), 0);
    assert_false(right);
    assert_int_equal(factor_reset(pg, "who@d.test", &err), RK_NOT_FOUND);
    assert_int_equal(factor_reset(pg, "O@d.test", &err), 0);
    assert_int_equal(factor_load(&c, acc.user_id, &f, &err), 0);
    assert_false(f.enrolled);
    assert_int_equal(f.codes_left, 0);
    rk_arena_free(c.arena);
}

/* Their digests cannot be taken to the new key, so the old one is kept for them, sealed. */
static void recovery_codes_outlive_a_change_of_the_secret_key(void **state)
{
    const struct rk_seal both = { .n = 2, .key = { { 8 }, { 7 } } },
                         new = { .n = 1, .key = { { 8 } } };
    struct call c = make_call();
    uint8_t secret[TOTP_SECRET_BYTES] = { 9 };
    char codes[RECOVERY_CODES][RECOVERY_LEN + 1];
    struct rk_reseal sum;
    struct rk_err err = { 0 };
    bool right;

    (void)state;
    pg_must(pg, "DELETE FROM secret");
    assert_int_equal(factor_enrol(&c, acc.user_id, secret, 1, codes, &err), 0);
    c.seal = &both;
    assert_int_equal(factor_try_recovery(&c, acc.user_id, codes[0], &right, &err), 0);
    assert_true(right);
    c.seal = &new;
    assert_int_equal(factor_try_recovery(&c, acc.user_id, codes[1], &right, &err), 0);
    assert_false(right);
    assert_int_equal(rk_store_reseal(pg, &both, &sum, &err), 0);
    assert_int_equal(factor_try_recovery(&c, acc.user_id, codes[1], &right, &err), 0);
    assert_true(right);
    assert_int_equal(factor_try_recovery(&c, acc.user_id, codes[1], &right, &err), 0);
    assert_false(right);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM recovery_code"), RECOVERY_CODES - 2);
    rk_arena_free(c.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_password_is_found_by_an_address_in_any_case, fresh),
        cmocka_unit_test_setup(a_familiar_browser_is_one_persons_and_is_not_forged, fresh),
        cmocka_unit_test_setup(a_familiar_browser_goes_first_ten_times_and_no_stranger_does, fresh),
        cmocka_unit_test_setup(what_strangers_guess_does_not_keep_a_familiar_browser_out, fresh),
        cmocka_unit_test_setup(nobody_and_a_wrong_password_cost_the_same, fresh),
        cmocka_unit_test_setup(after_five_in_vain_the_pause_doubles_and_others_do_not_wait, fresh),
        cmocka_unit_test_setup(an_address_guesses_thirty_times_in_ten_minutes, fresh),
        cmocka_unit_test_setup(a_whole_network_of_ipv6_is_one_guesser, fresh),
        cmocka_unit_test_setup(ten_thousand_guesses_are_bounded, fresh),
        cmocka_unit_test_setup(what_another_server_hashed_is_hashed_anew_at_the_next_login, fresh),
        cmocka_unit_test_setup(a_code_and_a_recovery_code_are_used_up, fresh),
        cmocka_unit_test_setup(a_recovery_code_works_once_and_a_reset_ends_all, fresh),
        cmocka_unit_test_setup(recovery_codes_outlive_a_change_of_the_secret_key, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
