#pragma once

/*
 * Secrets at rest: XChaCha20-Poly1305 under the deployment's 32-byte secret key; `name` is bound as
 * additional data so that one sealed secret cannot stand in for another. Any thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

struct rk_seal {
    uint8_t key[32];
};

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
