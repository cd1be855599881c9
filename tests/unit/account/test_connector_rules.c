/* The rules of connectors, against a real server. */

#include "tests/support/account_rules.h"

#include "libcommon/account/rules/connector.h"

static struct rk_seal seal = { .n = 1 };

static const struct rk_connector_input good = { .type = "keycloak",
                                                .name = "Our Keycloak",
                                                .issuer = "https://idp.d.test/realms/r",
                                                .client_id = "rookery",
                                                .client_secret = "a secret" };

static void a_connector_has_a_name_a_known_type_an_issuer_and_a_client(void **state)
{
    static const char *const bad_issuers[] = { "idp.d.test",  "ftp://idp.d.test", "https://",
                                               "https:///x",  "https://a b",      "https://a?b",
                                               "https://a#b", "HTTPS://a" };
    struct rk_connector_input in = { "", "", "", "", "", NULL };
    struct rk_err err = { 0 };

    (void)state;
    refused(rk_connector_validate(&in, true, &err), RK_INVALID, &err,
            "identity provider name is required");
    in.name = "n";
    refused(rk_connector_validate(&in, true, &err), RK_INVALID, &err,
            "identity provider type is required");
    in.type = "OIDC";
    refused(rk_connector_validate(&in, true, &err), RK_INVALID, &err,
            "unsupported identity provider type");
    in.type = "oidc";
    refused(rk_connector_validate(&in, true, &err), RK_INVALID, &err,
            "identity provider issuer is required");
    refused(rk_connector_validate(&in, false, &err), RK_INVALID, &err,
            "identity provider client id is required");
    for (size_t i = 0; i < RK_COUNT(bad_issuers); i++) {
        in.issuer = bad_issuers[i];
        refused(rk_connector_validate(&in, true, &err), RK_INVALID, &err,
                "identity provider issuer must be a valid url");
    }
    in.issuer = "https://idp.d.test";
    refused(rk_connector_validate(&in, true, &err), RK_INVALID, &err,
            "identity provider client id is required");
    in.client_id = "c";
    assert_int_equal(rk_connector_validate(&in, true, &err), 0);
    in.issuer = "";
    in.type = "google";
    assert_int_equal(rk_connector_validate(&in, true, &err), 0);
    in.type = "microsoft";
    assert_int_equal(rk_connector_validate(&in, true, &err), 0);
}

static void every_kind_is_known_by_its_name(void **state)
{
    enum rk_connector_kind got;

    (void)state;
    for (enum rk_connector_kind k = 0; k < RK_CONNECTOR_KINDS; k++) {
        assert_true(rk_connector_kind_parse(rk_connector_kind_name(k), &got));
        assert_int_equal(got, k);
    }
    assert_false(rk_connector_kind_parse("local", &got));
}

static void read_back(const char *id, struct rk_arena *arena, struct rk_connector *out)
{
    struct rk_err err = { 0 };

    done(rk_connector_read(pg, acc.account_id, id, &seal, arena, out, &err), &err);
}

static void its_id_tells_its_kind(void **state)
{
    struct rk_connector_input in = good;
    struct rk_err err = { 0 };
    char id[RK_CONNECTOR_ID_MAX];

    (void)state;
    done(rk_connector_create(pg, &actor, &seal, &in, id, &err), &err);
    assert_memory_equal(id, "keycloak-", 9);
    assert_true(rk_xid_valid(rk_str(id + 9)));
    in.type = "authentik";
    done(rk_connector_create(pg, &actor, &seal, &in, id, &err), &err);
    assert_memory_equal(id, "authentik-", 10);
    assert_true(rk_xid_valid(rk_str(id + 10)));
    in.type = "oidc";
    done(rk_connector_create(pg, &actor, &seal, &in, id, &err), &err);
    assert_true(rk_xid_valid(rk_str(id)));
}

