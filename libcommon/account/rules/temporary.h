#pragma once

/*
 * Temporary access: a peer that an administrator's browser is for a while, and policies that let it
 * reach one other peer. The peer is ephemeral, and its policies go with it. One transaction, on a
 * worker thread. Errors carry the text that goes on the wire.
 */

#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"

/* As sent; borrowed. */
struct rk_temporary_input {
    const char *name;
    const char *wg_pub_key; /* base64 */
    const struct rk_str *rules;
    size_t rules_n;
};

/* "all", "icmp", "tcp/22", "udp/1000-2000", "netbird-ssh" in either case; what comes behind the
 * last one's slash does not matter, it is always the agents' own port. */
struct rk_temporary_rule {
    const char *protocol; /* as policies have it */
    uint16_t first, last; /* 0: no ports */
};
/* False for anything else. Any thread. */
bool rk_temporary_rule_parse(struct rk_str text, struct rk_temporary_rule *out) RK_CHECKED;

/* RK_NOT_FOUND without the peer that is to be reached, RK_INVALID, RK_PRECONDITION for a key that
 * is registered already. */
int rk_temporary_access(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *peer_id,
                        const struct rk_temporary_input *in,
                        char out_id[RK_XID_LEN + 1],
                        struct rk_bell *out_bell,
                        struct rk_err *err) RK_CHECKED;
