/* Tokens: every algorithm that is accepted, and the hostile ones, each refused for its own reason.
 */

#include <openssl/x509.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/jwt/jwt.h"
#include "tests/support/tokens.h"

#define NOW 1790000000
#define ISS "https://id.example.com/realms/x"
#define GOOD                                                                                       \
    "{\"iss\":\"" ISS "\",\"aud\":\"api\",\"sub\":\"u1\",\"exp\":1790000600,\"iat\":1790000000,"   \
    "\"email\":\"a@example.com\",\"email_verified\":true,\"name\":\"A B\"}"

static const struct rk_str audiences[] = { { "", 0 }, { "api", 3 }, { "cli", 3 } };

struct world {
    struct rk_arena *arena;
    struct token_key rsa, other_rsa, p256, p384;
    struct rk_jwks *keys;
};

static struct rk_jwks *set_of(struct rk_arena *a, const char *jwks)
{
    struct rk_jwks *s = NULL;
    struct rk_err err = { 0 };

    assert_int_equal(rk_jwks_parse(rk_str(rk_arena_printf(a, "{\"keys\":[%s]}", jwks)), &s, &err),
                     0);
    return s;
}

static int world_up(void **state)
{
    struct world *w = rk_new(struct world);

    w->arena = rk_arena_new(8 << 20);
    w->rsa = token_key_new("RS256", "rsa");
    w->other_rsa = token_key_new("RS256", "rsa");
    w->p256 = token_key_new("ES256", "p256");
    w->p384 = token_key_new("ES384", "p384");
    w->keys =
        set_of(w->arena, rk_arena_printf(w->arena, "%s,%s,%s", token_jwk(w->arena, &w->rsa, ""),
                                         token_jwk(w->arena, &w->p256, ",\"use\":\"sig\""),
                                         token_jwk(w->arena, &w->p384, ",\"alg\":\"ES384\"")));
    *state = w;
    return 0;
}

static int world_down(void **state)
{
    struct world *w = *state;

    token_key_done(&w->rsa);
    token_key_done(&w->other_rsa);
    token_key_done(&w->p256);
    token_key_done(&w->p384);
    rk_jwks_unref(w->keys);
    rk_arena_free(w->arena);
    rk_free(w);
    return 0;
}

static enum rk_jwt_refusal
verify(const struct world *w, const struct rk_jwks *keys, const char *token, struct rk_claims *out)
{
    const struct rk_jwt_expect expect = {
        .issuer = ISS, .audiences = audiences, .audiences_n = RK_COUNT(audiences), .now_s = NOW
    };
    enum rk_jwt_refusal why = RK_JWT_REFUSALS;
    struct rk_err err = { 0 };
    int r = rk_jwt_verify(keys, rk_str(token), &expect, w->arena, out, &why, &err);

    if (r == 0) {
        assert_int_equal(why, RK_JWT_ACCEPTED);
    } else {
        assert_int_equal(r, RK_UNAUTHENTICATED);
        assert_int_not_equal(why, RK_JWT_ACCEPTED);
        assert_true(err.msg[0] != '\0');
    }
    return why;
}

static enum rk_jwt_refusal refused(const struct world *w, const char *token)
{
    struct rk_claims untouched = { .subject = "untouched" };
    enum rk_jwt_refusal why = verify(w, w->keys, token, &untouched);

    assert_string_equal(untouched.subject, "untouched");
    return why;
}

static void every_algorithm_of_the_list_is_accepted_with_a_key_of_its_kind(void **state)
{
    static const char *const algs[] = { "RS256", "RS384", "RS512", "PS256", "PS384",
                                        "PS512", "ES256", "ES384", "ES512", "EdDSA" };
    const struct world *w = *state;

    for (size_t i = 0; i < RK_COUNT(algs); i++) {
        rk_auto(token_key_done) struct token_key k = token_key_new(algs[i], "k");
        rk_auto(rk_jwks_unref) struct rk_jwks *keys = set_of(w->arena, token_jwk(w->arena, &k, ""));
        char *token = token_make(w->arena, &k, GOOD), *dot = strrchr(token, '.');
        struct rk_claims c = { 0 };

        assert_int_equal(verify(w, keys, token, &c), RK_JWT_ACCEPTED);
        assert_string_equal(c.user_id, "u1");
        assert_string_equal(c.email, "a@example.com");
        assert_true(c.email_verified);
        /* Any other bit of the signature, or of what it signs. */
        dot[7] = dot[7] == 'A' ? 'B' : 'A';
        assert_int_equal(verify(w, keys, token, &c), RK_JWT_SIGNATURE);
    }
}