static void its_secret_is_sealed_for_it_alone(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(1 << 20);
    struct rk_connector_input in = good;
    struct rk_connector got;
    struct rk_err err = { 0 };
    char a[RK_CONNECTOR_ID_MAX], b[RK_CONNECTOR_ID_MAX];

    (void)state;
    done(rk_connector_create(pg, &actor, &seal, &in, a, &err), &err);
    in.client_secret = "another secret";
    done(rk_connector_create(pg, &actor, &seal, &in, b, &err), &err);
    read_back(a, arena, &got);
    assert_string_equal(got.client_secret, "a secret");
    assert_string_equal(got.name, good.name);
    assert_string_equal(got.issuer, good.issuer);
    assert_string_equal(got.client_id, good.client_id);
    assert_string_equal(got.account_id, acc.account_id);
    assert_int_equal(got.kind, RK_CONNECTOR_KEYCLOAK);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM connector WHERE position('secret'::bytea IN "
                                 "sealed_secret) > 0"),
                     0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE meta::text LIKE '%a secret%' OR "
                                 "changes::text LIKE '%a secret%'"),
                     0);
    pg_must(pg, "UPDATE connector SET sealed_secret = (SELECT sealed_secret FROM connector ORDER "
                "BY created_at DESC LIMIT 1)");
    assert_true(rk_connector_read(pg, NULL, a, &seal, arena, &got, &err) < 0);
    assert_int_equal(rk_connector_read(pg, NULL, b, &seal, arena, &got, &err), 0);
    assert_int_equal(rk_connector_read(pg, NULL, a, NULL, arena, &got, &err), 0);
    assert_string_equal(got.client_secret, "");
}

static void what_is_left_empty_stays_and_the_type_always_does(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(1 << 20);
    struct rk_connector_input in = good;
    struct rk_connector got;
    struct rk_err err = { 0 };
    char id[RK_CONNECTOR_ID_MAX];

    (void)state;
    done(rk_connector_create(pg, &actor, &seal, &in, id, &err), &err);
    in.name = "Renamed";
    in.issuer = "";
    in.client_secret = "";
    done(rk_connector_update(pg, &actor, &seal, id, &in, &err), &err);
    read_back(id, arena, &got);
    assert_string_equal(got.name, "Renamed");
    assert_string_equal(got.issuer, good.issuer);
    assert_string_equal(got.client_secret, good.client_secret);
    in.client_secret = "rolled";
    in.issuer = "https://new.d.test";
    done(rk_connector_update(pg, &actor, &seal, id, &in, &err), &err);
    read_back(id, arena, &got);
    assert_string_equal(got.issuer, "https://new.d.test");
    assert_string_equal(got.client_secret, "rolled");
    in.type = "oidc";
    refused(rk_connector_update(pg, &actor, &seal, id, &in, &err), RK_INVALID, &err,
            "identity provider type cannot be changed");
    refused(rk_connector_update(pg, &actor, &seal, "nope", &in, &err), RK_NOT_FOUND, &err,
            "identity provider not found");
}

static void each_change_is_told_and_moves_no_map(void **state)
{
    struct rk_connector_input in = good;
    struct rk_err err = { 0 };
    char id[RK_CONNECTOR_ID_MAX];
    int64_t was = serial();

    (void)state;
    done(rk_connector_create(pg, &actor, &seal, &in, id, &err), &err);
    in.name = "Renamed";
    done(rk_connector_update(pg, &actor, &seal, id, &in, &err), &err);
    done(rk_connector_delete(pg, &actor, id, false, &err), &err);
    assert_int_equal(events_with("identityprovider.create", "issuer", good.issuer), 1);
    assert_int_equal(events_with("identityprovider.create", "type", "keycloak"), 1);
    assert_int_equal(events_with("identityprovider.update", "name", "Renamed"), 1);
    assert_int_equal(events_with("identityprovider.delete", "name", "Renamed"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = "
                                 "'identityprovider.update' AND changes->'name'->>'before' = "
                                 "'Our Keycloak'"),
                     1);
    assert_int_equal(serial(), was);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM connector"), 0);
}

/* Somebody is signed in through each of two connectors, in every way there is. */
static void sign_in(const char *id)
{
    char sql[2048];

    snprintf(sql, sizeof(sql),
             "INSERT INTO oauth_session (id, user_id, connector_id, identity, second_factor, "
             "remember, auth_time, used_at, expires_at) VALUES (sha256('s%s'), 'u', '%s', '{}', "
             "false, false, now(), now(), now() + interval '1 hour');"
             "INSERT INTO oauth_grant (id, user_id, connector_id, client_id, scope, identity, "
             "auth_time, expires_at, last_at) VALUES (sha256('g%s'), 'u', '%s', 'c', '', '{}', "
             "now(), now() + interval '1 hour', now() + interval '1 hour');"
             "INSERT INTO oauth_code (id, client_id, redirect_uri, scope, nonce, code_challenge, "
             "session, user_id, connector_id, identity, auth_time, good_until, expires_at) VALUES "
             "(sha256('c%s'), 'c', '', '', '', '', '', 'u', '%s', '{}', now(), now(), now())",
             id, id, id, id, id, id);
    pg_must(pg, sql);
}

