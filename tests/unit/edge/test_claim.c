/* Claims: what is signed with our secret and harms nobody comes through, and nothing else. */

#include "tests/support/test.h"

#include <stdio.h>

#include "libcommon/crypto/token.h"
#include "libcommon/edge/claim.h"
#include "libcommon/edge/config.h"
#include "proto/edge.pb-c.h"

#define NOW INT64_C(1700000000000000)

static const struct rk_claim relay = { .url = "rels://relay-1.example:443",
                                       .region = "eu",
                                       .at = { true, 501100, -86800 },
                                       .capacity = 1000,
                                       .load = 7,
                                       .said_us = NOW };

static int open_as(const char *secret, struct rk_str message, struct rk_claim *out)
{
    static struct rk_arena *arena;
    struct rk_claim_key k;
    struct rk_err err = { 0 };

    rk_arena_free(arena); /* what the last one left */
    arena = rk_arena_new(16384);
    rk_claim_key_init(&k, rk_str(secret));
    return rk_claim_open(&k, message, NOW, arena, out, &err);
}

static void seal(const struct rk_claim *c, struct rk_buf *out)
{
    struct rk_claim_key k;

    rk_claim_key_init(&k, RK_STR("secret"));
    rk_buf_init(out, 4096);
    rk_claim_seal(&k, c, out);
}

static void a_claim_comes_out_as_it_went_in(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_claim got;

    (void)state;
    seal(&relay, &b);
    assert_int_equal(open_as("secret", rk_buf_str(&b), &got), 0);
    assert_string_equal(got.url, relay.url);
    assert_string_equal(got.region, "eu");
    assert_true(got.at.known);
    assert_int_equal(got.at.latitude_e4, 501100);
    assert_int_equal(got.at.longitude_e4, -86800);
    assert_int_equal(got.capacity, 1000);
    assert_int_equal(got.load, 7);
    assert_false(got.leaving);
    assert_int_equal(got.said_us, NOW);
}

static void a_claim_of_another_secret_is_denied(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_claim got;

    (void)state;
    seal(&relay, &b);
    assert_int_equal(open_as("secret2", rk_buf_str(&b), &got), RK_DENIED);
    for (size_t i = 0; i < b.n; i++) { /* nor does one bit of it count for nothing */
        b.p[i] ^= 1;
        assert_true(open_as("secret", rk_buf_str(&b), &got) < 0);
        b.p[i] ^= 1;
    }
    for (size_t n = 0; n < b.n; n++)
        assert_true(open_as("secret", rk_strn(b.p, n), &got) < 0);
}

/* Agents hold credentials that are signed with the same secret. */
static void the_key_of_agents_credentials_signs_no_claim(void **state)
{
    struct rk_claim_key claims;
    struct rk_relay_key credentials;

    (void)state;
    rk_claim_key_init(&claims, RK_STR("secret"));
    rk_relay_key_init(&credentials, RK_STR("secret"));
    assert_memory_not_equal(claims.ring.key, credentials.ring.key, 32);
}

static void while_the_secret_changes_claims_of_both_are_taken(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b = { 0 };
    struct rk_claim_key both;
    struct rk_claim got;

    (void)state;
    seal(&relay, &b);
    assert_int_equal(open_as("other\nsecret", rk_buf_str(&b), &got), 0);
    rk_claim_key_init(&both, RK_STR("secret\nold"));
    rk_buf_clear(&b);
    rk_claim_seal(&both, &relay, &b);
    assert_int_equal(open_as("secret", rk_buf_str(&b), &got), 0);
    assert_int_equal(open_as("old", rk_buf_str(&b), &got), RK_DENIED);
}

static void a_claim_from_another_time_is_denied(void **state)
{
    static const int64_t off_s[] = { -61, 61, -3600 };
    struct rk_claim got, c = relay;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(off_s); i++) {
        rk_auto(rk_buf_done) struct rk_buf b;

        c.said_us = NOW + off_s[i] * 1000000;
        seal(&c, &b);
        assert_int_equal(open_as("secret", rk_buf_str(&b), &got), RK_DENIED);
    }
}