static void the_hash_names_what_was_signed(void **state)
{
    const struct world *w = *state;
    char *token = token_make(w->arena, &w->rsa, GOOD);
    struct rk_claims c = { 0 };
    uint8_t digest[32];

    assert_int_equal(verify(w, w->keys, token, &c), RK_JWT_ACCEPTED);
    rk_sha256(token, (size_t)(strrchr(token, '.') - token), digest);
    assert_memory_equal(c.hash, digest, sizeof(digest));
}

static void another_good_signature_is_the_same_token(void **state)
{
    const struct world *w = *state;
    struct rk_claims first = { 0 }, second = { 0 };
    char *one = token_make(w->arena, &w->p256, GOOD), *two = token_make(w->arena, &w->p256, GOOD);

    assert_string_not_equal(one, two);
    assert_int_equal(verify(w, w->keys, one, &first), RK_JWT_ACCEPTED);
    assert_int_equal(verify(w, w->keys, two, &second), RK_JWT_ACCEPTED);
    assert_memory_equal(first.hash, second.hash, sizeof(first.hash));
}

static char *unsigned_token(const struct world *w, const char *header, const char *signature)
{
    return rk_arena_printf(w->arena, "%s.%s.%s", token_b64url(w->arena, header, strlen(header)),
                           token_b64url(w->arena, GOOD, strlen(GOOD)), signature);
}

static void no_algorithm_outside_the_list_reaches_a_key(void **state)
{
    static const char *const algs[] = { "none", "None",  "NONE",   "HS256",  "HS384",  "HS512",
                                        "",     "rs256", "RS1",    "ES256K", "A128KW", "RS256 ",
                                        "dir",  "PS",    "EdDSA4", "Ed448",  "RSA1_5" };
    const struct world *w = *state;

    for (size_t i = 0; i < RK_COUNT(algs); i++) {
        char *known = rk_arena_printf(w->arena, "{\"alg\":\"%s\",\"kid\":\"rsa\"}", algs[i]);
        char *unknown = rk_arena_printf(w->arena, "{\"alg\":\"%s\",\"kid\":\"nobody\"}", algs[i]);

        assert_int_equal(refused(w, unsigned_token(w, known, "")), RK_JWT_ALGORITHM);
        assert_int_equal(refused(w, unsigned_token(w, known, "AAAA")), RK_JWT_ALGORITHM);
        /* Before the key is looked up: else it would say KEY, and have keys fetched. */
        assert_int_equal(refused(w, unsigned_token(w, unknown, "AAAA")), RK_JWT_ALGORITHM);
    }
}

/* The classic: HMAC keyed with the public key, as PEM, as DER and as the modulus. */
static void hmac_with_the_public_key_is_refused(void **state)
{
    const struct world *w = *state;
    const char *header = "{\"alg\":\"HS256\",\"kid\":\"rsa\",\"typ\":\"JWT\"}";
    char *text = rk_arena_printf(w->arena, "%s.%s", token_b64url(w->arena, header, strlen(header)),
                                 token_b64url(w->arena, GOOD, strlen(GOOD)));
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(w->rsa.key, &der);
    uint8_t mac[32];
    char *token;

    assert_true(n > 0);
    rk_hmac_sha256(der, (size_t)n, text, strlen(text), mac);
    OPENSSL_free(der);
    token = rk_arena_printf(w->arena, "%s.%s", text, token_b64url(w->arena, mac, sizeof(mac)));
    assert_int_equal(refused(w, token), RK_JWT_ALGORITHM);
}

static void an_algorithm_of_another_kind_of_key_is_refused(void **state)
{
    const struct world *w = *state;
    static const struct {
        const char *alg, *kid;
    } cases[] = { { "ES256", "rsa" },  { "EdDSA", "rsa" },  { "RS256", "p256" },
                  { "ES384", "p256" }, { "ES256", "p384" }, { "ES512", "p384" } };

    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        char *header = rk_arena_printf(w->arena, "{\"alg\":\"%s\",\"kid\":\"%s\"}", cases[i].alg,
                                       cases[i].kid);
        const struct token_key *key = strcmp(cases[i].kid, "rsa") == 0    ? &w->rsa
                                      : strcmp(cases[i].kid, "p256") == 0 ? &w->p256
                                                                          : &w->p384;
        const char *real = key == &w->rsa ? "RS256" : key->alg;

        assert_int_equal(refused(w, token_sign(w->arena, key, real, header, GOOD)),
                         RK_JWT_ALGORITHM);
    }
}

