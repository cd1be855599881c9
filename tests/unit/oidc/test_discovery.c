/* Discovery documents: read when they are the issuer's own, refused when they are not. */

#include <stdio.h>

#include "libcommon/oidc/discovery.h"
#include "tests/support/web.h"

static const struct rk_fetch_rules strict = { 0 };
static const struct rk_fetch_rules open_rules = { .allow_private = true };

#define ISS "https://id.example.com/a"
#define DOC(more) "{\"issuer\":\"" ISS "\",\"jwks_uri\":\"" ISS "/keys\"" more "}"

static int parse(const char *json, struct rk_arena *a, struct rk_discovery *out, struct rk_err *err)
{
    *err = (struct rk_err){ 0 };
    return rk_discovery_parse(&strict, rk_str(json), ISS, a, out, err);
}

static void a_document_tells_where_everything_is(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    struct rk_discovery d;
    struct rk_err err;

    (void)state;
    assert_int_equal(
        parse(
            DOC(",\"authorization_endpoint\":\"https://x/auth\",\"token_endpoint\":\"https://x/t\","
                "\"userinfo_endpoint\":\"https://x/u\",\"device_authorization_endpoint\":\"https://"
                "x/d\","
                "\"end_session_endpoint\":\"https://x/"
                "e\",\"code_challenge_methods_supported\":[\"plain\",\"S256\"],"
                "\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"],"
                "\"scopes_supported\":[\"openid\",\"groups\"],"
                "\"authorization_response_iss_parameter_supported\":true"),
            a, &d, &err),
        0);
    assert_string_equal(d.issuer, ISS);
    assert_string_equal(d.jwks_uri, ISS "/keys");
    assert_string_equal(d.authorization_endpoint, "https://x/auth");
    assert_string_equal(d.token_endpoint, "https://x/t");
    assert_string_equal(d.userinfo_endpoint, "https://x/u");
    assert_string_equal(d.device_authorization_endpoint, "https://x/d");
    assert_string_equal(d.end_session_endpoint, "https://x/e");
    assert_true(d.s256 && d.auth_post && !d.auth_basic && d.iss_parameter);
    assert_true(d.scopes_told && d.scope_groups && !d.scope_offline);

    assert_int_equal(parse(DOC(""), a, &d, &err), 0);
    assert_string_equal(d.token_endpoint, "");
    assert_true(d.auth_basic && !d.auth_post && !d.s256 && !d.scopes_told && !d.iss_parameter);
}

static void another_issuer_or_an_open_endpoint_is_refused(void **state)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        { "{\"issuer\":\"" ISS "/\",\"jwks_uri\":\"https://x/\"}", "issuer" },
        { "{\"issuer\":\"https://evil.com\",\"jwks_uri\":\"https://x/\"}", "issuer" },
        { "{\"issuer\":[\"" ISS "\"],\"jwks_uri\":\"https://x/\"}", "issuer" },
        { "{\"jwks_uri\":\"https://x/\"}", "issuer" },
        { "{\"issuer\":\"" ISS "\"}", "jwks_uri" },
        { "{\"issuer\":\"" ISS "\",\"jwks_uri\":7}", "jwks_uri" },
        { "{\"issuer\":\"" ISS "\",\"jwks_uri\":\"http://127.0.0.1/\"}", "jwks_uri" },
        { "{\"issuer\":\"" ISS "\",\"jwks_uri\":\"file:///etc/passwd\"}", "jwks_uri" },
        { DOC(",\"token_endpoint\":\"http://x/t\""), "token_endpoint" },
        { DOC(",\"authorization_endpoint\":\"javascript:alert(1)\""), "authorization_endpoint" },
        { DOC(",\"userinfo_endpoint\":\"//x/u\""), "userinfo_endpoint" },
        { DOC(",\"device_authorization_endpoint\":\"https://u:p@x/\""),
          "device_authorization_endpoint" },
        { DOC(",\"end_session_endpoint\":\"data:,\""), "end_session_endpoint" },
        { DOC(",\"issuer\":\"" ISS "\""), "JSON" },
        { "[]", "JSON" },
        { "", "JSON" },
        { "<html>SECRET</html>", "JSON" },
    };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    struct rk_discovery d = { .issuer = "untouched" };
    struct rk_err err;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        assert_int_equal(parse(cases[i].json, a, &d, &err), RK_INVALID);
        if (!strstr(err.msg, cases[i].says))
            print_error("%s: %s\n", cases[i].json, err.msg);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_null(strstr(err.msg, "evil"));
        assert_null(strstr(err.msg, "SECRET"));
    }
    assert_string_equal(d.issuer, "untouched");
}

/* Serves the document of `arg`, a suffix of its own URL, where it must be. */
static void answer(struct web *w, const char *request, struct rk_buf *out)
{
    char body[512];

    snprintf(body, sizeof(body), "{\"issuer\":\"%s%s\",\"jwks_uri\":\"%s/keys\"}", w->url,
             (char *)w->arg, w->url);
    if (strncmp(request, "GET /realm/.well-known/openid-configuration HTTP", 48) == 0)
        web_reply(out, 200, "", body);
    else
        web_reply(out, 404, "", "SECRET");
}

static void it_is_asked_where_the_standard_says(void **state)
{
    static char plain[] = "/realm", slash[] = "/realm/", other[] = "/other";
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(16 << 20);
    rk_auto(web_free) struct web *without = web_new(answer, plain), *with = web_new(answer, slash),
                                 *wrong = web_new(answer, other);
    struct rk_discovery d;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(
        rk_discovery_fetch(&open_rules, rk_arena_printf(a, "%s/realm", without->url), a, &d, &err),
        0);
    assert_int_equal(
        rk_discovery_fetch(&open_rules, rk_arena_printf(a, "%s/realm/", with->url), a, &d, &err),
        0);
    assert_int_equal(
        rk_discovery_fetch(&open_rules, rk_arena_printf(a, "%s/realm", with->url), a, &d, &err),
        RK_INVALID);
    assert_int_equal(
        rk_discovery_fetch(&open_rules, rk_arena_printf(a, "%s/x", with->url), a, &d, &err),
        RK_UNAVAILABLE);
    assert_null(strstr(err.msg, "SECRET"));
    assert_int_equal(
        rk_discovery_fetch(&strict, rk_arena_printf(a, "%s/realm", without->url), a, &d, &err),
        RK_DENIED);

    /* By its URL: with and without a slash at the end of the issuer, but no other. */
    assert_int_equal(
        rk_discovery_fetch_url(&open_rules,
                               rk_discovery_url(rk_arena_printf(a, "%s/realm", without->url), a), a,
                               &d, &err),
        0);
    assert_true(rk_str_ends(rk_str(d.issuer), RK_STR("/realm")));
    assert_int_equal(
        rk_discovery_fetch_url(&open_rules,
                               rk_discovery_url(rk_arena_printf(a, "%s/realm", with->url), a), a,
                               &d, &err),
        0);
    assert_true(rk_str_ends(rk_str(d.issuer), RK_STR("/realm/")));
    assert_int_equal(
        rk_discovery_fetch_url(&open_rules,
                               rk_discovery_url(rk_arena_printf(a, "%s/realm", wrong->url), a), a,
                               &d, &err),
        RK_INVALID);
    assert_int_equal(rk_discovery_fetch_url(&open_rules, without->url, a, &d, &err), RK_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_tells_where_everything_is),
        cmocka_unit_test(another_issuer_or_an_open_endpoint_is_refused),
        cmocka_unit_test(it_is_asked_where_the_standard_says),
    };

    return RUN_TESTS(tests);
}
