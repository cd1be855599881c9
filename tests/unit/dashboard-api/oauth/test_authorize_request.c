#include "services/dashboard-api/oauth/authorize_request.h"
#include "services/dashboard-api/oauth/scope.h"
#include "tests/support/test.h"

#define GOOD_CLIENT "client_id=web&redirect_uri=https%3A%2F%2Fa%2Fcb&state=s1"
#define GOOD_CHALLENGE                                                                             \
    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
#define GOOD GOOD_CLIENT "&response_type=code&scope=openid+email" GOOD_CHALLENGE

static const struct rk_str redirects[] = { RK_STR("https://a/cb") };
static const struct clients clients = {
    .list = { { .id = "web", .redirects = redirects, .redirects_n = 1 }, { .id = "cli" } }
};
static struct rk_arena *arena;
static struct authorize_request got;
static struct refusal why;

static enum authorize_outcome read(const char *query)
{
    struct params p;

    assert_int_equal(params_parse(rk_str(query), arena, &p, NULL), 0);
    why = (struct refusal){ NULL, NULL };
    return authorize_read(&p, &clients, &got, &why);
}

static void refused(const char *query, const char *error)
{
    assert_int_equal(read(query), AUTHORIZE_REFUSED);
    assert_string_equal(why.error, error);
    assert_null(strpbrk(why.why, "=+\"\\"));
    assert_string_equal(got.redirect_uri, "https://a/cb");
}

static void a_good_request_is_read(void **state)
{
    (void)state;
    assert_int_equal(read(GOOD "&nonce=n&prompt=login+consent&max_age=60&login_hint=a%40b.c&"
                               "connector_id=google&audience=x&id_token_hint=h&unknown=1"),
                     AUTHORIZE_OK);
    assert_string_equal(got.client->id, "web");
    assert_string_equal(got.state, "s1");
    assert_string_equal(got.nonce, "n");
    assert_string_equal(got.login_hint, "a@b.c");
    assert_string_equal(got.connector_id, "google");
    assert_string_equal(got.id_token_hint, "h");
    assert_int_equal(got.scope, SCOPE_OPENID | SCOPE_EMAIL);
    assert_int_equal(got.max_age_s, 60);
    assert_true(got.fresh && !got.silent && !got.choose);
    assert_int_equal(read(GOOD), AUTHORIZE_OK);
    assert_int_equal(got.max_age_s, -1);
    assert_string_equal(got.nonce, "");
}

static void nobody_is_redirected_by_an_unknown_client_or_to_an_unknown_address(void **state)
{
    (void)state;
    assert_int_equal(read(""), AUTHORIZE_BAD_CLIENT);
    assert_int_equal(read("client_id=nobody&redirect_uri=https://a/cb"), AUTHORIZE_BAD_CLIENT);
    assert_int_equal(read(GOOD "&client_id=cli"), AUTHORIZE_BAD_CLIENT);
    assert_int_equal(read("client_id=web"), AUTHORIZE_BAD_REDIRECT);
    assert_int_equal(read("client_id=web&redirect_uri=https://a/cb2"), AUTHORIZE_BAD_REDIRECT);
    assert_int_equal(read("client_id=cli&redirect_uri=https://a/cb"), AUTHORIZE_BAD_REDIRECT);
    assert_int_equal(read(GOOD "&redirect_uri=https://evil/"), AUTHORIZE_BAD_REDIRECT);
}

static void mistakes_are_told_in_the_order_of_the_table(void **state)
{
    (void)state;
    refused(GOOD_CLIENT, "invalid_request");
    refused(GOOD_CLIENT "&response_type=token&request=x", "unsupported_response_type");
    refused(GOOD_CLIENT "&response_type=code+id_token", "unsupported_response_type");
    refused(GOOD_CLIENT "&response_type=code&request=x", "request_not_supported");
    refused(GOOD_CLIENT "&response_type=code&request_uri=x", "request_uri_not_supported");
    refused(GOOD "&response_mode=fragment", "invalid_request");
    refused(GOOD_CLIENT "&response_type=code&scope=email" GOOD_CHALLENGE, "invalid_scope");
    refused(GOOD_CLIENT "&response_type=code" GOOD_CHALLENGE, "invalid_scope");
    refused(GOOD_CLIENT "&response_type=code&scope=openid+root" GOOD_CHALLENGE, "invalid_scope");
    refused(GOOD "&nonce=1&nonce=2", "invalid_request");
    assert_int_equal(read(GOOD "&response_mode=query"), AUTHORIZE_OK);
}

static void without_s256_nobody_gets_a_code(void **state)
{
#define ASK GOOD_CLIENT "&response_type=code&scope=openid"
    (void)state;
    refused(ASK, "invalid_request");
    refused(ASK "&code_challenge_method=S256", "invalid_request");
    refused(ASK "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "invalid_request");
    refused(ASK "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&"
                "code_challenge_method=plain",
            "invalid_request");
    refused(ASK "&code_challenge=short&code_challenge_method=S256", "invalid_request");
    refused(ASK "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM%3D&"
                "code_challenge_method=S256",
            "invalid_request");
}

static void prompts_and_ages_are_checked(void **state)
{
    (void)state;
    assert_int_equal(read(GOOD "&prompt=none&max_age=0"), AUTHORIZE_OK);
    assert_true(got.silent);
    assert_int_equal(got.max_age_s, 0);
    assert_int_equal(read(GOOD "&prompt=select_account"), AUTHORIZE_OK);
    assert_true(got.choose);
    refused(GOOD "&prompt=none+login", "invalid_request");
    refused(GOOD "&prompt=create", "invalid_request");
    refused(GOOD "&max_age=-1", "invalid_request");
    refused(GOOD "&max_age=99999999999", "invalid_request");
    refused(GOOD "&max_age=1x", "invalid_request");
}

static void what_is_echoed_is_bounded(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf q = { .max = 8192 };

    (void)state;
    rk_buf_put_c(&q, GOOD "&nonce=");
    for (int i = 0; i <= AUTHORIZE_MAX_NONCE; i++)
        rk_buf_put_c(&q, "n");
    refused(rk_arena_strn(arena, rk_buf_str(&q)), "invalid_request");
    rk_buf_clear(&q);
    rk_buf_put_c(&q, "client_id=web&redirect_uri=https://a/cb&state=");
    for (int i = 0; i <= AUTHORIZE_MAX_STATE; i++)
        rk_buf_put_c(&q, "s");
    refused(rk_arena_strn(arena, rk_buf_str(&q)), "invalid_request");
    assert_string_equal(got.state, "");
}

static void what_can_be_no_connector_names_none(void **state)
{
    (void)state;
    assert_int_equal(read(GOOD "&connector_id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), AUTHORIZE_OK);
    assert_int_equal(strlen(got.connector_id), 31);
    assert_int_equal(read(GOOD "&connector_id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), AUTHORIZE_OK);
    assert_string_equal(got.connector_id, "");
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
        cmocka_unit_test(a_good_request_is_read),
        cmocka_unit_test(nobody_is_redirected_by_an_unknown_client_or_to_an_unknown_address),
        cmocka_unit_test(mistakes_are_told_in_the_order_of_the_table),
        cmocka_unit_test(without_s256_nobody_gets_a_code),
        cmocka_unit_test(prompts_and_ages_are_checked),
        cmocka_unit_test(what_is_echoed_is_bounded),
        cmocka_unit_test(what_can_be_no_connector_names_none),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
