#pragma once

/* A known peer whose user has signed in again: its login counts from now. One transaction on a
 * worker; errors carry the text for the wire. */

#include <stdbool.h>

#include "libcommon/account/rules/actor.h"

struct rk_peer_renewal {
    const char *account_id, *peer_id;
    const char *user_id;        /* who signed in */
    const char *default_domain; /* the server's dns_domain */
    bool extend; /* the session of a peer that is logged in: only where there is one that ends */
};

/*
 * RK_DENIED for another user than the peer's, one who is blocked or waits for approval.
 * RK_PRECONDITION, of an extension: logins do not expire, or not this peer's. RK_NOT_FOUND: the
 * peer or its user have gone. A peer that had expired is back in the maps of others.
 */
int rk_peer_renew(struct rk_pg *pg,
                  const struct rk_peer_renewal *in,
                  struct rk_bell *out_bell,
                  struct rk_err *err) RK_CHECKED;
