#pragma once

/*
 * Peers that this replica has found in a snapshot: whose account they are of, and the key that
 * their envelopes are sealed with, which costs more to compute than all else of a small call. Loop
 * thread.
 */

#include <stdint.h>

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
void known_drop_all(struct app *app);
