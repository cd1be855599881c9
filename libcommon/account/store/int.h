#pragma once

/* Inside of the store, for its own directory and its tests. */

#include <stdbool.h>

#include "libcommon/account/model/model.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

/* account_change.kind as text, and back. */
const char *store_kind_name(enum rk_object_kind kind);
bool store_kind_parse(struct rk_str name, enum rk_object_kind *out);

/* The metadata as the object that peer.meta holds: member names are the protocol's field names. */
void peer_meta_json(const struct rk_peer_meta *m, struct rk_buf *out);
/* rk_meta_hash of what peer_meta_json made. */
void peer_meta_hash_of(struct rk_str json, uint8_t out[16]);
bool peer_meta_empty(const struct rk_peer_meta *m);

/* `label`, with the last two octets of the address behind it when `suffixed`; never longer than 63.
 */
void peer_label_for(const char *label, bool suffixed, const uint8_t ip4[4], char out[RK_LABEL_MAX]);
/* An extra DNS label as the agent sent it; false when it is none. */
#define PEER_EXTRA_LABEL_MAX 254
bool peer_extra_label(struct rk_str s, char out[PEER_EXTRA_LABEL_MAX]);

/* A random host of the IPv4 network: not the network, broadcast or second-to-last address (agents
 * keep a DNS server there). False for a network without hosts. */
bool peer_random_ip4(const uint8_t net[4], unsigned bits, uint8_t out[4]);
/* The same of the IPv6 network: host bits that are neither all zero nor all one. */
bool peer_random_ip6(const uint8_t net[16], unsigned bits, uint8_t out[16]);

/* Says that these peers' accounts have peers that came or went. Waits for the next statement. */
int peer_presence_note(struct rk_pg *pg, const struct rk_str *ids, size_t n, struct rk_err *err)
    RK_CHECKED;

/* Registers a peer of a user of the account, inside a change: it is in All alone, ephemeral, needs
 * no approval, and no event tells of it. RK_PRECONDITION for a key that is registered already. */
int peer_register_guest(struct rk_change *ch,
                        const struct rk_peer_registration *reg,
                        char out_id[RK_XID_LEN + 1],
                        struct rk_err *err) RK_CHECKED;

/* What every event of a peer says of it; ip6 and what is not known of its place may be "". */
struct peer_facts {
    struct rk_str id, user_id;
    bool wasm; /* an agent in a browser */
    struct rk_str name, label, domain, ip, ip6, connection_ip, country_code, city_name;
    int64_t geoname_id;
    int64_t created_at_us;
};
/* One row a peer that exists; the facts point into the result. */
int peer_facts_load(struct rk_change *ch,
                    const struct rk_str *ids,
                    size_t n,
                    const char *default_domain,
                    struct rk_pg_result **out,
                    struct rk_err *err) RK_CHECKED;
void peer_facts_read(const struct rk_pg_result *res, int row, struct peer_facts *out);
/* Appends the event's meta; extra_key NULL: nothing more. */
void peer_facts_json(const struct peer_facts *f,
                     const char *extra_key,
                     struct rk_str extra,
                     struct rk_buf *out);

/* Deletes these peers, their policies and deadlines, with touches and events. initiator_id NULL:
 * each peer's owner, or "sys". What does not exist is passed over. */
int peer_delete_all(struct rk_change *ch,
                    const struct rk_str *ids,
                    size_t n,
                    const char *initiator_id,
                    const char *default_domain,
                    struct rk_err *err) RK_CHECKED;
