#include "services/dashboard-api/oauth/claims.h"
#include "libcommon/jwt/jwt.h"
#include "services/dashboard-api/oauth/scope.h"
#include "tests/support/test.h"

static const struct rk_str groups[] = { RK_STR("dev"), RK_STR("ops \"1\"") };
static const struct identity person = { .user_id = "sub1",
                                        .connector_id = "google-1",
                                        .email = "a@b.c",
                                        .name = "A",
                                        .preferred_username = "aa",
                                        .email_verified = true,
                                        .groups = groups,
                                        .groups_n = 2 };

static struct claims of(unsigned scope)
{
    return (struct claims){ .issuer = "https://d/oauth2",
                            .client_id = "web",
                            .who = &person,
                            .scope = scope,
                            .now_s = 1000,
                            .lives_s = 600,
                            .auth_time_s = 900,
                            .nonce = "n1",
                            .access_token = "a.b.c",
                            .code = "thecode" };
}

static void an_access_token_says_who_and_for_whom_to_the_letter(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf out = { .max = CLAIMS_MAX };
    struct claims c = of(SCOPE_OPENID | SCOPE_EMAIL | SCOPE_PROFILE | SCOPE_GROUPS);

    (void)state;
    claims_write_access(&c, "a1", &out);
    assert_true(rk_str_eq(
        rk_buf_str(&out),
        RK_STR("{\"iss\":\"https://d/oauth2\",\"sub\":\"sub1\",\"aud\":\"web\",\"exp\":1600,"
               "\"iat\":1000,\"jti\":\"a1\",\"auth_time\":900,\"email\":\"a@b.c\","
               "\"email_verified\":true,\"name\":\"A\",\"preferred_username\":\"aa\","
               "\"groups\":[\"dev\",\"ops \\\"1\\\"\"]}")));
}

static void an_id_token_has_the_nonce_and_the_hashes_as_well(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf out = { .max = CLAIMS_MAX }, want = { .max = CLAIMS_MAX };
    char at_hash[RK_JWT_HALF_HASH_LEN + 1], c_hash[RK_JWT_HALF_HASH_LEN + 1];
    struct claims c = of(SCOPE_OPENID);

    (void)state;
    rk_jwt_half_hash(RK_STR("a.b.c"), at_hash);
    rk_jwt_half_hash(RK_STR("thecode"), c_hash);
    claims_write_id(&c, "i1", &out);
    rk_buf_printf(&want,
                  "{\"iss\":\"https://d/oauth2\",\"sub\":\"sub1\",\"aud\":\"web\",\"exp\":1600,"
                  "\"iat\":1000,\"jti\":\"i1\",\"auth_time\":900,\"nonce\":\"n1\","
                  "\"at_hash\":\"%s\",\"c_hash\":\"%s\"}",
                  at_hash, c_hash);
    assert_true(rk_str_eq(rk_buf_str(&out), rk_buf_str(&want)));
    c.nonce = "";
    c.code = NULL;
    rk_buf_clear(&out);
    claims_write_id(&c, "i1", &out);
    rk_buf_put_u8(&out, '\0');
    assert_null(strstr((char *)out.p, "nonce"));
    assert_null(strstr((char *)out.p, "c_hash"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_access_token_says_who_and_for_whom_to_the_letter),
        cmocka_unit_test(an_id_token_has_the_nonce_and_the_hashes_as_well),
    };

    return RUN_TESTS(tests);
}