static void the_algorithm_a_key_names_is_the_only_one(void **state)
{
    const struct world *w = *state;
    rk_auto(rk_jwks_unref) struct rk_jwks *keys =
        set_of(w->arena, token_jwk(w->arena, &w->rsa, ",\"alg\":\"RS256\""));
    const char *ps = "{\"alg\":\"PS256\",\"kid\":\"rsa\"}";
    struct rk_claims c;

    assert_int_equal(verify(w, keys, token_make(w->arena, &w->rsa, GOOD), &c), RK_JWT_ACCEPTED);
    assert_int_equal(verify(w, keys, token_sign(w->arena, &w->rsa, "PS256", ps, GOOD), &c),
                     RK_JWT_ALGORITHM);
}

static void two_keys_of_one_kid_are_told_apart_by_algorithm(void **state)
{
    const struct world *w = *state;
    rk_auto(token_key_done) struct token_key ec = token_key_new("ES256", "rsa");
    rk_auto(rk_jwks_unref) struct rk_jwks *keys =
        set_of(w->arena, rk_arena_printf(w->arena, "%s,%s", token_jwk(w->arena, &ec, ""),
                                         token_jwk(w->arena, &w->rsa, "")));
    struct rk_claims c;

    assert_int_equal(verify(w, keys, token_make(w->arena, &w->rsa, GOOD), &c), RK_JWT_ACCEPTED);
    assert_int_equal(verify(w, keys, token_make(w->arena, &ec, GOOD), &c), RK_JWT_ACCEPTED);
}

static void keys_in_the_header_are_never_used(void **state)
{
    const struct world *w = *state;
    char *jwk = token_jwk(w->arena, &w->other_rsa, "");
    const struct {
        const char *header;
        enum rk_jwt_refusal why;
    } cases[] = {
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jwk\":%s}", RK_JWT_SIGNATURE },
        { "{\"alg\":\"RS256\",\"kid\":\"mine\",\"jwk\":%s}", RK_JWT_KEY },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jku\":\"http://127.0.0.1:1/\",\"x\":%s}",
          RK_JWT_SIGNATURE },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x5u\":\"http://127.0.0.1:1/\",\"x\":%s}",
          RK_JWT_SIGNATURE },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"x5c\":[\"MIIB\"],\"x\":%s}", RK_JWT_SIGNATURE },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"b64\"],\"b64\":false,\"x\":%s}",
          RK_JWT_MALFORMED },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[],\"x\":%s}", RK_JWT_MALFORMED },
    };

    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        const char *at = strstr(cases[i].header, "%s");
        char *header = rk_arena_printf(w->arena, "%.*s%s%s", (int)(at - cases[i].header),
                                       cases[i].header, jwk, at + 2);

        assert_int_equal(refused(w, token_sign(w->arena, &w->other_rsa, "RS256", header, GOOD)),
                         cases[i].why);
    }
}

static void what_is_no_token_is_malformed(void **state)
{
    const struct world *w = *state;
    static const char *const headers[] = {
        "{\"alg\":\"RS256\"}",
        "{\"alg\":\"RS256\",\"kid\":\"\"}",
        "{\"alg\":\"RS256\",\"kid\":7}",
        "{\"alg\":\"RS256\",\"kid\":null}",
        "{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"rsa\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"kid\":\"p256\"}",
        "[]",
        "\"RS256\"",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\"} x",
        "{\"alg\":\"RS256\",\"kid\":\"rsa\\u0000\"}",
        "{\"alg\":\"RS256\",\"kid\":\"\xff\"}",
    };
    static const char *const texts[] = { "",           ".",          "..",
                                         "...",        "a.b",        "a.b.c",
                                         "a.b.c.d",    "e30.e30.",   "e30=.e30.AA",
                                         "e31.e30.AA", " e30.e30.AA" };
    char *good = token_make(w->arena, &w->rsa, GOOD);
    struct rk_claims c;

    for (size_t i = 0; i < RK_COUNT(headers); i++)
        assert_int_equal(refused(w, token_sign(w->arena, &w->rsa, "RS256", headers[i], GOOD)),
                         RK_JWT_MALFORMED);
    for (size_t i = 0; i < RK_COUNT(texts); i++)
        assert_int_equal(refused(w, texts[i]), RK_JWT_MALFORMED);
    assert_int_equal(verify(w, w->keys, good, &c), RK_JWT_ACCEPTED);
    assert_int_equal(refused(w, rk_arena_printf(w->arena, "%s=", good)), RK_JWT_MALFORMED);
    assert_int_equal(refused(w, rk_arena_printf(w->arena, "%s.", good)), RK_JWT_MALFORMED);
    assert_int_equal(refused(w, rk_arena_printf(w->arena, "%s\n", good)), RK_JWT_MALFORMED);
    /* The last character of 256 bytes has four bits that mean nothing: they must be 0. */
    good[strlen(good) - 1]++;
    assert_int_equal(refused(w, good), RK_JWT_MALFORMED);
}

