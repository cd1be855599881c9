/* The settings of sign-in: what is wrong with them is said with what to write, and what agents are
 * told follows from them and from discovery. */

#include <stdio.h>

#include "libcommon/oidc/config.h"
#include "tests/support/web.h"

struct service {
    struct rk_common_config common;
    struct rk_oidc_config oidc;
};

static const struct rk_setting rows[] = { RK_OIDC_SETTINGS(struct service, oidc) };

static int check(const void *config, struct rk_err *err)
{
    return rk_oidc_config_check(&((const struct service *)config)->oidc, err);
}

static const struct rk_settings_table table = {
    .service = "test", .summary = "test", .rows = rows, .count = RK_COUNT(rows), .check = check
};

static void service_done(struct service *s)
{
    rk_settings_done(&table, s);
}
RK_DEFINE_AUTO_DONE(struct service, service_done)

static void load(struct service *s, const char *text)
{
    struct rk_err err = { 0 };
    int r = rk_settings_parse(&table, s, "test", rk_str(text), &err);

    if (r < 0)
        print_error("%s\n", err.msg);
    assert_int_equal(r, 0);
}

#define AUD "oidc_audience = api\n"
#define SIXTEEN "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p"
#define WELL "/.well-known/openid-configuration"

static void mistakes_are_named_with_their_remedy(void **state)
{
    static const struct {
        const char *text;
        const char *says; /* NULL: it is well */
    } cases[] = {
        { "", NULL },
        { "public_url = https://x.org\n", NULL },
        { "public_url = https://x.org:8443\n", NULL },
        { "public_url = http://localhost:8080\n", NULL },
        { "public_url = https://x.org/\n", "single slash" },
        { "public_url = https://x.org/a\n", "nothing behind it" },
        { "public_url = https://x.org?a\n", "nothing behind it" },
        { "public_url = http://x.org\n", "http:// only on localhost" },
        { "public_url = x.org\n", "https://host" },
        { "oidc_embedded = true\n", "needs public_url" },
        { "oidc_embedded = true\npublic_url = https://x.org\n", NULL },
        { "oidc_embedded = true\npublic_url = https://x.org\noidc_issuer = https://y.org/oauth2\n",
          NULL },
        { "oidc_embedded = true\npublic_url = https://x.org\noidc_issuer = https://y.org\n",
          "/oauth2" },
        { "oidc_embedded = true\npublic_url = https://x.org\noidc_discovery_url = "
          "https://y.org" WELL "\n",
          "remove oidc_discovery_url" },
        { "oidc_embedded = true\npublic_url = https://x.org\noidc_keys_url = https://y.org/k\n",
          "remove oidc_keys_url" },
        { "oidc_discovery_url = https://y.org" WELL "\n", "needs oidc_audience" },
        { AUD "oidc_discovery_url = https://y.org" WELL "\n", NULL },
        { AUD "oidc_discovery_url = https://y.org\n", "ends with " WELL },
        { AUD "oidc_discovery_url = http://y.org" WELL "\n", "write an https:// URL" },
        { AUD "oidc_discovery_url = http://127.0.0.1" WELL "\n",
          "oidc_allow_private_issuers = true" },
        { AUD "oidc_allow_private_issuers = true\noidc_discovery_url = http://127.0.0.1" WELL "\n",
          NULL },
        { AUD "oidc_issuer = https://y.org/\n", NULL },
        { AUD "oidc_issuer = urn:y\n", "set oidc_discovery_url or oidc_keys_url" },
        { AUD "oidc_issuer = urn:y\noidc_keys_url = https://y.org/k\n", NULL },
        { AUD "oidc_issuer = urn:y\noidc_keys_url = ftp://y.org/k\n", "oidc_keys_url = 'ftp" },
        { AUD, "oidc_audience is set but no provider is" },
        { "oidc_keys_url = https://y.org/k\n", "oidc_keys_url is set but no provider is" },
        { "oidc_pkce_client_id = x\n", "oidc_pkce_client_id is set but no provider is" },
        { AUD "oidc_issuer = https://y.org\noidc_pkce_token_endpoint = http://y.org/\n",
          "oidc_pkce_token_endpoint" },
        { AUD "oidc_issuer = https://y.org\noidc_pkce_login_flag = 3\n", "from 0 to 2" },
        { AUD "oidc_issuer = https://y.org\noidc_extra_audiences = " SIXTEEN "\n", NULL },
        { AUD "oidc_issuer = https://y.org\noidc_extra_audiences = " SIXTEEN ",q\n",
          "oidc_extra_audiences: write at most 16" },
        { AUD "oidc_issuer = https://y.org\noidc_pkce_redirect_urls = " SIXTEEN ",q\n",
          "oidc_pkce_redirect_urls: write at most 16" },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(service_done) struct service s = { 0 };
        struct rk_err err = { 0 };
        int r = rk_settings_parse(&table, &s, "test", rk_str(cases[i].text), &err);

        if ((r < 0) != (cases[i].says != NULL) || (r < 0 && !strstr(err.msg, cases[i].says)))
            print_error("%s-> %s\n", cases[i].text, err.msg);
        assert_int_equal(r < 0, cases[i].says != NULL);
        if (r < 0)
            assert_non_null(strstr(err.msg, cases[i].says));
    }
}

