#include "services/dashboard-api/oauth/identity.h"
#include "services/dashboard-api/oauth/code.h"
#include "tests/support/test.h"

static void what_is_kept_is_read_again(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(rk_buf_done) struct rk_buf json = { .max = 1 << 16 };
    const struct rk_str groups[] = { RK_STR("a"), RK_STR("b \"c\"") };
    const struct identity in = { .user_id = "u",
                                 .connector_id = "local",
                                 .email = "\xc3\xa9@b.c",
                                 .email_verified = true,
                                 .groups = groups,
                                 .groups_n = 2 };
    struct identity out;
    struct rk_err err = { 0 };

    (void)state;
    identity_write(&in, &json);
    assert_int_equal(identity_read(rk_buf_str(&json), a, &out, &err), 0);
    assert_string_equal(out.user_id, "u");
    assert_string_equal(out.connector_id, "local");
    assert_string_equal(out.email, in.email);
    assert_string_equal(out.name, "");
    assert_string_equal(out.end_session_url, "");
    assert_true(out.email_verified);
    assert_int_equal(out.groups_n, 2);
    assert_true(rk_str_eq(out.groups[1], groups[1]));
    assert_int_equal(identity_read(RK_STR("{}"), a, &out, &err), RK_INTERNAL);
    assert_int_equal(identity_read(RK_STR("nonsense"), a, &out, &err), RK_INTERNAL);
}

/* RFC 7636, appendix B. */
static void a_verifier_is_held_against_its_challenge(void **state)
{
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    (void)state;
    assert_true(code_verifier_good("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", CHALLENGE));
    assert_false(code_verifier_good("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", CHALLENGE));
    assert_false(code_verifier_good(CHALLENGE, CHALLENGE));
    assert_false(code_verifier_good("", CHALLENGE));
    assert_false(code_verifier_good("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", ""));
    assert_false(code_verifier_good("dBjftJeZ4CVP mB92K27uhbUJU1p1r_wW1gFWFOEjXk", CHALLENGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_read_again),
        cmocka_unit_test(a_verifier_is_held_against_its_challenge),
    };

    return RUN_TESTS(tests);
}
