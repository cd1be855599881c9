/* secret_key is changed: what was sealed under the old one opens under the new one alone, and
 * nothing is forgotten. */

#include "libcommon/account/store/reseal.h"

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "tests/support/account_peers.h"

#define PLACES 7

/* Where something is sealed: as `name`, by an INSERT whose $1 it is, and read by a SELECT. */
static const struct place {
    const char *name;
    struct rk_pg_stmt add, read;
} places[PLACES] = {
    { "a",
      { "t_add_1", "INSERT INTO secret (name, sealed) VALUES ('a', $1)" },
      { "t_read_1", "SELECT sealed FROM secret WHERE name = 'a'" } },
    { "signing_key/kid",
      { "t_add_2",
        "INSERT INTO signing_key (kid, public_jwk, sealed, signs_from, signs_until, kept_until) "
        "VALUES ('kid', '{}', $1, now(), now(), now())" },
      { "t_read_2", "SELECT sealed FROM signing_key" } },
    { "connector/okta-1",
      { "t_add_3", "INSERT INTO connector (id, account_id, type, name, client_id, sealed_secret) "
                   "SELECT 'okta-1', id, 'okta', 'n', 'c', $1 FROM account" },
      { "t_read_3", "SELECT sealed_secret FROM connector" } },
    { "totp/u1",
      { "t_add_4",
        "INSERT INTO user_factor (user_id, sealed_totp, last_step) VALUES ('u1', $1, 0)" },
      { "t_read_4", "SELECT sealed_totp FROM user_factor" } },
    { "login/0aff",
      { "t_add_5",
        "INSERT INTO oauth_login (id, browser, client_id, redirect_uri, scope, note, expires_at) "
        "VALUES ('\\x0aff', '\\x00', 'c', '', 's', $1, now())" },
      { "t_read_5", "SELECT note FROM oauth_login" } },
    { "refresh/00",
      { "t_add_6", "INSERT INTO oauth_grant (id, user_id, connector_id, client_id, scope, "
                   "identity, auth_time, "
                   "refresh_key, expires_at, last_at) "
                   "VALUES ('\\x00', 'u', '', 'c', 's', '{}', now(), $1, now(), now())" },
      { "t_read_6", "SELECT refresh_key FROM oauth_grant WHERE refresh_key IS NOT NULL" } },
    { "device/ff",
      { "t_add_7", "INSERT INTO oauth_device (id, user_code, sealed_code, client_id, scope, "
                   "remote_ip, good_until, "
                   "expires_at) VALUES ('\\xff', '\\x01', $1, 'c', 's', '', now(), now())" },
      { "t_read_7", "SELECT sealed_code FROM oauth_device" } },
};

static char old_key[45], new_key[45];

static void make_key(char out[45])
{
    uint8_t key[RK_SEAL_KEY];

    rk_random(key, sizeof(key));
    rk_b64_encode(key, sizeof(key), out);
}

static void ring(struct rk_seal *s, const char *first, const char *second)
{
    char text[100];

    snprintf(text, sizeof(text), "%s\n%s", first, second);
    assert_int_equal(rk_seal_init(s, rk_str(text), NULL), 0);
}

static void fill(const struct rk_seal *s)
{
    fresh(0);
    pg_must(pg, "INSERT INTO users (id, account_id, role) SELECT 'u1', id, 'user' FROM account");
    pg_must(pg, "DELETE FROM secret");
    pg_must(pg, "DELETE FROM signing_key");
    pg_must(pg, "DELETE FROM oauth_login");
    pg_must(pg, "DELETE FROM oauth_grant");
    pg_must(pg, "DELETE FROM oauth_device");
    for (size_t i = 0; i < PLACES; i++) {
        rk_auto(rk_buf_done) struct rk_buf sealed = { .max = 256 };
        struct rk_err err = { 0 };

        rk_seal_put(s, places[i].name, rk_str(places[i].name), &sealed);
        if (rk_pg_run(pg, &places[i].add, NULL, &err, RK_P_BYTEA(rk_buf_str(&sealed))) < 0)
            fail_msg("%s: %s", places[i].name, err.msg);
    }
}

/* How many of the places open under this. */
static unsigned opened(const struct rk_seal *s)
{
    unsigned n = 0;

    for (size_t i = 0; i < PLACES; i++) {
        rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
        rk_auto(rk_buf_done) struct rk_buf plain = { .max = 256 };
        uint8_t *sealed = NULL;
        size_t len = 0;

        assert_int_equal(rk_pg_run(pg, &places[i].read, &res, NULL), 0);
        assert_int_equal(rk_pg_rows(res), 1);
        rk_pg_bytea(res, 0, 0, &sealed, &len);
        n += rk_seal_get(s, places[i].name, rk_strn(sealed, len), &plain, NULL) == 0 &&
             rk_str_eq(rk_buf_str(&plain), rk_str(places[i].name));
        free(sealed);
    }
    return n;
}

