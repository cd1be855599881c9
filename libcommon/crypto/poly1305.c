#include "libcommon/crypto/poly1305.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

static EVP_MAC *poly1305;

static void broken(void)
{
    (void)fputs("OpenSSL has no Poly1305\n", stderr);
    abort();
}

static void fetch(void)
{
    poly1305 = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    if (!poly1305)
        broken();
}

/* The handle is OpenSSL's context; this type has no members of its own. */
static EVP_MAC_CTX *context(struct rk_poly1305 *m)
{
    return (EVP_MAC_CTX *)m;
}

struct rk_poly1305 *rk_poly1305_begin(const uint8_t key[32])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    EVP_MAC_CTX *m;

    (void)pthread_once(&once, fetch);
    m = EVP_MAC_CTX_new(poly1305);
    if (!m || EVP_MAC_init(m, key, 32, NULL) != 1)
        broken();
    return (struct rk_poly1305 *)m;
}

void rk_poly1305_add(struct rk_poly1305 *m, const void *p, size_t n)
{
    if (n > 0 && EVP_MAC_update(context(m), p, n) != 1)
        broken();
}

void rk_poly1305_end(struct rk_poly1305 *m, uint8_t out[RK_POLY1305_LEN])
{
    size_t n;

    if (EVP_MAC_final(context(m), out, &n, RK_POLY1305_LEN) != 1)
        broken();
    EVP_MAC_CTX_free(context(m));
}
