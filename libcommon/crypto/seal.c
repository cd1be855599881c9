#include "libcommon/crypto/seal.h"

/* Sealed form: version 01 | nonce[24] | ciphertext | tag[16]. */

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"

#define VERSION 1
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES

int rk_seal_init(struct rk_seal *s, struct rk_str key_b64, struct rk_err *err)
{
    uint8_t key[33];
    size_t n = 0;
    bool ok = rk_b64_decode(rk_str_trim(key_b64), key, sizeof(key), &n) && n == sizeof(s->key);

    if (ok)
        memcpy(s->key, key, sizeof(s->key));
    rk_wipe(key, sizeof(key));
    if (!ok)
        return rk_fail(err, RK_INVALID,
                       "the secret key is not the base64 of 32 bytes; make one with: "
                       "openssl rand -base64 32");
    return 0;
}

void rk_seal_done(struct rk_seal *s)
{
    rk_wipe(s->key, sizeof(s->key));
}

void rk_seal_put(const struct rk_seal *s, const char *name, struct rk_str plain, struct rk_buf *out)
{
    size_t n = 1 + NONCE + plain.n + TAG;
    uint8_t *p = rk_buf_reserve(out, n);

    if (!p)
        return; /* out->overflow says so */
    p[0] = VERSION;
    randombytes_buf(p + 1, NONCE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(p + 1 + NONCE, NULL, (const uint8_t *)plain.p,
                                                     plain.n, (const uint8_t *)name, strlen(name),
                                                     NULL, p + 1, s->key);
    rk_buf_commit(out, n);
}

int rk_seal_get(const struct rk_seal *s,
                const char *name,
                struct rk_str sealed,
                struct rk_buf *out_plain,
                struct rk_err *err)
{
    const uint8_t *in = (const uint8_t *)sealed.p;
    uint8_t *p;
    size_t n;

    if (sealed.n < 1 + NONCE + TAG || in[0] != VERSION)
        return rk_fail(err, RK_INVALID, "secret %s: not a sealed secret", name);
    n = sealed.n - 1 - NONCE - TAG;
    p = rk_buf_reserve(out_plain, n);
    if (!p)
        return rk_fail(err, RK_EXHAUSTED, "secret %s: longer than expected", name);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(p, NULL, NULL, in + 1 + NONCE,
                                                   sealed.n - 1 - NONCE, (const uint8_t *)name,
                                                   strlen(name), in + 1, s->key) != 0)
        return rk_fail(err, RK_DENIED,
                       "secret %s does not open: it was sealed under another secret key", name);
    rk_buf_commit(out_plain, n);
    return 0;
}
