#include "services/dashboard-api/connector/trip.h"

#include "tests/support/test.h"

static void a_trip_is_kept_and_read_again(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf note = { 0 };
    struct trip a, b;

    (void)state;
    rk_buf_init(&note, 4096);
    trip_new(&a, "keycloak-0123456789abcdefghij");
    trip_write(&a, &note);
    assert_true(trip_read(rk_buf_str(&note), &b));
    assert_string_equal(b.connector_id, "keycloak-0123456789abcdefghij");
    assert_string_equal(a.mark, b.mark);
    assert_string_equal(a.nonce, b.nonce);
    assert_string_equal(a.verifier, b.verifier);
}

static void no_two_trips_share_anything(void **state)
{
    struct trip a, b;

    (void)state;
    trip_new(&a, "c");
    trip_new(&b, "c");
    assert_string_not_equal(a.mark, b.mark);
    assert_string_not_equal(a.nonce, b.nonce);
    assert_string_not_equal(a.verifier, b.verifier);
    assert_string_not_equal(a.mark, a.nonce);
    assert_string_not_equal(a.nonce, a.verifier);
}

static void what_is_no_trip_is_not_read(void **state)
{
    static const char *const bad[] = { "",          "c",
                                       "c\nm\nn",   "c\nm\nn\nv\nmore",
                                       "\nm\nn\nv", "0123456789012345678901234567890123\nm\nn\nv" };
    struct trip t;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(trip_read(rk_str(bad[i]), &t));
    assert_false(trip_read((struct rk_str){ NULL, 0 }, &t));
}

static void a_state_leads_to_its_login_and_to_no_other_trip(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(1 << 20);
    struct trip a, b;
    const char *s;

    (void)state;
    trip_new(&a, "c");
    trip_new(&b, "c");
    s = trip_state(&a, "login.with.dots", arena);
    assert_string_equal(trip_login(s, arena), "login.with.dots");
    assert_true(trip_is(&a, s));
    assert_false(trip_is(&b, s));
}

static void what_is_no_state_leads_nowhere(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(1 << 20);
    char long_one[400];
    struct trip t;
    const char *bad[] = { "", "login", "login.", "login.short", long_one, NULL };

    (void)state;
    trip_new(&t, "c");
    memset(long_one, 'x', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    long_one[sizeof(long_one) - 2 - TRIP_SECRET_LEN] = '.';
    for (size_t i = 0; bad[i]; i++) {
        assert_null(trip_login(bad[i], arena));
        assert_false(trip_is(&t, bad[i]));
    }
    assert_null(trip_login(rk_arena_printf(arena, ".%s", t.mark), arena));
}

/* RFC 7636, appendix B. */
static void a_challenge_is_the_hash_of_the_verifier(void **state)
{
    struct trip t;
    char challenge[TRIP_SECRET_LEN + 1];

    (void)state;
    trip_new(&t, "c");
    memcpy(t.verifier, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", TRIP_SECRET_LEN);
    trip_challenge(&t, challenge);
    assert_string_equal(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trip_is_kept_and_read_again),
        cmocka_unit_test(no_two_trips_share_anything),
        cmocka_unit_test(what_is_no_trip_is_not_read),
        cmocka_unit_test(a_state_leads_to_its_login_and_to_no_other_trip),
        cmocka_unit_test(what_is_no_state_leads_nowhere),
        cmocka_unit_test(a_challenge_is_the_hash_of_the_verifier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
