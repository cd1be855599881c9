#include "services/dashboard-api/oauth/client.h"
#include "tests/support/test.h"

static struct rk_arena *arena;

static int make(struct api_config *config, struct clients *out, struct rk_err *err)
{
    config->oidc.public_url = (char *)(uintptr_t) "https://nb.example.org";
    if (!config->oauth_dashboard_redirect_urls)
        config->oauth_dashboard_redirect_urls = (char *)(uintptr_t) "";
    if (!config->oauth_dashboard_logout_urls)
        config->oauth_dashboard_logout_urls = (char *)(uintptr_t) "";
    if (!config->oidc.oidc_pkce_redirect_urls)
        config->oidc.oidc_pkce_redirect_urls =
            (char *)(uintptr_t) "http://localhost:53000/, http://127.0.0.1:53000/cb,http://[::1]/";
    return clients_init(out, config, arena, err);
}

static const struct client *client(const char *id)
{
    static struct clients all;
    struct api_config config = { .oauth_dashboard_token_s = 1800, .oauth_cli_token_s = 600 };

    assert_int_equal(make(&config, &all, NULL), 0);
    return client_find(&all, id);
}

static void two_are_known(void **state)
{
    (void)state;
    assert_int_equal(client("netbird-dashboard")->token_s, 1800);
    assert_int_equal(client("netbird-cli")->token_s, 600);
    assert_true(client("netbird-cli")->may_be_device);
    assert_false(client("netbird-dashboard")->may_be_device);
    assert_null(client("Netbird-cli"));
    assert_null(client(""));
    assert_null(client(NULL));
}

static void redirects_are_compared_to_the_letter(void **state)
{
    static const char *const good[] = { "https://nb.example.org/nb-auth",
                                        "https://nb.example.org/nb-silent-auth",
                                        "https://nb.example.org/api/reverse-proxy/callback" };
    static const char *const bad[] = { "",
                                       "https://nb.example.org",
                                       "https://nb.example.org/nb-auth/",
                                       "https://nb.example.org/nb-auth?x=1",
                                       "https://nb.example.org/nb-auth#x",
                                       "https://nb.example.org:443/nb-auth",
                                       "https://nb.example.org.evil.org/nb-auth",
                                       "https://nb.example.org@evil.org/nb-auth",
                                       "https://user@nb.example.org/nb-auth",
                                       "//evil.org/nb-auth",
                                       "https://nb.example.org/../nb-auth",
                                       "https://NB.example.org/nb-auth",
                                       "http://nb.example.org/nb-auth",
                                       "http://localhost:53000/" };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(good); i++)
        assert_true(client_redirect_allowed(client("netbird-dashboard"), good[i]));
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(client_redirect_allowed(client("netbird-dashboard"), bad[i]));
}

static void agents_may_listen_on_any_port_of_a_loopback_address_but_not_of_its_name(void **state)
{
    static const char *const good[] = { "http://localhost:53000/", "http://127.0.0.1:53000/cb",
                                        "http://127.0.0.1:1/cb",   "http://127.0.0.1/cb",
                                        "http://[::1]:4711/",      "http://[::1]/" };
    static const char *const bad[] = {
        "http://localhost:53001/",        "http://localhost:53000",
        "http://127.0.0.1:53000/",        "http://127.0.0.1:53000/cb/",
        "http://127.0.0.1:/cb",           "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:1@evil.org/cb", "http://127.0.0.1.evil.org/cb",
        "http://127.0.0.1:+1/cb",         "https://127.0.0.1:53000/cb",
        "http://127.0.0.2:53000/cb",      "http://[::1]:4711/cb",
        "https://nb.example.org/nb-auth"
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(good); i++)
        assert_true(client_redirect_allowed(client("netbird-cli"), good[i]));
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(client_redirect_allowed(client("netbird-cli"), bad[i]));
}

static void after_signing_out_people_return_with_or_without_a_slash(void **state)
{
    const struct client *cl = client("netbird-dashboard");

    (void)state;
    assert_true(client_logout_allowed(cl, "https://nb.example.org"));
    assert_true(client_logout_allowed(cl, "https://nb.example.org/"));
    assert_false(client_logout_allowed(cl, "https://nb.example.org//"));
    assert_false(client_logout_allowed(cl, "https://nb.example.org/x"));
    assert_false(client_logout_allowed(client("netbird-cli"), "https://nb.example.org/"));
}

static void settings_replace_the_dashboards_and_are_checked(void **state)
{
    struct api_config config = {
        .oauth_dashboard_redirect_urls = (char *)(uintptr_t) " https://a/x ,,https://b/y",
        .oauth_dashboard_logout_urls = (char *)(uintptr_t) "https://a/",
    };
    struct clients all;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(make(&config, &all, &err), 0);
    assert_true(client_redirect_allowed(&all.list[0], "https://a/x"));
    assert_true(client_redirect_allowed(&all.list[0], "https://b/y"));
    assert_false(client_redirect_allowed(&all.list[0], "https://nb.example.org/nb-auth"));
    assert_true(client_logout_allowed(&all.list[0], "https://a"));
    assert_true(client_logout_allowed(&all.list[0], "https://nb.example.org"));
    config.oauth_dashboard_redirect_urls = (char *)(uintptr_t) "javascript:alert(1)";
    assert_int_equal(make(&config, &all, &err), RK_INVALID);
    assert_non_null(strstr(err.msg, "oauth_dashboard_redirect_urls"));
    config.oauth_dashboard_redirect_urls = (char *)(uintptr_t) "https://a/#x";
    assert_int_equal(make(&config, &all, &err), RK_INVALID);
}

static int begin(void **state)
{
    (void)state;
    arena = rk_arena_new((size_t)4 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rk_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_are_known),
        cmocka_unit_test(redirects_are_compared_to_the_letter),
        cmocka_unit_test(agents_may_listen_on_any_port_of_a_loopback_address_but_not_of_its_name),
        cmocka_unit_test(after_signing_out_people_return_with_or_without_a_slash),
        cmocka_unit_test(settings_replace_the_dashboards_and_are_checked),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
