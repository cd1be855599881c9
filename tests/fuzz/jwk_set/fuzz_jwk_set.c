/* A set of keys from any bytes: what is taken can be asked to verify. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/jwt/jwk_int.h"
#include "libcommon/jwt/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_jwks_unref) struct rk_jwks *s = NULL;
    struct rk_err err = { 0 };
    int r = rk_jwks_parse(rk_strn(p, n), &s, &err);

    if (r < 0) {
        assert(r == RK_INVALID && !s && err.msg[0] != '\0');
        return 0;
    }
    assert(s->n > 0 && s->n <= RK_JWKS_MAX_KEYS);
    for (size_t i = 0; i < s->n; i++) {
        const struct rk_jwk *k = &s->keys[i];

        assert(k->kid[0] != '\0' && strlen(k->kid) <= RK_JWK_MAX_KID);
        assert((k->kind == RK_JWK_ED25519) == (k->ed25519 != NULL));
        assert((k->kind == RK_JWK_ED25519) == (k->cjose == NULL));
        assert((k->kind == RK_JWK_RSA) == (k->rsa_bytes >= 256 && k->rsa_bytes <= 1024));
    }
    return 0;
}
