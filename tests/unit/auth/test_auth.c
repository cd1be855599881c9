/* The matrix of roles and modules, held against the table of the specification, role by role. */

#include <string.h>

#include "libcommon/auth/auth.h"
#include "libcommon/base/attr.h"
#include "tests/support/test.h"

#define ALL (RK_OP_READ | RK_OP_CREATE | RK_OP_UPDATE | RK_OP_DELETE)

static bool in(enum rk_module m, const char *names)
{
    struct rk_str rest = rk_str(names), name;

    while (rk_str_next(&rest, ' ', &name))
        if (rk_str_eq(name, rk_str(rk_module_name(m))))
            return true;
    return false;
}

static void every_role_may_what_its_row_says(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RK_MOD_COUNT; i++) {
        enum rk_module m = (enum rk_module)i;
        bool all = in(m, "networks groups dns nameservers policies routes pats");
        bool read = in(m, "settings accounts events users setup_keys peers identity_providers");

        assert_int_equal(rk_role_ops(RK_ROLE_OWNER, m, false), ALL);
        assert_int_equal(rk_role_ops(RK_ROLE_ADMIN, m, false),
                         in(m, "accounts") ? RK_OP_READ : ALL);
        assert_int_equal(rk_role_ops(RK_ROLE_NETWORK_ADMIN, m, false), all    ? ALL
                                                                       : read ? RK_OP_READ
                                                                              : 0);
        assert_int_equal(rk_role_ops(RK_ROLE_AUDITOR, m, false), RK_OP_READ);
        assert_int_equal(rk_role_ops(RK_ROLE_USER, m, false), 0);
        assert_int_equal(rk_role_ops(RK_ROLE_BILLING_ADMIN, m, false), 0);
        assert_int_equal(rk_role_ops(RK_ROLE_COUNT, m, false), 0); /* no role at all */
    }
}

static void a_service_user_may_read_everything_besides(void **state)
{
    (void)state;
    for (unsigned r = 0; r < RK_ROLE_COUNT; r++)
        for (unsigned m = 0; m < RK_MOD_COUNT; m++)
            assert_int_equal(rk_role_ops((enum rk_role)r, (enum rk_module)m, true),
                             rk_role_ops((enum rk_role)r, (enum rk_module)m, false) | RK_OP_READ);
}

static void modules_have_the_names_of_the_api(void **state)
{
    static const char *const names[RK_MOD_COUNT] = {
        "networks",
        "groups",
        "dns",
        "nameservers",
        "policies",
        "routes",
        "pats",
        "settings",
        "accounts",
        "events",
        "users",
        "setup_keys",
        "peers",
        "identity_providers",
        "remote_jobs",
        "services",
        "agent_network",
        "agent_network.providers",
        "agent_network.policies",
        "agent_network.guardrails",
        "agent_network.budgets",
        "agent_network.usage",
        "agent_network.logs",
        "agent_network.settings",
    };

    (void)state;
    for (unsigned m = 0; m < RK_MOD_COUNT; m++)
        assert_string_equal(rk_module_name((enum rk_module)m), names[m]);
}

static void roles_are_read_in_any_case_and_nothing_else_is(void **state)
{
    static const char *const bad[] = { "",    "root",   "owner ",       " owner",
                                       "own", "owners", "network-admin" };
    enum rk_role r = RK_ROLE_COUNT;

    (void)state;
    for (unsigned i = 0; i < RK_ROLE_COUNT; i++) {
        assert_true(rk_role_parse(rk_str(rk_role_name((enum rk_role)i)), &r));
        assert_int_equal(r, i);
        assert_int_equal(rk_role_has_table(r), r != RK_ROLE_BILLING_ADMIN);
    }
    assert_true(rk_role_parse(RK_STR("Network_ADMIN"), &r));
    assert_int_equal(r, RK_ROLE_NETWORK_ADMIN);
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(rk_role_parse(rk_str(bad[i]), &r));
    assert_false(rk_role_parse(RK_STR("owner\0"), &r));
    assert_int_equal(r, RK_ROLE_NETWORK_ADMIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_may_what_its_row_says),
        cmocka_unit_test(a_service_user_may_read_everything_besides),
        cmocka_unit_test(modules_have_the_names_of_the_api),
        cmocka_unit_test(roles_are_read_in_any_case_and_nothing_else_is),
    };

    return RUN_TESTS(tests);
}
