#pragma once

/*
 * Peers that this replica has found in a snapshot: whose account they are of, and the key that
 * their envelopes are sealed with, which costs more to compute than all else of a small call. They
 * are among the peers of the snapshots that are held here, and go with them. Loop thread.
 */

#include <stdint.h>

#include "libcommon/account/snapshot/snapshot.h"
#include "libcommon/account/store/store.h"
#include "libcommon/crypto/box.h"

struct app;

struct known_peer {
    uint8_t key[RK_KEY_LEN];
    char account_id[RK_XID_LEN + 1];
    struct rk_box box;
};

const struct known_peer *known_find(const struct app *app, const uint8_t key[RK_KEY_LEN]);
/* For envelope_open; `app` is a struct app. */
const struct rk_box *known_box(void *app, const uint8_t key[RK_KEY_LEN]);
void known_put(struct app *app,
               const uint8_t key[RK_KEY_LEN],
               const char *account_id,
               const struct rk_box *box);
void known_drop(struct app *app, const uint8_t key[RK_KEY_LEN]);
/* Those of an account that `was` has and `now` has not (NULL: the account is held here no more).
 * `d` led from one to the other; NULL with `now`. */
void known_follow(struct app *app,
                  const struct rk_snapshot *was,
                  const struct rk_snapshot *now,
                  const struct rk_delta *d);
void known_drop_all(struct app *app);