static void a_token_over_16_kib_is_not_looked_at(void **state)
{
    const struct world *w = *state;
    char *pad = rk_arena_alloc(w->arena, 13000), *claims, *token;

    memset(pad, 'x', 12999);
    claims = rk_arena_printf(w->arena, "%.*s,\"pad\":\"%s\"}", (int)strlen(GOOD) - 1, GOOD, pad);
    token = token_make(w->arena, &w->rsa, claims);
    assert_true(strlen(token) > RK_JWT_MAX);
    assert_int_equal(refused(w, token), RK_JWT_MALFORMED);
}

struct claims_case {
    const char *claims;
    enum rk_jwt_refusal why;
};

static void check_claims(const struct world *w, const struct claims_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct rk_claims c;
        enum rk_jwt_refusal why =
            verify(w, w->keys, token_make(w->arena, &w->rsa, cases[i].claims), &c);

        if (why != cases[i].why)
            print_error("%s\n", cases[i].claims);
        assert_int_equal(why, cases[i].why);
    }
}

#define IS "\"iss\":\"" ISS "\""
#define REST "\"sub\":\"u1\",\"exp\":1790000600,\"iat\":1790000000}"

static void issuer_and_audience_are_exact(void **state)
{
    static const struct claims_case cases[] = {
        { "{" IS ",\"aud\":\"api\"," REST, RK_JWT_ACCEPTED },
        { "{" IS ",\"aud\":\"cli\"," REST, RK_JWT_ACCEPTED },
        { "{" IS ",\"aud\":[\"x\",\"cli\"]," REST, RK_JWT_ACCEPTED },
        { "{" IS ",\"aud\":[7,null,\"api\"]," REST, RK_JWT_ACCEPTED },
        { "{\"iss\":\"" ISS "/\",\"aud\":\"api\"," REST, RK_JWT_ISSUER },
        { "{\"iss\":\"" ISS "x\",\"aud\":\"api\"," REST, RK_JWT_ISSUER },
        { "{\"iss\":\"https://ID.example.com/realms/x\",\"aud\":\"api\"," REST, RK_JWT_ISSUER },
        { "{\"iss\":[\"" ISS "\"],\"aud\":\"api\"," REST, RK_JWT_ISSUER },
        { "{\"iss\":\"\",\"aud\":\"api\"," REST, RK_JWT_ISSUER },
        { "{\"aud\":\"api\"," REST, RK_JWT_ISSUER },
        { "{" IS "," REST, RK_JWT_AUDIENCE },
        { "{" IS ",\"aud\":\"\"," REST, RK_JWT_AUDIENCE },
        { "{" IS ",\"aud\":[]," REST, RK_JWT_AUDIENCE },
        { "{" IS ",\"aud\":[\"\"]," REST, RK_JWT_AUDIENCE },
        { "{" IS ",\"aud\":[[\"api\"]]," REST, RK_JWT_AUDIENCE },
        { "{" IS ",\"aud\":{\"api\":\"api\"}," REST, RK_JWT_AUDIENCE },
        { "{" IS ",\"aud\":\"API\"," REST, RK_JWT_AUDIENCE },
        { "{" IS ",\"aud\":\"api \"," REST, RK_JWT_AUDIENCE },
        { "{" IS ",\"aud\":\"other\"," REST, RK_JWT_AUDIENCE },
        { "{" IS ",\"aud\":\"other\",\"aud\":\"api\"," REST, RK_JWT_MALFORMED },
    };

    check_claims(*state, cases, RK_COUNT(cases));
}

#define TIMES(t) "{" IS ",\"aud\":\"api\",\"sub\":\"u1\"" t "}"
#define FAR_EXP ",\"exp\":1790000600"