static void what_could_harm_agents_is_invalid(void **state)
{
    static const char *const urls[] = { "",
                                        "relay.example:443",
                                        "http://relay.example:443",
                                        "rels://relay.example",
                                        "rels://relay.example:443/",
                                        "rels://relay.example:443/relay",
                                        "rels://relay example:443",
                                        "rels://relay.example:0443",
                                        "stun://relay.example:3478",
                                        "stun:relay.example",
                                        "stun:relay.example:3478?transport=udp",
                                        "stun:" };
    struct rk_claim got, c = relay;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(urls); i++) {
        rk_auto(rk_buf_done) struct rk_buf b;

        c.url = urls[i];
        seal(&c, &b);
        if (open_as("secret", rk_buf_str(&b), &got) != RK_INVALID)
            fail_msg("%s was taken", urls[i]);
    }
    c = relay;
    c.region = "EU West";
    {
        rk_auto(rk_buf_done) struct rk_buf b;

        seal(&c, &b);
        assert_int_equal(open_as("secret", rk_buf_str(&b), &got), RK_INVALID);
    }
    c = relay;
    c.at.latitude_e4 = 900001;
    {
        rk_auto(rk_buf_done) struct rk_buf b;

        seal(&c, &b);
        assert_int_equal(open_as("secret", rk_buf_str(&b), &got), RK_INVALID);
    }
}

static void addresses_of_both_kinds_are_known_apart(void **state)
{
    enum rk_edge_kind kind;

    (void)state;
    assert_int_equal(rk_edge_url_check(RK_STR("rel://10.0.0.1:8083"), &kind, NULL), 0);
    assert_int_equal(kind, RK_EDGE_RELAY);
    assert_int_equal(rk_edge_url_check(RK_STR("rels://[2001:db8::1]:443"), &kind, NULL), 0);
    assert_int_equal(kind, RK_EDGE_RELAY);
    assert_int_equal(rk_edge_url_check(RK_STR("stun:stun.example:3478"), &kind, NULL), 0);
    assert_int_equal(kind, RK_EDGE_STUN);
}

static void positions_are_degrees(void **state)
{
    static const char *const bad[] = { "50",   "50,",    ",8",  "91,0",  "0,181",
                                       "50;8", "50,8,1", "a,b", "nan,1", "1e1,1" };
    struct rk_position at;

    (void)state;
    assert_int_equal(rk_position_parse(RK_STR("50.11, -8.68"), &at, NULL), 0);
    assert_true(at.known);
    assert_int_equal(at.latitude_e4, 501100);
    assert_int_equal(at.longitude_e4, -86800);
    assert_int_equal(rk_position_parse(RK_STR(""), &at, NULL), 0);
    assert_false(at.known);
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        if (rk_position_parse(rk_str(bad[i]), &at, NULL) != RK_INVALID)
            fail_msg("%s was taken", bad[i]);
}

static void settings_that_cannot_work_are_refused(void **state)
{
    char https[] = "https://mesh.example", ftp[] = "ftp://mesh.example:1", empty[] = "";
    struct rk_edge_config c = { https, empty, empty, empty };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_edge_config_check(&c, "stun:s.example:3478", RK_EDGE_STUN, "secret", &err),
                     0);
    assert_int_equal(rk_edge_config_check(&c, "stun:s.example:3478", RK_EDGE_STUN, "", &err),
                     RK_INVALID);
    assert_int_equal(rk_edge_config_check(&c, "rel://s.example:80", RK_EDGE_STUN, "secret", &err),
                     RK_INVALID);
    assert_int_equal(rk_edge_config_check(&c, "", RK_EDGE_STUN, "secret", &err), RK_INVALID);
    c.management_url = ftp;
    assert_int_equal(rk_edge_config_check(&c, "stun:s.example:3478", RK_EDGE_STUN, "secret", &err),
                     RK_INVALID);
    c.management_url = empty; /* it does not register */
    assert_int_equal(rk_edge_config_check(&c, "", RK_EDGE_STUN, "", &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_claim_comes_out_as_it_went_in),
        cmocka_unit_test(a_claim_of_another_secret_is_denied),
        cmocka_unit_test(the_key_of_agents_credentials_signs_no_claim),
        cmocka_unit_test(while_the_secret_changes_claims_of_both_are_taken),
        cmocka_unit_test(a_claim_from_another_time_is_denied),
        cmocka_unit_test(what_could_harm_agents_is_invalid),
        cmocka_unit_test(addresses_of_both_kinds_are_known_apart),
        cmocka_unit_test(positions_are_degrees),
        cmocka_unit_test(settings_that_cannot_work_are_refused),
    };

    return RUN_TESTS(tests);
}
