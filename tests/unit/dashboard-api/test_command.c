/* The first account, made by a command from files, against a real Postgres. */

#include "tests/support/account_pg.h"

#include "libcommon/crypto/token.h"
#include "services/dashboard-api/command.h"

static char dir[sizeof(fx.dir) + 8];

static void put(const char *name, const char *text)
{
    char path[sizeof(dir) + 16];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Its exit status. */
static int run(const char *name, bool embedded)
{
    static char key[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", domain[] = "mesh.test",
                issuer[] = "https://login.test", audience[] = "mesh", none[] = "";
    struct api_config config = { .postgres = fx.conninfo,
                                 .secret_key = key,
                                 .dns_domain = domain,
                                 .oidc.oidc_issuer = embedded ? none : issuer,
                                 .oidc.oidc_audience = embedded ? none : audience };

    return command_run(command_find(name), dir, &config);
}

static int64_t count(const char *what)
{
    return pg_ask(&fx, what);
}

static void a_directory_that_lacks_something_makes_no_account(void **state)
{
    (void)state;
    assert_int_equal(run("setup", true), 1);
    put("email", "owner@mesh.test\n");
    assert_int_equal(run("setup", true), 1);
    put("password", "short\n");
    assert_int_equal(run("setup", true), 1);
    put("password", "Long-enough-1\n");
    put("email", "nobody\n");
    assert_int_equal(run("setup", true), 1);
    put("email", "owner@mesh.test\n");
    put("token", "nbp_0000000000000000000000000000000000000\n");
    assert_int_equal(run("setup", true), 1);
    assert_int_equal(count("SELECT count(*) FROM account"), 0);
}

static void with_an_external_provider_nobody_is_set_up(void **state)
{
    (void)state;
    put("email", "owner@mesh.test");
    put("password", "Long-enough-1");
    put("token", "");
    assert_int_equal(run("setup", false), 1);
    assert_int_equal(count("SELECT count(*) FROM account"), 0);
}

static void the_owner_and_the_token_are_as_the_files_say(void **state)
{
    char token[RK_PAT_LEN + 1];

    (void)state;
    rk_pat_new("nbp_", token);
    put("token", token);
    assert_int_equal(run("setup", true), 0);
    assert_int_equal(count("SELECT count(*) FROM users WHERE role = 'owner'"), 1);
    assert_int_equal(
        count("SELECT count(*) FROM pat WHERE expires_at > now() + interval '364 days'"), 1);
}

static void done_again_it_changes_nothing(void **state)
{
    (void)state;
    put("email", "another@mesh.test");
    assert_int_equal(run("setup", true), 0);
    assert_int_equal(count("SELECT count(*) FROM account"), 1);
    assert_int_equal(count("SELECT count(*) FROM users WHERE role = 'owner'"), 1);
}

static void a_token_needs_no_settings(void **state)
{
    (void)state;
    assert_true(command_alone(command_find("new-token")));
    assert_false(command_alone(command_find("setup")));
    assert_int_equal(command_run(command_find("new-token"), NULL, NULL), 0);
}

static int start(void **state)
{
    if (account_start(state) < 0)
        return -1;
    snprintf(dir, sizeof(dir), "%s/setup", fx.dir);
    return mkdir(dir, 0700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_that_lacks_something_makes_no_account),
        cmocka_unit_test(with_an_external_provider_nobody_is_set_up),
        cmocka_unit_test(the_owner_and_the_token_are_as_the_files_say),
        cmocka_unit_test(done_again_it_changes_nothing),
        cmocka_unit_test(a_token_needs_no_settings),
    };

    return cmocka_run_group_tests(tests, start, account_stop);
}
