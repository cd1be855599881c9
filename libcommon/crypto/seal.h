#pragma once

/*
 * Secrets at rest: XChaCha20-Poly1305 under the deployment's 32-byte secret key; `name` is bound as
 * additional data so that one sealed secret cannot stand in for another. While that key is being
 * changed there are two (ring.h). Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/crypto/ring.h"

#define RK_SEAL_KEY 32
#define RK_SEAL_MAC 32

struct rk_seal {
    unsigned n;
    uint8_t key[RK_RING_MAX][RK_SEAL_KEY];
};

/* A line a key, in base64. */
int rk_seal_init(struct rk_seal *s, struct rk_str key_b64, struct rk_err *err);
void rk_seal_done(struct rk_seal *s); /* wipes */
void rk_seal_put(const struct rk_seal *s,
                 const char *name,
                 struct rk_str plain,
                 struct rk_buf *out); /* appends */
int rk_seal_get(const struct rk_seal *s,
                const char *name,
                struct rk_str sealed,
                struct rk_buf *out_plain,
                struct rk_err *err);
/* It opens, and under the key that rk_seal_put uses now. */
bool rk_seal_is_current(const struct rk_seal *s, const char *name, struct rk_str sealed);
/* A keyed digest, by which a replica knows again what another one made. Made with `which` 0; taken
 * with any for which this is true. */
bool rk_seal_mac(const struct rk_seal *s,
                 unsigned which,
                 struct rk_str text,
                 uint8_t out[RK_SEAL_MAC]);