static void all_of_it_opens_under_the_new_key_alone(void **state)
{
    struct rk_seal old, both, new;
    struct rk_reseal sum;
    struct rk_retired_keys retired;

    (void)state;
    make_key(old_key);
    make_key(new_key);
    assert_int_equal(rk_seal_init(&old, rk_str(old_key), NULL), 0);
    assert_int_equal(rk_seal_init(&new, rk_str(new_key), NULL), 0);
    ring(&both, new_key, old_key);
    fill(&old);
    assert_int_equal(opened(&both), PLACES);
    assert_int_equal(opened(&new), 0);
    assert_int_equal(rk_store_reseal(pg, &both, &sum, NULL), 0);
    assert_int_equal(sum.changed, PLACES);
    assert_int_equal(sum.already, 1); /* the old key itself */
    assert_int_equal(sum.lost, 0);
    assert_int_equal(opened(&new), PLACES);
    assert_int_equal(opened(&old), 0);
    assert_int_equal(rk_store_reseal(pg, &both, &sum, NULL), 0);
    assert_int_equal(sum.changed, 0);
    assert_int_equal(sum.already, PLACES + 1);
    assert_int_equal(rk_store_retired_keys(pg, &new, &retired, NULL), 0);
    assert_int_equal(retired.n, 1);
    assert_memory_equal(retired.key[0], old.key[0], RK_SEAL_KEY);
}

static void what_opens_under_neither_is_counted_and_left(void **state)
{
    struct rk_seal old, both;
    struct rk_reseal sum;

    (void)state;
    make_key(old_key);
    make_key(new_key);
    assert_int_equal(rk_seal_init(&old, rk_str(old_key), NULL), 0);
    fill(&old);
    make_key(old_key); /* not the one any more */
    ring(&both, new_key, old_key);
    assert_int_equal(rk_store_reseal(pg, &both, &sum, NULL), 0);
    assert_int_equal(sum.lost, PLACES);
    assert_int_equal(sum.changed, 0);
    assert_int_equal(opened(&old), PLACES);
}

static void more_than_a_batch_is_taken_to_the_last_one(void **state)
{
    static const struct rk_pg_stmt copy = {
        "t_copy", "INSERT INTO oauth_grant (id, user_id, connector_id, client_id, scope, identity, "
                  "auth_time, "
                  "refresh_key, expires_at, last_at) "
                  "VALUES (decode($1,'hex'), 'u', '', 'c', 's', '{}', now(), $2, now(), now())"
    };
    struct rk_seal old, both;
    struct rk_reseal sum;

    (void)state;
    make_key(old_key);
    make_key(new_key);
    assert_int_equal(rk_seal_init(&old, rk_str(old_key), NULL), 0);
    fill(&old);
    for (unsigned i = 1; i <= 450; i++) {
        rk_auto(rk_buf_done) struct rk_buf sealed = { .max = 256 };
        char id[16], name[32];

        snprintf(id, sizeof(id), "%08x", i * 7919);
        snprintf(name, sizeof(name), "refresh/%s", id);
        rk_seal_put(&old, name, RK_STR("k"), &sealed);
        assert_int_equal(
            rk_pg_run(pg, &copy, NULL, NULL, RK_P_C(id), RK_P_BYTEA(rk_buf_str(&sealed))), 0);
    }
    ring(&both, new_key, old_key);
    assert_int_equal(rk_store_reseal(pg, &both, &sum, NULL), 0);
    assert_int_equal(sum.changed, PLACES + 450);
    assert_int_equal(sum.lost, 0);
}

/* A new column of bytes is named here, or has a row in reseal.c and one above. */
static void every_sealed_column_is_among_them(void **state)
{
    (void)state;
    assert_int_equal(
        pg_ask(&fx,
               "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' "
               "AND data_type = 'bytea' AND column_name NOT IN ('id', 'hash', 'meta_hash', "
               "'browser', 'device', 'session', 'grant_id', 'user_code', 'digest', 'public_key', "
               "'peer_key')"),
        PLACES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_opens_under_the_new_key_alone),
        cmocka_unit_test(what_opens_under_neither_is_counted_and_left),
        cmocka_unit_test(more_than_a_batch_is_taken_to_the_last_one),
        cmocka_unit_test(every_sealed_column_is_among_them),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
