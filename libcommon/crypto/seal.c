#include "libcommon/crypto/seal.h"

/* Sealed form: version 01 | nonce[24] | ciphertext | tag[16]. */

#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"

#define VERSION 1
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES

static bool decode(struct rk_str key_b64, uint8_t out[RK_SEAL_KEY])
{
    uint8_t key[RK_SEAL_KEY + 1];
    size_t n = 0;
    bool ok = rk_b64_decode(key_b64, key, sizeof(key), &n) && n == RK_SEAL_KEY;

    if (ok)
        memcpy(out, key, RK_SEAL_KEY);
    rk_wipe(key, sizeof(key));
    return ok;
}

int rk_seal_init(struct rk_seal *s, struct rk_str key_b64, struct rk_err *err)
{
    struct rk_ring ring;
    int r = rk_ring_split(key_b64, &ring, err);

    *s = (struct rk_seal){ 0 };
    if (r < 0)
        return r;
    for (unsigned i = 0; i < ring.n; i++)
        if (!decode(ring.secret[i], s->key[i]))
            return rk_fail(err, RK_INVALID,
                           "the secret key is not the base64 of 32 bytes; make one with: "
                           "openssl rand -base64 32");
    s->n = ring.n;
    return 0;
}

void rk_seal_done(struct rk_seal *s)
{
    rk_wipe(s->key, sizeof(s->key));
    s->n = 0;
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
                                                     NULL, p + 1, s->key[0]);
    rk_buf_commit(out, n);
}

static bool
opens(const uint8_t key[RK_SEAL_KEY], const char *name, struct rk_str sealed, uint8_t *out_plain)
{
    const uint8_t *in = (const uint8_t *)sealed.p;

    return crypto_aead_xchacha20poly1305_ietf_decrypt(out_plain, NULL, NULL, in + 1 + NONCE,
                                                      sealed.n - 1 - NONCE, (const uint8_t *)name,
                                                      strlen(name), in + 1, key) == 0;
}

static bool is_sealed(struct rk_str sealed)
{
    return sealed.n >= 1 + NONCE + TAG && sealed.p[0] == VERSION;
}

int rk_seal_get(const struct rk_seal *s,
                const char *name,
                struct rk_str sealed,
                struct rk_buf *out_plain,
                struct rk_err *err)
{
    uint8_t *p;
    size_t n;

    if (!is_sealed(sealed))
        return rk_fail(err, RK_INVALID, "secret %s: not a sealed secret", name);
    n = sealed.n - 1 - NONCE - TAG;
    p = rk_buf_reserve(out_plain, n);
    if (!p)
        return rk_fail(err, RK_EXHAUSTED, "secret %s: longer than expected", name);
    for (unsigned i = 0; i < s->n; i++) {
        if (opens(s->key[i], name, sealed, p)) {
            rk_buf_commit(out_plain, n);
            return 0;
        }
    }
    return rk_fail(err, RK_DENIED,
                   "secret %s does not open: it was sealed under another secret key", name);
}

bool rk_seal_is_current(const struct rk_seal *s, const char *name, struct rk_str sealed)
{
    /* Without a place for the text it is the tag alone that is looked at. */
    return is_sealed(sealed) && opens(s->key[0], name, sealed, NULL);
}

bool rk_seal_mac(const struct rk_seal *s,
                 unsigned which,
                 struct rk_str text,
                 uint8_t out[RK_SEAL_MAC])
{
    if (which >= s->n)
        return false;
    rk_hmac_sha256(s->key[which], RK_SEAL_KEY, text.p, text.n, out);
    return true;
}
