#pragma once

/*
 * Reseal: everything that is sealed in Postgres, taken from the secret key of before to the one
 * that counts now. Services run meanwhile, with both keys. A worker's or a command's connection.
 */

#include <stdint.h>

#include "libcommon/crypto/seal.h"
#include "libcommon/pg/pg.h"

struct rk_reseal {
    int64_t changed; /* were sealed under the other key */
    int64_t already; /* under the first */
    int64_t lost;    /* open under neither */
};

/* In batches, each a transaction of its own: after a failure it is simply done again. Keys of
 * `seal` beyond the first are kept as retired. */
int rk_store_reseal(struct rk_pg *pg,
                    const struct rk_seal *seal,
                    struct rk_reseal *out,
                    struct rk_err *err) RK_CHECKED;

/* For what is no sealed text, but a digest under the key: it stays as it is. The newest ones. */
#define RK_RETIRED_MAX 16

struct rk_retired_keys {
    unsigned n;
    uint8_t key[RK_RETIRED_MAX][RK_SEAL_KEY];
};

int rk_store_retired_keys(struct rk_pg *pg,
                          const struct rk_seal *seal,
                          struct rk_retired_keys *out,
                          struct rk_err *err) RK_CHECKED;