static void times_have_no_leeway_at_the_end_and_a_minute_at_the_start(void **state)
{
    static const struct claims_case cases[] = {
        { TIMES(",\"exp\":1790000001,\"iat\":1790000000"), RK_JWT_ACCEPTED },
        { TIMES(",\"exp\":1790000000,\"iat\":1790000000"), RK_JWT_TIME },
        { TIMES(",\"exp\":1789999999,\"iat\":1789990000"), RK_JWT_TIME },
        { TIMES(",\"exp\":1790000000.9,\"iat\":1789990000"), RK_JWT_TIME },
        { TIMES(",\"exp\":1790000600.5,\"iat\":1790000000.25"), RK_JWT_ACCEPTED },
        { TIMES(",\"iat\":1790000000"), RK_JWT_TIME },
        { TIMES(",\"exp\":\"1790000600\",\"iat\":1790000000"), RK_JWT_TIME },
        { TIMES(",\"exp\":null,\"iat\":1790000000"), RK_JWT_TIME },
        { TIMES(",\"exp\":1e300,\"iat\":1790000000"), RK_JWT_TIME },
        { TIMES(",\"exp\":9223372036854775807,\"iat\":1790000000"), RK_JWT_TIME },
        { TIMES(",\"exp\":99999999999999999999,\"iat\":1790000000"), RK_JWT_MALFORMED },
        { TIMES(",\"exp\":-1,\"iat\":1790000000"), RK_JWT_TIME },
        { TIMES(FAR_EXP), RK_JWT_TIME },
        { TIMES(FAR_EXP ",\"iat\":\"now\""), RK_JWT_TIME },
        { TIMES(FAR_EXP ",\"iat\":1790000060"), RK_JWT_ACCEPTED },
        { TIMES(FAR_EXP ",\"iat\":1790000061"), RK_JWT_TIME },
        { TIMES(FAR_EXP ",\"iat\":0"), RK_JWT_ACCEPTED },
        { TIMES(FAR_EXP ",\"iat\":1790000000,\"nbf\":1790000060"), RK_JWT_ACCEPTED },
        { TIMES(FAR_EXP ",\"iat\":1790000000,\"nbf\":1790000061"), RK_JWT_TIME },
        { TIMES(FAR_EXP ",\"iat\":1790000000,\"nbf\":\"0\""), RK_JWT_TIME },
    };

    check_claims(*state, cases, RK_COUNT(cases));
}

#define USER(u) "{" IS ",\"aud\":\"api\"" FAR_EXP ",\"iat\":1790000000" u "}"

static void the_user_id_is_a_string_with_something_in_it(void **state)
{
    static const struct claims_case cases[] = {
        { USER(",\"sub\":\"u\""), RK_JWT_ACCEPTED },
        { USER(""), RK_JWT_USER },
        { USER(",\"sub\":\"\""), RK_JWT_USER },
        { USER(",\"sub\":7"), RK_JWT_USER },
        { USER(",\"sub\":[\"u\"]"), RK_JWT_USER },
        { USER(",\"sub\":\"a\\u0000b\""), RK_JWT_MALFORMED },
        { USER(",\"sub\":\"\xc0\xaf\""), RK_JWT_MALFORMED },
    };
    const struct world *w = *state;
    const struct rk_jwt_expect expect = { .issuer = ISS,
                                          .audiences = audiences,
                                          .audiences_n = RK_COUNT(audiences),
                                          .user_claim = "oid",
                                          .now_s = NOW };
    char *token = token_make(w->arena, &w->rsa, USER(",\"sub\":\"s\",\"oid\":\"o\""));
    struct rk_claims c;

    check_claims(w, cases, RK_COUNT(cases));
    assert_int_equal(rk_jwt_verify(w->keys, rk_str(token), &expect, w->arena, &c, NULL, NULL), 0);
    assert_string_equal(c.user_id, "o");
    assert_string_equal(c.subject, "s");
}

