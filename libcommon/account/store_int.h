#pragma once

/* Inside of the store, for its own directory and its tests. */

#include <stdbool.h>

#include "libcommon/account/model.h"
#include "libcommon/account/peers.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

/* account_change.kind as text, and back. */
const char *store_kind_name(enum rk_object_kind kind);
bool store_kind_parse(struct rk_str name, enum rk_object_kind *out);

/* The metadata as the object that peer.meta holds: member names are the protocol's field names. */
void peer_meta_json(const struct rk_peer_meta *m, struct rk_buf *out);
bool peer_meta_empty(const struct rk_peer_meta *m);

/* `label`, with the last two octets of the address behind it when `suffixed`; never longer than 63.
 */
void peer_label_for(const char *label, bool suffixed, const uint8_t ip4[4], char out[RK_LABEL_MAX]);
/* An extra DNS label as the agent sent it, lower-cased into out; false when it is none. */
#define PEER_EXTRA_LABEL_MAX 254
bool peer_extra_label(struct rk_str s, char out[PEER_EXTRA_LABEL_MAX]);

/* A random host of the IPv4 network: not the network, broadcast or second-to-last address (agents
 * keep a DNS server there). False for a network without hosts. */
bool peer_random_ip4(const uint8_t net[4], unsigned bits, uint8_t out[4]);
/* Random lower half under a /64, neither all zero nor all one. */
void peer_random_ip6(const uint8_t net[16], uint8_t out[16]);

/* What every event of a peer says of it; ip6 may be "". */
struct peer_facts {
    struct rk_str name, label, domain, ip, ip6, connection_ip;
    int64_t created_at_us;
};
/* Appends the event's meta; extra_key NULL: nothing more. */
void peer_facts_json(const struct peer_facts *f,
                     const char *extra_key,
                     struct rk_str extra,
                     struct rk_buf *out);