static void without_a_provider_there_are_no_flows(void **state)
{
    rk_auto(service_done) struct service s = { 0 };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    struct rk_oidc_flow f;
    struct rk_oidc_ssh ssh;
    struct rk_err err = { 0 };

    (void)state;
    load(&s, "");
    assert_int_equal(rk_oidc_mode(&s.oidc), RK_OIDC_OFF);
    assert_null(rk_oidc_verifier_new(&s.oidc));
    assert_int_equal(rk_oidc_device_flow(&s.oidc, NULL, a, &f, &err), RK_NOT_FOUND);
    assert_string_equal(err.msg, "no device authorization flow information available");
    assert_int_equal(rk_oidc_pkce_flow(&s.oidc, NULL, a, &f, &err), RK_NOT_FOUND);
    assert_string_equal(err.msg, "no pkce authorization flow information available");
    assert_int_equal(rk_oidc_ssh(&s.oidc, NULL, a, &ssh, &err), RK_NOT_FOUND);
}

static void the_embedded_provider_is_described_by_itself(void **state)
{
    rk_auto(service_done) struct service s = { 0 };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(rk_verifier_free) struct rk_verifier *v = NULL;
    struct rk_oidc_flow f;
    struct rk_oidc_ssh ssh;

    (void)state;
    load(&s, "oidc_embedded = true\npublic_url = https://x.org\noidc_device_client_id = ignored\n");
    assert_int_equal(rk_oidc_mode(&s.oidc), RK_OIDC_EMBEDDED);
    v = rk_oidc_verifier_new(&s.oidc);
    assert_int_equal(rk_oidc_device_flow(&s.oidc, v, a, &f, NULL), 0);
    assert_string_equal(f.client_id, "netbird-cli");
    assert_string_equal(f.audience, "netbird-cli");
    assert_string_equal(f.domain, "x.org");
    assert_string_equal(f.device_authorization_endpoint, "https://x.org/oauth2/device/code");
    assert_string_equal(f.token_endpoint, "https://x.org/oauth2/token");
    assert_string_equal(f.scope, "openid profile email groups");
    assert_int_equal(rk_oidc_pkce_flow(&s.oidc, v, a, &f, NULL), 0);
    assert_string_equal(f.authorization_endpoint, "https://x.org/oauth2/auth");
    assert_int_equal(f.redirect_urls_n, 2);
    assert_true(rk_str_eq(f.redirect_urls[0], RK_STR("http://localhost:53000/")));
    assert_int_equal(f.login_flag, 0);
    assert_int_equal(rk_oidc_ssh(&s.oidc, v, a, &ssh, NULL), 0);
    assert_string_equal(ssh.issuer, "https://x.org/oauth2");
    assert_string_equal(ssh.keys_location, "https://x.org/oauth2/keys");
    assert_string_equal(ssh.audience, "netbird-cli");
    assert_int_equal(ssh.audiences_n, 2);
    assert_true(rk_str_eq(ssh.audiences[0], RK_STR("netbird-dashboard")));
    assert_string_equal(ssh.user_claim, "sub");
}