static void wrong_types_are_as_good_as_absent(void **state)
{
    const struct world *w = *state;
    char *token = token_make(
        w->arena, &w->rsa,
        USER(",\"sub\":\"u\",\"email\":7,\"name\":[\"n\"],\"email_verified\":\"true\","
             "\"preferred_username\":{},\"auth_time\":\"x\",\"nonce\":null,"
             "\"groups\":[\"a\",1,null,\"b\",[\"c\"]],\"one\":\"g\",\"none\":{\"a\":\"b\"}"));
    struct rk_str groups[4];
    struct rk_claims c;
    bool present;

    assert_int_equal(verify(w, w->keys, token, &c), RK_JWT_ACCEPTED);
    assert_string_equal(c.email, "");
    assert_string_equal(c.name, "");
    assert_string_equal(c.preferred_username, "");
    assert_string_equal(c.nonce, "");
    assert_false(c.email_verified);
    assert_int_equal(c.auth_time_s, 0);

    assert_int_equal(rk_claims_list(&c, "groups", w->arena, groups, 4, &present), 2);
    assert_true(present);
    assert_string_equal(groups[0].p, "a");
    assert_string_equal(groups[1].p, "b");
    assert_int_equal(rk_claims_list(&c, "groups", w->arena, groups, 1, &present), 1);
    assert_int_equal(rk_claims_list(&c, "one", w->arena, groups, 4, &present), 1);
    assert_string_equal(groups[0].p, "g");
    assert_int_equal(rk_claims_list(&c, "none", w->arena, groups, 4, &present), 0);
    assert_false(present);
    assert_int_equal(rk_claims_list(&c, "absent", w->arena, groups, 4, NULL), 0);
    assert_string_equal(rk_claims_str(&c, "one", w->arena), "g");
    assert_string_equal(rk_claims_str(&c, "groups", w->arena), "");
}

static void account_claims_are_read_only_when_asked_for(void **state)
{
    const struct world *w = *state;
    char *url = token_make(w->arena, &w->rsa,
                           USER(",\"sub\":\"u\",\"https://api.x/wt_account_id\":\"acc\","
                                "\"https://api.x/wt_account_domain\":\"x.org\","
                                "\"https://api.x/wt_account_domain_category\":7,"
                                "\"https://api.x/nb_invited\":true,"
                                "\"https://api.x/nb_last_login\":\"2026-01-02T03:04:05Z\""));
    char *plain =
        token_make(w->arena, &w->rsa, USER(",\"sub\":\"u\",\"apiwt_account_id\":\"acc\""));
    struct rk_claims c;
    int64_t us;

    assert_int_equal(verify(w, w->keys, url, &c), RK_JWT_ACCEPTED);
    assert_string_equal(c.account_id, "");
    assert_true(c.last_login_us == RK_TIME_UNSET);
    rk_claims_read_account(&c, "https://api.x", w->arena);
    assert_string_equal(c.account_id, "acc");
    assert_string_equal(c.account_domain, "x.org");
    assert_string_equal(c.account_domain_category, "");
    assert_true(c.invited);
    assert_true(rk_time_parse(RK_STR("2026-01-02T03:04:05Z"), &us) && us == c.last_login_us);
    rk_claims_read_account(&c, "https://api.x/", w->arena);
    assert_string_equal(c.account_id, "acc");

    assert_int_equal(verify(w, w->keys, plain, &c), RK_JWT_ACCEPTED);
    rk_claims_read_account(&c, "api", w->arena);
    assert_string_equal(c.account_id, "acc");
}

static void an_unknown_kid_is_told_apart(void **state)
{
    const struct world *w = *state;
    struct token_key stranger = { w->rsa.key, "stranger", "RS256" };

    assert_int_equal(refused(w, token_make(w->arena, &stranger, GOOD)), RK_JWT_KEY);
    assert_int_equal(refused(w, token_make(w->arena, &w->other_rsa, GOOD)), RK_JWT_SIGNATURE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm_of_the_list_is_accepted_with_a_key_of_its_kind),
        cmocka_unit_test(the_hash_names_what_was_signed),
        cmocka_unit_test(another_good_signature_is_the_same_token),
        cmocka_unit_test(no_algorithm_outside_the_list_reaches_a_key),
        cmocka_unit_test(hmac_with_the_public_key_is_refused),
        cmocka_unit_test(an_algorithm_of_another_kind_of_key_is_refused),
        cmocka_unit_test(the_algorithm_a_key_names_is_the_only_one),
        cmocka_unit_test(two_keys_of_one_kid_are_told_apart_by_algorithm),
        cmocka_unit_test(keys_in_the_header_are_never_used),
        cmocka_unit_test(what_is_no_token_is_malformed),
        cmocka_unit_test(a_token_over_16_kib_is_not_looked_at),
        cmocka_unit_test(issuer_and_audience_are_exact),
        cmocka_unit_test(times_have_no_leeway_at_the_end_and_a_minute_at_the_start),
        cmocka_unit_test(the_user_id_is_a_string_with_something_in_it),
        cmocka_unit_test(wrong_types_are_as_good_as_absent),
        cmocka_unit_test(account_claims_are_read_only_when_asked_for),
        cmocka_unit_test(an_unknown_kid_is_told_apart),
    };

    return cmocka_run_group_tests(tests, world_up, world_down);
}