static int64_t signed_in(const char *id)
{
    char sql[512];

    snprintf(sql, sizeof(sql),
             "SELECT (SELECT count(*) FROM oauth_session WHERE connector_id = '%s') + (SELECT "
             "count(*) FROM oauth_grant WHERE connector_id = '%s') + (SELECT count(*) FROM "
             "oauth_code WHERE connector_id = '%s')",
             id, id, id);
    return pg_ask(&fx, sql);
}

static void who_came_by_it_is_signed_out_with_it(void **state)
{
    struct rk_connector_input in = good;
    struct rk_err err = { 0 };
    char a[RK_CONNECTOR_ID_MAX], b[RK_CONNECTOR_ID_MAX];

    (void)state;
    done(rk_connector_create(pg, &actor, &seal, &in, a, &err), &err);
    done(rk_connector_create(pg, &actor, &seal, &in, b, &err), &err);
    sign_in(a);
    sign_in(b);
    in.client_secret = "rolled";
    done(rk_connector_update(pg, &actor, &seal, a, &in, &err), &err);
    assert_int_equal(signed_in(a), 3); /* the same people as before */
    in.issuer = "https://new.d.test";
    done(rk_connector_update(pg, &actor, &seal, a, &in, &err), &err);
    assert_int_equal(signed_in(a), 0);
    assert_int_equal(signed_in(b), 3);
    done(rk_connector_delete(pg, &actor, b, false, &err), &err);
    assert_int_equal(signed_in(b), 0);
}

static void another_account_does_not_see_it(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(1 << 20);
    struct rk_actor other = actor;
    struct rk_connector got;
    struct rk_err err = { 0 };
    char id[RK_CONNECTOR_ID_MAX];

    (void)state;
    done(rk_connector_create(pg, &actor, &seal, &good, id, &err), &err);
    pg_must(pg, "INSERT INTO account (id, is_primary, created_by, network_id, net4, settings, "
                "onboarding) SELECT 'other000000000000000', false, 'o', network_id, net4, "
                "settings, onboarding FROM account");
    other.account_id = "other000000000000000";
    refused(rk_connector_read(pg, other.account_id, id, NULL, arena, &got, &err), RK_NOT_FOUND,
            &err, "identity provider not found");
    refused(rk_connector_update(pg, &other, &seal, id, &good, &err), RK_NOT_FOUND, &err,
            "identity provider not found");
    refused(rk_connector_delete(pg, &other, id, false, &err), RK_NOT_FOUND, &err,
            "identity provider not found");
    read_back(id, arena, &got);
}

static void an_account_has_so_many_and_keeps_the_last_where_it_must(void **state)
{
    struct rk_err err = { 0 };
    char sql[400], id[RK_CONNECTOR_ID_MAX], another[RK_CONNECTOR_ID_MAX];

    (void)state;
    done(rk_connector_create(pg, &actor, &seal, &good, id, &err), &err);
    refused(rk_connector_delete(pg, &actor, id, true, &err), RK_PRECONDITION, &err,
            "the last identity provider stays while local authentication is disabled");
    snprintf(sql, sizeof(sql),
             "INSERT INTO connector (id, account_id, type, name, issuer, client_id, sealed_secret) "
             "SELECT 'c' || i, account_id, type, name, issuer, client_id, sealed_secret FROM "
             "connector, generate_series(2, %d) AS i",
             RK_CONNECTORS_MAX);
    pg_must(pg, sql);
    refused(rk_connector_create(pg, &actor, &seal, &good, another, &err), RK_PRECONDITION, &err,
            "an account has at most 50 identity providers");
    done(rk_connector_delete(pg, &actor, id, true, &err), &err);
    done(rk_connector_create(pg, &actor, &seal, &good, another, &err), &err);
}

static int start(void **state)
{
    struct rk_err err = { 0 };

    if (rk_seal_init(&seal, RK_STR("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), &err) < 0)
        return -1;
    return account_start(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connector_has_a_name_a_known_type_an_issuer_and_a_client),
        cmocka_unit_test(every_kind_is_known_by_its_name),
        cmocka_unit_test_setup(its_id_tells_its_kind, account_fresh),
        cmocka_unit_test_setup(its_secret_is_sealed_for_it_alone, account_fresh),
        cmocka_unit_test_setup(what_is_left_empty_stays_and_the_type_always_does, account_fresh),
        cmocka_unit_test_setup(each_change_is_told_and_moves_no_map, account_fresh),
        cmocka_unit_test_setup(who_came_by_it_is_signed_out_with_it, account_fresh),
        cmocka_unit_test_setup(another_account_does_not_see_it, account_fresh),
        cmocka_unit_test_setup(an_account_has_so_many_and_keeps_the_last_where_it_must,
                               account_fresh),
    };

    return cmocka_run_group_tests(tests, start, account_stop);
}