static void answer(struct web *w, const char *request, struct rk_buf *out)
{
    static const char key[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":"
                              "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    char body[1024];

    snprintf(body, sizeof(body),
             "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/k\",\"authorization_endpoint\":\"%s/a\","
             "\"token_endpoint\":\"%s/t\",\"device_authorization_endpoint\":\"%s/d\"}",
             w->url, w->url, w->url, w->url, w->url);
    web_reply(out, 200, "", strstr(request, "GET /k ") ? key : body);
}

static void an_external_provider_is_described_by_discovery_and_settings(void **state)
{
    rk_auto(web_free) struct web *w = web_new(answer, NULL);
    rk_auto(service_done) struct service s = { 0 };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(rk_verifier_free) struct rk_verifier *v = NULL;
    struct rk_oidc_flow f;
    struct rk_oidc_ssh ssh;
    struct rk_err err = { 0 };

    (void)state;
    load(&s,
         rk_arena_printf(
             a,
             "%s"
             "oidc_allow_private_issuers = true\noidc_issuer = %s\n"
             "oidc_device_client_id = dev\noidc_device_audience = dev-aud\n"
             "oidc_pkce_client_id = web\noidc_pkce_token_endpoint = https://t.org/\n"
             "oidc_pkce_redirect_urls = http://localhost:1/ , ,http://localhost:2/\n"
             "oidc_pkce_use_id_token = true\noidc_pkce_login_flag = 2\noidc_cli_audience = cli\n",
             AUD, w->url));
    v = rk_oidc_verifier_new(&s.oidc);
    assert_int_equal(rk_oidc_device_flow(&s.oidc, v, a, &f, &err), RK_UNAVAILABLE);
    assert_int_equal(rk_oidc_ssh(&s.oidc, v, a, &ssh, &err), RK_UNAVAILABLE);
    assert_int_equal(rk_verifier_fetch(v, NULL, &err), 0);
    assert_int_equal(rk_oidc_device_flow(&s.oidc, v, a, &f, &err), 0);
    assert_string_equal(f.client_id, "dev");
    assert_string_equal(f.audience, "dev-aud");
    assert_string_equal(f.domain, "127.0.0.1");
    assert_string_equal(f.scope, "openid profile email");
    assert_string_equal(f.device_authorization_endpoint, rk_arena_printf(a, "%s/d", w->url));
    assert_string_equal(f.token_endpoint, rk_arena_printf(a, "%s/t", w->url));
    assert_int_equal(rk_oidc_pkce_flow(&s.oidc, v, a, &f, &err), 0);
    assert_string_equal(f.audience, "api");
    assert_string_equal(f.token_endpoint, "https://t.org/");
    assert_string_equal(f.authorization_endpoint, rk_arena_printf(a, "%s/a", w->url));
    assert_int_equal(f.redirect_urls_n, 2);
    assert_true(f.use_id_token);
    assert_int_equal(f.login_flag, 2);
    assert_int_equal(rk_oidc_ssh(&s.oidc, v, a, &ssh, &err), 0);
    assert_string_equal(ssh.issuer, w->url);
    assert_string_equal(ssh.keys_location, rk_arena_printf(a, "%s/k", w->url));
    assert_string_equal(ssh.audience, "cli");
    assert_int_equal(ssh.audiences_n, 2);
}

static void flows_that_are_configured_in_full_need_no_discovery(void **state)
{
    rk_auto(service_done) struct service s = { 0 };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(rk_verifier_free) struct rk_verifier *v = NULL;
    struct rk_oidc_flow f;

    (void)state;
    load(&s, AUD
         "oidc_discovery_url = https://y.org" WELL "\noidc_device_client_id = dev\n"
         "oidc_device_endpoint = https://y.org/d\noidc_device_token_endpoint = https://y.org/t\n");
    v = rk_oidc_verifier_new(&s.oidc);
    assert_int_equal(rk_oidc_device_flow(&s.oidc, v, a, &f, NULL), 0);
    assert_string_equal(f.token_endpoint, "https://y.org/t");
    assert_int_equal(rk_oidc_pkce_flow(&s.oidc, v, a, &f, NULL), RK_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_named_with_their_remedy),
        cmocka_unit_test(without_a_provider_there_are_no_flows),
        cmocka_unit_test(the_embedded_provider_is_described_by_itself),
        cmocka_unit_test(an_external_provider_is_described_by_discovery_and_settings),
        cmocka_unit_test(flows_that_are_configured_in_full_need_no_discovery),
    };

    return RUN_TESTS(tests);
}
