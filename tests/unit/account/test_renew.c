/* Logins that begin anew, and the tokens behind them, each of one peer. */

#include <pthread.h>

#include "libcommon/account/peer/due.h"
#include "libcommon/account/peer/renew.h"
#include "libcommon/account/rules/used_token.h"
#include "libcommon/base/clock.h"
#include "tests/support/account_rules.h"

static struct rk_err err;

static int64_t ask(const char *sql)
{
    return pg_ask(&fx, sql);
}

/* a is the peer of ada, whose login has expired; b came by setup key. */
static int fresh(void **state)
{
    int r = account_fresh(state);

    pg_must(pg, "DELETE FROM used_token");
    two_peers();
    pg_must(pg, "INSERT INTO peer_status (peer_id) SELECT id FROM peer");
    pg_must(pg, "INSERT INTO users (id, account_id, role) SELECT x, id, 'user' FROM account, "
                "unnest('{ada,bob}'::text[]) x");
    pg_must(pg, "UPDATE peer SET user_id = 'ada', login_expiration_enabled = true, login_expired = "
                "true, last_login = now() - interval '3 days' WHERE id = '" A "'");
    err = (struct rk_err){ 0 };
    return r;
}

static int renew(const char *peer, const char *user, bool extend)
{
    const struct rk_peer_renewal in = { .account_id = acc.account_id,
                                        .peer_id = peer,
                                        .user_id = user,
                                        .default_domain = "d.test",
                                        .extend = extend };

    err = (struct rk_err){ 0 };
    return rk_peer_renew(pg, &in, &bell, &err);
}

static void a_login_begins_anew(void **state)
{
    int64_t before = serial();

    (void)state;
    done(renew(A, "ada", false), &err);
    assert_int_equal(serial(), before + 1);
    assert_int_equal((int64_t)bell.serial, serial());
    assert_int_equal(touched("peer"), 1);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE id = '" A "' AND NOT login_expired AND "
                         "last_login > now() - interval '1 minute'"),
                     1);
    assert_int_equal(events_with("user.peer.login", "fqdn", "a.d.test"), 1);
    /* Its deadline is a day from now. */
    assert_int_equal(ask("SELECT count(*) FROM due WHERE kind = 'login' AND object_id = '" A
                         "' AND at BETWEEN now() + interval '86000 s' AND now() + interval '86401 "
                         "s'"),
                     1);
}

static void nobody_acts(void *arg, enum rk_due_kind kind, int64_t late_us)
{
    (void)arg;
    (void)late_us;
    fail_msg("deadline of kind %d acted on", (int)kind);
}

/* Its agent has yet to connect, and was last seen before it was logged out. */
static void who_was_away_too_long_has_time_to_connect(void **state)
{
    const struct rk_due_params params = { .ephemeral_s = 600,
                                          .default_domain = "d.test",
                                          .on_acted = nobody_acts };
    struct rk_due_report report;

    (void)state;
    pg_must(pg, "UPDATE account SET settings = settings || "
                "'{\"peer_inactivity_expiration_enabled\":true,"
                "\"peer_inactivity_expiration\":600}'");
    pg_must(pg, "UPDATE peer SET inactivity_expiration_enabled = true WHERE id = '" A "'");
    pg_must(pg, "UPDATE peer_status SET last_seen = now() - interval '1 day'");
    done(renew(A, "ada", false), &err);
    done(rk_due_act(pg, &params, &report, &err), &err);
    assert_int_equal(report.bells_n, 0);
    free(report.bells);
    assert_in_range(report.next_ms, 590 * 1000, 600 * 1000);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE id = '" A "' AND login_expired"), 0);
}

static void a_session_is_extended(void **state)
{
    (void)state;
    done(renew(A, "ada", true), &err);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE id = '" A "' AND NOT login_expired AND "
                         "last_login > now() - interval '1 minute'"),
                     1);
    assert_int_equal(events("user.peer.session.extend"), 1);
    assert_int_equal(events("user.peer.login"), 0);
}

static void only_its_user_has_the_peer(void **state)
{
    static const char taken[] = "peer is already registered by a different User or a Setup Key";

    (void)state;
    for (int extend = 0; extend < 2; extend++)
        refused(renew(A, "bob", extend), RK_DENIED, &err, taken);
    refused(renew(B, "ada", false), RK_DENIED, &err, taken);
    refused(renew(B, "ada", true), RK_PRECONDITION, &err,
            "peer is not eligible for session extension");
    refused(renew("nowhere", "ada", false), RK_NOT_FOUND, &err, "peer not found: nowhere");
    assert_int_equal(ask("SELECT count(*) FROM event WHERE code LIKE 'user.peer%'"), 0);
}

static void where_logins_do_not_expire_nothing_is_extended(void **state)
{
    (void)state;
    pg_must(pg, "UPDATE peer SET login_expiration_enabled = false");
    refused(renew(A, "ada", true), RK_PRECONDITION, &err,
            "peer is not eligible for session extension");
    pg_must(pg, "UPDATE account SET settings = settings || "
                "'{\"peer_login_expiration_enabled\":false}'");
    refused(renew(A, "ada", true), RK_PRECONDITION, &err,
            "peer login expiration is disabled for the account");
    refused(renew(B, "ada", true), RK_PRECONDITION, &err,
            "peer login expiration is disabled for the account");
}

