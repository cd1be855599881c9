/* The embedded provider's keys, from a real server: those that are kept count, new ones are found
 * at once, and Postgres away changes nothing for the keys that are known. */

#include "tests/support/test.h"

#include <string.h>

#include "libcommon/oidc/verifier_int.h"
#include "tests/support/account_pg.h"
#include "tests/support/tokens.h"

static int fresh(void **state)
{
    (void)state;
    pg_must(pg, "DELETE FROM signing_key");
    return 0;
}

static const struct rk_pg_stmt add_key = {
    "test.add_key",
    "INSERT INTO signing_key (kid, public_jwk, sealed, signs_from, signs_until, kept_until) VALUES"
    " ($1, $2::jsonb, ''::bytea, now() + $3::int * interval '1 s', now() + interval '1 d',"
    " now() + $4::int * interval '1 s')",
};

/* Signs from so many seconds from now, is kept until then. */
static struct rk_signer *key_new(int from_s, int kept_s)
{
    struct rk_signer *s = rk_signer_new();
    rk_auto(rk_buf_done) struct rk_buf jwk;
    struct rk_err err = { 0 };

    rk_buf_init(&jwk, 4096);
    rk_signer_public_jwk(s, &jwk);
    assert_int_equal(rk_pg_run(pg, &add_key, NULL, &err, RK_P_C(rk_signer_kid(s)),
                               RK_P_STR(rk_buf_str(&jwk)), RK_P_INT(from_s), RK_P_INT(kept_s)),
                     0);
    return s;
}

static struct rk_verifier *verifier(void)
{
    static const struct rk_str audiences[] = { { "netbird-dashboard", 17 }, { "netbird-cli", 11 } };

    return rk_verifier_new(&(struct rk_verifier_options){ .issuer = "https://x.org/oauth2",
                                                          .audiences = audiences,
                                                          .audiences_n = 2,
                                                          .embedded = true });
}

static int check(struct rk_verifier *v, const struct rk_signer *s)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(rk_buf_done) struct rk_buf token;
    struct rk_claims c;
    long long now = rk_wall_s();

    rk_buf_init(&token, RK_JWT_MAX);
    assert_int_equal(
        rk_jwt_sign(s,
                    rk_str(rk_arena_printf(
                        a,
                        "{\"iss\":\"https://x.org/"
                        "oauth2\",\"aud\":\"netbird-cli\",\"sub\":\"u\",\"exp\":%lld,\"iat\":%lld}",
                        now + 60, now)),
                    &token, NULL),
        0);
    return rk_verifier_check(v, rk_buf_str(&token), a, &c, NULL);
}

static void keys_that_are_kept_count_and_new_ones_are_found(void **state)
{
    rk_auto(rk_verifier_free) struct rk_verifier *v = verifier();
    rk_auto(rk_signer_free) struct rk_signer *now = key_new(0, 3600), *next = key_new(3600, 7200),
                                             *gone = key_new(-7200, -1), *late = NULL;
    struct rk_verifier_state s;
    int r;

    (void)state;
    assert_int_equal(check(v, now), RK_VERIFIER_FETCH);
    assert_int_equal(rk_verifier_fetch(v, pg, NULL), 0);
    assert_int_equal(check(v, now), 0);
    assert_int_equal(check(v, next), 0);
    rk_verifier_state(v, &s);
    assert_int_equal(s.keys, 2);

    late = key_new(0, 3600);
    assert_int_equal(check(v, late), RK_VERIFIER_FETCH);
    assert_int_equal(rk_verifier_fetch(v, pg, NULL), 0);
    assert_int_equal(check(v, late), 0);
    while ((r = check(v, gone)) == RK_VERIFIER_FETCH)
        assert_int_equal(rk_verifier_fetch(v, pg, NULL), 0);
    assert_int_equal(r, RK_UNAUTHENTICATED);
}

static void a_provider_without_keys_yet_is_no_error(void **state)
{
    rk_auto(rk_verifier_free) struct rk_verifier *v = verifier();
    rk_auto(rk_signer_free) struct rk_signer *first = NULL;

    (void)state;
    assert_int_equal(rk_verifier_fetch(v, pg, NULL), 0);
    first = key_new(0, 3600);
    assert_int_equal(check(v, first), RK_VERIFIER_FETCH);
    assert_int_equal(rk_verifier_fetch(v, pg, NULL), 0);
    assert_int_equal(check(v, first), 0);
}

static void keys_stay_while_postgres_is_away(void **state)
{
    rk_auto(rk_verifier_free) struct rk_verifier *v = verifier();
    rk_auto(rk_signer_free) struct rk_signer *s = key_new(0, 3600);
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_verifier_fetch(v, pg, NULL), 0);
    fixture_stop_postgres(&fx);
    rk_verifier_expire(v);
    assert_int_equal(rk_verifier_fetch(v, pg, &err), RK_UNAVAILABLE);
    assert_int_equal(check(v, s), 0);
    assert_true(fixture_start_postgres(&fx));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(keys_that_are_kept_count_and_new_ones_are_found, fresh),
        cmocka_unit_test_setup(a_provider_without_keys_yet_is_no_error, fresh),
        cmocka_unit_test_setup(keys_stay_while_postgres_is_away, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
