#include "services/dashboard-api/oauth/client_auth.h"
#include "tests/support/test.h"

static const struct clients clients = { .list = { { .id = "web" }, { .id = "cli" } } };

/* The client's id, or the error. */
static const char *who(struct rk_arena *a, const char *authorization, const char *body)
{
    const struct client *cl;
    struct refusal why = { NULL, NULL };
    struct params p;

    assert_int_equal(params_parse(rk_str(body), a, &p, NULL), 0);
    cl = client_authenticate(&clients, authorization, &p, a, &why);
    assert_true((cl != NULL) == (why.error == NULL));
    return cl ? cl->id : why.error;
}

static void a_public_client_names_itself(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);

    (void)state;
    assert_string_equal(who(a, "", "client_id=cli"), "cli");
    assert_string_equal(who(a, "Basic Y2xpOg==", ""), "cli");
    assert_string_equal(who(a, "Basic Y2xpOg==", "client_id=cli"), "cli");
    assert_string_equal(who(a, "Bearer x", "client_id=web&client_secret="), "web");
}

static void a_secret_proves_nothing(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);

    (void)state;
    assert_string_equal(who(a, "Basic Y2xpOng=", ""), "invalid_client"); /* cli:x */
    assert_string_equal(who(a, "", "client_id=cli&client_secret=x"), "invalid_client");
    assert_string_equal(who(a, "", "client_id=cli&client_assertion=x"), "invalid_client");
}

static void who_is_unknown_or_two_at_once_is_refused(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);

    (void)state;
    assert_string_equal(who(a, "", ""), "invalid_client");
    assert_string_equal(who(a, "", "client_id=nobody"), "invalid_client");
    assert_string_equal(who(a, "Basic !", "client_id=cli"), "invalid_client");
    assert_string_equal(who(a, "Basic Y2xpOg==", "client_id=web"), "invalid_request");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_client_names_itself),
        cmocka_unit_test(a_secret_proves_nothing),
        cmocka_unit_test(who_is_unknown_or_two_at_once_is_refused),
    };

    return RUN_TESTS(tests);
}