static void who_is_blocked_or_gone_does_not_log_in(void **state)
{
    (void)state;
    pg_must(pg, "UPDATE users SET blocked = true WHERE id = 'ada'");
    for (int extend = 0; extend < 2; extend++)
        refused(renew(A, "ada", extend), RK_DENIED, &err, "user is blocked");
    pg_must(pg, "UPDATE users SET pending_approval = true WHERE id = 'ada'");
    refused(renew(A, "ada", false), RK_DENIED, &err, "user is pending approval");
    pg_must(pg, "DELETE FROM users WHERE id = 'ada'");
    refused(renew(A, "ada", false), RK_NOT_FOUND, &err, "user: ada not found");
}

/* --- tokens --- */

static const uint8_t mine[RK_KEY_LEN] = { 1 }, theirs[RK_KEY_LEN] = { 2 };

static void a_token_is_one_peers(void **state)
{
    const uint8_t one[32] = { 1 }, other[32] = { 2 };
    int64_t until = rk_wall_s() + 60;

    (void)state;
    done(rk_used_token_claim(pg, one, mine, until, &err), &err);
    refused(rk_used_token_claim(pg, one, theirs, until, &err), RK_UNAUTHENTICATED, &err,
            "JWT already used");
    err = (struct rk_err){ 0 };
    done(rk_used_token_claim(pg, other, theirs, until, &err), &err);
    refused(rk_used_token_claim(pg, one, mine, rk_wall_s(), &err), RK_UNAUTHENTICATED, &err,
            "JWT expired");
}

static void its_peer_may_repeat_it_but_not_for_long(void **state)
{
    const uint8_t one[32] = { 1 };
    int64_t until = rk_wall_s() + 3600;

    (void)state;
    done(rk_used_token_claim(pg, one, mine, until, &err), &err);
    pg_must(pg, "UPDATE used_token SET claimed_at = claimed_at - interval '290 s'");
    done(rk_used_token_claim(pg, one, mine, until, &err), &err);
    assert_int_equal(ask("SELECT count(*) FROM used_token WHERE claimed_at > now() - interval "
                         "'280 s'"),
                     0); /* it does not begin anew */
    refused(rk_used_token_claim(pg, one, theirs, until, &err), RK_UNAUTHENTICATED, &err,
            "JWT already used");
    pg_must(pg, "UPDATE used_token SET claimed_at = claimed_at - interval '20 s'");
    refused(rk_used_token_claim(pg, one, mine, until, &err), RK_UNAUTHENTICATED, &err,
            "JWT already used");
}

static void one_that_names_no_peer_is_nobodys(void **state)
{
    const uint8_t one[32] = { 1 }, nobody[RK_KEY_LEN] = { 0 };

    (void)state;
    pg_must(pg, "INSERT INTO used_token (hash, expires_at) VALUES (decode('01' || "
                "repeat('00', 31), 'hex'), now() + interval '1 hour')"); /* by an older replica */
    refused(rk_used_token_claim(pg, one, nobody, rk_wall_s() + 60, &err), RK_UNAUTHENTICATED, &err,
            "JWT already used");
}

static void what_has_expired_is_forgotten(void **state)
{
    (void)state;
    pg_must(pg, "INSERT INTO used_token (hash, expires_at) VALUES ('a', now() - interval '11 "
                "minutes'), ('b', now() - "
                "interval '9 minutes'), ('c', now() + interval '1 hour')");
    done(rk_used_token_prune(pg, &err), &err);
    assert_int_equal(ask("SELECT count(*) FROM used_token"), 2);
    assert_int_equal(ask("SELECT count(*) FROM used_token WHERE hash = 'a'"), 0);
}

struct claimant {
    pthread_t thread;
    pthread_barrier_t *gate;
    struct rk_pg *pg;
    uint8_t hash[32], key[RK_KEY_LEN];
    int r;
};

static void *claim(void *arg)
{
    struct claimant *x = arg;

    pthread_barrier_wait(x->gate);
    x->r = rk_used_token_claim(x->pg, x->hash, x->key, rk_wall_s() + 60, NULL);
    return NULL;
}

static void of_two_at_once_one_has_it(void **state)
{
    struct claimant x[2];
    pthread_barrier_t gate;

    (void)state;
    memset(x, 0, sizeof(x));
    pthread_barrier_init(&gate, NULL, 2);
    for (size_t k = 0; k < 2; k++) {
        x[k].gate = &gate;
        x[k].key[0] = (uint8_t)k;
        x[k].pg = rk_pg_new(fx.conninfo, "claimant");
    }
    for (uint8_t round = 1; round <= 100; round++) {
        for (size_t k = 0; k < 2; k++) {
            x[k].hash[0] = round;
            assert_int_equal(pthread_create(&x[k].thread, NULL, claim, &x[k]), 0);
        }
        for (size_t k = 0; k < 2; k++)
            pthread_join(x[k].thread, NULL);
        assert_int_equal(x[0].r + x[1].r, RK_UNAUTHENTICATED);
    }
    for (size_t k = 0; k < 2; k++)
        rk_pg_free(x[k].pg);
    pthread_barrier_destroy(&gate);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        T(a_login_begins_anew),
        T(who_was_away_too_long_has_time_to_connect),
        T(a_session_is_extended),
        T(only_its_user_has_the_peer),
        T(where_logins_do_not_expire_nothing_is_extended),
        T(who_is_blocked_or_gone_does_not_log_in),
        T(a_token_is_one_peers),
        T(its_peer_may_repeat_it_but_not_for_long),
        T(one_that_names_no_peer_is_nobodys),
        T(what_has_expired_is_forgotten),
        T(of_two_at_once_one_has_it),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
