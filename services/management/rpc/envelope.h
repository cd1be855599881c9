#pragma once

/*
 * EncryptedMessage: { 1: key text, 3... } around a NaCl box. Opening it is the authentication of
 * the peer: it proves possession of the private key. Loop thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/bytes.h"
#include "libcommon/base/err.h"
#include "libcommon/crypto/box.h"

struct envelope {
    uint8_t key[RK_KEY_LEN];          /* who sent it */
    char key_b64[RK_KEY_B64_LEN + 1]; /* canonical */
    struct rk_box box;                /* between us and that peer */
    struct rk_str plain;              /* in the arena */
};

/* The key shared with whoever has this one; NULL: to be computed. */
typedef const struct rk_box *envelope_box_fn(void *arg, const uint8_t key[RK_KEY_LEN]);

/* RK_INVALID with the text that goes on the wire. */
int envelope_open(const struct rk_keypair *server,
                  envelope_box_fn *box_of,
                  void *arg,
                  struct rk_str message,
                  struct rk_arena *arena,
                  struct envelope *out,
                  struct rk_err *err);

/* A whole gRPC frame (flag, length, EncryptedMessage) that carries `plain`. */
struct rk_bytes *envelope_seal(const char server_key_b64[RK_KEY_B64_LEN + 1],
                               const struct rk_box *box,
                               struct rk_str plain);
