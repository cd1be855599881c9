#include "services/dashboard-api/api/setup_body.h"
#include "tests/support/test.h"

/* NULL: accepted. */
static void expect(const char *text, bool pat_enabled, int code, const char *message)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(1 << 20);
    rk_auto(body_done) struct body body = { 0 };
    struct setup_body out;
    struct rk_err err = { 0 };

    assert_int_equal(setup_body_decode(rk_str(text), arena, pat_enabled, &body, &out, &err), code);
    if (message)
        assert_string_equal(err.msg, message);
}

#define WITH(email, name, password)                                                                \
    "{\"email\":\"" email "\",\"name\":\"" name "\",\"password\":\"" password "\"}"
#define GOOD "\"email\":\"a@b.co\",\"name\":\"A\",\"password\":\"Longenough1!\""

static void fields_are_checked_in_their_order(void **state)
{
    (void)state;
    expect("nope", false, RK_BAD_REQUEST, "invalid request body");
    expect("{\"email\":1}", false, RK_BAD_REQUEST, "invalid request body");
    expect("{}", false, RK_INVALID, "email is required");
    expect(WITH("", "", ""), false, RK_INVALID, "email is required");
    expect(WITH("x", "A", "Longenough1!"), false, RK_INVALID, "invalid email format");
    expect(WITH("a@b.co", "", ""), false, RK_INVALID, "name is required");
    expect(WITH("a@b.co", "A", ""), false, RK_INVALID, "password is required");
    expect(WITH("a@b.co", "A", "short"), false, RK_INVALID,
           "password must be at least 8 characters");
    expect(WITH("a@b.co", "A",
                "1234567890123456789012345678901234567890123456789012345678901234567890123"),
           false, RK_INVALID, "password must be at most 72 characters");
    expect(WITH("a@b.co", "A", "longenough1!"), false, RK_INVALID,
           "password must contain at least one uppercase letter");
    expect("{" GOOD "}", false, 0, NULL);
}

static void an_address_needs_both_sides(void **state)
{
    static const char *const bad[] = { "@b.co", "a@", "a@b@c", "a b@c.de", "a@b..c", "<a@b.co>" };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        char text[256];

        snprintf(text, sizeof(text),
                 "{\"email\":\"%s\",\"name\":\"A\",\"password\":\"Longenough1!\"}", bad[i]);
        expect(text, false, RK_INVALID, "invalid email format");
    }
    expect(WITH("a@localhost", "A", "Longenough1!"), false, 0, NULL);
}

static void the_lifetime_of_a_token_counts_only_when_one_will_be_made(void **state)
{
    (void)state;
    expect("{\"create_pat\":true,\"pat_expire_in\":0}", true, RK_INVALID,
           "pat_expire_in must be between 1 and 365");
    expect("{\"create_pat\":true,\"pat_expire_in\":366," GOOD "}", true, RK_INVALID,
           "pat_expire_in must be between 1 and 365");
    expect("{\"create_pat\":true,\"pat_expire_in\":366," GOOD "}", false, 0, NULL);
    expect("{\"create_pat\":false,\"pat_expire_in\":366," GOOD "}", true, 0, NULL);
    expect("{\"create_pat\":true," GOOD "}", true, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_checked_in_their_order),
        cmocka_unit_test(an_address_needs_both_sides),
        cmocka_unit_test(the_lifetime_of_a_token_counts_only_when_one_will_be_made),
    };

    return RUN_TESTS(tests);
}
