#pragma once

/*
 * Peer approval: in an account with the setting extra.peer_approval_enabled a peer that a user
 * registers takes part in nothing until somebody approves it (it gets the empty map, nobody sees
 * it). Peers with a setup key need none: whoever made the key has approved them. Worker threads.
 */

#include <stdbool.h>

#include "libcommon/account/rules/actor.h"

/* The setting was changed: switched off it approves whoever waits. With the events. */
int rk_approval_follow(struct rk_change *ch,
                       const struct rk_actor *actor,
                       bool was,
                       bool now,
                       struct rk_err *err) RK_CHECKED;
