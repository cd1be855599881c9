/*
 * A token from any bytes, against a set with a key of each kind. What is accepted must have been
 * signed, which no fuzzer can do; so the claims behind the signature are reached by signing what it
 * brings: input that begins with '{' becomes the claims of a good token.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/jwt/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define KEYS                                                                                       \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\","                                         \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

static const struct rk_str audiences[] = { { "api", 3 } };

static void look(const struct rk_claims *c, struct rk_arena *arena)
{
    struct rk_claims account = *c;
    struct rk_str list[8];
    bool present;
    size_t n;

    assert(c->user_id[0] != '\0' && c->expires_s > 1000);
    assert(strcmp(c->issuer, "iss") == 0);
    n = rk_claims_list(c, "groups", arena, list, RK_COUNT(list), &present);
    assert(n <= RK_COUNT(list) && (present || n == 0));
    assert(rk_claims_str(c, "name", arena));
    rk_claims_read_account(&account, "api", arena);
    assert(account.account_id && account.account_domain && account.account_domain_category);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct rk_signer *signer;
    static struct rk_jwks *keys;
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(4 << 20);
    rk_auto(rk_buf_done) struct rk_buf token;
    const struct rk_jwt_expect expect = { "iss", audiences, RK_COUNT(audiences), "sub", 1000 };
    struct rk_str text = rk_strn(p, n);
    enum rk_jwt_refusal why;
    struct rk_err err = { 0 };
    struct rk_claims c;
    int r;

    rk_buf_init(&token, (size_t)1 << 20);
    if (!signer) {
        struct rk_buf jwk;
        struct rk_str each[2] = { RK_STR(KEYS) };

        signer = rk_signer_new();
        rk_buf_init(&jwk, 4096);
        rk_signer_public_jwk(signer, &jwk);
        each[1] = rk_buf_str(&jwk);
        r = rk_jwks_from_keys(each, 2, &keys, &err);
        assert(r == 0 && rk_jwks_count(keys) == 2);
        rk_buf_done(&jwk);
    }
    if (n > 0 && p[0] == '{') {
        if (rk_jwt_sign(signer, text, &token, &err) < 0)
            return 0;
        text = rk_buf_str(&token);
    }
    r = rk_jwt_verify(keys, text, &expect, arena, &c, &why, &err);
    assert((r == 0) == (why == RK_JWT_ACCEPTED));
    assert(r == 0 || (r == RK_UNAUTHENTICATED && err.msg[0] != '\0'));
    if (r == 0) {
        assert(token.n > 0);
        look(&c, arena);
    }
    return 0;
}
