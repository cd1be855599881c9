#include "services/dashboard-api/oauth/keys.h"

#include <pthread.h>

#include "libcommon/crypto/box.h"
#include "tests/support/account_pg.h"
#include "tests/support/tokens.h"

#define KEPT_S 7200

static struct rk_seal seal = { .n = 1 };

static void get(struct keys *k, bool again, struct key_set **out)
{
    struct rk_err err = { 0 };

    if (keys_get(k, pg, again, out, &err) < 0)
        fail_msg("%s", err.msg);
}

struct replica {
    pthread_t thread;
    struct key_set *set;
    struct rk_err err;
};

/* A server that many processes keep from answering in time is asked again, as by any caller. */
static void *race(void *arg)
{
    struct replica *x = arg;
    rk_auto(rk_pg_free) struct rk_pg *own = rk_pg_new(fx.conninfo, "race");
    rk_auto(keys_free) struct keys *k = keys_new(&seal, KEPT_S);
    int r;

    do
        r = keys_get(k, own, false, &x->set, &x->err);
    while (r == RK_UNAVAILABLE);
    return NULL;
}

static void replicas_that_start_together_make_one_key(void **state)
{
    struct replica all[4] = { { .set = NULL } };

    (void)state;
    pg_must(pg, "DELETE FROM signing_key");
    for (size_t i = 0; i < RK_COUNT(all); i++)
        assert_int_equal(pthread_create(&all[i].thread, NULL, race, &all[i]), 0);
    for (size_t i = 0; i < RK_COUNT(all); i++)
        pthread_join(all[i].thread, NULL);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM signing_key"), 1);
    for (size_t i = 0; i < RK_COUNT(all); i++) {
        if (!all[i].set)
            fail_msg("%s", all[i].err.msg);
        assert_string_equal(rk_signer_kid(all[i].set->signer), rk_signer_kid(all[0].set->signer));
        assert_int_equal(rk_jwks_count(all[i].set->published), 1);
    }
    for (size_t i = 0; i < RK_COUNT(all); i++)
        key_set_unref(all[i].set);
}

static void the_next_key_is_published_before_it_signs(void **state)
{
    rk_auto(keys_free) struct keys *k = keys_new(&seal, KEPT_S);
    rk_auto(key_set_unref) struct key_set *set = NULL;

    (void)state;
    pg_must(pg, "DELETE FROM signing_key");
    get(k, false, &set);
    pg_must(pg, "UPDATE signing_key SET signs_until = "
                "date_trunc('second', now()) + interval '90 minutes'");
    keys_free(rk_steal(k));
    k = keys_new(&seal, KEPT_S);
    key_set_unref(rk_steal(set));
    get(k, false, &set);
    assert_int_equal(rk_jwks_count(set->published), 2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM signing_key a JOIN signing_key b ON "
                                 "b.signs_from = a.signs_until"),
                     1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM signing_key WHERE kept_until = "
                                 "signs_until + interval '7200 seconds' AND signs_from > now()"),
                     1);
}

static void rotating_publishes_the_next_one_and_keeps_the_old_one(void **state)
{
    rk_auto(keys_free) struct keys *k = keys_new(&seal, KEPT_S);
    rk_auto(key_set_unref) struct key_set *before = NULL, *after = NULL;
    struct rk_err err = { 0 };

    (void)state;
    pg_must(pg, "DELETE FROM signing_key");
    get(k, false, &before);
    assert_int_equal(keys_rotate(k, pg, false, &err), 0);
    keys_free(rk_steal(k));
    k = keys_new(&seal, KEPT_S);
    get(k, false, &after);
    assert_string_equal(rk_signer_kid(after->signer), rk_signer_kid(before->signer));
    assert_int_equal(rk_jwks_count(after->published), 2);
    pg_must(pg, "UPDATE signing_key SET signs_from = signs_from - interval '2 hours', "
                "signs_until = signs_until - interval '2 hours'");
    keys_free(rk_steal(k));
    k = keys_new(&seal, KEPT_S);
    key_set_unref(rk_steal(after));
    get(k, false, &after);
    assert_string_not_equal(rk_signer_kid(after->signer), rk_signer_kid(before->signer));
    assert_true(token_set_has(after->published, rk_signer_kid(before->signer)));
}

static void a_key_that_was_stolen_is_out_of_force_at_once(void **state)
{
    rk_auto(keys_free) struct keys *k = keys_new(&seal, KEPT_S);
    rk_auto(key_set_unref) struct key_set *before = NULL, *after = NULL;
    struct rk_err err = { 0 };

    (void)state;
    pg_must(pg, "DELETE FROM signing_key");
    get(k, false, &before);
    assert_int_equal(keys_rotate(k, pg, true, &err), 0);
    keys_free(rk_steal(k));
    k = keys_new(&seal, KEPT_S);
    get(k, false, &after);
    assert_int_equal(rk_jwks_count(after->published), 1);
    assert_false(token_set_has(after->published, rk_signer_kid(before->signer)));
}

static void another_secret_key_is_said_to_be_the_reason(void **state)
{
    rk_auto(keys_free) struct keys *k = keys_new(&seal, KEPT_S);
    rk_auto(key_set_unref) struct key_set *set = NULL;
    struct rk_seal other;
    struct rk_err err = { 0 };

    (void)state;
    pg_must(pg, "DELETE FROM signing_key");
    get(k, false, &set);
    keys_free(rk_steal(k));
    assert_int_equal(
        rk_seal_init(&other, RK_STR("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="), &err), 0);
    k = keys_new(&other, KEPT_S);
    key_set_unref(rk_steal(set));
    assert_int_equal(keys_get(k, pg, false, &set, &err), RK_INTERNAL);
    assert_non_null(strstr(err.msg, "secret_key"));
}

static int begin(void **state)
{
    struct rk_err err = { 0 };

    if (account_start(state) < 0)
        return -1;
    return rk_seal_init(&seal, RK_STR("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_that_start_together_make_one_key),
        cmocka_unit_test(the_next_key_is_published_before_it_signs),
        cmocka_unit_test(rotating_publishes_the_next_one_and_keeps_the_old_one),
        cmocka_unit_test(a_key_that_was_stolen_is_out_of_force_at_once),
        cmocka_unit_test(another_secret_key_is_said_to_be_the_reason),
    };

    return cmocka_run_group_tests(tests, begin, account_stop);
}
