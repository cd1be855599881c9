#include "services/dashboard-api/auth/caller.h"
#include "tests/support/test.h"

#define PAT "nbp_abcdefghijklmnopqrstuvwxyz01232LolCm"

static enum credential read(const char *header)
{
    struct rk_str token = { NULL, 0 };
    enum credential c = caller_credential(rk_str(header), &token);

    if (c == CREDENTIAL_TOKEN)
        assert_true(rk_str_eq(token, RK_STR(PAT)));
    return c;
}

static void both_schemes_carry_a_token(void **state)
{
    (void)state;
    assert_int_equal(read("Token " PAT), CREDENTIAL_TOKEN);
    assert_int_equal(read("Bearer " PAT), CREDENTIAL_TOKEN);
    assert_int_equal(read("tOKEN " PAT), CREDENTIAL_TOKEN);
}

static void another_scheme_or_form_is_no_authentication(void **state)
{
    (void)state;
    assert_int_equal(read(""), CREDENTIAL_NONE);
    assert_int_equal(read("Token"), CREDENTIAL_NONE);
    assert_int_equal(read("Token "), CREDENTIAL_NONE);
    assert_int_equal(read("Basic " PAT), CREDENTIAL_NONE);
    assert_int_equal(read("Token " PAT " x"), CREDENTIAL_NONE);
    assert_int_equal(read("Token  " PAT), CREDENTIAL_NONE);
}

static void a_token_is_checked_before_any_database_is_asked(void **state)
{
    (void)state;
    assert_int_equal(read("Token nbp_abcdefghijklmnopqrstuvwxyz01232LolCn"), CREDENTIAL_INVALID);
    assert_int_equal(read("Token nbp_short"), CREDENTIAL_INVALID);
    assert_int_equal(read("Token eyJhbGciOiJub25lIn0.e30."), CREDENTIAL_INVALID);
}

static void a_bearer_that_is_no_access_token_is_the_identity_providers(void **state)
{
    char header[20 * 1024] = "bEARER ";

    (void)state;
    assert_int_equal(read("Bearer eyJhbGciOiJub25lIn0.e30."), CREDENTIAL_JWT);
    assert_int_equal(read("Bearer nbp_short"), CREDENTIAL_INVALID);
    memset(header + 7, 'x', RK_JWT_MAX);
    assert_int_equal(read(header), CREDENTIAL_JWT);
    header[7 + RK_JWT_MAX] = 'x';
    assert_int_equal(read(header), CREDENTIAL_INVALID);
}

/* Runs the check of a GET with the given role on module policies. */
static int permit(struct call *c, const struct route *route, struct rk_err *err)
{
    c->route = route;
    return caller_permit(c, err);
}

static const struct route read_policies = { "GET", "/p", NULL, "policies",
                                            .need = { { RK_MOD_POLICIES, RK_OP_READ } } };
static const struct route write_policies = { "POST", "/p", NULL, "policies",
                                             .need = { { RK_MOD_POLICIES, RK_OP_CREATE } } };
static const struct route less_policies = { "GET",
                                            "/p",
                                            NULL,
                                            "policies",
                                            .need = { { RK_MOD_POLICIES, RK_OP_READ } },
                                            .refusal = REFUSE_NEVER };
static const struct route self = { "GET", "/me", NULL, "users", .refusal = REFUSE_SELF };

static void roles_are_held_to_the_table(void **state)
{
    struct call c = { .caller = { .role = RK_ROLE_AUDITOR } };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(permit(&c, &read_policies, &err), 0);
    assert_int_equal(permit(&c, &write_policies, &err), RK_DENIED);
    assert_string_equal(err.msg, "permission denied");
    c.caller.role = RK_ROLE_USER;
    assert_int_equal(permit(&c, &read_policies, &err), RK_DENIED);
    assert_int_equal(permit(&c, &less_policies, &err), 0);
    assert_false(c.permitted);
    c.caller.is_service_user = true;
    assert_int_equal(permit(&c, &read_policies, &err), 0);
    assert_int_equal(permit(&c, &write_policies, &err), RK_DENIED);
}

static void blocked_and_pending_users_are_told_in_the_words_clients_look_for(void **state)
{
    struct call c = { .caller = { .role = RK_ROLE_OWNER, .blocked = true } };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(permit(&c, &read_policies, &err), RK_DENIED);
    assert_string_equal(err.msg, "failed to validate user permissions: user is blocked");
    assert_int_equal(permit(&c, &self, &err), RK_DENIED);
    assert_string_equal(err.msg, "user is blocked");
    c.caller.pending_approval = true;
    assert_int_equal(permit(&c, &less_policies, &err), RK_DENIED);
    assert_string_equal(err.msg, "failed to validate user permissions: user is pending approval");
}

static void a_role_without_a_table_is_an_error_of_its_own(void **state)
{
    char role[] = "billing_admin";
    struct call c = { .caller = { .role = RK_ROLE_BILLING_ADMIN, .role_name = role } };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(permit(&c, &read_policies, &err), RK_DENIED);
    assert_string_equal(err.msg,
                        "failed to validate user permissions: user role: billing_admin not found");
    assert_int_equal(permit(&c, &self, &err), 0);
}

static void a_service_user_has_no_page_of_its_own(void **state)
{
    struct call c = { .caller = { .role = RK_ROLE_ADMIN, .is_service_user = true } };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(permit(&c, &self, &err), RK_DENIED);
    assert_string_equal(err.msg, "permission denied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_schemes_carry_a_token),
        cmocka_unit_test(another_scheme_or_form_is_no_authentication),
        cmocka_unit_test(a_token_is_checked_before_any_database_is_asked),
        cmocka_unit_test(a_bearer_that_is_no_access_token_is_the_identity_providers),
        cmocka_unit_test(roles_are_held_to_the_table),
        cmocka_unit_test(blocked_and_pending_users_are_told_in_the_words_clients_look_for),
        cmocka_unit_test(a_role_without_a_table_is_an_error_of_its_own),
        cmocka_unit_test(a_service_user_has_no_page_of_its_own),
    };

    return RUN_TESTS(tests);
}
