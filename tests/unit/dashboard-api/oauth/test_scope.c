#include "services/dashboard-api/oauth/scope.h"
#include "tests/support/test.h"

static void words_become_a_set_and_back(void **state)
{
    struct rk_arena *arena = rk_arena_new(4096);
    unsigned set;

    (void)state;
    assert_true(scope_parse(RK_STR("groups  openid email offline_access email"), &set));
    assert_int_equal(set, SCOPE_OPENID | SCOPE_EMAIL | SCOPE_GROUPS | SCOPE_OFFLINE);
    assert_string_equal(scope_text(set, arena), "openid email groups offline_access");
    assert_string_equal(scope_text(0, arena), "");
    rk_arena_free(arena);
}

static void words_of_old_dashboards_are_passed_over(void **state)
{
    unsigned set;

    (void)state;
    assert_true(scope_parse(RK_STR("openid api email_verified"), &set));
    assert_int_equal(set, SCOPE_OPENID);
    assert_true(scope_parse(RK_STR(""), &set));
    assert_int_equal(set, 0);
}

static void an_unknown_word_spoils_it(void **state)
{
    unsigned set = 77;

    (void)state;
    assert_false(scope_parse(RK_STR("openid admin"), &set));
    assert_false(scope_parse(RK_STR("openid,email"), &set));
    assert_false(scope_parse(RK_STR("OPENID"), &set));
    assert_int_equal(set, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_a_set_and_back),
        cmocka_unit_test(words_of_old_dashboards_are_passed_over),
        cmocka_unit_test(an_unknown_word_spoils_it),
    };

    return RUN_TESTS(tests);
}
