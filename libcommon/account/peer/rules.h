#pragma once

/* How a person changes a peer over REST. One transaction on a worker thread. Errors carry the text
 * for the wire. */

#include <stdbool.h>

#include "libcommon/account/rules/actor.h"

struct rk_peer_input {
    const char *name; /* "" keeps the name */
    bool ssh_enabled;
    bool login_expiration_enabled;
    bool inactivity_expiration_enabled;
    const char *ip;  /* NULL keeps the address */
    const char *ip6; /* NULL keeps the address */
    /* NULL keeps it; true, where the account asks for approval, makes the peer wait for it, false
     * approves it. */
    const bool *approval;
};

/* RK_NOT_FOUND; RK_PRECONDITION for expirations of a peer that came by setup key; RK_INVALID for
 * addresses. Always raises the serial. */
int rk_peer_update(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   const struct rk_peer_input *in,
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;
