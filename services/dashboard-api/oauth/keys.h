#pragma once

/*
 * Keys: what the provider signs with. They are rows of signing_key, private halves sealed; each
 * replica reads them again every half minute. A key signs for 30 days and is published two hours
 * before; one replica makes it, under a lock. Worker threads.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"
#include "libcommon/crypto/seal.h"
#include "libcommon/jwt/jwk.h"
#include "libcommon/jwt/signer.h"
#include "libcommon/pg/pg.h"

struct keys;

/* `kept_s`: how long a key is published after it has signed for the last time. */
struct keys *keys_new(const struct rk_seal *seal, int64_t kept_s);
void keys_free(struct keys *k);
RK_DEFINE_AUTO(struct keys, keys_free)

/* As they were at one moment; immutable and counted. */
struct key_set {
    _Atomic unsigned refs;
    struct rk_signer *signer;
    struct rk_jwks *published;
    char *json; /* the published ones as a JSON Web Key Set */
    uint64_t loaded_ms;
};
void key_set_unref(struct key_set *s);
RK_DEFINE_AUTO(struct key_set, key_set_unref)

/* One reference. `again`: another replica may have new ones, read them unless that was a second
 * ago. Makes the first key, or one that is due. Not inside a transaction. */
int keys_get(struct keys *k, struct rk_pg *pg, bool again, struct key_set **out, struct rk_err *err)
    RK_CHECKED;

/* The next key now: it signs as soon as everybody may have it, and the old ones stay published.
 * `compromised`: it signs at once, and nothing that the old ones signed is good any more. */
int keys_rotate(struct keys *k, struct rk_pg *pg, bool compromised, struct rk_err *err) RK_CHECKED;
